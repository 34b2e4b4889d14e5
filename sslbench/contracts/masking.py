"""Maskings: which patches of an image a method does not get."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

from sslbench.contracts.params import MaskingParams
from sslbench.contracts.plugin import BuildContext, Spec
from sslbench.errors import UserError

if TYPE_CHECKING:
    from torch import Generator, Tensor


@runtime_checkable
class Masking(Protocol):
    """A distribution over masks on a grid of patches."""

    def sample(self, batch: int, grid: tuple[int, int], ratio: float, generator: Generator) -> Tensor:
        """bool ``[batch, rows * cols]`` on the generator's device, row-major, True = masked: exactly
        ``masked_count(rows * cols, ratio)`` in every row, drawn from the generator."""


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
    """The spec of a masking. The harness passes the ratio in ``params`` to ``Masking.sample``."""

    kind: ClassVar[str] = "masking"
    build: Callable[[Any, BuildContext], Masking]
    params: type[MaskingParams] = MaskingParams
