"""Records of cells that no worker made one of."""

from __future__ import annotations

from sslbench.plan.cell import Cell
from sslbench.store.record import MetricValue, Record, Status, TrainingFacts


def skipped_record(cell: Cell, reason: str) -> Record:
    """Of plugins that do not work together; it is shown, not stored."""
    return Record(cell.key, "skipped", reason=reason, **cell.axes, params=cell.params)


def lost_record(cell: Cell, status: Status, reason: str, traceback: str = "") -> Record:
    """Of a cell whose worker ended without one; ``traceback``: the last lines that it printed, if any."""
    headline = cell.evaluator.spec.ranked_by(cell.evaluator.params)
    return Record(
        cell.key,
        status,
        reason=reason,
        **cell.axes,
        params=cell.params,
        headline=headline,
        metrics={headline: MetricValue(None, reason=status)},
        pretraining=TrainingFacts(key=cell.pretraining.key),
        traceback=traceback or None,
    )
