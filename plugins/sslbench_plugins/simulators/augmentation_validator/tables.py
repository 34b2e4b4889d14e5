"""Rows of the two tables: what each view keeps, and what each brightness factor keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sslbench_plugins.simulators.augmentation_validator.grey_views import WHITE, Picture, brightness
from sslbench_plugins.simulators.augmentation_validator.measures import anatomy_kept, signal_kept

FACTORS = (1.0, 1.2, 1.4, 1.6, 1.8, 2.0)
CONSTANT = "a constant image has no correlation"


@dataclass(frozen=True)
class ViewRow:
    """What one augmentation keeps. A measure that is undefined is None, and ``reason`` says why."""

    augmentation: str
    anatomy_kept: bool | None
    signal_kept: float | None
    reason: str


@dataclass(frozen=True)
class BrightnessRow:
    """What one factor keeps, and the share of pixels that are clipped, 0..1."""

    factor: float
    clipped_share: float
    signal_kept: float | None
    reason: str


@dataclass(frozen=True)
class Measured:
    """Both tables of one seed."""

    views: Mapping[str, ViewRow]
    """by the augmentation's name"""
    factors: list[BrightnessRow]


def view_row(original: Picture, view: Picture, name: str) -> ViewRow:
    """Both measures of one view."""
    anatomy, signal = anatomy_kept(original, view), signal_kept(original, view)
    reasons = [
        *(["both halves have the same sum: no half to keep"] if anatomy is None else []),
        *([CONSTANT] if signal is None else []),
    ]
    return ViewRow(name, anatomy, signal, "; ".join(reasons))


def brightness_rows(original: Picture) -> list[BrightnessRow]:
    """One row for each of ``FACTORS``."""
    rows = []
    for factor in FACTORS:
        signal = signal_kept(original, brightness(original, factor=factor))
        clipped = float((original * factor > WHITE).mean())
        rows.append(BrightnessRow(factor, clipped, signal, CONSTANT if signal is None else ""))
    return rows
