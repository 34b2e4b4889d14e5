"""What an evaluator may call its metrics: in tables and CSV they stand beside each other and beside other columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from sslbench.errors import quoted

LONGEST = 100  # characters
COLUMNS = frozenset(
    "cell status reason method augmentation masking mask_ratio evaluator dataset backbone training seed seeds"
    " images_per_second step_ms_median step_ms_iqr data_wait_share peak_memory_bytes flops_per_image"
    " joules_per_image pretraining_seconds embed_images_per_second".split()
)
"""what tables call the recipe, its status, speed and cost"""
ENDINGS = ("_mean", "_std", "_low", "_high", "_n", "_draws", "_draws_std", "_draws_n")
"""of the columns that CSV makes of one metric"""


def metric_name_mistakes(names: Iterable[Any]) -> list[str]:
    """One line for each name of an evaluator's metrics that is no text, comes twice, or is that of another column."""
    names = list(names)
    counts = Counter(name for name in names if isinstance(name, str))
    mistakes = [f"metric name {quoted(name)} is no text" for name in names if not isinstance(name, str)]
    for name, count in counts.items():
        stems = [name.removesuffix(ending) for ending in ENDINGS if name.endswith(ending)]
        stem = next((stem for stem in stems if stem in counts), name)
        if not 0 < len(name) <= LONGEST or not name.isprintable() or name != name.strip() or " (" in name:
            allowed = f"allowed: 1 to {LONGEST} printable characters, no blank at an end or before a bracket"
            mistakes.append(f"metric name {quoted(name)}: {allowed}")
        elif name in COLUMNS or any(f"{column}{end}" == name for column in COLUMNS for end in ENDINGS):
            mistakes.append(f"metric name {quoted(name)} is that of a column that every table has")
        elif count > 1:
            mistakes.append(f"metric name {quoted(name)} is given {count} times; each metric has a name of its own")
        elif stem != name:
            mistakes.append(f"metric name {quoted(name)} is that of a column of its metric {quoted(stem)}")
    return mistakes
