"""One rank of SimCLR on ResNet-18 at 32 px, with one thread: ``RANK RANKS FOLDER BATCH STEPS``. Leaves the gradient of
a first step on given views, and the milliseconds of each step of a training, with those of its processor's time."""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext
from pathlib import Path
from time import process_time

import torch
from safetensors.torch import save_file

from sslbench import BuildContext, Progress
from sslbench.hooks.registry import Registry
from sslbench.testing.fakes import TinyDataset
from sslbench.train.batch_norm import shared_batch_statistics
from sslbench.train.data import make_splits
from sslbench.train.randomness import seed_everything
from sslbench.train.ranks import average_gradients, own_share, process_group
from sslbench.train.task import LoopSettings, TrainingTask
from sslbench.train.trainer import Trainer

SIZE, GIVEN = 32, 32


def built(kind, name, context=None, **params):
    spec = Registry().get(kind, name)
    return spec.build(spec.params(**{**spec.presets.get("cifar", {}), **params}), context or BuildContext())


def task(images):
    spec = Registry().get("method", "simclr")
    params = spec.params(**spec.presets["cifar"])
    seed_everything(0, "init")
    backbone = built("backbone", "resnet18-cifar", BuildContext(SIZE))
    method = spec.build(params, BuildContext(SIZE, backbone=backbone)).to(memory_format=torch.channels_last)
    data = make_splits(TinyDataset(images, 2, SIZE), evaluate_on="test", train_images=None, image_size=SIZE)
    return TrainingTask(method=method, params=params, data=data, augmentation=built("augmentation", "simclr"))


def gradient(method, batch):
    """By name, averaged over the ranks, in float64: in float32 that of one process is itself off by half a percent."""
    generator = torch.Generator().manual_seed(1)
    views = [own_share(torch.randn(batch, 3, SIZE, SIZE, generator=generator).double()) for _ in range(2)]
    method.double().train()
    with shared_batch_statistics():
        method(views, masks=(), progress=Progress(0, 1, 0, 1))[0].backward()
    average_gradients(method.parameters())
    return {name: p.grad.contiguous() for name, p in method.named_parameters() if p.grad is not None}


def main():
    rank, ranks, folder, batch, steps = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), *map(int, sys.argv[4:])
    torch.set_num_threads(1)
    device = torch.device("cpu")
    where = {"init_method": f"file://{folder}/store-{ranks}", "rank": rank, "world_size": ranks}
    with process_group(device, **where) if ranks > 1 else nullcontext():
        gradients = gradient(task(batch).method, GIVEN)
        run = Trainer(task(batch * steps), LoopSettings(1, batch, 0, device, checkpoint_every=1e9))
        began = process_time()
        run.run()
        cpu_ms = 1000 * (process_time() - began) / steps
    if rank == 0:
        save_file(gradients, folder / f"{ranks}.safetensors")
        (folder / f"{ranks}.json").write_text(json.dumps({"step_ms": run.clock.step_ms, "cpu_ms": cpu_ms}))


if __name__ == "__main__":
    main()
