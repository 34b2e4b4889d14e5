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
    """One point of a curve: features once, then every evaluator. What one cannot measure is None and costs no training.

    ``model`` returns the method as it is when called, in eval mode.
    """

    evaluators: Sequence[Choice[EvaluatorSpec]]
    data: Splits
    seed: int
    model: Callable[[], TrainedModel]
    warn: Callable[[str], None]

    def __call__(self) -> dict[str, MetricValue]:
        """Metrics by name. Raises RuntimeError where an evaluator changed what is being trained."""
        model = self.model()
        names = ", ".join(evaluator.name for evaluator in self.evaluators)
        lent = model if any(evaluator.spec.uses_model for evaluator in self.evaluators) else None
        metrics: dict[str, MetricValue] = {}
        with guarded(lent, f"an evaluator of the curve ({names})"):
            features = extract_all(
                model.method.encoder, self.data, model.device, model.precision, wanted=model.method.input_spec
            )
            for evaluator in self.evaluators:
                for metric in self._measured(evaluator, features, model):
                    name = f"{metric.name} ({evaluator.name})" if metric.name in metrics else metric.name
                    metrics[name] = replace(metric_value(metric), evaluator=evaluator.name)
        return metrics

    def _measured(self, evaluator: Choice[EvaluatorSpec], features: Extraction, model: TrainedModel) -> list[Metric]:
        try:
            return run_evaluator(evaluator, features, model, self.seed)
        except Exception as error:
            reason = one_line(error)
            self.warn(f"curve: evaluator {evaluator.name!r}: {reason}")
            headline = evaluator.spec.ranked_by(evaluator.params) or evaluator.name
            return [Metric(headline, None, reason=reason)]
