"""The smallest training, run twice, and once with an interruption: it goes on bit for bit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Generator, Tensor, nn

from sslbench.contracts.augmentation import BatchTransform, ViewKind, ViewRequest
from sslbench.contracts.backbone import Backbone
from sslbench.contracts.masking import MaskRequest
from sslbench.contracts.method import Method, Progress
from sslbench.contracts.params import MethodParams
from sslbench.testing.conformance import backbones, methods
from sslbench.testing.conformance.check import Trial, check
from sslbench.testing.conformance.draws import differ
from sslbench.testing.conformance.modules import seeded
from sslbench.testing.conformance.problem import SIZE, Problems
from sslbench.testing.fakes import TinyBackbone, TinyDataset, TinyTokenBackbone
from sslbench.train.data import make_splits
from sslbench.train.masks import RandomPatches
from sslbench.train.task import Callbacks, LoopSettings, TrainingTask
from sslbench.train.trainer import Trainer
from sslbench.train.views import centre_view

EPOCHS = 2
STEPS = {"backbone": 1, "method": 2, "augmentation": 2, "masking": 2}
"""of an epoch; networks may be large. A training is saved after its first epoch, and interrupted a step later"""
STATE = "**State** that a resume needs is in the method's ``state_dict()``"


class Noisy:
    """The image and some noise, as any view."""

    def view(self, index: int, kind: ViewKind, size: int) -> BatchTransform:
        """As any augmentation's."""

        def transform(images: Tensor, generator: Generator) -> Tensor:
            views = centre_view(images, size)
            return (views + 0.1 * torch.randn(views.shape, generator=generator)).clamp_(0, 1)

        return transform


class Agreeing(Method):
    """Views of one image have like features, and a predictor says which; for what is no method."""

    def __init__(self, backbone: Backbone, views: tuple[ViewRequest, ...], grid: tuple[int, int] | None) -> None:
        super().__init__()
        self.backbone, self.head = backbone, nn.Linear(backbone.feature_dim, 8)
        self.wanted, self.grid = views, grid

    @property
    def views(self) -> tuple[ViewRequest, ...]:
        """As given."""
        return self.wanted

    @property
    def encoder(self) -> nn.Module:
        """The backbone."""
        return self.backbone

    @property
    def masks(self) -> tuple[MaskRequest, ...]:
        """One, where there is a grid."""
        return (MaskRequest(),) if self.grid else ()

    @property
    def mask_grid(self) -> tuple[int, int] | None:
        """As given."""
        return self.grid

    def forward(
        self, views: Sequence[Tensor], *, masks: Sequence[Tensor] = (), progress: Progress
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Distances of the features; of masked images where there is a mask."""
        if masks and self.grid is not None:
            rows, cols = (SIZE // side for side in self.grid)
            hidden = masks[0].view(-1, 1, *self.grid).repeat_interleave(rows, 2).repeat_interleave(cols, 3)
            views = [view * ~hidden for view in views]
        found = [self.head(self.backbone(view)) for view in views]
        targets = torch.arange(found[0].numel(), device=found[0].device).view_as(found[0]).sin()
        loss = sum(((one - found[0]).square().mean() for one in found[1:]), (found[0] - targets).square().mean())
        return loss, {}


class Interruption(Exception):
    """By us."""


class Stopping(Trainer):
    """Saves what it has in the midst of the training, and is interrupted a step later where ``stops`` is set."""

    stops = False

    def _checkpoint_due(self) -> bool:
        return self.step == self.batches.steps_per_epoch

    def _late(self) -> bool:
        if self.stops and self.step > self.batches.steps_per_epoch:
            raise Interruption
        return False


def task_of(trial: Trial, batch: int) -> TrainingTask:
    """A training in which the plugin does its part, all else being tiny; built anew, with seed 0."""
    kind, size, params = trial.spec.kind, backbones.SIDE if trial.spec.kind == "backbone" else SIZE, MethodParams()
    augmentation: Any = trial.build() if kind == "augmentation" else Noisy()
    masking: Any = trial.build() if kind == "masking" else RandomPatches()
    views: tuple[ViewRequest, ...] = (ViewRequest("global", size), ViewRequest("global", size))
    with seeded(0):
        if kind == "method":
            method, params = methods.build(trial), trial.params
        elif kind == "backbone":
            method = Agreeing(backbones.build(trial), views, None)
        else:
            kinds: Sequence[ViewKind] = sorted(trial.spec.view_kinds) if kind == "augmentation" else ("global",)
            views = tuple(ViewRequest(one, size) for one in (*kinds, kinds[0]))
            tiny = TinyTokenBackbone(SIZE) if kind == "masking" else TinyBackbone()
            method = Agreeing(tiny, views, (4, 4) if kind == "masking" else None)
    images = TinyDataset(train_images=STEPS[kind] * batch, test_images=2, image_size=size)
    masked = kind == "masking" or "masking" in getattr(trial.spec, "uses", ())
    return TrainingTask(
        method=method,
        params=params,
        masking=masking if masked else None,
        mask_ratio=methods.RATIO if masked else None,
        labels=getattr(trial.spec, "uses_labels", False),
        data=make_splits(images, evaluate_on="test", train_images=None, image_size=size),
        augmentation=augmentation,
    )


def train(trial: Trial, batch: int, checkpoint: Path | None, stops: bool = False) -> tuple[dict[str, Tensor], Any]:
    """The state after a training, and its facts with what was warned of. Raises Interruption where it ``stops``."""
    task, told = task_of(trial, batch), list[str]()
    settings = LoopSettings(EPOCHS, batch, 0, torch.device("cpu"), checkpoint=checkpoint)
    with seeded(12 if stops else 11):
        trainer = Stopping(task, settings, Callbacks(on_warning=told.append))
        trainer.stops = stops
        facts = trainer.run()
    state = {name: tensor.detach().clone() for name, tensor in task.method.state_dict().items()}
    return state, (facts, told)


@check("method augmentation masking backbone", STATE, "forward", level="defaults")
def training_goes_on_where_it_was(trial: Trial) -> Problems:
    """The weights of two trainings with one seed are the same, and those of one that was interrupted."""
    if trial.spec.kind == "method" and not trial.spec.trains:
        return
    batch = {"backbone": 2, "method": 0}.get(trial.spec.kind, 8) or trial.once(methods.batch_of)
    whole, _ = train(trial, batch, None)
    with TemporaryDirectory() as folder:
        checkpoint = Path(folder) / "checkpoint.safetensors"
        with suppress(Interruption):
            train(trial, batch, checkpoint, stops=True)
        resumed, (facts, told) = train(trial, batch, checkpoint)
    if facts.resumed_at is None:
        yield f"a training that was interrupted does not go on: {(told or ['its checkpoint was not read'])[0]}"
    elif name := first_difference(whole, resumed):
        if other := first_difference(whole, train(trial, batch, None)[0]):
            yield f"two trainings with one seed differ: {other} after {EPOCHS * STEPS[trial.spec.kind]} steps"
        else:
            yield f"a training that was interrupted and went on ends with another {name}: state outside state_dict()"


def first_difference(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> str:
    """Name of a tensor that is not the same in both; empty for none."""
    names = sorted(first.keys() ^ second.keys())
    names += [name for name in first if name in second and differ(first[name], second[name])]
    return names[0] if names else ""
