"""A fixed part of each class, set aside to judge on, for data sets that come in one piece."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence


def held_out(names: Sequence[str], labels: Sequence[int], share: float) -> list[bool]:
    """Which items to set aside: of each class the ``share`` whose name hashes lowest, rounded.

    A class keeps at least one item on each side where it has two or more. Adding or removing files moves few others
    from one side to the other, and their order does not matter.
    """
    places: dict[int, list[int]] = {}
    for place, label in enumerate(labels):
        places.setdefault(label, []).append(place)
    aside = [False] * len(names)
    for of_class in places.values():
        count = len(of_class)
        wanted = min(max(1, round(share * count)), count - 1) if share > 0 else 0
        of_class.sort(key=lambda place: hashlib.blake2b(names[place].encode("utf-8", "surrogateescape")).digest())
        for place in of_class[:wanted]:
            aside[place] = True
    return aside
