"""A fixed share of each class, held out as the test split, for data sets that come in one piece."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence


def held_out(names: Sequence[str], labels: Sequence[int], share: float) -> tuple[list[int], list[int]]:
    """Indices of the training and of the test items: of each class the ``share`` whose name hashes lowest is held out.

    A class keeps at least one item on each side where it has two or more. Adding or removing files moves few others
    from one side to the other, and their order does not matter.
    """
    classes: dict[int, list[int]] = {}
    for index, label in enumerate(labels):
        classes.setdefault(label, []).append(index)
    test: set[int] = set()
    for indices in classes.values():
        count = len(indices)
        wanted = min(max(1, round(share * count)), count - 1) if share > 0 else 0
        indices.sort(key=lambda index: hashlib.blake2b(names[index].encode("utf-8", "surrogateescape")).digest())
        test.update(indices[:wanted])
    return [index for index in range(len(names)) if index not in test], sorted(test)
