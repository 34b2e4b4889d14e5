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
