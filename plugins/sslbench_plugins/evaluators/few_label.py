"""Few labels (low-shot, semi-supervised): a linear probe on random draws of n labels a class, or of a share of them.

The features are standardised by all training images, which takes no label. With n labels a class the regularisation
is fixed, since two labels leave none to choose it by: on digits (training images only, 1,100 to draw from and 337 to
score; raw pixels, a random and two SimCLR-trained networks; 10 draws) accuracy was level from l2 = 0.01 down to 1e-5,
and 0.01 lost at most 1 point to the best of eight decades with 2, 13 or 50 labels a class; the draws spread by 1 to 5.
A share of the labels keeps the classes in proportion, with at least one label of each; where every class has five or
more, each draw chooses its regularisation on a fifth of its own labels, as the linear probe does on all of them.
"""

from __future__ import annotations

from torch import Tensor

from sslbench import EvaluationData, EvaluatorSpec, Metric, hookimpl, param
from sslbench_plugins.blocks.probes.evaluable import (
    Unmeasurable,
    balanced_name,
    balancing_weights,
    require,
    unmeasured,
    why_not_evaluable,
)
from sslbench_plugins.blocks.probes.linear_task import LinearTask
from sslbench_plugins.blocks.probes.samples import LabelAmount, LabelAmountParams, LabelNumbers, LabelShares, draw_ranks


class FewLabelParams(LabelAmountParams):
    """How many labels, and how often they are drawn."""

    labels: LabelNumbers = param((2, 13), "how many labels a class, a+b+c, one metric for each", unit="labels a class")
    shares: LabelShares = param(
        (), "shares of the labels, a+b+c, such as 0.01+0.1+1, one metric for each; at least one label a class"
    )
    draws: int = param(10, "random draws of labelled training images, the same for every method", ge=1)
    l2: float = param(0.01, "regularisation of the logistic regression on standardised features", gt=0)


class FewLabel:
    """Fits each draw, scores each on the whole test split."""

    def __init__(self, params: FewLabelParams) -> None:
        self.params = params

    def evaluate(self, data: EvaluationData) -> list[Metric]:
        reason = why_not_evaluable(data)
        if reason:
            return unmeasured(map(metric_name, self.params.amount_names()), reason)
        task = LinearTask(data)
        ranks = draw_ranks(task.labels, data.classes, self.params.draws, data.seed)
        amounts = self.params.amounts(task.labels, data.classes)
        return [metric for amount in amounts for metric in self._metrics(task, amount, ranks)]

    def _metrics(self, task: LinearTask, amount: LabelAmount, ranks: Tensor) -> list[Metric]:
        """Over the draws: the accuracy, and the balanced one where classes are skewed."""
        name = metric_name(amount.name)
        drawn = amount.drawn(ranks, task.labels)
        if amount.share == 1:
            drawn = drawn[:1]  # every draw takes all
        try:
            require(amount.reason)
            correct = task.correct(drawn, self.params.l2, choose=amount.share is not None)
        except Unmeasurable as error:
            return [Metric(name, None, reason=str(error))]
        weights = balancing_weights(task.test_labels)
        balanced = [] if weights is None else [over_draws(balanced_name(name), correct.double() * weights)]
        return [over_draws(name, correct), *balanced]


def over_draws(name: str, scores: Tensor) -> Metric:
    """Of ``[draws, M]``, what each draw scores on each test image."""
    means = scores.double().mean(dim=1)
    std = float(means.std()) if len(means) > 1 else None
    return Metric(name, float(means.mean()), std=std, n=len(means), per_image=scores.float().mean(dim=0))


def metric_name(amount: str) -> str:
    """Of the metric for an amount's name."""
    return f"few_label_top1@{amount}"


@hookimpl
def sslbench_evaluators() -> list[EvaluatorSpec]:
    return [
        EvaluatorSpec(
            name="few-label",
            params=FewLabelParams,
            build=lambda params, context: FewLabel(params),
            presets={"shares": {"labels": (), "shares": (0.01, 0.1, 1.0)}},
            headline=lambda params: metric_name(params.amount_names()[0]),
            citation="Assran et al. 2022, Masked Siamese Networks (low-shot evaluation: logistic regression on frozen"
            " features of 1, 2 or 5 labelled images a class, over random draws); Chen et al. 2020, SimCLR, section 6"
            " (1% and 10% of the labels)",
        )
    ]
