"""Few labels: supervised training from scratch, and what a linear probe of frozen features gains over it.

The draws are the first ones of evaluator ``few-label``: the same labelled images, so that each draw is a pair.
``scratch_top1@n`` is the accuracy of the architecture trained from scratch with n labels a class, ``features_gain@n``
that of the linear layer (fitted as in ``few-label``) less this, both the mean over draws. Every draw has initial
weights of its own.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sslbench import EvaluationData, EvaluatorSpec, Metric, hookimpl, param
from sslbench_plugins.blocks.probes.evaluable import (
    Unmeasurable,
    balanced_name,
    balancing_weights,
    labels_of,
    model_of,
    unmeasured,
    why_not_evaluable,
)
from sslbench_plugins.blocks.probes.label_training import (
    LabelTraining,
    LabelTrainingParams,
    LearningRates,
    why_not_from_scratch,
)
from sslbench_plugins.blocks.probes.linear_task import LinearTask
from sslbench_plugins.blocks.probes.samples import LabelAmount, LabelAmountParams, LabelNumbers, LabelShares, draw_ranks


class FewLabelScratchParams(LabelAmountParams, LabelTrainingParams):
    """How many labels, how often they are drawn, and how both networks are fitted."""

    labels: LabelNumbers = param((2, 13), "how many labels a class, a+b+c", unit="labels a class")
    shares: LabelShares = param((), "parts of each class's labels, a+b+c, such as 0.01+0.1+1; at least one label")
    draws: int = param(3, "random draws of labelled training images, the same for every method", ge=1)
    lr: float = param(1e-3, "learning rate at the start", gt=0)
    l2: float = param(0.01, "regularisation of the linear layer, as in few-label", gt=0)


class FewLabelScratch:
    """Trains one network for each amount of labels and each draw."""

    def __init__(self, params: FewLabelScratchParams) -> None:
        self.params = params
        self.training = LabelTraining(params, "few-label-scratch")

    def evaluate(self, data: EvaluationData) -> list[Metric]:
        reason = why_not_evaluable(data) or why_not_from_scratch(model_of(data), data.seed)
        if reason:
            return [m for amount in self.params.amount_names() for m in unmeasured(metric_names(amount), reason)]
        task, labels = LinearTask(data), labels_of(data.train).cpu()
        ranks = draw_ranks(labels, data.classes, self.params.draws, data.seed)
        amounts = self.params.amounts(labels, data.classes)
        return [m for amount in amounts for m in self._metrics(data, task, amount, amount.drawn(ranks, labels))]

    def _metrics(self, data: EvaluationData, task: LinearTask, amount: LabelAmount, drawn: Tensor) -> list[Metric]:
        """``drawn``: bool ``[draws, N]``, the labelled images of each draw."""
        scratch_name, gain_name = names = metric_names(amount.name)
        if amount.reason:
            return unmeasured(names, amount.reason)
        try:
            correct = self._correct_from_scratch(data, drawn)
        except Unmeasurable as error:
            return unmeasured(names, str(error))
        scratch: list[float] = correct.mean(dim=1).tolist()
        try:
            linear = self._linear_accuracies(task, amount, drawn.to(task.labels.device))
            gain = mean_over_draws(gain_name, [a - b for a, b in zip(linear, scratch, strict=True)])
        except Unmeasurable as error:
            gain = Metric(gain_name, None, reason=str(error))
        weights = balancing_weights(labels_of(data.test).cpu())
        balanced = [] if weights is None else (correct * weights).mean(dim=1).tolist()
        by_name = {scratch_name: scratch, balanced_name(scratch_name): balanced}
        return [*(mean_over_draws(name, values) for name, values in by_name.items() if values), gain]

    def _correct_from_scratch(self, data: EvaluationData, drawn: Tensor) -> Tensor:
        """float64 ``[draws, M]``: 1 or 0 for each test image after each draw, trained from initial weights of its own.
        Raises Unmeasurable where one of them diverged."""
        generator = torch.Generator().manual_seed(data.seed)
        seeds = torch.randint(2**31 - 1, (len(drawn),), generator=generator).tolist()
        correct = []
        for draw, seed in zip(drawn, seeds, strict=True):
            network = self.training.classifier(model_of(data).scratch(seed), data, seed)
            rates = LearningRates(self.params.lr, self.params.lr)
            self.training.train(network, data, draw.nonzero()[:, 0], rates, seed)
            correct.append(self.training.correct(network, data).cpu())
        return torch.stack(correct)

    def _linear_accuracies(self, task: LinearTask, amount: LabelAmount, drawn: Tensor) -> list[float]:
        """Accuracy of a linear layer on the frozen features of each draw, as ``few-label`` fits it."""
        all_alike = bool(drawn[0].all())  # every draw takes all: one fit stands for each
        correct = task.correct(drawn[:1] if all_alike else drawn, self.params.l2, choose=amount.share is not None)
        accuracies: list[float] = correct.double().mean(dim=1).tolist()
        return accuracies * len(drawn) if all_alike else accuracies


def mean_over_draws(name: str, values: list[float]) -> Metric:
    """Mean and standard deviation of one value a draw."""
    std = float(torch.tensor(values, dtype=torch.float64).std()) if len(values) > 1 else None
    return Metric(name, sum(values) / len(values), std=std, n=len(values))


def metric_names(amount: str) -> tuple[str, str]:
    """Of the two metrics for an amount's name."""
    return f"scratch_top1@{amount}", f"features_gain@{amount}"


@hookimpl
def sslbench_evaluators() -> list[EvaluatorSpec]:
    return [
        EvaluatorSpec(
            name="few-label-scratch",
            params=FewLabelScratchParams,
            presets={"shares": {"labels": (), "shares": (0.01, 0.1, 1.0)}},
            build=lambda params, context: FewLabelScratch(params),
            needs=frozenset({"labels", "encoder"}),
            uses_model=True,
            headline=lambda params: metric_names(params.amount_names()[0])[0],
            citation="Hénaff et al. 2020, Data-Efficient Image Recognition with Contrastive Predictive Coding, figure 1"
            " (with few labels, against networks trained from scratch)",
        )
    ]
