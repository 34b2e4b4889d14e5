"""One rank of a training: steps with every optimizer, in parts, in bf16; a whole training, killed and resumed; what
ends one on all ranks. ``RANK RANKS FOLDER``; what comes out is left in the folder."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from interrupted import killed_at_break, save_end, trainer
from safetensors.torch import save_file
from torch import distributed, nn

from sslbench import BuildContext, Progress
from sslbench.errors import SslbenchError
from sslbench.evaluate.features import extract_all
from sslbench.hooks.registry import Registry
from sslbench.testing.fakes import TinyBackbone, TinyDataset
from sslbench.train.curve import Curve
from sslbench.train.data import make_splits
from sslbench.train.ranks import alone, average_gradients, check_in_step, own_share, process_group, rank, ranks
from sslbench.train.step import TrainingStep
from sslbench.train.task import Callbacks, LoopSettings, StepTask

REGISTRY = Registry()
BATCH, SIZE, STEPS = 32, 16, 3
STEPPED = {
    "sgd": ("simclr", {"optimizer": "sgd", "lr": 0.1}, {}),
    "adamw": ("simclr", {"optimizer": "adamw", "lr": 1e-3}, {}),
    "lars": ("simclr", {"optimizer": "lars", "lr": 1.0}, {}),
    "lars outside": ("byol", {"optimizer": "lars", "hidden_dim": 16, "dim": 8}, {}),
    "accumulate": ("simclr", {"optimizer": "sgd"}, {"accumulate": 2}),
    "accumulate labels": ("supervised", {"optimizer": "sgd"}, {"accumulate": 4}),
    "bf16": ("simclr", {"optimizer": "sgd", "lr": 0.01}, {"precision": "bf16"}),
}
"""name -> method, parameters, settings"""


def steps(name):
    """Losses of three steps on this rank's share of the same views, and the state after the first."""
    method_name, params, settings = STEPPED[name]
    spec = REGISTRY.get("method", method_name)
    torch.manual_seed(0)
    given = spec.params(**{"lr_batch": 0, "warmup_epochs": 0, **params})
    method = spec.build(given, BuildContext(backbone=TinyBackbone(), image_size=SIZE, classes=3))
    device = torch.device("cpu")
    loop = LoopSettings(4, BATCH, 0, device, **settings)
    step = TrainingStep(StepTask(method=method.train(), params=given, labels=spec.uses_labels), loop, BATCH, 10)
    generator = torch.Generator().manual_seed(1)
    out = {}
    for number in range(STEPS):
        views = [torch.randn(BATCH, 3, SIZE, SIZE, generator=generator) for _ in method.views]
        labels = torch.arange(BATCH) % 3 if spec.uses_labels else None
        own = [own_share(view, loop.accumulate) for view in views]
        own_labels = None if labels is None else own_share(labels, loop.accumulate)
        loss = step(own, own_labels, Progress(10 + number, 40, 1, 4))
        out[f"loss/{number}"] = loss.clone()
        if number == 0:
            out |= {f"state/{key}": value.detach().clone() for key, value in method.state_dict().items()}
    return out


def error_of(run):
    try:
        run()
    except SslbenchError as error:
        return f"{type(error).__name__}: {error}"
    return "nothing was raised"


def diverging():
    """The loss of rank 1 alone is not finite at the third step."""
    run = trainer("simclr", None, [])
    forward = run.update.forward

    def broken(views, *, masks, progress):
        loss, scalars = forward(views, masks=masks, progress=progress)
        return (loss * float("nan") if rank() == 1 and progress.step == 2 else loss), scalars

    run.update.forward = broken
    return error_of(run.run)


def late():
    """Only the clock of rank 0 says that it is late."""
    run = trainer("simclr", None, [])
    run._late = lambda: rank() == 0 and run.step == 4
    run.settings = LoopSettings(3, 16, 0, torch.device("cpu"), time_limit=7.0)
    return error_of(run.run)


def with_a_curve():
    """How often each rank evaluates, and on how many ranks it then is."""
    seen = []
    run = trainer("simclr", None, [])
    run.curve = Curve(1, lambda: seen.append(ranks()) or {})
    facts = run.run()
    return {"evaluated on": seen, "losses": facts.losses, "scalars": facts.scalars}


def missing_gradients():
    """One parameter has a gradient on rank 1 only, one on no rank."""
    torch.manual_seed(0)
    parts = nn.ModuleList([nn.Linear(2, 1, bias=False) for _ in range(3)])
    loss = parts[0](torch.ones(1, 2)).sum() * (rank() + 1)
    if rank() == 1:
        loss = loss + parts[1](torch.ones(1, 2)).sum()
    loss.backward()
    average_gradients(parts.parameters())
    return [None if part.weight.grad is None else part.weight.grad.tolist() for part in parts]


def out_of_step():
    method = nn.BatchNorm1d(2)
    method.running_mean += rank()
    return error_of(lambda: check_in_step(method))


def other_checkpoint(folder):
    """A checkpoint of one device, which two do not continue."""
    path = folder / "one.checkpoint"
    if rank() == 0:
        with alone():
            killed_at_break(trainer("simclr", path, []))
    distributed.barrier()
    run = trainer("simclr", path, [])
    warned = []
    run.callbacks = Callbacks(on_warning=warned.append)
    facts = run.run()
    return {"warned": [text.rpartition("/")[2] for text in warned], "resumed_at": facts.resumed_at}


def features():
    data = make_splits(TinyDataset(70, 33), evaluate_on="test", train_images=None, image_size=8)
    torch.manual_seed(0)
    extracted = extract_all(TinyBackbone(), data, torch.device("cpu"), "fp32", batch=16)
    return {"train": extracted.train.features, "test": extracted.test.features}


def main():
    number, count, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    torch.set_num_threads(1)
    tensors, facts = {}, {}

    def work():
        for name in STEPPED:
            tensors.update({f"{name}:{key}": value.contiguous() for key, value in steps(name).items()})
        tensors.update({f"features:{key}": value for key, value in features().items()})
        facts["missing"] = missing_gradients()
        if count == 1:
            return
        facts["out of step"] = out_of_step()
        facts["curve"] = with_a_curve()
        facts["diverging"], facts["late"] = diverging(), late()
        facts["other checkpoint"] = other_checkpoint(folder)
        for name in ("simclr", "moco"):
            checkpoint = folder / f"{name}.checkpoint"
            for part, path in (("whole", None), ("rest", checkpoint)):
                if part == "rest":
                    killed_at_break(trainer(name, checkpoint, []))
                    distributed.barrier()
                inputs = []
                save_end(trainer(name, path, inputs), inputs, folder / f"{name}.{part}.{number}")

    if count == 1:
        work()
    else:
        where = {"init_method": f"file://{folder}/store", "rank": number, "world_size": count}
        with process_group(torch.device("cpu"), **where):
            work()
    save_file(tensors, folder / f"{count}-{number}.safetensors")
    (folder / f"{count}-{number}.json").write_text(json.dumps(facts))


if __name__ == "__main__":
    main()
