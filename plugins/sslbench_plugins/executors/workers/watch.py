"""How long each part of a piece of work may take."""

from __future__ import annotations

from sslbench import Event, Failure, StageStarted

START_SECONDS = 300.0
"""beyond the limit that a new worker has to import what it needs"""
GRACE_SECONDS = 60.0
"""beyond the limit that training has to end itself in: it looks at the clock every few steps"""


class Watch:
    """Of one piece of work with a ``time_limit`` (seconds) for each of its stages, None: none."""

    def __init__(self, limit: float | None, now: float) -> None:
        """It was sent at ``now``."""
        self.limit, self.since = limit, now
        self.stage = "starting a worker process"

    def begin(self, now: float) -> None:
        """The worker has taken it."""
        self.stage, self.since = "loading plugins", now

    def see(self, event: Event, now: float) -> None:
        """An event of the work: the time counts anew."""
        self.since = now
        if isinstance(event, StageStarted):
            self.stage = event.text

    @property
    def deadline(self) -> float | None:
        """When the stage has taken too long."""
        if self.limit is None:
            return None
        return self.since + self.limit + {"starting": START_SECONDS, "training": GRACE_SECONDS}.get(self._verb, 0.0)

    @property
    def _verb(self) -> str:
        return self.stage.partition(" ")[0]

    @property
    def failure(self) -> Failure:
        """What the record says of work that has taken too long."""
        evaluator = self.stage.removeprefix("evaluating ")
        stage = self.stage if evaluator == self.stage else f"evaluating {evaluator!r}"
        return Failure(f"{stage} took longer than {self.limit:g} s (time_limit)", kind="timeout")
