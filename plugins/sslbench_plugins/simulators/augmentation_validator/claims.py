"""The claims: what each of the five augmentations does to anatomy and signal."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sslbench import Claim
from sslbench_plugins.blocks.studies.seed_results import SeedResults
from sslbench_plugins.simulators.augmentation_validator.grey_views import VIEWS, WHITE
from sslbench_plugins.simulators.augmentation_validator.tables import FACTORS, Measured

SOURCE = "tutorial on self-supervised learning, exercise on augmentations for medical images"
PERFECT = 1e-9
"""what a correlation of 1 may lack for rounding"""
SLIGHT = 0.1
"""loss of correlation that is called slight"""
Signals = dict[str, float]
"""augmentation -> its correlation with the original"""


def claims(measured: Mapping[int, Measured]) -> list[Claim]:
    """All claims, from what each seed measured."""
    seeds = SeedResults(SOURCE, measured)
    return [anatomy_claim(seeds), best_claim(seeds), *perfect_claims(seeds), elastic_claim(seeds), *noise_claims(seeds)]


def where_defined(test: Callable[[Measured, Signals], bool | None]) -> Callable[[Measured], bool | None]:
    """The test of a seed's tables and the five signals; None where a measure of the five is undefined."""

    def outcome(tables: Measured) -> bool | None:
        rows = [tables.views[name] for name in VIEWS]
        signals = {row.augmentation: row.signal_kept for row in rows if row.signal_kept is not None}
        defined = len(signals) == len(rows) and all(row.anatomy_kept is not None for row in rows)
        return test(tables, signals) if defined else None

    return outcome


def correlation(seeds: SeedResults[Measured], name: str, digits: int = 3) -> str:
    """Correlation of a view with the original, over the seeds."""
    return seeds.spread(lambda tables: tables.views[name].signal_kept, digits)


def correlations(seeds: SeedResults[Measured], *names: str) -> str:
    """Correlations of several views, each with its name."""
    return "; ".join(f"{name} {correlation(seeds, name)}" for name in names)


def anatomy_claim(seeds: SeedResults[Measured]) -> Claim:
    """The flip alone moves the anatomy to the other side."""
    broken = {n: sum(t.views[n].anatomy_kept is False for t in seeds.results.values()) for n in VIEWS}
    return seeds.claim(
        "horizontal flipping is the only one of the five that breaks the anatomy",
        "the brighter half changes sides under the flip and under no other",
        where_defined(lambda tables, _: [n for n in VIEWS if not tables.views[n].anatomy_kept] == ["flip"]),
        "broken " + (", ".join(f"on {n} seeds by {name}" for name, n in broken.items() if n) or "by none"),
    )


def best_claim(seeds: SeedResults[Measured]) -> Claim:
    """Brightness keeps the signal best."""
    return seeds.claim(
        "brightness keeps the signal best",
        "its correlation with the original is the highest of the five",
        where_defined(lambda _, signals: signals["brightness"] == max(signals.values())),
        correlations(seeds, *VIEWS),
    )


def all_perfect(tables: Measured) -> bool | None:
    """Whether every factor keeps the signal perfectly; None where only a constant view is in the way."""
    signals = [row.signal_kept for row in tables.factors]
    if any(signal is not None and signal < 1 - PERFECT for signal in signals):
        return False
    return None if None in signals else True


def lowest_signal(tables: Measured) -> float | None:
    """The lowest correlation under any factor that has one."""
    return min((row.signal_kept for row in tables.factors if row.signal_kept is not None), default=None)


def perfect_claims(seeds: SeedResults[Measured]) -> list[Claim]:
    """Brightness keeps the signal perfectly: at one factor, and at all."""
    statement = "brightness keeps the signal perfectly, because it is a linear scaling"
    return [
        seeds.claim(
            f"{statement} (at a factor of 1.2)",
            f"correlation 1 to within {PERFECT:g}",
            where_defined(lambda _, signals: signals["brightness"] >= 1 - PERFECT),
            f"correlation {correlation(seeds, 'brightness', 6)}",
        ),
        seeds.claim(
            f"{statement} (at every factor up to 2)",
            f"correlation 1 to within {PERFECT:g} at every factor from {FACTORS[0]:g} to {FACTORS[-1]:g}",
            where_defined(lambda tables, _: all_perfect(tables)),
            f"lowest correlation {seeds.spread(lowest_signal, 6)}: clipping at {WHITE:g} is not linear",
        ),
    ]


def elastic_claim(seeds: SeedResults[Measured]) -> Claim:
    """Elastic deformation keeps less than brightness."""
    return seeds.claim(
        "elastic deformation keeps less of the signal than brightness",
        "its correlation with the original is lower",
        where_defined(lambda _, signals: signals["elastic"] < signals["brightness"]),
        f"elastic {correlation(seeds, 'elastic')}, brightness {correlation(seeds, 'brightness')}",
    )


def noise_claims(seeds: SeedResults[Measured]) -> list[Claim]:
    """Noise costs little: in itself, and beside the others."""
    statement, others = "adding noise lowers the signal only slightly", ("rotation", "flip", "elastic")
    return [
        seeds.claim(
            f"{statement} (in itself)",
            f"it costs at most {SLIGHT:g} of the correlation",
            where_defined(lambda _, signals: signals["noise"] >= 1 - SLIGHT),
            f"correlation {correlation(seeds, 'noise')}",
        ),
        seeds.claim(
            f"{statement} (beside the others)",
            "it costs less than rotation, flip and elastic deformation do",
            where_defined(lambda _, signals: signals["noise"] > max(signals[name] for name in others)),
            correlations(seeds, "noise", *others),
        ),
    ]
