"""Evaluators: what metrics and pictures are, and that what they were given is as it was."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import torch

from sslbench.contracts.evaluator import EvaluationData, Evaluator, Metric, Picture
from sslbench.contracts.metric_checks import metric_mistakes
from sslbench.contracts.picture_checks import picture_mistakes
from sslbench.testing.conformance.check import Trial, check
from sslbench.testing.conformance.draws import differ
from sslbench.testing.conformance.evaluation import Yielded, data_of, evaluate, evaluate_lent, first_result, lent
from sslbench.testing.conformance.problem import Problems
from sslbench.testing.fakes import evaluated_scenes
from sslbench.train.checkpoint import weights_digest

SHARES = re.compile(
    r"(^|[_@-])(top\d+|acc|accuracy|precision|recall|f1|iou|miou|dice|auc|auroc|map|hits?|share|rate)([_@-]|$)"
)
"""in the name of a metric that is a share"""
PERFECT = 100.5
YIELDS = "The metrics, each name once, then pictures, if any"


@check("evaluator", "Measures what features are good for", gate=True, level="bounds")
def is_one(trial: Trial) -> Problems:
    """It has ``evaluate``."""
    if not isinstance(trial.built, Evaluator):
        yield f"build returned a {type(trial.built).__name__}, not an object with evaluate(data)"


@check("evaluator", YIELDS, "evaluate", level="bounds")
def metrics_are_metrics(trial: Trial) -> Problems:
    """Names, fields, values, ``per_image``, headline; pictures after them."""
    data, yielded = trial.once(data_of), trial.once(first_result)
    metrics = [item for item in yielded.items if not isinstance(item, Picture)]
    if not metrics:
        yield "it yields no metric"
        return
    yield from metric_mistakes(metrics, len(data.test.features))
    if not all(isinstance(metric, Metric) for metric in metrics):
        return
    headline = trial.spec.ranked_by(trial.params)
    if headline not in yielded.metrics:
        yield f"its headline {headline!r} is none of its metrics: {', '.join(map(str, yielded.metrics))}"
    kinds = [isinstance(item, Picture) for item in yielded.items]
    if kinds != sorted(kinds):
        yield "a metric comes after a picture: what goes wrong with a picture would lose it"
    yield from picture_mistakes(yielded.pictures)


@check("evaluator", "What cannot be measured is a metric whose value is None", "evaluate", level="bounds")
def values_are_numbers_or_have_a_reason(trial: Trial) -> Problems:
    """Of good features, and of some that are not numbers."""
    for metric in metrics_of(trial.once(first_result)):
        if number(metric) is not None and not math.isfinite(number(metric) or 0):
            yield f"{metric.name} is {metric.value}; what cannot be measured is None"
        if metric.value is None and not metric.reason:
            yield f"{metric.name} is None without a reason"
    if trial.spec.uses_model:
        return
    data = trial.once(data_of)
    broken = [replace(half, features=torch.full_like(half.features, math.nan)) for half in (data.train, data.test)]
    for metric in metrics_of(evaluate(trial, replace(data, train=broken[0], test=broken[1]))):
        if metric.value is not None:
            yield f"{metric.name} is {metric.value} for features that are not numbers; it must be None with a reason"


def metrics_of(yielded: Yielded) -> list[Metric]:
    """Without the pictures and what is neither."""
    return [item for item in yielded.items if isinstance(item, Metric)]


def number(metric: Metric) -> float | None:
    """Its value where that is one."""
    try:
        return None if metric.value is None else float(metric.value)
    except (TypeError, ValueError, RuntimeError):
        return None


@check("evaluator", "empty for a share or a plain number", "evaluate")
def shares_are_shares(trial: Trial) -> Problems:
    """An accuracy is no percentage."""
    for metric in metrics_of(trial.once(first_result)):
        value = number(metric)
        if metric.unit.strip() in ("%", "percent", "percentage"):
            yield f"{metric.name} is in {metric.unit}; a share is 0..1, without a unit"
        elif value is not None and not metric.unit and 1 + 1e-6 < value <= PERFECT and is_share(metric):
            yield f"{metric.name} is {value:.4g}; a share is 0..1"


def is_share(metric: Metric) -> bool:
    """By its name, or because it is one for each image."""
    per_image = metric.per_image
    each = isinstance(per_image, torch.Tensor) and bool(((per_image >= 0) & (per_image <= 1)).all())
    return each or bool(SHARES.search(metric.name))


@check("evaluator", "whose mean is ``value``", "evaluate")
def values_are_means(trial: Trial) -> Problems:
    """Of ``per_image``, where there is one of the right length."""
    count = len(trial.once(data_of).test.features)
    for metric in metrics_of(trial.once(first_result)):
        value, each = number(metric), metric.per_image
        if value is None or not isinstance(each, torch.Tensor) or each.shape != (count,):
            continue
        mean = each.double().mean().item()
        if not abs(mean - value) <= 1e-4 * max(1, abs(value)):
            yield f"{metric.name} is {value:.4g}, and the mean of its per_image is {mean:.4g}"


@check("evaluator", "draws inside the evaluator", "evaluate")
def same_for_the_same_seed(trial: Trial) -> Problems:
    """Metrics and pictures."""
    first, again = trial.once(first_result), evaluate(trial, trial.once(data_of))
    if repr(first.values) != repr(again.values) or any(
        differ(values, again.right_or_wrong.get(name, values[:0])) for name, values in first.right_or_wrong.items()
    ):
        yield "not the same for the same features and seed"
    yield from (f"picture {name!r} differs for the same features and seed" for name in unlike(first, again))


def unlike(yielded: Yielded, repeated: Yielded) -> list[str]:
    """Names of the pictures that are not the same in both."""
    first, second = ({p.name: p for p in items.pictures} for items in (yielded, repeated))
    both = first.keys() & second.keys()
    same = {
        name
        for name in both
        if torch.equal(first[name].image, second[name].image) and first[name].caption == second[name].caption
    }
    return sorted((first.keys() | second.keys()) - same)


@check("evaluator", "**What an evaluator is given stays as it is**", "evaluate", level="bounds")
def features_stay(trial: Trial) -> Problems:
    """Features, labels and factors of both splits."""
    data = trial.once(data_of)
    used = lent(data)
    evaluate_lent(trial, used)
    for split, own, kept in (("training", used.train, data.train), ("test", used.test, data.test)):
        for what, before, after in (
            ("features", kept.features, own.features),
            ("labels", kept.labels, own.labels),
            *((f"factor {key!r}", kept.factors[key], value) for key, value in own.factors.items()),
        ):
            if before is not None and after is not None and differ(before, after):
                yield f"it changed the {what} of the {split} split, which other evaluators share"


@check("evaluator", "model is shared by all evaluators, and the harness checks that it is as it was", "evaluate")
def model_stays(trial: Trial) -> Problems:
    """Weights, mode, and what has a gradient."""
    if not trial.spec.uses_model:
        return
    data = evaluated_scenes()
    assert data.model is not None
    method = data.model.method
    before = weights_digest(method), modes(data), gradients(data)
    evaluate(trial, data)
    if weights_digest(method) != before[0]:
        yield "it changed the model, which other evaluators share"
    if modes(data) != before[1]:
        yield "it left the model in another mode than eval"
    if gradients(data) != before[2]:
        yield "it changed which parameters of the model need a gradient, or left gradients behind"


def modes(data: EvaluationData) -> list[bool]:
    """Of all modules of the model."""
    return [] if data.model is None else [module.training for module in data.model.method.modules()]


def gradients(data: EvaluationData) -> list[tuple[bool, bool]]:
    """Of all parameters of the model: whether each needs one, and has one."""
    return [] if data.model is None else [(p.requires_grad, p.grad is None) for p in data.model.method.parameters()]


@check("evaluator", "no metric may depend on them", "evaluate", level="defaults")
def pictures_cost_no_metric(trial: Trial) -> Problems:
    """Metrics are the same where nobody looks."""
    first, unseen = trial.once(first_result), evaluate(trial, replace(trial.once(data_of), shown=None))
    if repr(first.values) != repr(unseen.values):
        yield "its metrics differ where data.shown is None"


@check("evaluator", "what the data set, the backbone or the method must provide", "needs", level="defaults")
def needs_are_named(trial: Trial) -> Problems:
    """It works without labels where it does not need any."""
    if "labels" in trial.spec.needs:
        return
    data = trial.once(data_of)
    train, test = (replace(half, labels=None) for half in (data.train, data.test))
    try:
        evaluate(trial, replace(data, train=train, test=test, classes=0))
    except Exception as error:
        yield f"without labels, which its spec does not need, it raised {type(error).__name__}: {error}"
