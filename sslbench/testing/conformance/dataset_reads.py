"""Data sets: that every read gives the same images and facts, whenever and wherever it is."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from torch import Tensor

from sslbench.contracts.dataset import Dataset, Split, SplitName
from sslbench.testing.conformance.check import Trial, check
from sslbench.testing.conformance.datasets import some, splits
from sslbench.testing.conformance.draws import differ
from sslbench.testing.conformance.problem import Problems

SAME = "**Every read of an image returns the same**"


@check("dataset", SAME, "split")
def reads_are_equal(trial: Trial) -> Problems:
    """Twice, in another order, after others were read or what was read was overwritten, from another thread, and when
    built again."""
    again = trial.build()
    for name, split in splits(trial):
        indices = some(len(split), 64)
        first = split.images[indices].clone()
        for words, read in ways_to_read(trial.built, again, name, split, indices).items():
            if differ(first, read()):
                yield f"{name}: images are not the same {words}"
                return


def ways_to_read(
    built: Dataset, again: Dataset, name: SplitName, split: Split, indices: Tensor
) -> dict[str, Callable[[], Tensor]]:
    """When -> the images, which should be the same."""
    return {
        "when they are read again": lambda: split.images[indices],
        "in another order": lambda: split.images[indices.flip(0)].flip(0),
        "once others are read": lambda: after_others(split, indices),
        "after the images that were read before were overwritten": lambda: overwritten(split, indices),
        "in another thread": lambda: in_a_thread(split, indices),
        "when the split is asked for again": lambda: built.split(name).images[indices],
        "when the data set is built again": lambda: again.split(name).images[indices],
    }


def after_others(split: Split, indices: Tensor) -> Tensor:
    """What was read, as it is when another batch has been read, as the next ones are while a model trains."""
    images = split.images[indices]
    split.images[indices.flip(0)]
    return images


def overwritten(split: Split, indices: Tensor) -> Tensor:
    """The images after somebody wrote into what was read."""
    split.images[indices].zero_()
    return split.images[indices]


def in_a_thread(split: Split, indices: Tensor) -> Tensor:
    """The images, read by another thread."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(split.images.__getitem__, indices).result()


@check("dataset", SAME, "split")
def facts_are_equal(trial: Trial) -> Problems:
    """Labels, factors and maps, from one that is built again."""
    again = trial.build()
    for name, split in splits(trial):
        other, indices = again.split(name), some(len(split), 64)
        pairs = {"labels": (split.labels, other.labels)}
        pairs |= {f"factor {key!r}": (values, other.factors.get(key)) for key, values in split.factors.items()}
        pairs |= {f"map {key!r}": (reader[indices], other.maps[key][indices]) for key, reader in split.maps.items()}
        for what, (first, second) in pairs.items():
            if (first is None) != (second is None) or (
                first is not None and second is not None and differ(first, second)
            ):
                yield f"{name}: {what}: not the same when the data set is built again"
