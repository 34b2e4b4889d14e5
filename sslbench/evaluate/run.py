"""Running evaluators on features: seeded, and with the model guarded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sslbench.contracts.evaluator import EvaluationData, EvaluatorSpec, Metric
from sslbench.contracts.plugin import BuildContext
from sslbench.evaluate.evaluated_model import TrainedModel
from sslbench.evaluate.features import Extraction
from sslbench.plan.cell import Choice
from sslbench.train.checkpoint import weights_digest
from sslbench.train.randomness import seed_everything


class ModelChanged(RuntimeError):
    """An evaluator changed the model that it was given."""


def run_evaluator(
    evaluator: Choice[EvaluatorSpec], features: Extraction, model: TrainedModel | None, seed: int
) -> list[Metric]:
    """Its metrics. Raises whatever the evaluator raises. ``model``: for one whose spec says ``uses_model``."""
    built = evaluator.build(BuildContext(classes=features.classes, seed=seed))
    seed_everything(seed, "evaluate")
    data = EvaluationData(
        features.train, features.test, features.classes, seed, model if evaluator.spec.uses_model else None
    )
    return list(built.evaluate(data))


@contextmanager
def guarded(model: TrainedModel | None, who: str) -> Iterator[None]:
    """Raises ModelChanged at the end where ``who`` changed the model meanwhile, also where it failed."""
    before = weights_digest(model.method) if model else ""

    def check() -> None:
        if model and weights_digest(model.method) != before:
            raise ModelChanged(f"{who} changed the model that it evaluates")

    try:
        yield
    except Exception:
        check()
        raise
    check()
