"""Which runs may be compared: those that share everything but what a claim is about."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from sslbench.claims.defaults import TOP1
from sslbench.store.record import CurvePoint, Record


class Setting(NamedTuple):
    """What two runs must share to be compared."""

    dataset: str | None
    backbone: str | None
    augmentation: str | None
    device: str | None
    seed: int
    detail: str = ""
    """what else a claim holds fixed"""


def setting_of(record: Record, detail: str = "") -> Setting:
    """The setting of a run."""
    device = record.params.get("training", {}).get("device")
    return Setting(record.dataset, record.backbone, record.augmentation, device, record.seed, detail)


def by_setting(records: Iterable[Record], test: Callable[[Record], bool]) -> dict[Setting, Record]:
    """The records that pass ``test``, by setting and masking; of several, the last."""
    return {setting_of(record, record.masking or ""): record for record in records if test(record)}


def by_seed(values: Mapping[Setting, float]) -> dict[int, list[float]]:
    """Seed -> the values of all its settings."""
    groups: dict[int, list[float]] = {}
    for setting, value in values.items():
        groups.setdefault(setting.seed, []).append(value)
    return groups


def unanimous(test: Callable[[float], bool]) -> Callable[[Sequence[float]], bool | None]:
    """Of several values: whether all of them pass ``test``, or None where some do and some do not."""

    def outcome(values: Sequence[float]) -> bool | None:
        passed = {test(value) for value in values}
        return passed.pop() if len(passed) == 1 else None

    return outcome


def top1_of(measured: Record | CurvePoint) -> float | None:
    """k-NN top-1 (0..1) of a record or of a point of its curve, or None."""
    metric = measured.metrics.get(TOP1)
    return metric.value if metric else None
