"""The evaluators of a curve, run again and again while a method trains."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from sslbench.contracts.evaluator import EvaluatorSpec, Metric
from sslbench.evaluate.evaluated_model import TrainedModel
from sslbench.evaluate.features import Extraction, extract_all
from sslbench.evaluate.metrics import metric_value
from sslbench.evaluate.run import guarded, run_evaluator
from sslbench.hooks.registry import one_line
from sslbench.plan.cell import Choice
from sslbench.store.record import MetricValue
from sslbench.train.data import Splits


@dataclass(frozen=True)
class CurveEvaluation:
    """Evaluates one point of a curve: features once, then every evaluator.

    What an evaluator fails to measure is None with a reason, and the training goes on.
    """

    evaluators: Sequence[Choice[EvaluatorSpec]]
    data: Splits
    seed: int
    model: Callable[[], TrainedModel]
    """the method as it is when called, in eval mode"""
    warn: Callable[[str], None]

    def __call__(self) -> dict[str, MetricValue]:
        """Metrics by name. Raises ModelChanged where an evaluator changed what is being trained."""
        model = self.model()
        method, names = model.method, ", ".join(evaluator.name for evaluator in self.evaluators)
        exposed = model if any(evaluator.spec.uses_model for evaluator in self.evaluators) else None
        values: dict[str, MetricValue] = {}
        with guarded(exposed, f"an evaluator of the curve ({names})"):
            features = extract_all(
                method.encoder, self.data, model.device, model.precision, input_spec=method.input_spec
            )
            for evaluator in self.evaluators:
                for metric in self._metrics(evaluator, features, model):
                    name = f"{metric.name} ({evaluator.name})" if metric.name in values else metric.name
                    values[name] = replace(metric_value(metric), evaluator=evaluator.name)
        return values

    def _metrics(self, evaluator: Choice[EvaluatorSpec], features: Extraction, model: TrainedModel) -> list[Metric]:
        try:
            return run_evaluator(evaluator, features, model, self.seed)
        except Exception as error:
            reason = one_line(error)
            self.warn(f"curve: evaluator {evaluator.name!r}: {reason}")
            headline = evaluator.spec.ranked_by(evaluator.params) or evaluator.name
            return [Metric(headline, None, reason=reason)]
