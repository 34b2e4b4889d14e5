"""Base classes of backbones and methods. Exposed by the public door as ``sslbench.Backbone`` and so on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from sslbench.errors import UserError
from sslbench.hooks.contracts import JudgedInput, Progress, TimmModel, ViewRequest


class Backbone(nn.Module, ABC):
    """A network that turns images into features: normalised float ``[B, 3, S, S]`` -> ``[B, feature_dim]``."""

    feature_dim: int

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor: ...

    def as_timm(self) -> TimmModel | None:
        """The same network with the same weights and features as plain timm builds it, or None where timm has none
        such."""
        return None


class TokenBackbone(Backbone):
    """A backbone that works on patch tokens, so that a method can leave some of them out.

    ``forward(images)`` equals pooling ``encode(embed(images))``.
    """

    token_dim: int
    grid: tuple[int, int]
    """patches: rows, columns"""
    patch_size: int
    """side of a patch, pixels"""
    prefix_tokens: int
    """tokens in front of the patches after ``encode``: 1 for a class token, else 0"""

    @abstractmethod
    def embed(self, images: Tensor) -> Tensor:
        """``[B, 3, S, S]`` -> ``[B, rows * cols, token_dim]``, row-major, positions added."""

    @abstractmethod
    def encode(self, tokens: Tensor) -> Tensor:
        """``[B, n, token_dim]``, any n patches -> ``[B, prefix_tokens + n, token_dim]``, after the final norm."""

    def attention(self, images: Tensor) -> Tensor:
        """How much the class token attends to each patch in the last block: float ``[B, heads, rows * cols]``,
        after the softmax over all tokens. For backbones that provide ``attention``."""
        raise NotImplementedError(f"{type(self).__name__} provides no attention")

    def stochastic_depth(self, rate: float) -> None:
        """From now on leave residual branches out at random while training, per sample, with a probability that rises
        from 0 in the first block to ``rate`` in the last. A backbone without such branches does nothing."""


class Method(nn.Module, ABC):
    """A way to train an encoder. Its state dict holds everything that an exact resume needs.

    Randomness inside ``forward`` may come from torch's global generators: the loop seeds them before each step.
    A method whose spec says ``uses_labels`` is built with ``classes`` and its ``forward`` is given ``labels``,
    int64 ``[B]``.
    """

    @property
    @abstractmethod
    def views(self) -> tuple[ViewRequest, ...]:
        """The views it wants of every image; empty for a method without training."""

    @property
    @abstractmethod
    def encoder(self) -> nn.Module:
        """What is judged: normalised float ``[B, 3, S, S]`` -> features ``[B, D]``."""

    def untrained(self) -> nn.Module:
        """Asked of a method that was just built: its encoder before any training. For a method that loads weights, the
        same network initialised anew from torch's global generator."""
        return self.encoder

    @property
    def judged_input(self) -> JudgedInput | None:
        """What the encoder wants to be given when it is judged, or None for the run's size and the data set's
        mean and deviation."""
        return None

    @property
    def mask_grid(self) -> tuple[int, int] | None:
        """Rows and columns of the masks it wants, or None."""
        return None

    @abstractmethod
    def forward(
        self, views: Sequence[Tensor], *, mask: Tensor | None, progress: Progress
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        """One step's loss (a scalar to minimise) and scalars worth logging, detached.

        ``views``: as many as asked for, each normalised float ``[B, 3, size, size]``.
        ``mask``: bool ``[B, rows * cols]``, True = hidden, or None for a method without masking.
        """

    def reconstruct(self, images: Tensor, mask: Tensor) -> Tensor:
        """Images with their hidden patches painted by the method and the visible ones as given, both normalised
        float ``[B, 3, S, S]``; ``mask`` bool ``[B, rows * cols]``, True = hidden. For methods that provide
        ``reconstruction``."""
        raise NotImplementedError(f"{type(self).__name__} provides no reconstruction")

    def check_batch(self, batch_size: int) -> None:
        """Called before the first step with the number of images that ``forward`` will get at once; raises UserError
        where the method cannot work with so few or so many. By default, batch norm needs two."""
        norms = (nn.BatchNorm1d, nn.BatchNorm2d)
        if batch_size < 2 and any(isinstance(module, norms) for module in self.modules()):
            raise UserError(
                f"batch of {batch_size}: batch norm needs at least 2 images at once (batch_size, accumulate)"
            )

    def param_groups(self, weight_decay: float) -> list[dict[str, Any]]:
        """Parameters for the optimizer. By default biases and norms (one dimension or none) are not decayed and,
        under LARS, not adapted."""
        trained = [p for p in self.parameters() if p.requires_grad]
        return [
            {"params": [p for p in trained if p.ndim > 1], "weight_decay": weight_decay},
            {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0, "adapt": False},
        ]

    def after_backward(self, progress: Progress) -> None:
        """Between backward and the optimizer step: clipping, frozen layers."""

    def after_step(self, progress: Progress) -> None:
        """After the optimizer step: moving averages, queues."""
