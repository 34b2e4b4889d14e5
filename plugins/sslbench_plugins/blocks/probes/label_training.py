"""Training a network and a linear layer on labelled images, and its accuracy on the test split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from sslbench import EvaluatedModel, EvaluationData, Params, build_plugin, cosine, param

TEST_BATCH = 256


class LabelTrainingParams(Params):
    """How long and with what: the same for every network that is trained."""

    epochs: int = param(10, "passes over the labelled images", ge=1)
    least_steps: int = param(100, "optimizer steps at the least, however few the images", ge=1)
    batch_size: int = param(64, "images in a batch; all where there are fewer", ge=1, unit="images")
    weight_decay: float = param(0.01, "adamw: weight decay of weights; biases and norms have none", ge=0)
    augmentation: str = param("affine", "of the labelled images, such as none", names="augmentation")


@dataclass(frozen=True)
class Pace:
    """How fast the parts of a network learn."""

    head: float
    """learning rate at the start of a cosine down to 0"""
    backbone: float
    """the same; 0: it is frozen, in eval mode"""
    statistics: bool = True
    """batch norm follows the labelled images; False: it uses and keeps the statistics that it has"""


class Classifier(nn.Module):
    """``[B, 3, S, S]`` -> logits ``[B, classes]``."""

    def __init__(self, backbone: nn.Module, width: int, classes: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(width, classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.backbone(images))

    def prepare(self, pace: Pace) -> None:
        """Put every part into the mode in which it learns, or does not."""
        self.train()
        if not pace.backbone:
            self.backbone.requires_grad_(False).eval()
        for module in self.backbone.modules():
            if isinstance(module, _BatchNorm) and not pace.statistics:
                module.eval()

    @property
    def frozen(self) -> int:
        """Parameters that do not learn."""
        return sum(p.numel() for p in self.parameters() if not p.requires_grad)

    @property
    def trainable(self) -> int:
        return sum(p.numel() for p in self.parameters() if p.requires_grad)


class LabelTraining:
    """One recipe, applied to any network of a judged model."""

    def __init__(self, params: LabelTrainingParams, where: str) -> None:
        """Raises UserError for an augmentation that does not exist; ``where`` names the evaluator."""
        self.params = params
        self.augmentation: Any = build_plugin("augmentation", params.augmentation, f"{where}: augmentation")

    def steps(self, images: int) -> tuple[int, int]:
        """Batch size and number of steps for so many labelled images. Only whole batches are trained on."""
        batch = min(self.params.batch_size, images)
        return batch, max(self.params.least_steps, self.params.epochs * (images // batch))

    def classifier(self, backbone: nn.Module, data: EvaluationData, seed: int) -> Classifier:
        """A head as ``seed`` initialises it, on a network of the model."""
        assert data.model is not None
        torch.manual_seed(seed)
        return Classifier(backbone, data.train.features.shape[1], data.classes).to(data.model.device)

    def train(self, network: Classifier, data: EvaluationData, images: Tensor, pace: Pace, seed: int) -> None:
        """``images``: int64 ``[n]``, the training images whose labels may be used. Order and views depend on ``seed``
        alone, so that two networks see the same. The network is left in eval mode."""
        model, labels = data.model, data.train.labels
        assert model is not None
        assert labels is not None
        network.prepare(pace)
        batch, steps = self.steps(len(images))
        optimizer = torch.optim.AdamW(groups(network, pace, self.params.weight_decay))
        shuffle = torch.Generator().manual_seed(seed)
        views = torch.Generator(model.device).manual_seed(seed)
        view = self.augmentation.view(0, "global", model.image_size)
        per_pass = len(images) // batch
        order = images
        torch.manual_seed(seed)
        scaler = gradient_scaler(model)
        for step in range(steps):
            if step % per_pass == 0:
                order = images[torch.randperm(len(images), generator=shuffle)]
            chosen = order[step % per_pass * batch :][:batch]
            for group in optimizer.param_groups:
                group["lr"] = cosine(group["start"], 0.0, step / steps)
            seen = model.normalise(view(model.pixels("train", chosen), views))
            with model.autocast():
                logits = network(seen).float()
            loss = functional.cross_entropy(logits, labels[chosen.to(labels.device)])
            optimizer.zero_grad(set_to_none=True)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
        network.eval()

    @torch.no_grad()
    def right(self, network: Classifier, data: EvaluationData) -> Tensor | None:
        """float64 ``[N]``: 1 for each test image that gets its class, else 0; None where an answer is not finite."""
        model, labels = data.model, data.test.labels
        assert model is not None
        assert labels is not None
        found = []
        for indices in torch.arange(len(labels)).split(TEST_BATCH):
            with model.autocast():
                logits = network(model.images("test", indices)).float()
            found.append(torch.where(logits.isfinite().all(dim=1), logits.argmax(dim=1), -1))
        predicted = torch.cat(found)
        return None if bool((predicted < 0).any()) else (predicted == labels).double()


def gradient_scaler(model: EvaluatedModel) -> torch.amp.GradScaler:
    """float16 gradients need one; in any other precision it does nothing."""
    kind = model.device.type
    with model.autocast():
        half = torch.is_autocast_enabled(kind) and torch.get_autocast_dtype(kind) == torch.float16
    return torch.amp.GradScaler(kind, enabled=half)


def groups(network: Classifier, pace: Pace, weight_decay: float) -> list[dict[str, Any]]:
    """Head and backbone, each with and without weight decay; what learns nothing is left out."""
    parts = []
    for module, rate in ((network.head, pace.head), (network.backbone, pace.backbone)):
        learns = [p for p in module.parameters() if p.requires_grad]
        for decay, chosen in (
            (weight_decay, [p for p in learns if p.ndim > 1]),
            (0.0, [p for p in learns if p.ndim <= 1]),
        ):
            if chosen:
                parts.append({"params": chosen, "lr": rate, "start": rate, "weight_decay": decay})
    return parts


def starts_anew(model: EvaluatedModel, seed: int) -> bool:
    """Whether another seed gives another untrained network: weights that come from a file do not change with it."""
    here, there = model.scratch(seed).state_dict(), model.scratch(seed + 1).state_dict()
    return any(not torch.equal(here[name], there[name]) for name in here)
