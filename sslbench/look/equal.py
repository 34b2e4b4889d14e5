"""Images that are equal, byte for byte: where they lie, and whether their labels contradict each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sslbench.train.data import Splits


@dataclass(frozen=True)
class EqualImages:
    """A group of equal images."""

    paths: tuple[str, ...]
    """those of the training split first; empty words where the data set names none"""
    labels: tuple[str, ...]
    """names of their classes; empty without labels"""
    in_train: int
    """how many of them are trained on"""

    @property
    def contradictory(self) -> bool:
        """Whether they are of different classes."""
        return len(set(self.labels)) > 1

    @property
    def in_both(self) -> bool:
        """Whether one is trained on and another evaluated on."""
        return 0 < self.in_train < len(self.paths)


def equal_images(data: Splits) -> list[EqualImages]:
    """All groups: those of different classes first, then those of both splits. Empty where the data set gives no
    digests."""
    names = dict(enumerate(data.class_names))
    groups: dict[bytes, list[tuple[str, str, bool]]] = {}
    for split in (data.train, data.test):
        paths = split.paths or [""] * len(split)
        labels = [""] * len(split) if split.labels is None else [names.get(i, str(i)) for i in split.labels.tolist()]
        for digest, path, label in zip(split.digests, paths, labels, strict=False):
            groups.setdefault(digest, []).append((path, label, split is data.train))
    found = [of_group(group) for group in groups.values() if len(group) > 1]
    return sorted(found, key=lambda group: (not group.contradictory, not group.in_both))


def of_group(group: Sequence[tuple[str, str, bool]]) -> EqualImages:
    """Of path, class and whether it is trained on, for each image."""
    paths, labels, trained_on = zip(*group, strict=True)
    return EqualImages(paths, labels if any(labels) else (), sum(trained_on))
