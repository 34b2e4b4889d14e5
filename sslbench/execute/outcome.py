"""How a cell ended: its status and the reason, from an exception or from its features."""

from __future__ import annotations

import traceback

from sslbench.errors import Diverged, SslbenchError, TimeLimit
from sslbench.evaluate.features import COLLAPSED_EMBEDDINGS, COLLAPSED_SPREAD, Extraction
from sslbench.hooks.registry import one_line
from sslbench.measure.device_errors import out_of_memory
from sslbench.store.record import Status, TrainingFacts

UNIFORM_SHARE = 0.98
"""of the loss of an answer that ignores the image: from here on a training has learned nothing"""


class RankFailed(SslbenchError):
    """A process of a pretraining on several devices failed; status, reason and traceback are its own."""

    def __init__(self, status: Status, reason: str, trace: str) -> None:
        super().__init__(reason)
        self.status, self.trace = status, trace


def trace_of(error: BaseException) -> str:
    """The traceback, as a record keeps it."""
    return error.trace if isinstance(error, RankFailed) else "".join(traceback.format_exception(error))


def status_of(error: BaseException) -> Status:
    """The record's status for a cell that ended with ``error``."""
    if isinstance(error, RankFailed):
        return error.status
    if isinstance(error, Diverged):
        return "diverged"
    if isinstance(error, TimeLimit):
        return "timeout"
    return "oom" if out_of_memory(error) else "failed"


def reason_of(error: BaseException) -> str:
    """One line for the table: a user's mistake in its own words, a bug with its type."""
    return "; ".join(error.messages) if isinstance(error, SslbenchError) else one_line(error)


def status_of_features(training: TrainingFacts, features: Extraction) -> tuple[Status, str | None]:
    """An evaluated cell's status, and why it is another than ``done``."""
    if features.spread is None:
        return "failed", "the features are not finite"
    equal = "{} are all but equal: spread {:.2g} < {}"
    if training.steps and features.spread < COLLAPSED_SPREAD:
        return "collapsed", equal.format("features of different images", features.spread, COLLAPSED_SPREAD)
    spread = training.scalars.get("embedding_spread")
    if spread is not None and spread < COLLAPSED_EMBEDDINGS:
        return "collapsed", equal.format("embeddings that the loss compares", spread, COLLAPSED_EMBEDDINGS)
    loss, uniform = training.final_loss, training.scalars.get("uniform_loss")
    if loss is not None and uniform is not None and loss >= UNIFORM_SHARE * uniform:
        return "collapsed", f"the loss, {loss:.4g}, is all but that of one answer for every image, {uniform:.4g}"
    return "done", None
