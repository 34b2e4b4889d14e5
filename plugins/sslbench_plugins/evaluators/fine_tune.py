"""Fine-tuning with a small learning rate for the network and a large one for the head, beside training from scratch.

The head starts as the linear layer that fits the frozen features of the labelled images, so that training goes on
where a probe ends; with ``head=random`` the head's rate is too small to catch up within few steps (docs/log.md).
Batch norm keeps the statistics of the pretraining: they would follow the labelled images within a few steps, whatever
the learning rate, and the features would no longer be those that the head was fitted to.

From scratch means the same architecture as the run's seed initialises it, head and batch norm included, all of it at
the head's rate. Both see the same labelled images in the same order and views, for as many steps. The network after
the last step is judged, and test images are looked at once: the rates fall along a cosine, and nothing is chosen.
"""

from __future__ import annotations

from typing import Any, Literal, Self

import torch
from pydantic import model_validator
from torch import Tensor

from sslbench import EvaluationData, EvaluatorSpec, Metric, hookimpl, param
from sslbench_plugins.blocks.probes.evaluable import features_and_labels, why_not_evaluable
from sslbench_plugins.blocks.probes.label_training import (
    Classifier,
    LabelTraining,
    LabelTrainingParams,
    Pace,
    starts_anew,
)
from sslbench_plugins.blocks.probes.logistic import fit_logistic
from sslbench_plugins.blocks.probes.standardise import Standardiser
from sslbench_plugins.blocks.probes.stratified import class_counts, draw_ranks, share_of_each

TOP1, SCRATCH = "fine_tune_top1", "from_scratch_top1"
L2 = 1e-4
"""regularisation of the head at the start: with few labels as good as more, with all of them better (docs/log.md)"""
COUNTS = ("frozen_parameters", "trainable_parameters", "trainable_ratio")


class FineTuneParams(LabelTrainingParams):
    head_lr: float = param(1e-3, "learning rate of the head at the start", gt=0)
    backbone_lr: float = param(1e-5, "learning rate of the network at the start", gt=0)
    head: Literal["fitted", "random"] = param(
        "fitted",
        "how the head starts: fitted to the frozen features of the labelled images, or as torch initialises it",
    )
    batch_norm: Literal["kept", "follows"] = param(
        "kept", "statistics of batch norm; kept: those of the pretraining; follows: those of the labelled images"
    )
    frozen: bool = param(False, "train the head only; the network stays in eval mode")
    share: float = param(1.0, "part of each class's labels that may be used, at least one", gt=0, le=1)
    per_class: int = param(0, "labels of each class that may be used, in the place of a share; 0: the share", ge=0)
    scratch: bool = param(True, "also train the same architecture from scratch")

    @model_validator(mode="after")
    def _one_amount(self) -> Self:
        if self.per_class and self.share < 1:
            raise ValueError("give share or per_class, not both")
        return self


class FineTune:
    """Trains a copy of the model, and an untrained one, on the labels of the training split."""

    def __init__(self, params: FineTuneParams) -> None:
        self.params = params
        self.training = LabelTraining(params, "fine-tune")

    def evaluate(self, data: EvaluationData) -> list[Metric]:
        reason = why_not_evaluable(data) or self._too_few(data)
        if reason:
            return self._unmeasured(reason)
        model = data.model
        assert model is not None
        images = self.labelled(data)
        network = self.training.classifier(model.encoder(), data, data.seed)
        reason = fit_head(network, data, images) if self.params.head == "fitted" else ""
        if reason:
            return self._unmeasured(reason)
        backbone_lr = 0.0 if self.params.frozen else self.params.backbone_lr
        pace = Pace(self.params.head_lr, backbone_lr, self.params.batch_norm == "follows")
        tuned = self._accuracy(TOP1, network, data, images, pace)
        metrics = [tuned, *counts(network)]
        if self.params.scratch:
            metrics.append(self._from_scratch(data, images))
        return metrics

    def labelled(self, data: EvaluationData) -> Tensor:
        """int64 ``[n]``: the training images whose labels may be used, the first draw of evaluator ``few-label``."""
        assert data.train.labels is not None
        labels = data.train.labels.cpu()
        (ranks,) = draw_ranks(labels, data.classes, 1, data.seed)
        held = class_counts(labels, data.classes)
        wanted = (
            torch.full_like(held, self.params.per_class)
            if self.params.per_class
            else share_of_each(held, self.params.share)
        )
        return (ranks < wanted[labels]).nonzero()[:, 0]

    def _from_scratch(self, data: EvaluationData, images: Tensor) -> Metric:
        model = data.model
        assert model is not None
        if not starts_anew(model, data.seed):
            return Metric(
                SCRATCH, None, reason="the untrained network is the same for every seed: its weights are given"
            )
        network = self.training.classifier(model.scratch(data.seed), data, data.seed)
        return self._accuracy(SCRATCH, network, data, images, Pace(self.params.head_lr, self.params.head_lr))

    def _accuracy(self, name: str, network: Classifier, data: EvaluationData, images: Tensor, pace: Pace) -> Metric:
        self.training.train(network, data, images, pace, data.seed)
        right = self.training.right(network, data)
        if right is None:
            return Metric(name, None, reason="after training, the network's answers hold NaN or infinity")
        return Metric(name, float(right.mean()), per_image=right.cpu())

    def _too_few(self, data: EvaluationData) -> str:
        assert data.train.labels is not None
        held = class_counts(data.train.labels, data.classes)
        fewest = int(held.argmin())
        if int(held[fewest]) >= self.params.per_class:
            return ""
        return f"class {fewest} has only {int(held[fewest])} of {self.params.per_class} labels"

    def _unmeasured(self, reason: str) -> list[Metric]:
        names = [TOP1, *COUNTS, *([SCRATCH] if self.params.scratch else [])]
        return [Metric(name, None, reason=reason) for name in names]


@torch.no_grad()
def fit_head(network: Classifier, data: EvaluationData, images: Tensor) -> str:
    """Put the logistic regression on the frozen features of ``images``, int64 ``[n]``, in the place of the head; or
    say why not."""
    features, labels = features_and_labels(data.train)
    standardise, chosen = Standardiser.fitted(features), images.to(features.device)
    fit = fit_logistic(standardise(features)[chosen], labels[chosen], data.classes, L2)
    if not fit.converged:
        return f"the head has no optimum within {fit.steps} steps at l2 = {L2:g}"
    weight, bias = standardise.undone(fit.weight[0], fit.bias[0, :, 0])
    network.head.weight.copy_(weight)
    network.head.bias.copy_(bias)
    return ""


def counts(network: Classifier) -> list[Metric]:
    """Parameters that stay as they were, that learn, and the share of these, head included."""
    frozen, trainable = network.frozen, network.trainable
    facts: dict[str, Any] = dict(zip(COUNTS, (frozen, trainable, trainable / (frozen + trainable)), strict=True))
    return [Metric(name, float(value), higher_is_better=name == COUNTS[0]) for name, value in facts.items()]


@hookimpl
def sslbench_evaluators() -> list[EvaluatorSpec]:
    return [
        EvaluatorSpec(
            name="fine-tune",
            summary=__doc__.partition("\n")[0],
            params=FineTuneParams,
            presets={"quick": {"epochs": 3}},
            build=lambda params, context: FineTune(params),
            needs=frozenset({"labels", "encoder"}),
            uses_model=True,
            headline=TOP1,
            citation="Kornblith, Shlens and Le 2019, Do Better ImageNet Models Transfer Better? (fixed features,"
            " fine-tuning and random initialisation side by side); the head: Kumar et al. 2022, Fine-Tuning Can Distort"
            " Pretrained Features (linear probing, then fine-tuning)",
        )
    ]
