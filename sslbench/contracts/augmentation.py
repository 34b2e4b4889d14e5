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
"""uint8 ``[B, 3, H, W]`` and a generator -> float32 ``[B, 3, size, size]`` in 0..1; see ``Augmentation.view``"""


@runtime_checkable
class DrawnTransform(Protocol):
    """A transform in two parts, the random numbers and what is made of them, which ``--compile`` compiles. A transform
    need not be one: any other is called as it is. Two that are equal share one compiled function: make it a frozen
    dataclass."""

    def __hash__(self) -> int: ...

    @property
    def size(self) -> int:
        """Side of the view, pixels."""

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        """``apply`` with what ``draw`` draws, to the rounding of 8 bits."""

    def draw(self, batch: int, image: tuple[int, int], generator: Generator) -> Any:
        """The random numbers for ``batch`` images of a height and width: a tensor on the generator's device, or a tuple
        of tensors, each with the batch as its first dimension. Moves the generator on as ``__call__`` does."""

    def apply(self, images: Tensor, drawn: Any) -> Tensor:
        """The views by these numbers: a function of its arguments, of operations on tensors that ``torch.compile`` can
        trace, without a choice that depends on values of tensors."""


@dataclass(frozen=True)
class ViewRequest:
    """One view that a method wants. Its index in the method's tuple is the index that the augmentation is given."""

    kind: ViewKind  # ``global`` shows most of the image, ``local`` a small part of it
    size: int  # side of the square view, pixels


@runtime_checkable
class Augmentation(Protocol):
    """A distribution over single views."""

    def view(self, index: int, kind: ViewKind, size: int) -> BatchTransform:
        """The transform for view number ``index``, from 0, of ``size`` pixels.

        It maps uint8 ``[B, 3, H, W]`` on any device, and a generator of that device, to float32
        ``[B, 3, size, size]`` in 0..1 on the same device, not normalised: the harness does that. Every image gets
        its own random parameters, all of them drawn from the generator; the input is not changed.
        """


@dataclass(frozen=True, kw_only=True)
class AugmentationSpec(Spec):
    """The spec of an augmentation."""

    kind: ClassVar[str] = "augmentation"
    build: Callable[[Any, BuildContext], Augmentation]
    view_kinds: frozenset[ViewKind] = frozenset({"global"})
    """the kinds of view that it makes; methods that ask for another are skipped with it"""
