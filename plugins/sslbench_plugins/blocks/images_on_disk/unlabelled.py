"""Labels that are none: what tables write for an image whose class nobody knows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sslbench import UserError

MISSING = frozenset({"", "nan", "<na>", "#n/a", "null"})
"""None and NA may be classes"""
UNLABELLED = "without a label"
"""why an image is left out"""


def is_unlabelled(label: Any) -> bool:
    """Whether a label is null, empty, -1, or a word that programs write for a number that is missing."""
    return label is None or is_minus_one(label) or (isinstance(label, str) and label.strip().casefold() in MISSING)


def is_minus_one(label: Any) -> bool:
    """Whether a label is -1, as a number or as text."""
    return label == -1 or (isinstance(label, str) and label.strip() in ("-1", "-1.0"))


def check_classes_left(written: Sequence[Any], where: str) -> None:
    """Raises UserError where -1 seems to be one of two classes: without it a single one would be left."""
    left = {label for label in written if not is_unlabelled(label)}
    if len(left) == 1 and any(map(is_minus_one, written)):
        raise UserError(
            f"{where}: the labels are -1 and {next(iter(left))}, and -1 means that there is no label; write the classes"
            " as words, or as 0 and 1"
        )
