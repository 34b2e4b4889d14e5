"""The pretrainings that run now: which they are, and how long they and the whole run will take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sslbench.contracts.executor import TrainingProgress
from sslbench.execute.events import PretrainingEnded, PretrainingStarted
from sslbench.progress.time_left import Clock, TimeLeft, TrainingTime


@dataclass(eq=False)
class Pretraining:
    """One that runs now."""

    name: str
    place: str
    """which of how many, such as ``3 of 12``"""
    time: TrainingTime


class Running:
    """The pretrainings that run now, by the key that events have of them, and how long all will take."""

    def __init__(self, clock: Clock) -> None:
        self.left = TimeLeft(clock)
        self.by_key: dict[str, Pretraining] = {}

    def begin(self, event: PretrainingStarted) -> Pretraining:
        """A pretraining begins."""
        started = Pretraining(
            event.name,
            f"{event.number + 1} of {event.pretrainings}",
            self.left.begin(event.pretrainings - event.number - 1),
        )
        self.by_key[event.work] = started
        return started

    def end(self, event: PretrainingEnded) -> Pretraining | None:
        """A pretraining has ended."""
        ended = self.by_key.pop(event.work, None)
        if ended is not None:
            self.left.end(ended.time)
        return ended


def epoch_in_words(progress: TrainingProgress) -> str:
    """Which epoch, how fast, what loss."""
    place = f"epoch {progress.epoch}/{progress.epochs}"
    return f"{place}  {progress.images_per_second:,.0f} images/s  loss {progress.loss:.3f}"


def distinct(names: Sequence[str]) -> list[str]:
    """Of the names of pretrainings the words that not all of them have, such as ``simclr seed 0``."""
    words = [name.replace(" seed ", " seed\N{NO-BREAK SPACE}").split(" ") for name in names]
    common = set(words[0]).intersection(*words[1:]) if words else set()
    kept = (" ".join(word for word in parts if word not in common) for parts in words)
    return [text.replace("\N{NO-BREAK SPACE}", " ") for text in kept]
