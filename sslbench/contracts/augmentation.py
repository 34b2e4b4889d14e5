"""Augmentations: random views of images, on whole batches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, runtime_checkable

from sslbench.contracts.plugin import BuildContext, Spec

if TYPE_CHECKING:
    from torch import Generator, Tensor

ViewKind = Literal["global", "local"]
BatchTransform = Callable[["Tensor", "Generator"], "Tensor"]


@dataclass(frozen=True)
class ViewRequest:
    """One view a method wants. Its place in the method's tuple is the index that the augmentation is asked for."""

    kind: ViewKind
    size: int
    """side of the square view, pixels"""


@runtime_checkable
class Augmentation(Protocol):
    """A distribution over single views."""

    def view(self, index: int, kind: ViewKind, size: int) -> BatchTransform:
        """The transform for view number ``index``.

        It maps uint8 ``[B, 3, H, W]`` on any device, and a generator of that device, to float32
        ``[B, 3, size, size]`` in 0..1 on the same device. Every sample gets its own random parameters, all of
        them drawn from the generator; the input is not changed. Normalisation is not the augmentation's: the
        harness subtracts the data set's mean and divides by its deviation afterwards, for training and judging alike.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class AugmentationSpec(Spec):
    """``build(params, context) -> Augmentation``."""

    kind: ClassVar[str] = "augmentation"
    build: Callable[[Any, BuildContext], Augmentation]
