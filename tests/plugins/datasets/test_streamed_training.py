"""A training on images that are read in place: the same bit for bit as in memory, also after it was killed."""

from __future__ import annotations

import io
import json
import tarfile

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image

from sslbench import BuildContext
from sslbench.hooks.registry import Registry
from sslbench.testing.fakes import TinyBackbone
from sslbench.train.checkpoint import weights_digest
from sslbench.train.data import make_splits
from sslbench.train.randomness import seed_everything
from sslbench.train.task import LoopSettings, TrainingTask
from sslbench.train.trainer import Trainer

REGISTRY = Registry()
COUNT = 40
PIXELS = np.random.default_rng(0).integers(0, 256, (COUNT, 8, 8, 3), dtype=np.uint8)


def encoded(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png")
    return file.getvalue()


def in_tars(folder):
    for shard in range(2):
        with tarfile.open(folder / f"{shard}.tar", "w") as tar:
            for number in range(shard * COUNT // 2, (shard + 1) * COUNT // 2):
                for ending, content in (("png", encoded(PIXELS[number])), ("cls", str(number % 2).encode())):
                    info = tarfile.TarInfo(f"{number:03}.{ending}")
                    info.size = len(content)
                    tar.addfile(info, io.BytesIO(content))


def saved(folder):
    cells = [{"bytes": encoded(pixels), "path": None} for pixels in PIXELS]
    table = pa.table({"image": cells, "label": [number % 2 for number in range(COUNT)]})
    with pa.OSFile(str(folder / "x.arrow"), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=7)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": "x.arrow"}]}))


def in_arrays(folder):
    labels = np.arange(COUNT)[:, None] % 2
    held = {"train_images": PIXELS, "train_labels": labels, "test_images": PIXELS[:4], "test_labels": labels[:4]}
    np.savez_compressed(folder / "x.npz", **held)


KINDS = {
    "webdataset": (in_tars, "", "streaming"),
    "hf-disk": (saved, "", "streaming"),
    "medmnist": (in_arrays, "x.npz", "mapped"),
}


class Killed(Exception):
    pass


def trainer(dataset, checkpoint=None, **given):
    spec = REGISTRY.get("dataset", dataset)
    data = spec.build(spec.params(**given), BuildContext())
    splits = make_splits(data, evaluate_on="test", train_images=None, image_size=8)
    method, views = REGISTRY.get("method", "simclr"), REGISTRY.get("augmentation", "affine")
    params = method.params(**method.presets["quick"])
    seed_everything(0, "init")
    task = TrainingTask(
        method=method.build(params, BuildContext(backbone=TinyBackbone(), image_size=8, classes=2)),
        params=params,
        masking=None,
        mask_ratio=None,
        labels=False,
        data=splits,
        augmentation=views.build(views.params(), BuildContext()),
    )
    settings = {"epochs": 3, "batch_size": 8, "seed": 0, "device": torch.device("cpu"), "checkpoint": checkpoint}
    run = Trainer(task, LoopSettings(**settings))
    run.checkpoints.due = lambda: True
    return run


def killed_at(run, step):
    train = run._train_step

    def step_or_die(images, progress):
        if progress.step == step:
            raise Killed
        train(images, progress)

    run._train_step = step_or_die
    with pytest.raises(Killed):
        run.run()


@pytest.mark.parametrize("dataset", KINDS)
def test_it_ends_as_in_memory_and_goes_on_where_it_was_killed(tmp_path, monkeypatch, dataset):
    monkeypatch.setenv("SSLBENCH_CACHE", str(tmp_path / "cache"))
    (tmp_path / "data").mkdir()
    write, name, reading = KINDS[dataset]
    write(tmp_path / "data")
    given = {"path": str(tmp_path / "data" / name), "memory_limit": 0}
    given |= {} if dataset == "medmnist" else {"size": 8}
    in_memory = trainer(dataset, **given, reading="resident")
    in_memory.run()
    checkpoint = tmp_path / "c.safetensors"
    killed_at(trainer(dataset, checkpoint, **given, reading=reading), step=6)
    rest = trainer(dataset, checkpoint, **given, reading=reading)
    assert rest.run().resumed_at == 6
    assert weights_digest(rest.method) == weights_digest(in_memory.method)
