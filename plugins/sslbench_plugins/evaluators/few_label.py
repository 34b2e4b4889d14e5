"""Accuracy with n labels a class: a linear layer on frozen features, over random draws.

The features are standardised by all training images, which takes no label. The regularisation is fixed, since two
labels a class leave none to choose it by: on digits (training images only, 1,100 to draw from and 337 to judge; raw
pixels, a random and two SimCLR-trained networks; 10 draws) accuracy was level from l2 = 0.01 down to 1e-5, and 0.01
lost at most 1 point to the best of eight decades with 2, 13 or 50 labels a class; the draws spread by 1 to 5.
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field, field_validator
from torch import Tensor

from sslbench import EvaluationData, EvaluatorSpec, Metric, Params, hookimpl, param
from sslbench_plugins.blocks.evaluable import features_and_labels, why_not_evaluable
from sslbench_plugins.blocks.logistic import LogisticFit, fit_logistic
from sslbench_plugins.blocks.standardise import Standardiser
from sslbench_plugins.blocks.stratified import class_counts, draw_ranks


class FewLabelParams(Params):
    labels: tuple[Annotated[int, Field(ge=1)], ...] = param(
        (2, 13), "how many labels a class, one metric for each", unit="labels a class", min_length=1
    )
    draws: int = param(10, "random draws of labelled training images, the same for every method", ge=1)
    l2: float = param(0.01, "regularisation of the logistic regression on standardised features", gt=0)

    @field_validator("labels")
    @classmethod
    def _each_once(cls, labels: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(labels)) < len(labels):
            raise ValueError("name each number of labels once")
        return labels


class FewLabel:
    """Fits every draw at once, scores each on the whole test split."""

    def __init__(self, params: FewLabelParams) -> None:
        self.params = params

    def evaluate(self, data: EvaluationData) -> list[Metric]:
        reason = why_not_evaluable(data)
        if reason:
            return [self._missing(wanted, reason) for wanted in self.params.labels]
        features, labels = features_and_labels(data.train)
        test, test_labels = features_and_labels(data.test)
        standardise = Standardiser.fitted(features)
        features, test = standardise(features), standardise(test)
        ranks = draw_ranks(labels, data.classes, self.params.draws, data.seed)
        counts = class_counts(labels, data.classes)
        metrics = []
        for wanted in self.params.labels:
            reason = _too_few(counts, wanted)
            if reason:
                metrics.append(self._missing(wanted, reason))
                continue
            # [draws, n * classes], each row the samples of one draw
            chosen = (ranks < wanted).nonzero()[:, 1].view(len(ranks), -1)
            fit = fit_logistic(features[chosen], labels[chosen], data.classes, self.params.l2)
            metrics.append(self._score(wanted, fit, test, test_labels))
        return metrics

    def _score(self, wanted: int, fit: LogisticFit, test: Tensor, labels: Tensor) -> Metric:
        if not fit.converged:
            return self._missing(wanted, f"no optimum within {fit.steps} steps at l2 = {self.params.l2:g}")
        logits = (torch.addmm(bias, weight, test.T) for weight, bias in zip(fit.weight, fit.bias, strict=True))
        right = torch.stack([(one.argmax(dim=0) == labels).double().mean() for one in logits])
        std = float(right.std()) if len(right) > 1 else None
        return Metric(_name(wanted), float(right.mean()), std=std, n=len(right))

    @staticmethod
    def _missing(wanted: int, reason: str) -> Metric:
        return Metric(_name(wanted), None, reason=reason)


def _name(wanted: int) -> str:
    return f"few_label_top1@{wanted}"


def _too_few(counts: Tensor, wanted: int) -> str:
    fewest = int(counts.argmin())
    held = int(counts[fewest])
    return f"class {fewest} has only {held} of {wanted} labels" if held < wanted else ""


@hookimpl
def sslbench_evaluators() -> list[EvaluatorSpec]:
    return [
        EvaluatorSpec(
            name="few-label",
            summary=__doc__.partition("\n")[0],
            params=FewLabelParams,
            build=FewLabel,
            headline=lambda params: _name(params.labels[0]),
            citation="Assran et al. 2022, Masked Siamese Networks (low-shot evaluation: logistic regression on frozen"
            " features of 1, 2 or 5 labelled images a class, over random draws)",
        )
    ]
