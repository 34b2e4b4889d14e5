"""Accuracy with few labels: a linear layer on frozen features, over random draws of n labels a class or a share.

The features are standardised by all training images, which takes no label. With n labels a class the regularisation
is fixed, since two labels leave none to choose it by: on digits (training images only, 1,100 to draw from and 337 to
judge; raw pixels, a random and two SimCLR-trained networks; 10 draws) accuracy was level from l2 = 0.01 down to 1e-5,
and 0.01 lost at most 1 point to the best of eight decades with 2, 13 or 50 labels a class; the draws spread by 1 to 5.
A share of the labels keeps the classes in proportion, with at least one label of each; where every class has five or
more, each draw chooses its regularisation on a fifth of its own labels, as the linear probe does on all of them.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator, model_validator
from torch import Tensor

from sslbench import EvaluationData, EvaluatorSpec, Metric, Params, hookimpl, param
from sslbench_plugins.blocks.probes.evaluable import why_not_evaluable
from sslbench_plugins.blocks.probes.labelled_draws import LinearTask, NoOptimum
from sslbench_plugins.blocks.probes.stratified import class_counts, draw_ranks, share_of_each
from sslbench_plugins.blocks.studies.listed import Several


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
    """Fits each draw, scores each on the whole test split."""

    def __init__(self, params: FewLabelParams) -> None:
        self.params = params

    def evaluate(self, data: EvaluationData) -> list[Metric]:
        reason = why_not_evaluable(data)
        if reason:
            return [Metric(name, None, reason=reason) for name in names(self.params)]
        task = LinearTask.of(data)
        ranks = draw_ranks(task.labels, data.classes, self.params.draws, data.seed)
        counts = class_counts(task.labels, data.classes)
        return [self._of_number(task, ranks, counts, wanted) for wanted in self.params.labels] + [
            self._of_share(task, ranks, counts, share) for share in self.params.shares
        ]

    def _of_number(self, task: LinearTask, ranks: Tensor, counts: Tensor, wanted: int) -> Metric:
        fewest = int(counts.argmin())
        held = int(counts[fewest])
        if held < wanted:
            return Metric(_at(wanted), None, reason=f"class {fewest} has only {held} of {wanted} labels")
        return self._score(_at(wanted), task, ranks < wanted, share=False)

    def _of_share(self, task: LinearTask, ranks: Tensor, counts: Tensor, share: float) -> Metric:
        if share == 1:
            ranks = ranks[:1]  # every draw takes all
        return self._score(_part(share), task, ranks < share_of_each(counts, share)[task.labels], share=True)

    def _score(self, name: str, task: LinearTask, chosen: Tensor, *, share: bool) -> Metric:
        try:
            per_image = task.right(chosen, self.params.l2, share=share)
        except NoOptimum as error:
            return Metric(name, None, reason=str(error))
        scores = per_image.double().mean(dim=1)
        std = float(scores.std()) if len(scores) > 1 else None
        return Metric(name, float(scores.mean()), std=std, n=len(scores), per_image=per_image.mean(dim=0))


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
            build=lambda params, context: FewLabel(params),
            presets={"shares": {"labels": (), "shares": (0.01, 0.1, 1.0)}},
            headline=lambda params: names(params)[0],
            citation="Assran et al. 2022, Masked Siamese Networks (low-shot evaluation: logistic regression on frozen"
            " features of 1, 2 or 5 labelled images a class, over random draws); Chen et al. 2020, SimCLR, section 6"
            " (1% and 10% of the labels)",
        )
    ]
