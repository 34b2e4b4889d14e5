"""What is kept of a measured row: the fields of every record, and ``speed`` with all that belongs to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sslbench.measure.ceilings import Ceilings
from sslbench.measure.comparison import Comparison
from sslbench.speed.bench import Measured
from sslbench.speed.rows import SpeedPlan, SpeedRow
from sslbench.speed.suite import Expected, SpeedFile

KIND = "speed"
"""value of a record's field ``kind``"""


def record_of(
    one: Measured,
    found: Mapping[int, Measured],
    plan: SpeedPlan,
    layout: SpeedFile,
    limits: Ceilings,
    made: Mapping[str, Any],
) -> dict[str, Any]:
    row = one.row
    return {
        "cell": row.key,
        "kind": KIND,
        "status": one.status,
        "reason": one.reason,
        **axes_of(row),
        "params": {
            **{kind: choice.values for kind, choice in row.choices.items()},
            "speed": row.description["speed"],
        },
        "metrics": {},
        "pretraining": costs(one),
        "features": None,
        "traceback": one.trace,
        "speed": {
            **(one.timing.described() if one.timing else {}),
            **{name: getattr(row, name) for name in ("batch_size", "precision", "compile", "image_size", "device")},
            "images": row.batch_size,
            "parameters": one.parameters,
            "patches": one.patches,
            "peak_bytes": one.peak_bytes,
            "reserved_bytes": one.reserved_bytes,
            "flops_per_image": one.flops_per_image,
            "utilisation": limits.utilisation(flops_per_second(one), row.precision),
            "ceilings": asdict(limits),
            "end_to_end": asdict(one.end_to_end.times) if one.end_to_end else None,
            "largest_batch": asdict(one.limit) if one.limit else None,
            "against": [
                against(one, found[pair.baseline], pair.names, layout, one.against[pair.baseline])
                for pair in plan.pairs
                if found[pair.row] is one and pair.baseline in one.against
            ],
            "baseline_of": sorted({name for pair in plan.pairs if found[pair.baseline] is one for name in pair.names}),
            "notes": {baseline.name: baseline.note for baseline in layout.baselines if baseline.note},
        },
        "provenance": dict(made),
    }


def axes_of(row: SpeedRow) -> dict[str, Any]:
    names = {kind: choice.name for kind, choice in row.choices.items()}
    return {
        "method": row.method.name,
        "augmentation": names.get("augmentation"),
        "masking": names.get("masking"),
        "mask_ratio": row.mask_ratio,
        "evaluator": None,
        "dataset": names.get("dataset"),
        "backbone": names.get("backbone"),
        "seed": 0,
    }


def costs(one: Measured) -> dict[str, Any]:
    """The fields of a pretraining that are about speed: here of a step on data that is on the device already."""
    timing = one.timing
    return {
        "epochs": None,
        "steps": len(timing.step_ms) if timing else None,
        "seconds": None,
        "images_per_second": timing.images_per_second if timing else None,
        "step_ms_median": timing.median_ms if timing else None,
        "step_ms_iqr": timing.iqr_ms if timing else None,
        "data_wait_share": one.end_to_end.times.data_wait_share if one.end_to_end else None,
        "peak_memory_bytes": one.peak_bytes,
        "flops_per_image": one.flops_per_image,
        "final_loss": timing.final_loss if timing else None,
    }


def flops_per_second(one: Measured) -> float | None:
    if one.timing is None or one.flops_per_image is None:
        return None
    return one.flops_per_image * one.timing.images_per_second


def against(
    one: Measured, baseline: Measured, names: tuple[str, ...], layout: SpeedFile, found: Comparison
) -> dict[str, Any]:
    """How many times as fast a row is as one of its baselines, its bound, what was published, and the verdict."""
    bound = None
    if one.flops_per_image and baseline.flops_per_image:
        bound = baseline.flops_per_image / one.flops_per_image
    published = [p for p in layout.published if p.against in names and one.row.matches(p.where)]
    expected = layout.expected
    judged = expected is not None and one.row.matches(expected.where) and not set(names).isdisjoint(expected.against)
    return {
        "baselines": list(names),
        "cell": baseline.row.key,
        **found.described(),
        "flop_bound": bound,
        "share_of_bound": found.ratio / bound if bound else None,
        "published": [{"ratio": p.ratio, "words": p.words} for p in published],
        "statement": expected.statement if expected and judged else None,
        "verdict": verdict(found, expected) if expected and judged else None,
    }


def verdict(found: Comparison, expected: Expected) -> str:
    """``holds`` where the whole interval lies within what is said, ``fails`` (with the side) where it lies outside,
    else ``undecided``. A bound that is no farther from the ratio than the noise floor decides nothing."""
    low, high = (
        min(found.low, found.ratio / (1 + found.noise_floor)),
        max(found.high, found.ratio * (1 + found.noise_floor)),
    )
    if high < expected.low:
        return f"fails: below {expected.low:g}"
    if low > expected.high:
        return f"fails: above {expected.high:g}"
    return "holds" if expected.low <= low and high <= expected.high else "undecided"
