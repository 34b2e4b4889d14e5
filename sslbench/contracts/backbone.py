"""Backbones: networks that turn images into features."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from sslbench.contracts.plugin import BuildContext, ProvidingSpec
from sslbench.contracts.weights import LoadedWeights


@dataclass(frozen=True)
class TimmModel:
    """A network as plain timm builds it: ``timm.create_model(architecture, num_classes=0, **arguments)``."""

    architecture: str
    arguments: Mapping[str, Any]  # JSON-able
    weights: Mapping[str, Tensor]  # by timm's names, all of them


class Backbone(nn.Module, ABC):
    """A network that turns images into features."""

    feature_dim: int  # D, the length of a feature vector
    loaded_weights: LoadedWeights | None = None  # of somebody else, that it starts from

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """Normalised float ``[B, 3, S, S]`` -> ``[B, feature_dim]``."""

    def as_timm(self) -> TimmModel | None:
        """The same network, with the same weights and features, as plain timm builds it; None where timm has none."""
        return None


class TokenBackbone(Backbone):
    """A backbone that works on patch tokens, so that a method can mask some of them or leave them out."""

    token_dim: int  # length of a token
    grid: tuple[int, int]  # patches: rows, columns
    patch_size: int  # side of a patch, pixels
    prefix_tokens: int  # tokens in front of the patches after ``encode``: 1 for a class token, else 0

    @abstractmethod
    def positions(self, grid: tuple[int, int]) -> Tensor:
        """What ``embed`` adds to the patches of a grid: ``[rows * cols, token_dim]``; zeros where positions enter in
        the blocks (rotary)."""

    @abstractmethod
    def embed(self, images: Tensor) -> Tensor:
        """``[B, 3, S, S]`` -> ``[B, rows * cols, token_dim]``, row-major, positions added."""

    @abstractmethod
    def encode(self, tokens: Tensor, *, patches: Tensor | None = None, blocks: int = 1) -> Tensor:
        """``[B, n, token_dim]``, any n patches -> ``[B, prefix_tokens + n, blocks * token_dim]``: what the last
        ``blocks`` blocks return, each after the final norm, the last one's last.

        ``patches``: int64 ``[B, n]``, which patches of ``grid`` the tokens are; None: all patches of an image, of a
        square one where it is not of ``grid``, in order. Rotary positions follow from it, so that whoever encodes a
        part passes it."""

    @abstractmethod
    def pool(self, encoded: Tensor) -> Tensor:
        """``[B, prefix_tokens + n, token_dim]`` -> the features, ``[B, feature_dim]``."""

    def forward(self, images: Tensor) -> Tensor:
        """``pool(encode(embed(images)))``."""
        return self.pool(self.encode(self.embed(images)))

    def attention(self, images: Tensor) -> Tensor:
        """How much the class token attends to each patch in the last block, or the query of an attention pool behind
        it: float ``[B, heads, rows * cols]``, after the softmax over all tokens. For backbones that provide
        ``attention``."""
        raise NotImplementedError(f"{type(self).__name__} provides no attention")

    def stochastic_depth(self, rate: float) -> None:
        """From now on drop residual branches in training mode, per sample, with a probability that rises linearly
        from 0 in the first block to ``rate``, in [0, 1), in the last; nothing without such branches."""


@dataclass(frozen=True, kw_only=True)
class BackboneSpec(ProvidingSpec):
    """The spec of a backbone. ``provides``: ``tokens``, and ``attention`` where it has a class token or an attention
    pool; ``encoder``, a network that can be trained on, is provided by all."""

    kind: ClassVar[str] = "backbone"
    build: Callable[[Any, BuildContext], Backbone]  # uses ``context.image_size``
    fetches: Callable[[Any], str] | None = None  # for a backbone that may need the network: as in ``MethodSpec``
    runs_code: Callable[[Any], str] | None = None  # for a backbone that may run code of others: as in ``MethodSpec``
