"""What the first rows cost, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sslbench.report.numbers import three_digits
from sslbench.report.standing import Standing

ALIKE = 1.1
"""costs whose ratio is below this are called the same: no two trainings take the same time"""


def cost(standing: Standing) -> Iterator[str]:
    """Of the best row that is no baseline: training, and the extraction of features."""
    row = next(iter(standing.own), standing.best)
    speeds = standing.recipe(row).speeds
    seconds, rate = speeds["pretraining_seconds"].mean, speeds["images_per_second"].mean
    embed = speeds["embed_images_per_second"].mean
    parts = []
    if seconds:
        parts.append(f"trains in {three_digits(seconds)} s" + (f" ({three_digits(rate)} images/s)" if rate else ""))
    elif seconds == 0:
        parts.append("needs no training")
    if embed:
        parts.append(f"embeds {three_digits(embed)} images/s")
    if parts:
        yield f"{standing.view.names.without_dataset(row)} {' and '.join(parts)}."


def cheapest(standing: Standing, rows: Sequence[int]) -> Iterator[str]:
    """Of rows that are not told apart, the best one first: which is trained in the least time."""
    seconds = [standing.recipe(row).speeds["pretraining_seconds"].mean for row in rows]
    known = [value for value in seconds if value]
    if len(known) < 2 or len(known) < len(rows):
        return
    least, own = min(known), known[0]
    if max(known) < ALIKE * least:
        yield f"These {len(rows)} cost about the same to train, {three_digits(least)} s."
    elif own == least:
        yield f"Of these {len(rows)} it is the cheapest to train."
    elif own < ALIKE * least:
        yield f"Of these {len(rows)} none is clearly cheaper to train."
    else:
        name = standing.name(rows[known.index(least)])
        costs = f"{three_digits(least)} s against {three_digits(own)}"
        yield f"Of these {len(rows)} {name} is the cheapest to train, {costs}."
