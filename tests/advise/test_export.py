"""What was trained here is loaded elsewhere to the same features."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from sslbench import BuildContext
from sslbench.advise.export import export
from sslbench.contracts.executor import PluginChoice
from sslbench.errors import UserError
from sslbench.execute.request import Request
from sslbench.execute.scheduler import run
from sslbench.hooks.registry import Registry
from sslbench.plan.choose import sent
from sslbench.plan.suite import RawSuite
from sslbench.store.artifacts import pretraining_files
from sslbench.store.record import Record, TrainingFacts, TrainingInput
from sslbench.train.checkpoint import load_tensors
from sslbench.train.task import build_method

REGISTRY = Registry()
VIT = {"name": "vit-tiny-small-image", "dim": 24, "depth": 1, "heads": 2}
SUITE = {
    "axes": {
        "method": ["simclr", "supervised", "random-init", "raw-pixels"],
        "dataset": ["digits"],
        "backbone": [{"name": "convnet-small", "width": 4}, VIT],
        "augmentation": ["affine"],
        "evaluator": ["knn"],
    },
    "training": {
        "epochs": 1,
        "batch_size": 32,
        "train_images": 64,
        "evaluate_on": "validation",
        "device": "cpu",
        "preset": "quick",
    },
}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Two trainings of two networks, and the baselines."""
    folder = tmp_path_factory.mktemp("results")
    outcome = run(Request(RawSuite("export", "export", SUITE), out=folder), registry=REGISTRY)
    assert set(outcome.statuses) == {"done"}
    return folder, outcome.records


def of(records, **wanted):
    return [record for record in records if all(getattr(record, key) == value for key, value in wanted.items())]


def kept_features(folder, record):
    return load_tensors(pretraining_files(folder, record.pretraining.key).features)[0]["test/features"]


@pytest.mark.parametrize("method", ["simclr", "supervised", "random-init"])
@pytest.mark.parametrize("backbone", ["convnet-small", "vit-tiny-small-image"])
def test_pretrained_gives_the_features_that_were_evaluated(results, tmp_path, method, backbone):
    folder, records = results
    (record,) = of(records, method=method, backbone=backbone)
    export([record], folder, tmp_path / "model", REGISTRY)
    suite = {
        "axes": {**SUITE["axes"], "method": [f"pretrained:path={tmp_path / 'model'}"]},
        "training": SUITE["training"],
    }
    outcome = run(Request(RawSuite("again", "again", suite), out=tmp_path / "out"), registry=REGISTRY)
    (again,) = outcome.records
    assert again.metrics == record.metrics
    assert torch.allclose(kept_features(tmp_path / "out", again), kept_features(folder, record), atol=1e-6)


def plain_timm(folder, **options):
    config = json.loads((folder / "config.json").read_text())
    return timm.create_model(
        config["architecture"], checkpoint_path=str(folder / "model.safetensors"), **config["model_args"]
    ).eval()


def test_plain_timm_loads_the_vision_transformer(results, tmp_path):
    folder, records = results
    (record,) = of(records, method="simclr", backbone="vit-tiny-small-image")
    written = export([record], folder, tmp_path / "model", REGISTRY)
    assert (written.features, written.title) == (24, "simclr affine vit-tiny-small-image digits seed 0")
    assert written.ways[1].startswith("in timm: timm.create_model('local-dir:")
    spec = REGISTRY.get("method", "pretrained")
    ours = spec.build(spec.params(path=str(tmp_path / "model")), BuildContext(image_size=8))
    images = torch.randn(4, 3, 8, 8)
    with torch.no_grad():
        expected = ours.encoder.eval()(images)
        assert expected.std() > 0
        assert torch.allclose(plain_timm(tmp_path / "model")(images), expected, atol=1e-6)
        net = timm.create_model(f"local-dir:{tmp_path / 'model'}", pretrained=True).eval()
        assert torch.allclose(net(images), expected, atol=1e-6)
    config = timm.data.resolve_data_config(
        pretrained_cfg=json.loads((tmp_path / "model/config.json").read_text())["pretrained_cfg"]
    )
    assert config["input_size"] == [3, 8, 8]
    assert config["mean"] == list(record.pretraining.input.mean)


@pytest.mark.parametrize(
    ("name", "params", "size"),
    [
        ("vit", {"size": "tiny", "patch_size": 16}, 32),
        ("vit", {"size": "tiny", "patch_size": 8, "pool": "mean", "positions": "learned"}, 16),
        ("resnet", {"depth": 18}, 32),
        ("timm", {"name": "resnet10t"}, 32),
        ("timm", {"name": "vit_tiny_patch16_224"}, 32),
        ("vit-tiny-small-image", {"dim": 24, "depth": 2, "heads": 2, "pool": "class"}, 16),
    ],
)
def test_every_backbone_that_timm_has_is_loaded_by_plain_timm(tmp_path, name, params, size):
    record = Record(
        cell="cell",
        status="done",
        method="random-init",
        seed=3,
        dataset="digits",
        backbone=name,
        params={"method": {}, "dataset": {}, "backbone": params, "training": {}},
        pretraining=TrainingFacts(key="k", input=TrainingInput(size, 2, (0.5,) * 3, (0.2, 0.2, 0.0))),
    )
    export([record], tmp_path, tmp_path / "model", REGISTRY)
    method, backbone = (
        sent(kind, plain, REGISTRY)
        for kind, plain in (("method", PluginChoice("random-init")), ("backbone", PluginChoice(name, params)))
    )
    encoder = build_method(method, backbone, BuildContext(size, 2, seed=3)).encoder.eval()
    images = torch.randn(2, 3, size, size)
    with torch.no_grad():
        assert torch.allclose(plain_timm(tmp_path / "model")(images), encoder(images), atol=1e-6)
        net = timm.create_model(f"local-dir:{tmp_path / 'model'}", pretrained=True).eval()
        assert torch.allclose(net(images), encoder(images), atol=1e-6)
    assert json.loads((tmp_path / "model/config.json").read_text())["pretrained_cfg"]["std"] == [0.2, 0.2, 1.0]


def test_a_network_that_timm_does_not_have_says_which_backbone_it_is(results, tmp_path):
    folder, records = results
    (record,) = of(records, method="supervised", backbone="convnet-small")
    written = export([record], folder, tmp_path / "model", REGISTRY)
    config = json.loads((tmp_path / "model/config.json").read_text())
    assert "architecture" not in config
    assert config["sslbench"]["backbone"] == {"name": "convnet-small", "params": {"width": 4}}
    assert config["sslbench"]["image_size"] == 8
    assert written.ways[1] == "in timm: no, this network is not one of timm's"
    assert not any("head" in name for name in load_file(tmp_path / "model/model.safetensors"))


def test_an_exported_model_can_be_exported_again(results, tmp_path):
    folder, records = results
    export(of(records, method="simclr", backbone="vit-tiny-small-image"), folder, tmp_path / "one", REGISTRY)
    axes = {**SUITE["axes"], "method": [f"pretrained:path={tmp_path / 'one'}"]}
    suite = RawSuite("x", "x", {"axes": axes, "training": SUITE["training"]})
    outcome = run(Request(suite, out=tmp_path / "out"), registry=REGISTRY)
    export(outcome.records, tmp_path / "out", tmp_path / "two", REGISTRY)
    first, second = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    assert all(torch.equal(first[name], second[name]) for name in first)
    configs = [json.loads((tmp_path / name / "config.json").read_text()) for name in ("one", "two")]
    assert configs[0]["pretrained_cfg"] == configs[1]["pretrained_cfg"]


def test_what_cannot_be_exported_is_named(results, tmp_path):
    folder, records = results
    out = tmp_path / "model"
    with pytest.raises(UserError, match="7 trainings are there; choose one with --where.*simclr affine convnet-small"):
        export(records, folder, out, REGISTRY)
    with pytest.raises(UserError, match="raw-pixels has no network to export: what is evaluated is Flatten"):
        export(of(records, method="raw-pixels"), folder, out, REGISTRY)
    with pytest.raises(UserError, match="none of the 0 results is of a finished training"):
        export([], folder, out, REGISTRY)
    (record,) = of(records, method="simclr", backbone="convnet-small")
    old = replace(record, pretraining=replace(record.pretraining, input=None))
    with pytest.raises(UserError, match="does not say what input it was trained on; run it again"):
        export([old], folder, out, REGISTRY)
    with pytest.raises(UserError, match="weights.safetensors cannot be read: No such file"):
        export([record], tmp_path, out, REGISTRY)
    other = replace(record, params={**record.params, "backbone": {"width": 8}})
    with pytest.raises(UserError, match="its weights do not fit"):
        export([other], folder, out, REGISTRY)
    assert not out.exists()
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").write_text("")
    with pytest.raises(UserError, match="full: is there already and not empty; name a new folder"):
        export([record], folder, tmp_path / "full", REGISTRY)


def encoded(folder):
    spec = REGISTRY.get("method", "pretrained")
    torch.manual_seed(0)
    with torch.no_grad():
        encoder = spec.build(spec.params(path=str(folder)), BuildContext(image_size=8)).encoder.eval()
        return encoder(torch.randn(2, 3, 8, 8))


def test_a_damaged_export_is_refused_in_one_line(results, tmp_path, flipped):
    folder, records = results
    (record,) = of(records, method="simclr", backbone="convnet-small")
    out = tmp_path / "model"
    export([record], folder, out, REGISTRY)
    expected, refused = encoded(out), 0
    for name in ("config.json", "model.safetensors"):
        content = (out / name).read_bytes()
        half = len(content) // 2
        for damage in [*flipped(out / name), content[:half] + bytes(len(content) - half)]:
            (out / name).write_bytes(damage)
            try:
                features, lines = encoded(out), []
            except UserError as error:
                features, lines = None, str(error).splitlines()
            assert lines or torch.equal(features, expected)
            assert len(lines) < 2
            assert all(str(out) in line for line in lines)
            refused += len(lines)
        (out / name).write_bytes(content)
    assert refused > 35
    assert torch.equal(encoded(out), expected)


def test_an_interrupted_export_is_completed_by_the_next(results, tmp_path):
    folder, records = results
    (record,) = of(records, method="simclr", backbone="convnet-small")
    out, whole = tmp_path / "model", tmp_path / "whole"
    export([record], folder, whole, REGISTRY)
    for left in ((), ("model.safetensors",)):
        out.mkdir()
        for name in left:
            (out / name).write_bytes((whole / name).read_bytes())
        process = subprocess.Popen([sys.executable, "-c", ""])
        process.wait()
        (out / f".config.json.{process.pid}.partial").write_bytes(b"half")
        export([record], folder, out, REGISTRY)
        assert sorted(path.name for path in out.iterdir()) == ["config.json", "model.safetensors"]
        assert torch.equal(encoded(out), encoded(whole))
        shutil.rmtree(out)


def test_weights_of_somebody_else_are_not_overwritten(results, tmp_path):
    folder, records = results
    (record,) = of(records, method="simclr", backbone="convnet-small")
    save_file({"a": torch.ones(2)}, tmp_path / "model.safetensors")
    with pytest.raises(UserError, match="is there already and not empty; name a new folder"):
        export([record], folder, tmp_path, REGISTRY)
