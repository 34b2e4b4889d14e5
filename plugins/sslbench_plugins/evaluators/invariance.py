"""Invariance: which factors of an image a linear probe of its features still predicts, one probe for each factor.

The factors are those that the data set knows. ``readable_X`` is 0 where a factor is predicted no better than by a
constant, and 1 where it is predicted without mistake: R squared of a continuous factor; of a categorical one, the
accuracy rescaled so that always predicting the most frequent category gets 0. Training that makes views of an image
alike removes what differs between them, and keeps what they share: features trained with colour jitter should lose an
image's colours, those trained with crops keep the ones that every crop shows.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from sslbench import EvaluationData, EvaluatorSpec, FeatureSet, Metric, Params, hookimpl
from sslbench_plugins.blocks.probes.chosen_l2 import fit_with_chosen_l2
from sslbench_plugins.blocks.probes.evaluable import Unmeasurable, unmeasured, why_not_finite
from sslbench_plugins.blocks.probes.linear_maps import Standardiser, fit_ridge
from sslbench_plugins.blocks.probes.logistic import why_no_optimum

L2_VALUES = tuple(10.0**power for power in range(-5, 3))
"""l2 of the ridge regressions that are tried, on standardised features"""
HELD_OUT = 0.2
HEADLINE = "readable_mean"
LABEL = "class"
"""the label is a factor too"""
FEWEST = 10
"""training images, below which nothing can be held out to choose an l2 by"""


class Invariance:
    """One probe a factor, fitted on training images, scored on test images."""

    def __init__(self, params: Params) -> None:
        self.params = params

    def evaluate(self, data: EvaluationData) -> list[Metric]:
        train, test = factors_of(data.train), factors_of(data.test)
        reason = why_not_probed(data)
        probes = None if reason else FactorProbes(data)
        metrics: list[Metric] = []
        for name in sorted(train):
            lacking = "" if name in test else f"the test split has no factor {name!r}"
            if probes is None or lacking:
                metrics += unmeasured([f"readable_{name}"], reason or lacking)
            else:
                metrics += probes.metrics(name, train[name], test[name])
        return [mean_of_factors(metrics, reason), *metrics]


def factors_of(split: FeatureSet) -> Mapping[str, Tensor]:
    """Each ``[N]``: float for a continuous factor, integer for a categorical one; the label among them."""
    labels = {} if split.labels is None else {LABEL: split.labels}
    return {**labels, **split.factors}


def mean_of_factors(metrics: list[Metric], reason: str) -> Metric:
    """The mean of what is readable of all factors; None, with a reason, where one has no value."""
    values = [metric.value for metric in metrics if metric.name.startswith("readable_")]
    measured = [value for value in values if value is not None]
    if len(measured) < len(values) or not measured:
        return Metric(HEADLINE, None, reason=reason or "not every factor could be probed")
    return Metric(HEADLINE, sum(measured) / len(measured))


def why_not_probed(data: EvaluationData) -> str:
    """Empty where probes can be fitted, else one line."""
    if not data.train.factors:
        return "the data set names no factors"
    for name, split, fewest in (("training", data.train, FEWEST), ("test", data.test, 1)):
        if len(split.features) < fewest:
            return f"{len(split.features)} {name} images; at least {fewest} are needed"
        if reason := why_not_finite(name, split.features):
            return reason
    if not bool((data.train.features != data.train.features[0]).any()):
        return "all training feature vectors are equal: nothing can be predicted from them"
    return ""


class FactorProbes:
    """Probes on standardised features of both splits, where these can be probed."""

    def __init__(self, data: EvaluationData) -> None:
        standardise = Standardiser.fitted(data.train.features)
        self.train, self.test = standardise(data.train.features), standardise(data.test.features)
        self.seed = data.seed

    def metrics(self, factor: str, train: Tensor, test: Tensor) -> list[Metric]:
        """Of one factor, whose values are ``train`` ``[N]`` and ``test`` ``[M]``."""
        train, test = train.to(self.train.device), test.to(self.train.device)
        names = [f"readable_{factor}"]
        try:
            if train.dtype.is_floating_point:
                return [Metric(names[0], self._r_squared(factor, train.double(), test.double()))]
            names.append(f"{factor}_top1")
            rescaled, top1 = self._accuracies(factor, train.long(), test.long())
            return [Metric(names[0], rescaled), Metric(names[1], top1)]
        except Unmeasurable as error:
            return unmeasured(names, str(error))

    def _r_squared(self, factor: str, train: Tensor, test: Tensor) -> float:
        """On test images: 1 - squared error / squared deviation from the training images' mean."""
        if not bool(torch.isfinite(train).all() and torch.isfinite(test).all()):
            raise Unmeasurable(f"factor {factor!r} holds NaN or infinity")
        deviation = (test - train.mean()).square().sum()
        if not bool(train.var() > 0) or not bool(deviation > 0):
            raise Unmeasurable(f"factor {factor!r} is the same for all images")
        order = torch.randperm(len(train), generator=torch.Generator().manual_seed(self.seed)).to(train.device)
        held_out = torch.zeros_like(train, dtype=torch.bool)
        held_out[order[: round(HELD_OUT * len(train))]] = True
        weight, bias = fit_ridge(self.train, train, held_out, L2_VALUES)
        error = (self.test.double() @ weight + bias - test).square().sum()
        return 1 - float(error / deviation)

    def _accuracies(self, factor: str, train: Tensor, test: Tensor) -> tuple[float, float]:
        """The way from always predicting the most frequent category to no mistake, as a share, and the accuracy."""
        lowest = int(min(train.min(), test.min()))
        if lowest < 0:
            raise Unmeasurable(f"factor {factor!r} has a category {lowest}; allowed: 0 and more")
        categories = int(max(train.max(), test.max())) + 1
        most_frequent = train.bincount(minlength=categories).argmax()
        base = float((test == most_frequent).double().mean())
        constant = bool((train == train[0]).all()) or base == 1
        chosen = None if constant else fit_with_chosen_l2(self.train, train, categories, self.seed)
        if chosen is None:
            raise Unmeasurable(f"factor {factor!r} has too few categories or images of each to be told apart")
        l2, fit = chosen
        if not fit.converged:
            raise Unmeasurable(f"factor {factor!r}: {why_no_optimum(fit, l2)}")
        top1 = float((fit.logits(self.test)[0].argmax(dim=0) == test).double().mean())
        return (top1 - base) / (1 - base), top1


@hookimpl
def sslbench_evaluators() -> list[EvaluatorSpec]:
    return [
        EvaluatorSpec(
            name="invariance",
            build=lambda params, context: Invariance(params),
            needs=frozenset({"factors"}),
            headline=HEADLINE,
            citation="Zhang, Isola and Efros 2016, section 3.2 (linear probes on frozen features); what augmentations"
            " remove: Xiao et al. 2021, What Should Not Be Contrastive in Contrastive Learning",
        )
    ]
