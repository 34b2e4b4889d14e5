"""The record that is kept of a measured row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sslbench.measure.ceilings import Ceilings
from sslbench.measure.comparison import Comparison
from sslbench.speed.facts import CeilingFacts, EndToEndFacts, PublishedRatio, Ratio, SpeedFacts
from sslbench.speed.measurement import Measurement
from sslbench.speed.plan import SpeedPlan
from sslbench.speed.rows import SpeedRow
from sslbench.speed.suite import Expected, SpeedFile
from sslbench.store.record import Record, TrainingFacts

BY_LAUNCHES = "undecided: launch-bound"
"""the verdict on a ratio that says how long launches take"""


class RecordWriter:
    """Makes the records of one suite on one machine."""

    def __init__(self, plan: SpeedPlan, layout: SpeedFile, ceilings: Ceilings) -> None:
        self.plan, self.layout, self.ceilings = plan, layout, ceilings

    def record(self, index: int, measurements: Mapping[int, Measurement], provenance: Mapping[str, Any]) -> Record:
        """Of the row at ``index`` of the plan. ``measurements``: of all rows, by index."""
        measured, facts = measurements[index], self._facts(index, measurements)
        row = measured.row
        names: dict[str, Any] = {axis: choice.name for axis, choice in row.choices.items()}
        return Record(
            row.key,
            measured.status,
            **names,
            seed=0,
            kind="speed",
            reason=measured.reason or "; ".join(measured.missing) or None,
            mask_ratio=row.mask_ratio,
            params={**{axis: choice.values for axis, choice in row.choices.items()}, "speed": row.settings},
            pretraining=TrainingFacts(  # of a step on data that is on the device already
                steps=facts.steps,
                images_per_second=facts.images_per_second,
                step_ms_median=facts.median_ms,
                step_ms_iqr=facts.iqr_ms,
                data_wait_share=facts.end_to_end.data_wait_share if facts.end_to_end else None,
                peak_memory_bytes=measured.peak_bytes,
                flops_per_image=facts.flops_per_image,
                final_loss=facts.final_loss,
                joules_per_image=facts.joules_per_image,
                why_no_energy=measured.why_no_energy,
            ),
            traceback=measured.trace,
            speed=facts.to_json(),
            provenance=dict(provenance),
        )

    def _facts(self, index: int, measurements: Mapping[int, Measurement]) -> SpeedFacts:
        measured, pairs = measurements[index], self.plan.pairs
        row, timing, flops = measured.row, measured.timing, measured.flops_per_image
        flops_per_second = flops * timing.images_per_second if flops is not None and timing else None
        copied = (
            "parameters",
            "patches",
            "peak_bytes",
            "reserved_bytes",
            "flops_per_image",
            "largest_batch",
            "joules_per_image",
        )
        unknown = unknown_facts(row) if timing else {}
        timed = {**timing.described(), **dict.fromkeys(unknown)} if timing else {}
        if timing and measured.why_no_energy:
            unknown["joules_per_image"] = measured.why_no_energy
        return SpeedFacts(
            **{**row.settings, "device": row.device},
            images=row.batch_size,
            **timed,
            unknown=unknown,
            **{name: getattr(measured, name) for name in copied},
            utilisation=self.ceilings.utilisation(flops_per_second, row.precision),
            ceilings=CeilingFacts.from_json(asdict(self.ceilings)),
            end_to_end=EndToEndFacts(**asdict(measured.end_to_end.times)) if measured.end_to_end else None,
            against=tuple(
                self._ratio(measured, measurements[pair.baseline], pair.names, measured.against[pair.baseline])
                for pair in pairs
                if pair.row == index and pair.baseline in measured.against
            ),
            missing=tuple(measured.missing),
            baseline_of=tuple(sorted({name for pair in pairs if pair.baseline == index for name in pair.names})),
            notes={baseline.name: baseline.note for baseline in self.layout.baselines if baseline.note},
        )

    def _ratio(
        self, measured: Measurement, baseline: Measurement, names: tuple[str, ...], comparison: Comparison
    ) -> Ratio:
        """With its bound, what was published, and the verdict."""
        row, expected = measured.row, self.layout.expected
        if expected and not (row.matches(expected.where) and set(names) & set(expected.against)):
            expected = None
        bound, launches = None, of_launches(row, comparison)
        if measured.flops_per_image and baseline.flops_per_image:
            bound = baseline.flops_per_image / measured.flops_per_image
        return Ratio(
            baselines=names,
            cell=baseline.row.key,
            **comparison.described(),
            flop_bound=bound,
            share_of_bound=comparison.ratio / bound if bound else None,
            published=tuple(
                PublishedRatio(published.ratio, published.words)
                for published in self.layout.published
                if published.against in names and row.matches(published.where)
            ),
            statement=expected.statement if expected else None,
            verdict=None if expected is None else BY_LAUNCHES if launches else verdict(comparison, expected),
            of_launches=launches,
        )


def unknown_facts(row: SpeedRow) -> dict[str, str]:
    """What cannot be known of such a row -> why."""
    if not row.device.startswith("cuda"):
        why = "a call returns when its work is done"
    elif row.precision == "fp16":
        why = "the gradient scaler of fp16 waits for the device in each step"
    else:
        return {}
    return {"host_ms": why, "launch_bound": why}


def of_launches(row: SpeedRow, comparison: Comparison) -> bool | None:
    """Whether a comparison is one of launches, since one of its steps is bound by them; None where nobody knows."""
    if unknown_facts(row):
        return None
    return bool(comparison.a.launch_bound or comparison.b.launch_bound)


def verdict(comparison: Comparison, expected: Expected) -> str:
    """``holds`` where the whole interval lies within what is expected, ``fails`` (with the side) where it lies outside,
    else ``undecided``. A bound that is no farther from the ratio than the noise floor decides nothing."""
    ratio, noise = comparison.ratio, 1 + comparison.noise_floor
    low, high = min(comparison.low, ratio / noise), max(comparison.high, ratio * noise)
    if high < expected.low:
        return f"fails: below {expected.low:g}"
    if low > expected.high:
        return f"fails: above {expected.high:g}"
    return "holds" if expected.low <= low and high <= expected.high else "undecided"
