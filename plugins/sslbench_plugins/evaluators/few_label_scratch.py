"""Training from scratch with few labels, and what a linear layer on frozen features is ahead of it.

The draws are the first ones of evaluator ``few-label``: the same labelled images, so that each draw is a pair.
``scratch_top1@n`` is the accuracy of the architecture trained from scratch with n labels a class, ``features_gain@n``
that of the linear layer (fitted as in ``few-label``) less this, both the mean over draws. Every draw has initial
weights of its own.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from sslbench import EvaluationData, EvaluatorSpec, Metric, hookimpl, param
from sslbench_plugins.blocks.probes.evaluable import why_not_evaluable
from sslbench_plugins.blocks.probes.label_training import LabelTraining, LabelTrainingParams, Pace, starts_anew
from sslbench_plugins.blocks.probes.labelled_draws import LinearTask, NoOptimum
from sslbench_plugins.blocks.probes.stratified import class_counts, draw_ranks, share_of_each
from sslbench_plugins.blocks.studies.listed import Several

NOT_FINITE = "after training, the network's answers hold NaN or infinity"


class FewLabelScratchParams(LabelTrainingParams):
    labels: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Several] = param(
        (2, 13), "how many labels a class, a+b+c", unit="labels a class"
    )
    shares: Annotated[tuple[Annotated[float, Field(gt=0, le=1)], ...], Several] = param(
        (), "parts of each class's labels, a+b+c, such as 0.01+0.1+1; at least one label"
    )
    draws: int = param(3, "random draws of labelled training images, the same for every method", ge=1)
    lr: float = param(1e-3, "learning rate at the start", gt=0)
    l2: float = param(0.01, "regularisation of the linear layer, as in few-label", gt=0)

    @model_validator(mode="after")
    def _some_and_each_once(self) -> Self:
        wanted = (*self.labels, *self.shares)
        if not wanted or len(set(self.labels)) + len(set(self.shares)) < len(wanted):
            raise ValueError("name at least one number or share of labels, and each once")
        return self


class Amount(NamedTuple):
    """So many labels of each class."""

    name: str
    wanted: Tensor
    """int64 ``[classes]``"""
    share: bool
    """it is a share of the labels, not a number of each class"""
    reason: str = ""
    """why there are not as many"""


class FewLabelScratch:
    """Trains one network for each amount of labels and each draw."""

    def __init__(self, params: FewLabelScratchParams) -> None:
        self.params = params
        self.training = LabelTraining(params, "few-label-scratch")

    def evaluate(self, data: EvaluationData) -> list[Metric]:
        reason = why_not_evaluable(data)
        assert data.model is not None
        if not reason and not starts_anew(data.model, data.seed):
            reason = "the untrained network is the same for every seed: its weights are given"
        if reason:
            names = [*map(str, self.params.labels), *map(percent, self.params.shares)]
            return [metric for name in names for metric in unmeasured(name, reason)]
        assert data.train.labels is not None
        task, labels = LinearTask.of(data), data.train.labels.cpu()
        ranks = draw_ranks(labels, data.classes, self.params.draws, data.seed)
        metrics = []
        for amount in self._amounts(class_counts(labels, data.classes)):
            if amount.reason:
                metrics += unmeasured(amount.name, amount.reason)
            else:
                metrics += self._judge(data, task, amount, ranks < amount.wanted[labels])
        return metrics

    def _amounts(self, held: Tensor) -> list[Amount]:
        fewest = int(held.argmin())
        amounts = []
        for count in self.params.labels:
            lacking = int(held[fewest]) < count
            reason = f"class {fewest} has only {int(held[fewest])} of {count} labels" if lacking else ""
            amounts.append(Amount(str(count), torch.full_like(held, count), False, reason))
        return amounts + [Amount(percent(share), share_of_each(held, share), True) for share in self.params.shares]

    def _judge(self, data: EvaluationData, task: LinearTask, amount: Amount, chosen: Tensor) -> list[Metric]:
        """``chosen``: bool ``[draws, N]``, the labelled images of each draw."""
        seeds = torch.randint(2**31 - 1, (len(chosen),), generator=torch.Generator().manual_seed(data.seed)).tolist()
        draws = [one.nonzero()[:, 0] for one in chosen]
        scratch = [self._from_scratch(data, images, seed) for images, seed in zip(draws, seeds, strict=True)]
        found = [right for right in scratch if right is not None]
        if len(found) < len(scratch):
            return unmeasured(amount.name, NOT_FINITE)
        gain = f"features_gain@{amount.name}"
        try:
            linear = self._linear(task, amount, chosen.to(task.labels.device))
        except NoOptimum as error:
            ahead = Metric(gain, None, reason=str(error))
        else:
            ahead = over_draws(gain, [a - b for a, b in zip(linear, found, strict=True)])
        return [over_draws(f"scratch_top1@{amount.name}", found), ahead]

    def _linear(self, task: LinearTask, amount: Amount, chosen: Tensor) -> list[float]:
        """Accuracy of a linear layer on the frozen features of each draw, as ``few-label`` fits it."""
        alike = bool(chosen[0].all())  # every draw takes all: one fit stands for each
        right = task.right(chosen[:1] if alike else chosen, self.params.l2, share=amount.share)
        accuracies = right.double().mean(dim=1).tolist()
        return accuracies * len(chosen) if alike else accuracies

    def _from_scratch(self, data: EvaluationData, images: Tensor, seed: int) -> float | None:
        assert data.model is not None
        network = self.training.classifier(data.model.scratch(seed), data, seed)
        self.training.train(network, data, images, Pace(self.params.lr, self.params.lr), seed)
        right = self.training.right(network, data)
        return None if right is None else float(right.mean())


def percent(share: float) -> str:
    return f"{100 * share:g}%"


def over_draws(name: str, values: list[float]) -> Metric:
    spread = float(torch.tensor(values, dtype=torch.float64).std()) if len(values) > 1 else None
    return Metric(name, sum(values) / len(values), std=spread, n=len(values))


def unmeasured(name: str, reason: str) -> list[Metric]:
    return [Metric(f"{metric}@{name}", None, reason=reason) for metric in ("scratch_top1", "features_gain")]


def headline(params: FewLabelScratchParams) -> str:
    return f"scratch_top1@{params.labels[0] if params.labels else percent(params.shares[0])}"


@hookimpl
def sslbench_evaluators() -> list[EvaluatorSpec]:
    return [
        EvaluatorSpec(
            name="few-label-scratch",
            summary=__doc__.partition("\n")[0],
            params=FewLabelScratchParams,
            presets={"shares": {"labels": (), "shares": (0.01, 0.1, 1.0)}},
            build=lambda params, context: FewLabelScratch(params),
            needs=frozenset({"labels", "encoder"}),
            uses_model=True,
            headline=headline,
            citation="Hénaff et al. 2020, Data-Efficient Image Recognition with Contrastive Predictive Coding, figure 1"
            " (with few labels, against networks trained from scratch)",
        )
    ]
