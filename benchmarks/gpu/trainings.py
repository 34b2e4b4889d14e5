"""Trainings beside each other: with checkpoints and without, images on the device, in memory, and read as JPEG files.

usage: trainings.py checkpoints|feeding [--dry]
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from measured import DEVICE, DRY, PRECISION, attempt, now, our_task, report
from PIL import Image
from torch import Tensor

from sslbench import build_plugin
from sslbench.contracts.dataset import Split
from sslbench.train.data import Splits, make_splits
from sslbench.train.task import LoopSettings, TrainingTask
from sslbench.train.trainer import Trainer

MAE: dict[str, Any] = {"decoder_depth": 1, "decoder_dim": 32, "decoder_heads": 2} if DRY else {"decoder_depth": 8}


@dataclass
class Noise:
    """Random images, of which only the size matters."""

    train_images: int
    image_size: int
    classes: Sequence[str] = ("one",)
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.3, 0.3, 0.3)

    def split(self, name: str) -> Split:
        """uint8 ``[N, 3, image_size, image_size]``, without labels."""
        shape = (self.train_images if name == "train" else 2, 3, self.image_size, self.image_size)
        return Split(torch.randint(0, 256, shape, dtype=torch.uint8))


class Read:
    """Images in memory that pass for images that are made on demand."""

    def __init__(self, images: Tensor) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, indices: Tensor) -> Tensor:
        return self.images.index_select(0, indices)


def splits(dataset: Any) -> Splits:
    return make_splits(dataset, evaluate_on="test", train_images=None, image_size=None)


def train(what: str, task: TrainingTask, epochs: int, batch: int, **settings: Any) -> None:
    """One training and what it says of itself, with the wall clock around it."""
    loop = LoopSettings(epochs, batch, 0, DEVICE, precision=PRECISION, **settings)
    trainer = Trainer(task, loop)
    # The first checkpoint as soon as it may be: this training is shorter than its expected cost would have it wait.
    trainer.checkpoints.cost = 0.0
    began = now()
    facts = trainer.run()
    wall = now() - began
    report(
        what,
        wall_images_per_second=facts.steps * batch / wall,
        images_per_second=facts.images_per_second,
        wait_share=facts.data_wait_share,
        steps=facts.steps,
        wall_s=wall,
        checkpoint_cost_s=trainer.checkpoints.cost,
    )


def checkpoints() -> None:
    """MAE with AdamW, ViT-L/16: 4 GB of weights and moments, saved once it has trained for 5 s, and
    again when fifty times the cost of that are over."""
    images, side, batch, epochs = (8, 32, 4, 2) if DRY else (2048, 224, 256, 26)
    data = splits(Noise(images, side))
    network = "vit-tiny-small-image:dim=24,depth=1,heads=2" if DRY else "vit:size=large"
    for every in ("warming up", "no", "default", "no"):
        backbone = build_plugin("backbone", network, image_size=side)
        task = our_task("mae", MAE, backbone, side)
        whole = TrainingTask(**vars(task), data=data, augmentation=build_plugin("augmentation", "mae"))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "checkpoint"
            given = {"checkpoint": path, "checkpoint_every": 1e-9 if DRY else 5.0} if every == "default" else {}
            train(f"checkpoints: {every}", whole, 1 if every == "warming up" else epochs, batch, **given)
            if every == "default":
                size = sum(file.stat().st_size for file in path.parent.rglob("*") if file.is_file())
                report("checkpoint", gigabytes=size / 1e9)


def files(folder: Path, count: int, side: int) -> str:
    """A folder of JPEG photographs, noise that was smoothed."""
    images = torch.rand(8, 3, side // 8, side // 8)
    images = torch.nn.functional.interpolate(images, size=(side, side), mode="bicubic").clamp(0, 1).mul(255).byte()
    for number in range(count):
        path = folder / "train" / "ab"[number % 2] / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        turned = images[number % 8].roll(number, dims=2).permute(1, 2, 0)
        Image.fromarray(turned.contiguous().numpy()).save(path, quality=90)
    return f"imagefolder:root={folder},size={side * 7 // 8}"


def simclr_on(what: str, data: Splits, side: int, epochs: int, batch: int) -> None:
    network = "convnet-small:width=4" if DRY else "resnet18-cifar" if side == 32 else "resnet:depth=50"
    task = our_task("simclr", {}, build_plugin("backbone", network, image_size=side), side)
    preset = "simclr:preset=cifar" if side == 32 else "simclr"
    train(what, TrainingTask(**vars(task), data=data, augmentation=build_plugin("augmentation", preset)), epochs, batch)


def feeding() -> None:
    """How long the device waits for images, by where they are."""
    images, epochs, batch = (16, 1, 4) if DRY else (20_480, 8, 512)
    for side in (32, 224):
        resident = splits(Noise(images if side == 32 or DRY else images // 8, side))
        read = replace(resident, train=replace(resident.train, images=Read(resident.train.images)))
        for where, data in {"on the device": resident, "read in memory": read}.items():
            attempt(
                where, simclr_on, f"{side} px, {where}", data, side, epochs, batch if side == 32 or DRY else batch // 4
            )
    with tempfile.TemporaryDirectory() as folder:
        reference = files(Path(folder), 16 if DRY else 4096, 64 if DRY else 256)
        for chip in ("cpu",) if DRY else ("cpu", "gpu"):
            attempt(f"JPEG files, decoded by the {chip}", jpegs, reference, chip)


def jpegs(reference: str, chip: str) -> None:
    """Files that are decoded whenever they are trained on."""
    began = time.perf_counter()
    data = splits(build_plugin("dataset", f"{reference},reading=streaming,decode={chip}"))
    what = f"JPEG files, decoded by the {chip}"
    report(f"{what}: looked through", seconds=time.perf_counter() - began, notes=list(data.notes))
    simclr_on(f"{data.image_size} px, {what}", data, data.image_size, 1 if DRY else 3, 4 if DRY else 128)


if __name__ == "__main__":
    {"checkpoints": checkpoints, "feeding": feeding}[sys.argv[1]]()
