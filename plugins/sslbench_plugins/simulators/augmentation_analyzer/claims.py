"""The claims: self-pairs overlap highly but not perfectly; crop with colour jitter is hard."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from sslbench import Claim
from sslbench_plugins.blocks.studies.results import SeedResults
from sslbench_plugins.simulators.augmentation_analyzer.tables import READINGS, Correlations, lowest, mean

SOURCE = "tutorial on self-supervised learning, exercise on pairs of augmentations"
HIGH = 0.5
"""mean correlation that is called high"""
HARD, EASY = ("crop", "brightness"), ("blur", "brightness")
Draw = Callable[[int, str, str, str], Correlations]
"""seed, first and second augmentation, reading -> correlations"""


def claims(seeds: range, names: Iterable[str], draw: Draw) -> list[Claim]:
    """All claims in both readings; self-pairs of each of ``names``."""
    names = list(names)
    return [
        *(self_pair_claim(seeds, name, reading, draw) for reading in READINGS for name in names),
        *(jitter_claim(seeds, reading, draw) for reading in READINGS),
    ]


def self_pair_claim(seeds: range, name: str, reading: str, draw: Draw) -> Claim:
    """Two views under one augmentation overlap highly but not perfectly."""
    draws = SeedResults(SOURCE, {seed: draw(seed, name, name, reading) for seed in seeds})
    exact = float(np.mean([(values == 1).mean() for values in draws.results.values()]))
    words = "one view by each" if reading == "pair" else "applied twice to both views"

    def high_but_below_one(values: Correlations) -> bool | None:
        average = mean(values)
        return None if average is None else HIGH <= average < 1

    return draws.claim(
        f"a pair of views under one augmentation overlaps highly but not perfectly ({name}, {words})",
        f"mean correlation of at least {HIGH:g}, and below 1",
        high_but_below_one,
        f"mean {draws.spread(mean)}, lowest {draws.spread(lowest)}, exactly 1 in {exact:.0%} of the draws",
    )


def jitter_claim(seeds: range, reading: str, draw: Draw) -> Claim:
    """Crop with colour jitter overlaps less than blur with brightness."""

    def both(seed: int) -> tuple[float | None, float | None]:
        return mean(draw(seed, *HARD, reading)), mean(draw(seed, *EASY, reading))

    def hard_is_lower(means: tuple[float | None, float | None]) -> bool | None:
        hard, easy = means
        return None if hard is None or easy is None else hard < easy

    pairs = SeedResults(SOURCE, {seed: both(seed) for seed in seeds})
    words = "one view by each" if reading == "pair" else "both views by both"
    return pairs.claim(
        f"crop with colour jitter overlaps less than blur with brightness ({words})",
        "the mean correlation under crop and brightness, the colour jitter here, is the lower one",
        hard_is_lower,
        f"crop with brightness {pairs.spread(lambda means: means[0])},"
        f" blur with brightness {pairs.spread(lambda means: means[1])}",
    )
