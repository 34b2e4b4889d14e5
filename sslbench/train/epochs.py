"""What is reported of the epochs of a training that ended before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sslbench.contracts.executor import EpochEnded
from sslbench.store.record import CurvePoint


def ended_before(
    losses: Iterable[float | None], curve: Iterable[CurvePoint] | None, epochs: int
) -> Iterator[EpochEnded]:
    """The first of ``epochs`` epochs again, from what is kept of them: one for each loss."""
    points = {point.epoch: point for point in curve or ()}
    for number, loss in enumerate(losses, start=1):
        yield EpochEnded(number, epochs, loss, metrics=metrics_of(points.get(number)))


def metrics_of(point: CurvePoint | None) -> dict[str, float | None]:
    """``EVALUATOR/METRIC`` -> value, of a point of a curve."""
    metrics = point.metrics.items() if point else ()
    return {f"{m.evaluator}/{name.removesuffix(f' ({m.evaluator})')}": m.value for name, m in metrics}
