"""The claims: what each of the five augmentations does to anatomy and signal."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sslbench import Claim
from sslbench_plugins.blocks.studies.results import SeedResults
from sslbench_plugins.simulators.augmentation_validator.tables import FACTORS, VIEWS, WHITE, Measured

SOURCE = "tutorial on self-supervised learning, exercise on augmentations for medical images"
PERFECT, SLIGHT = 1e-9, 0.1
"""what a correlation of 1 may lack for rounding, and the loss that is called slight"""
Signals = dict[str, float]
"""augmentation -> its correlation with the original"""


def claims(measured: Mapping[int, Measured]) -> list[Claim]:
    """All claims, from what each seed measured."""
    seeds = SeedResults(SOURCE, measured)
    broken = {n: sum(t.views[n]["anatomy_kept"] is False for t in measured.values()) for n in VIEWS}
    anatomy = seeds.claim(
        "horizontal flipping is the only one of the five that breaks the anatomy",
        "the brighter half changes sides under the flip and under no other",
        where_defined(lambda tables, _: [n for n in VIEWS if not tables.views[n]["anatomy_kept"]] == ["flip"]),
        "broken " + (", ".join(f"on {n} seeds by {name}" for name, n in broken.items() if n) or "by none"),
    )
    return [anatomy, *brightness_claims(seeds), *cost_claims(seeds)]


def where_defined(test: Callable[[Measured, Signals], bool | None]) -> Callable[[Measured], bool | None]:
    """The test of a seed's tables and the five signals; None where a measure of the five is undefined."""

    def outcome(tables: Measured) -> bool | None:
        if any(None in (tables.views[name]["anatomy_kept"], tables.views[name]["signal_kept"]) for name in VIEWS):
            return None
        return test(tables, {name: tables.views[name]["signal_kept"] for name in VIEWS})

    return outcome


def correlation(seeds: SeedResults[Measured], name: str, digits: int = 3) -> str:
    """Correlation of a view with the original, over the seeds."""
    return seeds.spread(lambda tables: tables.views[name]["signal_kept"], digits)


def correlations(seeds: SeedResults[Measured], *names: str) -> str:
    """Correlations of several views, each with its name."""
    return "; ".join(f"{name} {correlation(seeds, name)}" for name in names)


def lowest_signal(tables: Measured) -> float | None:
    """The lowest correlation under any factor that has one."""
    return min((row["signal_kept"] for row in tables.factors if row["signal_kept"] is not None), default=None)


def all_perfect(tables: Measured) -> bool | None:
    """Whether every factor keeps the signal perfectly; None where only a constant view is in the way."""
    lowest = lowest_signal(tables)
    if lowest is not None and lowest < 1 - PERFECT:
        return False
    return None if any(row["signal_kept"] is None for row in tables.factors) else True


def brightness_claims(seeds: SeedResults[Measured]) -> list[Claim]:
    """Brightness keeps the signal best; and perfectly, at one factor and at all."""
    statement = "brightness keeps the signal perfectly, because it is a linear scaling"
    return [
        seeds.claim(
            "brightness keeps the signal best",
            "its correlation with the original is the highest of the five",
            where_defined(lambda _, signals: signals["brightness"] == max(signals.values())),
            correlations(seeds, *VIEWS),
        ),
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


def cost_claims(seeds: SeedResults[Measured]) -> list[Claim]:
    """Elastic deformation keeps less than brightness; noise costs little, in itself and beside the others."""
    statement, others = "adding noise lowers the signal only slightly", ("rotation", "flip", "elastic")
    return [
        seeds.claim(
            "elastic deformation keeps less of the signal than brightness",
            "its correlation with the original is lower",
            where_defined(lambda _, signals: signals["elastic"] < signals["brightness"]),
            f"elastic {correlation(seeds, 'elastic')}, brightness {correlation(seeds, 'brightness')}",
        ),
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
