"""Six steps of every method: whole, or the first three and a checkpoint, or the last three from that checkpoint."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch

from sslbench import BuildContext
from sslbench.hooks.registry import Registry
from sslbench.testing.fakes import TinyBackbone, TinyDataset
from sslbench.train.checkpoint import save_tensors, training_state
from sslbench.train.data import make_splits
from sslbench.train.randomness import seed_everything
from sslbench.train.task import LoopSettings, TrainingTask
from sslbench.train.trainer import Trainer

REGISTRY = Registry()
EPOCHS, BATCH, IMAGES = 3, 16, 32
BREAK = 3
"""step: in the middle of the second epoch of three"""
GIVEN = {
    # A queue that wraps, a shuffle drawn from the global generator, and each optimizer once.
    "moco": {"queue_size": 40, "split_bn": 2, "symmetric": False, "optimizer": "sgd", "decay_all": True},
    "byol": {"optimizer": "lars", "lars_momentum": "outside"},
    "simclr": {"optimizer": "lars", "lr": 1.0},
    "barlow-twins": {"optimizer": "lars", "lars_momentum": "outside", "bias_lr": 1e-4},
    "swav": {"queue_size": 20, "queue_start": 1, "freeze_prototypes": 2},
    "distill": {"teacher": "raw-pixels", "loss": "similarity", "queue_size": 40},
    "dino": {"drop_path": 0.5, "weight_decay_end": 0.1, "teacher_temperature": 0.07, "teacher_warmup_epochs": 2},
}
"""in place of values of the preset `quick`"""


class Killed(Exception):
    pass


def trainer(name: str, checkpoint: Path | None, inputs: list[str]) -> Trainer:
    """A real method on a tiny backbone, whose views and masks are noted in ``inputs``, a digest for each step."""
    spec = REGISTRY.get("method", name)
    params = spec.params(**{**spec.presets.get("quick", {}), **GIVEN.get(name, {})})
    data = make_splits(TinyDataset(IMAGES), evaluate_on="test", train_images=None, image_size=8)
    seed_everything(0, "init")
    backbone = TinyBackbone()
    if "tokens" in spec.needs or name == "dino":
        tokens = REGISTRY.get("backbone", "vit-tiny-small-image")
        backbone = tokens.build(tokens.params(dim=24, depth=2, heads=2, patch_size=2), BuildContext(image_size=8))
    ratio = 0.75 if "masking" in spec.uses else None
    method = spec.build(params, BuildContext(backbone=backbone, image_size=8, mask_ratio=ratio, classes=data.classes))
    views, masking = REGISTRY.get("augmentation", "simclr"), REGISTRY.get("masking", "random")

    def note(module, args, kwargs):
        # Sums of float64 in one order: equal digests are equal inputs, for all that matters.
        inputs.append(
            repr([view.double().sum().item() for view in args[0]] + [mask.tolist() for mask in kwargs["masks"]])
        )

    method.register_forward_pre_hook(note, with_kwargs=True)
    task = TrainingTask(
        method=method,
        params=params,
        masking=masking.build(masking.params(), BuildContext()) if ratio else None,
        mask_ratio=ratio,
        labels=spec.uses_labels,
        data=data,
        augmentation=views.build(views.params(), BuildContext()),
    )
    device = torch.device("cpu")
    run = Trainer(task, LoopSettings(EPOCHS, BATCH, 0, device, checkpoint=checkpoint))
    run.checkpoints.due = lambda: True
    return run


def killed_at_break(run: Trainer) -> None:
    train = run._train_step

    def step_or_die(batch, progress):
        if progress.step == BREAK:
            raise Killed
        train(batch, progress)

    run._train_step = step_or_die
    try:
        run.run()
    except Killed:
        return
    raise AssertionError("it was not killed")


def save_end(run: Trainer, inputs: list[str], path: Path) -> None:
    """Train to the end, and keep everything that a further step would depend on."""
    trained = run.run()
    tensors, facts = training_state(run.method, run.update.optimizer)
    facts |= {"final_loss": trained.final_loss, "scalars": trained.scalars, "inputs": inputs}
    save_tensors(path, tensors, {**facts, "steps": trained.steps, "resumed_at": trained.resumed_at})


def main() -> None:
    names, part, folder = json.loads(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    torch.set_num_threads(1)
    for name in names:
        checkpoint = folder / f"{name}.checkpoint"
        inputs: list[str] = []
        if part == "begin":
            save_end(trainer(name, None, inputs), inputs, folder / f"{name}.whole")
            killed_at_break(trainer(name, checkpoint, []))
        else:
            save_end(trainer(name, checkpoint, inputs), inputs, folder / f"{name}.rest")


if __name__ == "__main__":
    main()
