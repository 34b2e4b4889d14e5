"""Maskings: which patches of an image a method does not get, and what methods ask of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, runtime_checkable

from sslbench.contracts.params import MaskingParams
from sslbench.contracts.plugin import BuildContext, Spec
from sslbench.errors import UserError

if TYPE_CHECKING:
    from torch import Generator, Tensor


MaskRole = Literal["masked", "context", "targets"]


@dataclass(frozen=True)
class MaskRequest:
    """One mask that a method wants of every image of a view. Requests of one view are served from one draw.

    What ``forward`` is given for it, N being the patches of ``Method.mask_grid`` and r the masking's ratio:
    ``masked``: bool ``[B, N]``, True = masked, ``masked_count(N, r)`` in every row without spread and share;
    ``context``: int64 ``[B, n]``, the patches that the context encoder gets, ascending, ``N - masked_count(N, r)``;
    ``targets``: int64 ``[B, K, M]``, the patches of each of K targets, ascending, none of them in the context.
    """

    view: int = 0  # index in the method's views, of a view of the run's image size
    role: MaskRole = "masked"
    spread: float = 0.0
    """of ``masked``: the images' ratios go evenly from r - spread to r + spread, or less far where r is near 0 or 1"""
    share: float = 1.0  # of ``masked``: the images that are masked, in (0, 1]; the others' rows are all False


@runtime_checkable
class Masking(Protocol):
    """A distribution over masks on a grid of patches."""

    def sample(self, batch: int, grid: tuple[int, int], ratio: float, generator: Generator) -> Tensor:
        """bool ``[batch, rows * cols]`` on the generator's device, row-major, True = masked: exactly
        ``masked_count(rows * cols, ratio)`` in every row, drawn from the generator."""


@runtime_checkable
class TargetMasking(Masking, Protocol):
    """A masking that makes several targets of an image. Of any other, the masked patches are the one target and all
    visible ones the context; of this one, what is not in the context is masked."""

    def sample_targets(
        self, batch: int, grid: tuple[int, int], ratio: float, generator: Generator
    ) -> tuple[Tensor, Tensor]:
        """Context, int64 ``[batch, n]``, all but ``masked_count(rows * cols, ratio)`` of the patches, and targets,
        int64 ``[batch, K, M]``; ascending, on the generator's device, drawn from it. No patch is in the context and
        in a target."""


def masked_count(patches: int, ratio: float) -> int:
    """How many of ``patches`` a ratio in (0, 1) masks: all but ``int(patches * (1 - ratio))``, MAE's rule. Raises
    UserError where that leaves no visible or no masked patch."""
    # 1e-9 undoes binary rounding: 100 * (1 - 0.9) is 9.999999999999998.
    visible = int(patches * (1 - ratio) + 1e-9)
    if not 0 < visible < patches:
        raise UserError(
            f"mask ratio = {ratio:g} leaves {visible} of {patches} patches visible; at least one must be visible and"
            f" one masked: allowed is a ratio above 0 and up to {(patches - 1) * 1000 // patches / 1000:g}"
        )
    return patches - visible


@dataclass(frozen=True, kw_only=True)
class MaskingSpec(Spec):
    """The spec of a masking. The harness passes the ratio in ``params`` to ``sample`` and ``sample_targets``."""

    kind: ClassVar[str] = "masking"
    build: Callable[[Any, BuildContext], Masking]
    params: type[MaskingParams] = MaskingParams
