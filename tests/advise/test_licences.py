"""Licences of published weights: known without a download, and what --licence leaves out."""

from __future__ import annotations

import json
import shutil

import pytest

from sslbench.advise.available import models_to_try
from sslbench.advise.frozen import Settings
from sslbench.cli.main import call
from sslbench.contracts.weights import Licence
from sslbench.hooks.registry import Registry
from sslbench.plan.choose import model_reference

REGISTRY = Registry()
SPEC = REGISTRY.get("method", "pretrained")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("apache-2.0", ""),
        ("MIT", ""),
        ("bsd-3-clause", ""),
        ("cc-by-4.0", ""),
        ("cc-by-nc-4.0", "cc-by-nc-4.0 forbids commercial use"),
        ("cc-by-nc-sa-4.0", "cc-by-nc-sa-4.0 forbids commercial use"),
        ("fair-noncommercial-research-license", "fair-noncommercial-research-license forbids commercial use"),
        ("dinov3-license", "dinov3-license has terms of its own"),
        ("apple-ascl", "apple-ascl has terms of its own"),
        (None, "its licence is not known: why"),
    ],
)
def test_what_does_not_clearly_allow_commercial_use_says_why(name, why):
    assert Licence(name, "why").why_not_commercial == why


@pytest.mark.parametrize(
    ("params", "name", "reason"),
    [
        ({"name": "vit_small_patch14_dinov2.lvd142m"}, "apache-2.0", ""),
        ({"name": "vit_base_patch16_224.mae"}, "cc-by-nc-4.0", ""),
        ({"name": "dla60_res2net.in1k"}, None, "timm names none for dla60_res2net.in1k"),
        ({"name": "hf-hub:someone/theirs"}, None, "the model is not on this machine yet"),
        ({"hub": "a/b:c"}, None, "torch.hub names none; licence= says it"),
        ({"hub": "a/b:c", "licence": "mit"}, "mit", ""),
    ],
)
def test_a_licence_is_known_without_a_download(params, name, reason):
    assert SPEC.licence(SPEC.params(**params)) == Licence(name, reason)


def test_of_a_folder_its_configuration_is_asked_and_of_a_file_nothing_is_known(exported, tmp_path):
    folder = tmp_path / "mine"
    shutil.copytree(exported, folder)
    file = str(folder / "model.safetensors")
    assert SPEC.licence(SPEC.params(path=str(folder))) == Licence(None, "config.json names none; licence= says it")
    named = SPEC.params(path=file, name="vit_tiny_patch16_224")
    assert SPEC.licence(named) == Licence(None, "it is a file on this machine; licence= says it")
    config = json.loads((folder / "config.json").read_text())
    config["pretrained_cfg"]["license"] = "mit"
    (folder / "config.json").write_text(json.dumps(config))
    assert SPEC.licence(SPEC.params(path=str(folder))) == Licence("mit")
    assert SPEC.licence(SPEC.params(path=file)) == Licence("mit")


def test_models_whose_licence_does_not_allow_it_are_left_out_and_named(exported):
    models = [model_reference(text) for text in ("pretrained:preset=mae-vitb16", str(exported), "random-init")]
    kept, note = models_to_try(models, Settings(licence="commercial"), REGISTRY)
    assert kept == models[2:]
    assert note == (
        "pretrained:preset=mae-vitb16 is left out: cc-by-nc-4.0 forbids commercial use (--licence commercial)."
        f" pretrained:path={exported} is left out: its licence is not known: config.json names none; licence= says it"
        " (--licence commercial)."
    )
    assert models_to_try(models, Settings(), REGISTRY) == (models, "")
    allowed = [model_reference(f"pretrained:path={exported},licence=mit")]
    assert models_to_try(allowed, Settings(licence="commercial"), REGISTRY) == (allowed, "")


def test_the_licence_stands_in_the_record_in_the_tables_and_in_what_is_exported(capsys, photos, exported, tmp_path):
    model = f"pretrained:path={exported},licence=mit"
    assert call(["recipe", "photos", "-m", model, "-m", str(exported), "--no-scratch", "--licence", "commercial"]) == 0
    out = capsys.readouterr().out
    assert f"pretrained:path={exported} is left out: its licence is not known" in " ".join(out.split())
    assert "licence mit" in out
    run = ("run", "-d", "digits", "-e", "knn", "--set", "train_images=64", "-m", model, "--out", "runs")
    assert call([*run]) == 0
    assert f"{exported}: licence mit" in " ".join(capsys.readouterr().out.split())
    assert call([*run, "--format", "json"]) == 0
    weights = json.loads(capsys.readouterr().out)["records"][0]["pretraining"]["weights"]
    assert (weights["licence"], weights["licence_reason"], weights["source"]) == ("mit", None, str(exported))
    assert (weights["tensors"], weights["used"], weights["dropped"]) == (18, 18, {})
    assert weights["input"] == {
        "size": 16,
        "mean": [0.5] * 3,
        "std": [0.25] * 3,
        "crop": 0.8,
        "interpolation": "bicubic",
    }
    assert set(weights["input_from"].values()) == {"config"}
    assert call(["export", "runs", "-o", "model"]) == 0
    assert json.loads((tmp_path / "model/config.json").read_text())["pretrained_cfg"]["license"] == "mit"


def test_a_wrong_value_says_what_is_allowed(capsys, photos):
    assert call(["recipe", "photos", "--licence", "free"]) == 2
    assert "'free' (allowed: any, commercial)" in capsys.readouterr().err
