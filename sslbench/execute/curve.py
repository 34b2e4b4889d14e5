"""The evaluators of a curve, asked again and again while a method trains."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sslbench.execute.executor import Evaluation, Work
from sslbench.execute.measured import described_metric
from sslbench.hooks.contracts import EvaluationData, Metric
from sslbench.hooks.kinds import EvaluatorSpec
from sslbench.hooks.registry import Registry, one_line
from sslbench.store.record import plain
from sslbench.train.checkpoint import weights_digest
from sslbench.train.curve import Curve
from sslbench.train.data import Judged
from sslbench.train.features import Extraction, extract_all
from sslbench.train.judged_model import TrainedModel
from sslbench.train.randomness import seed_everything


def curve_of(
    work: Work, registry: Registry, data: Judged, model: Callable[[], TrainedModel], warn: Callable[[str], None]
) -> Curve | None:
    """The curve that the work asks for, or None. ``model`` answers the method as it is when called, in eval mode."""
    if not work.curve:
        return None
    judge = CurveJudge(work, registry, data, model, warn)
    return Curve(int(work.curve["every"]), judge, work.curve)


class CurveJudge:
    """One judging: features once, then every evaluator. What one cannot measure is null and costs no training."""

    def __init__(
        self,
        work: Work,
        registry: Registry,
        data: Judged,
        model: Callable[[], TrainedModel],
        warn: Callable[[str], None],
    ) -> None:
        self.work, self.registry, self.data, self.model, self.warn = work, registry, data, model, warn
        self.evaluations = [Evaluation(one["name"], one["params"], {}) for one in work.curve["evaluators"]]

    def __call__(self) -> dict[str, Any]:
        """Metrics by name. Raises RuntimeError where an evaluator changed what is being trained."""
        model = self.model()
        guarded = any(self._spec(evaluation).uses_model for evaluation in self.evaluations)
        before = weights_digest(model.method) if guarded else ""
        found = extract_all(
            model.method.encoder,
            self.data,
            model.device,
            model.precision,
            wanted=model.method.judged_input,
        )
        metrics: dict[str, Any] = {}
        for evaluation in self.evaluations:
            for metric in self._asked(evaluation, found, model):
                name, facts = described_metric(metric)
                facts["evaluator"] = evaluation.name
                metrics[f"{name} ({evaluation.name})" if name in metrics else name] = facts
        if guarded and weights_digest(model.method) != before:
            names = ", ".join(evaluation.name for evaluation in self.evaluations)
            raise RuntimeError(f"an evaluator of the curve ({names}) changed the model that is being trained")
        answer: dict[str, Any] = plain(metrics, "curve")
        return answer

    def _spec(self, evaluation: Evaluation) -> EvaluatorSpec:
        spec = self.registry.get("evaluator", evaluation.name)
        assert isinstance(spec, EvaluatorSpec)
        return spec

    def _asked(self, evaluation: Evaluation, found: Extraction, model: TrainedModel) -> list[Metric]:
        spec = self._spec(evaluation)
        params = spec.params(**evaluation.params)
        seed_everything(self.work.seed, "judge")
        given = model if spec.uses_model else None
        data = EvaluationData(found.train, found.test, found.classes, self.work.seed, given)
        try:
            return list(spec.build(params).evaluate(data))
        except Exception as error:
            reason = one_line(error)
            self.warn(f"curve: evaluator {evaluation.name!r}: {reason}")
            return [Metric(spec.ranked_by(params) or evaluation.name, None, reason=reason)]


def has_curve(facts: Mapping[str, Any], work: Work) -> bool:
    """Whether a finished training left the curve that the work asks for."""
    return not work.curve or facts.get("curve_asked") == dict(work.curve)
