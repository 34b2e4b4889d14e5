"""Which factors of an image can still be read from its features: a linear probe for each that the data set knows.

``readable_X`` is 0 where a factor cannot be read better than by always giving the same answer, and 1 where it is read
without mistake: R squared of a quantity; of a kind, the accuracy rescaled so that the commonest kind gets 0. Training
that makes views of an image alike removes what differs between them, and keeps what they share: features trained with
colour jitter should lose an image's colours, those trained with crops keep the ones that every crop shows.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sslbench import EvaluationData, EvaluatorSpec, Metric, Params, hookimpl
from sslbench_plugins.blocks.probes.chosen_strength import fit_chosen
from sslbench_plugins.blocks.probes.evaluable import why_not_finite
from sslbench_plugins.blocks.probes.ridge import fit_ridge
from sslbench_plugins.blocks.probes.standardise import Standardiser

STRENGTHS = tuple(10.0**power for power in range(-5, 3))
"""l2 of the ridge regressions that are tried, on standardised features"""
HELD_OUT = 0.2
HEADLINE = "readable_mean"
LABEL = "class"
"""the label is a factor too"""
FEWEST = 10
"""training images, below which nothing can be held out to choose a strength by"""


class Invariance:
    """One probe a factor, fitted on training images, scored on test images."""

    def __init__(self, params: Params) -> None:
        self.params = params

    def evaluate(self, data: EvaluationData) -> list[Metric]:
        known = dict(data.train.factors), dict(data.test.factors)
        for factors, part in zip(known, (data.train, data.test), strict=True):
            if part.labels is not None:
                factors.setdefault(LABEL, part.labels)
        reason = why_not_probed(data)
        features = None if reason else Probed.of(data)
        metrics = []
        for name in sorted(known[0]):
            why = reason or ("" if name in known[1] else f"the test split does not know the factor {name!r}")
            if features is None or why:
                metrics.append(Metric(f"readable_{name}", None, reason=why))
            else:
                metrics += features.probe(name, known[0][name], known[1][name], data.seed)
        values = [metric.value for metric in metrics if metric.name.startswith("readable_")]
        found = [value for value in values if value is not None]
        if len(found) < len(values) or not found:
            return [Metric(HEADLINE, None, reason=reason or "not every factor could be probed"), *metrics]
        return [Metric(HEADLINE, sum(found) / len(found)), *metrics]


class Probed:
    """Standardised features of both splits, and probes on them."""

    def __init__(self, train: Tensor, test: Tensor) -> None:
        self.train, self.test = train, test

    @classmethod
    def of(cls, data: EvaluationData) -> Probed:
        standardise = Standardiser.fitted(data.train.features)
        return cls(standardise(data.train.features), standardise(data.test.features))

    def probe(self, name: str, train: Tensor, test: Tensor, seed: int) -> list[Metric]:
        train, test = train.to(self.train.device), test.to(self.train.device)
        if train.dtype.is_floating_point:
            return [self._quantity(name, train.double(), test.double(), seed)]
        return self._kind(name, train.long(), test.long(), seed)

    def _quantity(self, name: str, train: Tensor, test: Tensor, seed: int) -> Metric:
        """R squared on test images: 1 - squared error / squared deviation from the training images' mean."""
        title = f"readable_{name}"
        if not bool(torch.isfinite(train).all() and torch.isfinite(test).all()):
            return Metric(title, None, reason=f"factor {name!r} holds NaN or infinity")
        if not bool(train.var() > 0) or not bool((test - train.mean()).square().sum() > 0):
            return Metric(title, None, reason=f"factor {name!r} is the same for all images")
        order = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed)).to(train.device)
        held = torch.zeros_like(train, dtype=torch.bool)
        held[order[: round(HELD_OUT * len(train))]] = True
        weight, bias = fit_ridge(self.train, train, held, STRENGTHS)
        left = self.test.double() @ weight + bias - test
        return Metric(title, 1 - float(left.square().sum() / (test - train.mean()).square().sum()))

    def _kind(self, name: str, train: Tensor, test: Tensor, seed: int) -> list[Metric]:
        """Accuracy, and its share of the way from always answering the commonest kind to making no mistake."""
        titles = f"readable_{name}", f"{name}_top1"
        least = int(min(train.min(), test.min()))
        if least < 0:
            reason = f"factor {name!r} has a kind {least}; allowed: 0 and more"
            return [Metric(title, None, reason=reason) for title in titles]
        kinds = int(max(train.max(), test.max())) + 1
        commonest = train.bincount(minlength=kinds).argmax()
        base = float((test == commonest).double().mean())
        alike = bool((train == train[0]).all()) or base == 1
        chosen = None if alike else fit_chosen(self.train, train, kinds, seed)
        if chosen is None:
            reason = f"factor {name!r} has too few kinds or images of each to be told apart"
            return [Metric(title, None, reason=reason) for title in titles]
        l2, fit = chosen
        if not fit.converged:
            reason = f"factor {name!r}: no optimum within {fit.steps} steps at l2 = {l2:g}"
            return [Metric(title, None, reason=reason) for title in titles]
        right = float((fit.logits(self.test)[0].argmax(dim=0) == test).double().mean())
        return [Metric(titles[0], (right - base) / (1 - base)), Metric(titles[1], right)]


def why_not_probed(data: EvaluationData) -> str:
    if not data.train.factors:
        return "the data set names no factors"
    for name, part in (("training", data.train), ("test", data.test)):
        if len(part.features) < (FEWEST if name == "training" else 1):
            return f"{len(part.features)} {name} images; at least {FEWEST if name == 'training' else 1} are needed"
        reason = why_not_finite(name, part.features)
        if reason:
            return reason
    if not bool((data.train.features != data.train.features[0]).any()):
        return "all training feature vectors are equal: nothing can be read from them"
    return ""


@hookimpl
def sslbench_evaluators() -> list[EvaluatorSpec]:
    return [
        EvaluatorSpec(
            name="invariance",
            summary=__doc__.partition("\n")[0],
            params=Params,
            build=lambda params, context: Invariance(params),
            needs=frozenset({"factors"}),
            headline=HEADLINE,
            citation="Zhang, Isola and Efros 2016, section 3.2 (linear probes on frozen features); what augmentations"
            " remove: Xiao et al. 2021, What Should Not Be Contrastive in Contrastive Learning",
        )
    ]
