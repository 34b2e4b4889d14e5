"""Methods: ways to train an encoder without labels, and baselines."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self, TypeVar

from torch import Tensor, nn

from sslbench.contracts.augmentation import ViewKind, ViewRequest
from sslbench.contracts.defaults import AUGMENTATION, MASKING
from sslbench.contracts.masking import MaskRequest
from sslbench.contracts.params import MethodParams, Params
from sslbench.contracts.plugin import NOTHING, BuildContext, ProvidingSpec, Words
from sslbench.contracts.weights import Licence
from sslbench.errors import UserError

Value = TypeVar("Value")


@dataclass(frozen=True)
class Progress:
    """Where training stands.

    A step that is captured in a CUDA graph runs no Python when it is repeated. What it takes from here by
    ``scheduled`` and ``decision`` is right in every step all the same. An attribute that was read as it is has the
    step captured anew when it changes; one that changes with every step is refused.
    """

    step: int  # optimizer steps done, from 0, over all epochs
    total_steps: int
    epoch: int  # epochs done, from 0
    epochs: int

    @property
    def fraction(self) -> float:
        """0 before the first step, approaching 1 at the last."""
        return self.step / max(1, self.total_steps)

    def scheduled(self, number: Callable[[Progress], float]) -> float | Tensor:
        """``number`` of where training stands, such as a momentum on a cosine: what may change with every step. In a
        CUDA graph a float64 scalar on the device, which every step is given anew."""
        return number(self)

    def decision(self, value: Callable[[Progress], Value]) -> Value:
        """``value`` of where training stands, such as whether a layer is still frozen: what decides which operations a
        step has. A CUDA graph is captured anew when it changes."""
        return value(self)


@dataclass(frozen=True)
class InputSpec:
    """What an encoder that somebody else trained wants to be given, where that is not the data set's."""

    size: int  # side of the images, pixels
    mean: tuple[float, float, float]  # to be subtracted from each channel, of values in 0..1
    std: tuple[float, float, float]  # to divide each channel by, of values in 0..1
    crop: float = 1.0  # share of the shorter side that the centre crop keeps, in (0, 1]
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"  # of the resize before the crop


class Method(nn.Module, ABC):
    """A way to train an encoder. Its state dict holds everything that an exact resume needs.

    Randomness inside ``forward`` may come from torch's global generators: the loop seeds them before each step.
    A method whose spec says ``uses_labels`` is built with ``classes`` and its ``forward`` is given ``labels``,
    int64 ``[B]``.
    """

    learns_from: Sequence[Method] = ()
    """frozen methods whose features it learns from. They move where it moves, and are no part of its parameters, mode
    and state dict: whoever builds it again builds them again"""
    most_masked: int | None = None
    """the most patches that the masks given to ``forward`` mask, of all requests and images together, so that none need
    be counted on the device; set by the harness before each call. None: all may be"""
    fixed: frozenset[str] = frozenset()
    """names of the backbone's parameters that were frozen when it was built; set by the harness, and never trained"""

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        for teacher in self.learns_from:
            teacher._apply(fn, recurse)
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self

    @property
    @abstractmethod
    def views(self) -> tuple[ViewRequest, ...]:
        """The views it wants of every image; empty for a method without training."""

    @property
    @abstractmethod
    def encoder(self) -> nn.Module:
        """What is evaluated: normalised float ``[B, 3, S, S]`` -> features ``[B, D]``."""

    def untrained(self) -> nn.Module:
        """The encoder of a method that was just built; where weights were loaded, the same network initialised anew
        from torch's global generator."""
        return self.encoder

    @property
    def input_spec(self) -> InputSpec | None:
        """What the encoder wants to be given in evaluation; None for the run's size and the data set's mean and std."""
        return None

    @property
    def masks(self) -> tuple[MaskRequest, ...]:
        """The masks it wants of every image; empty for a method without masking."""
        return ()

    @property
    def mask_grid(self) -> tuple[int, int] | None:
        """Rows and columns of the masks it wants, or None for a method without masking."""
        return None

    @abstractmethod
    def forward(
        self, views: Sequence[Tensor], *, masks: Sequence[Tensor], progress: Progress
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        """One step's loss (a scalar to minimise) and scalars worth logging, detached.

        ``views``: as many as ``self.views`` asks for, each normalised float ``[B, 3, size, size]``.
        ``masks``: as many as ``self.masks`` asks for, each as ``MaskRequest`` says.
        """

    def reconstruct(self, images: Tensor, mask: Tensor) -> Tensor:
        """Of a method that provides ``reconstruction``: images whose masked patches it predicts and whose visible ones
        are as given, both normalised float ``[B, 3, S, S]``; ``mask`` bool ``[B, rows * cols]``, True = masked."""
        raise NotImplementedError(f"{type(self).__name__} provides no reconstruction")

    def check_batch(self, batch_size: int) -> None:
        """Called before the first step with the number of images that ``forward`` will get at once, on all devices
        together; raises UserError where the method cannot work with so few or so many. By default, batch norm needs
        two."""
        norms = (nn.BatchNorm1d, nn.BatchNorm2d)
        if batch_size < 2 and any(isinstance(module, norms) for module in self.modules()):
            need = "batch norm needs at least 2 images at once (batch_size, accumulate)"
            raise UserError(f"batch of {batch_size}: {need}")

    def param_groups(self, weight_decay: float) -> list[dict[str, Any]]:
        """Parameters for the optimizer. By default biases and norms (one dimension or none) are not decayed and,
        under LARS, not adapted. A group's ``lr_scale``, if any, multiplies its learning rate."""
        trained = [p for p in self.parameters() if p.requires_grad]
        return [
            {"params": [p for p in trained if p.ndim > 1], "weight_decay": weight_decay},
            {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0, "adapt": False},
        ]

    def after_backward(self, progress: Progress) -> None:
        """Called between backward and the optimizer step: clipping, frozen layers."""

    def after_step(self, progress: Progress) -> None:
        """Called after the optimizer step: EMA updates, queues."""


@dataclass(frozen=True, kw_only=True)
class MethodSpec(ProvidingSpec):
    """The spec of a method. ``provides``: what evaluators may need beyond what the backbone provides, such as
    ``reconstruction``; ``encoder``, ``tokens`` and ``attention`` where the method brings a network of its own."""

    kind: ClassVar[str] = "method"
    build: Callable[[Any, BuildContext], Method]  # uses ``context.backbone``
    params: type[MethodParams] | type[Params] = MethodParams
    uses: Words = frozenset({"backbone", "augmentation"})
    """of ``backbone``, ``augmentation``, ``masking``: a method appears once for an axis that it does not use"""
    needs: Words = NOTHING  # what the backbone must provide, such as ``tokens``
    trains: bool = True  # False for a method that takes no training step
    view_kinds: frozenset[ViewKind] | Callable[[Any], frozenset[ViewKind]] = frozenset({"global"})
    """the kinds of view that it asks for; a function of the parameters where it depends on them"""
    uses_labels: bool = False
    """True: ``forward`` is also given the batch's ``labels``; ``context.classes`` is the number of classes"""
    augmentation: str = AUGMENTATION  # the paper's augmentation: what ``auto`` means where the data set recommends none
    masking: str = MASKING  # the paper's masking, ``NAME`` or ``NAME:key=value``: what ``auto`` means
    fingerprint: Callable[[Any], str] | None = None
    """parameters -> a short text that changes when the content of the files that it reads does; empty where it reads
    none. Raises UserError where a file is missing"""
    fetches: Callable[[Any], str] | None = None
    """parameters -> what would have to be fetched from the network, in words; empty where all is on this machine"""
    runs_code: Callable[[Any], str] | None = None
    """parameters -> whose code ``build`` would run beside that of installed packages, in words; empty where none. It
    is only built where the user allowed that (``--trust``)"""
    licence: Callable[[Any], Licence] | None = None
    """parameters -> the licence of weights that it loads, as far as it is known without fetching; for a method that
    loads weights of somebody else"""

    def asked_views(self, params: Params) -> frozenset[ViewKind]:
        """The kinds of view that it asks for with these parameters."""
        return self.view_kinds(params) if callable(self.view_kinds) else self.view_kinds
