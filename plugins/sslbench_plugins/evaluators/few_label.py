"""Accuracy with few labels: a linear layer on frozen features, over random draws of n labels a class or a share.

The features are standardised by all training images, which takes no label. With n labels a class the regularisation
is fixed, since two labels leave none to choose it by: on digits (training images only, 1,100 to draw from and 337 to
judge; raw pixels, a random and two SimCLR-trained networks; 10 draws) accuracy was level from l2 = 0.01 down to 1e-5,
and 0.01 lost at most 1 point to the best of eight decades with 2, 13 or 50 labels a class; the draws spread by 1 to 5.
A share of the labels keeps the classes in proportion, with at least one label of each; where every class has five or
more, each draw chooses its regularisation on a fifth of its own labels, as the linear probe does on all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, NamedTuple

import torch
from pydantic import Field, field_validator, model_validator
from torch import Tensor

from sslbench import EvaluationData, EvaluatorSpec, Metric, Params, hookimpl, param
from sslbench_plugins.blocks.chosen_strength import fit_chosen
from sslbench_plugins.blocks.evaluable import features_and_labels, why_not_evaluable
from sslbench_plugins.blocks.listed import Several
from sslbench_plugins.blocks.logistic import LogisticFit, fit_logistic
from sslbench_plugins.blocks.standardise import Standardiser
from sslbench_plugins.blocks.stratified import class_counts, draw_ranks, share_of_each

ENOUGH_TO_CHOOSE = 5
"""labels of every class that a share needs for its regularisation to be chosen: a fifth of them is one"""
NUMBERS = 1 << 26
"""features of draws that are fitted side by side: 256 MiB of float32"""


class FewLabelParams(Params):
    labels: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Several] = param(
        (2, 13), "how many labels a class, a+b+c, one metric for each", unit="labels a class"
    )
    shares: Annotated[tuple[Annotated[float, Field(gt=0, le=1)], ...], Several] = param(
        (), "shares of the labels, a+b+c, such as 0.01+0.1+1, one metric for each; at least one label a class"
    )
    draws: int = param(10, "random draws of labelled training images, the same for every method", ge=1)
    l2: float = param(0.01, "regularisation of the logistic regression on standardised features", gt=0)

    @field_validator("labels", "shares")
    @classmethod
    def _each_once(cls, given: tuple[float, ...]) -> tuple[float, ...]:
        if len(set(given)) < len(given):
            raise ValueError("name each number of labels once")
        return given

    @model_validator(mode="after")
    def _something(self) -> FewLabelParams:
        if not self.labels and not self.shares:
            raise ValueError("name at least one number of labels, or one share of them")
        return self


class FewLabel:
    """Fits the draws side by side, scores each on the whole test split."""

    def __init__(self, params: FewLabelParams) -> None:
        self.params = params

    def evaluate(self, data: EvaluationData) -> list[Metric]:
        reason = why_not_evaluable(data)
        if reason:
            return [Metric(name, None, reason=reason) for name in names(self.params)]
        features, labels = features_and_labels(data.train)
        standardise = Standardiser.fitted(features)
        test, answers = features_and_labels(data.test)
        task = _Task(standardise(features), labels, standardise(test), answers, data)
        ranks = draw_ranks(labels, data.classes, self.params.draws, data.seed)
        counts = class_counts(labels, data.classes)
        return [self._of_number(task, ranks, counts, wanted) for wanted in self.params.labels] + [
            self._of_share(task, ranks, counts, share) for share in self.params.shares
        ]

    def _of_number(self, task: _Task, ranks: Tensor, counts: Tensor, wanted: int) -> Metric:
        fewest = int(counts.argmin())
        held = int(counts[fewest])
        if held < wanted:
            return Metric(_at(wanted), None, reason=f"class {fewest} has only {held} of {wanted} labels")
        return self._score(_at(wanted), task, self._fits(task, ranks < wanted))

    def _of_share(self, task: _Task, ranks: Tensor, counts: Tensor, share: float) -> Metric:
        taken = share_of_each(counts, share)
        if share == 1:
            ranks = ranks[:1]  # every draw takes all
        chosen = ranks < taken[task.labels]
        if int(taken[counts > 0].min()) < ENOUGH_TO_CHOOSE:
            return self._score(_part(share), task, self._fits(task, chosen))
        return self._score(_part(share), task, self._chosen_fits(task, chosen))

    def _fits(self, task: _Task, chosen: Tensor) -> Iterator[tuple[float, LogisticFit]]:
        """At the fixed l2, as many draws at a time as fit into memory; each draw has as many labels as every other."""
        # [draws, labels], each row the samples of one draw
        places = chosen.nonzero()[:, 1].view(len(chosen), -1)
        at_a_time = max(1, NUMBERS // (places.shape[1] * task.features.shape[1]))
        for some in places.split(at_a_time):
            l2 = self.params.l2
            yield l2, fit_logistic(task.features[some], task.labels[some], task.data.classes, l2)

    def _chosen_fits(self, task: _Task, chosen: Tensor) -> Iterator[tuple[float, LogisticFit]]:
        for one in chosen:
            found = fit_chosen(task.features[one], task.labels[one], task.data.classes, task.data.seed)
            assert found is not None  # a fifth of five labels is one
            yield found

    @staticmethod
    def _score(name: str, task: _Task, fits: Iterator[tuple[float, LogisticFit]]) -> Metric:
        right = []
        for l2, fit in fits:
            if not fit.converged:
                return Metric(name, None, reason=f"no optimum within {fit.steps} steps at l2 = {l2:g}")
            logits = (torch.addmm(bias, weight, task.test.T) for weight, bias in zip(fit.weight, fit.bias, strict=True))
            right += [(one.argmax(dim=0) == task.answers).float() for one in logits]
        per_image = torch.stack(right)
        scores = per_image.double().mean(dim=1)
        std = float(scores.std()) if len(scores) > 1 else None
        return Metric(name, float(scores.mean()), std=std, n=len(scores), per_image=per_image.mean(dim=0))


class _Task(NamedTuple):
    features: Tensor
    """to draw from, standardised ``[N, D]``"""
    labels: Tensor
    test: Tensor
    """to judge on, standardised alike"""
    answers: Tensor
    data: EvaluationData


def names(params: FewLabelParams) -> list[str]:
    """Of the metrics, in order."""
    return [_at(wanted) for wanted in params.labels] + [_part(share) for share in params.shares]


def _at(wanted: int) -> str:
    return f"few_label_top1@{wanted}"


def _part(share: float) -> str:
    return f"few_label_top1@{100 * share:g}%"


@hookimpl
def sslbench_evaluators() -> list[EvaluatorSpec]:
    return [
        EvaluatorSpec(
            name="few-label",
            summary=__doc__.partition("\n")[0],
            params=FewLabelParams,
            build=FewLabel,
            presets={"shares": {"labels": (), "shares": (0.01, 0.1, 1.0)}},
            headline=lambda params: names(params)[0],
            citation="Assran et al. 2022, Masked Siamese Networks (low-shot evaluation: logistic regression on frozen"
            " features of 1, 2 or 5 labelled images a class, over random draws); Chen et al. 2020, SimCLR, section 6"
            " (1% and 10% of the labels)",
        )
    ]
