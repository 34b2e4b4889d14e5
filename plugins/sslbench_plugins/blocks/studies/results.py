"""What a study gives: claims over several seeds, rows of tables, and figures, which alone import matplotlib."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from sslbench import Claim, across_seeds, check_claim

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Key = TypeVar("Key")
Result = TypeVar("Result")
Row = dict[str, Any]
TIE = 1e-12
"""difference of two values that is rounding"""


@dataclass(frozen=True)
class SeedResults(Generic[Result]):
    """What was measured on each seed."""

    source: str
    """where the claims are from"""
    results: Mapping[int, Result]

    def spread(self, value: Callable[[Result], float | None], digits: int = 3) -> str:
        """Mean, smallest and largest value over the seeds, with ``digits`` significant ones; see ``across_seeds``."""
        return across_seeds([value(result) for result in self.results.values()], digits)

    def claim(self, statement: str, expected: str, test: Callable[[Result], bool | None], measured: str) -> Claim:
        """The claim with its verdict; ``test`` returns whether it is true of one seed, None where that is undefined.
        ``expected`` says what is tested, ``measured`` what was measured."""
        outcomes = {seed: test(result) for seed, result in self.results.items()}
        return check_claim(statement, self.source, expected, outcomes, measured)


def best_keys(values: Mapping[Key, float | None], best: Callable[[Iterable[float]], float]) -> list[Key]:
    """The keys whose value is the ``best`` one (``min`` or ``max``), ties included; None is never the best."""
    known = {key: value for key, value in values.items() if value is not None}
    wanted = best(known.values()) if known else 0
    return [key for key, value in known.items() if abs(value - wanted) <= TIE]


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, inches, whose parts are laid out without overlap."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def row_of_pictures(pictures: Mapping[str, NDArray[Any]], size: tuple[float, float], **shown: Any) -> Figure:
    """Images side by side with their names: ``[H, W]``, or ``[H, W, 3]`` in 0..1. ``size``: width and height of one,
    inches; ``shown`` goes to ``imshow``, such as ``cmap="gray"``."""
    figure = new_figure(size[0] * len(pictures), size[1])
    row = figure.subplots(1, len(pictures), squeeze=False)[0]
    for axes, (name, picture) in zip(row, pictures.items(), strict=True):
        axes.imshow(np.asarray(picture), **shown)
        axes.set_title(name)
        axes.set_axis_off()
    return figure
