"""Training a network and a linear layer on labelled images, and which test images it then classifies correctly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from sslbench import EvaluatedModel, EvaluationData, Params, build_plugin, cosine, param
from sslbench_plugins.blocks.probes.evaluable import Unmeasurable, labels_of, model_of

TEST_BATCH = 256


class LabelTrainingParams(Params):
    """How long and with what: the same for every network that is trained."""

    epochs: int = param(10, "passes over the labelled images", ge=1)
    least_steps: int = param(100, "optimizer steps at the least, however few the images", ge=1)
    batch_size: int = param(64, "images in a batch; all where there are fewer", ge=1, unit="images")
    weight_decay: float = param(0.01, "adamw: weight decay of weights; biases and norms have none", ge=0)
    augmentation: str = param("affine", "of the labelled images, such as none", names="augmentation")


@dataclass(frozen=True)
class LearningRates:
    """How fast the parts of a network learn: each rate at the start of a cosine down to 0."""

    head: float
    backbone: float
    """0: it is frozen, in eval mode"""
    update_batch_norm: bool = True
    """False: batch norm uses and keeps the running statistics that it has"""


class Classifier(nn.Module):
    """``[B, 3, S, S]`` -> logits ``[B, classes]``."""

    def __init__(self, backbone: nn.Module, width: int, classes: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(width, classes)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.backbone(images))
        return logits

    def prepare(self, rates: LearningRates) -> None:
        """Put every part into the mode in which it learns, or does not."""
        self.train()
        if not rates.backbone:
            self.backbone.requires_grad_(False).eval()
        for module in self.backbone.modules():
            if isinstance(module, _BatchNorm) and not rates.update_batch_norm:
                module.eval()


class LabelTraining:
    """One recipe, applied to any network of an evaluated model."""

    def __init__(self, params: LabelTrainingParams, evaluator: str) -> None:
        """Raises UserError for an augmentation that does not exist; ``evaluator`` is the name that it says."""
        self.params = params
        self.augmentation: Any = build_plugin("augmentation", params.augmentation, f"{evaluator}: augmentation")

    def steps(self, images: int) -> tuple[int, int]:
        """Batch size and number of steps for so many labelled images. Only whole batches are trained on."""
        batch = min(self.params.batch_size, images)
        return batch, max(self.params.least_steps, self.params.epochs * (images // batch))

    def classifier(self, backbone: nn.Module, data: EvaluationData, seed: int) -> Classifier:
        """A head as ``seed`` initialises it, on a network of the model, on the model's device."""
        torch.manual_seed(seed)
        return Classifier(backbone, data.train.features.shape[1], data.classes).to(model_of(data).device)

    def train(self, network: Classifier, data: EvaluationData, images: Tensor, rates: LearningRates, seed: int) -> None:
        """``images``: int64 ``[n]``, the training images whose labels may be used. Order and views depend on ``seed``
        alone, so that two networks are trained on the same. The network is left in eval mode."""
        model, labels = model_of(data), labels_of(data.train)
        network.prepare(rates)
        batch_size, steps = self.steps(len(images))
        optimizer = torch.optim.AdamW(param_groups(network, rates, self.params.weight_decay))
        view_generator = torch.Generator(model.device).manual_seed(seed)
        view = self.augmentation.view(0, "global", model.image_size)
        torch.manual_seed(seed)
        scaler = gradient_scaler(model)
        for step, batch in enumerate(shuffled_batches(images, batch_size, steps, seed)):
            for group in optimizer.param_groups:
                group["lr"] = cosine(group["initial_lr"], 0.0, step / steps)
            inputs = model.normalise(view(model.pixels("train", batch), view_generator))
            with model.autocast():
                logits = network(inputs).float()
            loss = F.cross_entropy(logits, labels[batch.to(labels.device)])
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(scaler.scale(loss))
            scaler.step(optimizer)
            scaler.update()
        network.eval()

    @torch.no_grad()
    def logits(self, network: Classifier, data: EvaluationData) -> Tensor:
        """float32 ``[N, C]`` of the test images. Raises Unmeasurable if they are not finite."""
        model, batches = model_of(data), []
        for indices in torch.split(torch.arange(len(labels_of(data.test))), TEST_BATCH):
            with model.autocast():
                batches.append(network(model.images("test", indices)).float())
        logits = torch.cat(batches)
        if not bool(logits.isfinite().all()):
            raise Unmeasurable("after training, the network's outputs hold NaN or infinity")
        return logits

    def correct(self, network: Classifier, data: EvaluationData) -> Tensor:
        """float64 ``[N]``: 1 for each test image that gets its class, else 0. Raises Unmeasurable as ``logits``."""
        return (self.logits(network, data).argmax(dim=1) == labels_of(data.test)).double()


def shuffled_batches(images: Tensor, batch_size: int, steps: int, seed: int) -> Iterator[Tensor]:
    """``steps`` batches of ``images`` ``[n]``, in a new order for every pass; a rest that fills none is left out."""
    generator = torch.Generator().manual_seed(seed)
    per_pass = len(images) // batch_size
    order = images
    for step in range(steps):
        if step % per_pass == 0:
            order = images[torch.randperm(len(images), generator=generator)]
        yield order[step % per_pass * batch_size :][:batch_size]


def gradient_scaler(model: EvaluatedModel) -> torch.amp.GradScaler:
    """float16 gradients need one; in any other precision it does nothing."""
    kind = model.device.type
    with model.autocast():
        half = torch.is_autocast_enabled(kind) and torch.get_autocast_dtype(kind) == torch.float16
    return torch.amp.GradScaler(kind, enabled=half)


def param_groups(network: Classifier, rates: LearningRates, weight_decay: float) -> list[dict[str, Any]]:
    """Groups for the optimizer: head and backbone, each with and without weight decay, of what learns."""
    groups = []
    for module, rate in ((network.head, rates.head), (network.backbone, rates.backbone)):
        trainable = [p for p in module.parameters() if p.requires_grad]
        decayed, others = [p for p in trainable if p.ndim > 1], [p for p in trainable if p.ndim <= 1]
        for decay, parameters in ((weight_decay, decayed), (0.0, others)):
            if parameters:
                groups.append({"params": parameters, "lr": rate, "initial_lr": rate, "weight_decay": decay})
    return groups


def why_not_from_scratch(model: EvaluatedModel, seed: int) -> str:
    """A line where another seed gives the same untrained network, such as one whose weights come from a file."""
    weights, other_weights = model.scratch(seed).state_dict(), model.scratch(seed + 1).state_dict()
    if all(torch.equal(weights[name], other_weights[name]) for name in weights):
        return "the untrained network is the same for every seed: its weights are given"
    return ""
