"""Fine-tuning with a small learning rate for the network and a large one for the head, beside training from scratch.

The head starts as the linear layer that fits the frozen features of the labelled images, so that training goes on
where a probe ends; with ``head=random`` the head's rate is too small to catch up within few steps (docs/log.md).
Batch norm keeps the statistics of the pretraining: they would become those of the labelled images within a few steps,
whatever the learning rate, and the features would no longer be those that the head was fitted to.

From scratch means the same architecture as the run's seed initialises it, head and batch norm included, all of it at
the head's rate. Both are trained on the same labelled images in the same order and views, for as many steps. The
network after the last step is evaluated, and test images are used once: the rates fall along a cosine, and nothing is
chosen.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, Self

import torch
from pydantic import model_validator
from torch import Tensor

from sslbench import EvaluationData, EvaluatorSpec, Metric, Picture, hookimpl, param
from sslbench_plugins.blocks.pictures.mistakes import mistakes
from sslbench_plugins.blocks.probes.evaluable import (
    Unmeasurable,
    accuracies,
    features_and_labels,
    labels_of,
    model_of,
    require,
    unmeasured,
    why_not_evaluable,
)
from sslbench_plugins.blocks.probes.label_training import (
    Classifier,
    LabelTraining,
    LabelTrainingParams,
    LearningRates,
    why_not_from_scratch,
)
from sslbench_plugins.blocks.probes.linear_maps import Standardiser
from sslbench_plugins.blocks.probes.logistic import fit_logistic, why_no_optimum
from sslbench_plugins.blocks.probes.samples import class_counts, draw_ranks, share_of_each, why_too_few

TOP1, SCRATCH = "fine_tune_top1", "from_scratch_top1"
FROZEN, TRAINABLE, RATIO = "frozen_parameters", "trainable_parameters", "trainable_ratio"
L2 = 1e-4
"""regularisation of the head at the start: with few labels as good as more, with all of them better (docs/log.md)"""


class FineTuneParams(LabelTrainingParams):
    """What learns how fast, from which labels."""

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

    def evaluate(self, data: EvaluationData) -> Iterator[Metric | Picture]:
        try:
            require(why_not_evaluable(data))
            images = self._labelled_images(data)
            network = self.training.classifier(model_of(data).encoder(), data, data.seed)
            if self.params.head == "fitted":
                fit_head(network, data, images)
        except Unmeasurable as error:
            names = [TOP1, FROZEN, TRAINABLE, RATIO, *([SCRATCH] if self.params.scratch else [])]
            yield from unmeasured(names, str(error))
            return
        backbone_lr = 0.0 if self.params.frozen else self.params.backbone_lr
        rates = LearningRates(self.params.head_lr, backbone_lr, self.params.batch_norm == "follows")
        logits = self._trained(network, data, images, rates)
        yield from scores(TOP1, logits, data)
        yield from parameter_counts(network)
        if self.params.scratch:
            yield from self._from_scratch(data, images)
        if isinstance(logits, Tensor):
            yield from mistakes(data, logits, labels_of(data.test))

    def _labelled_images(self, data: EvaluationData) -> Tensor:
        """int64 ``[n]``: training images whose labels may be used, the first draw of ``few-label``; or Unmeasurable."""
        labels = labels_of(data.train).cpu()
        available = class_counts(labels, data.classes)
        require(why_too_few(self.params.per_class, available))
        (ranks,) = draw_ranks(labels, data.classes, 1, data.seed)
        if self.params.per_class:
            per_class = torch.full_like(available, self.params.per_class)
        else:
            per_class = share_of_each(available, self.params.share)
        return torch.nonzero(ranks < per_class[labels])[:, 0]

    def _from_scratch(self, data: EvaluationData, images: Tensor) -> list[Metric]:
        model = model_of(data)
        if reason := why_not_from_scratch(model, data.seed):
            return [Metric(SCRATCH, None, reason=reason)]
        network = self.training.classifier(model.scratch(data.seed), data, data.seed)
        rates = LearningRates(self.params.head_lr, self.params.head_lr)
        return scores(SCRATCH, self._trained(network, data, images, rates), data)

    def _trained(
        self, network: Classifier, data: EvaluationData, images: Tensor, rates: LearningRates
    ) -> Tensor | Unmeasurable:
        """Logits of the test images ``[N, C]`` on the CPU, or why there are none."""
        self.training.train(network, data, images, rates, data.seed)
        try:
            return self.training.logits(network, data).cpu()
        except Unmeasurable as error:
            return error


def scores(name: str, logits: Tensor | Unmeasurable, data: EvaluationData) -> list[Metric]:
    """Accuracies of the test images."""
    if isinstance(logits, Unmeasurable):
        return [Metric(name, None, reason=str(logits))]
    labels = labels_of(data.test).cpu()
    return accuracies(name, (logits.argmax(dim=1) == labels).double(), labels)


@torch.no_grad()
def fit_head(network: Classifier, data: EvaluationData, images: Tensor) -> None:
    """Make the head a logistic regression on frozen features of ``images``, int64 ``[n]``. Raises Unmeasurable."""
    features, labels = features_and_labels(data.train)
    standardise, indices = Standardiser.fitted(features), images.to(features.device)
    fit = fit_logistic(standardise(features)[indices], labels[indices], data.classes, L2)
    if not fit.converged:
        raise Unmeasurable(f"the head has {why_no_optimum(fit, L2)}")
    weight, bias = standardise.undone(fit.weight[0], fit.bias[0, :, 0])
    network.head.weight.copy_(weight)
    network.head.bias.copy_(bias)


def parameter_counts(network: Classifier) -> list[Metric]:
    """Parameters that stay as they were, that learn, and the share of these, head included."""
    trainable = sum(p.numel() for p in network.parameters() if p.requires_grad)
    frozen = sum(p.numel() for p in network.parameters()) - trainable
    return [
        Metric(FROZEN, float(frozen), higher_is_better=True),
        Metric(TRAINABLE, float(trainable), higher_is_better=False),
        Metric(RATIO, trainable / (frozen + trainable), higher_is_better=False),
    ]


@hookimpl
def sslbench_evaluators() -> list[EvaluatorSpec]:
    return [
        EvaluatorSpec(
            name="fine-tune",
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
