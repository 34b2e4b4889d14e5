from __future__ import annotations

import json
import os
import shutil

import pytest

from sslbench.advise.available import available, exported_folders, models_to_try
from sslbench.advise.frozen import Settings
from sslbench.hooks.registry import Registry

REGISTRY = Registry()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))

    def add(name):
        folder = tmp_path / f"cache/models--timm--{name}"
        (folder / "refs").mkdir(parents=True)
        (folder / "refs/main").write_text("abc")
        (folder / "snapshots/abc").mkdir(parents=True)
        (folder / "snapshots/abc/model.safetensors").write_text("")

    return add


def test_what_is_cached_comes_first_in_the_order_of_the_presets_then_what_was_exported(tmp_path, cache, exported):
    cache("resnet50.a1_in1k")
    cache("vit_small_patch14_dinov2.lvd142m")
    shutil.copytree(exported, tmp_path / "models/mine")
    references, note = available(REGISTRY, download=False, folder=tmp_path)
    assert [str(one) for one in references] == [
        "pretrained:preset=dinov2-vits14",
        "pretrained:preset=supervised-resnet50",
        f"pretrained:path={tmp_path / 'models/mine'}",
    ]
    assert note == ""


def test_where_there_is_none_a_note_says_so_and_with_consent_one_is_fetched(tmp_path, cache):
    references, note = available(REGISTRY, download=False, folder=tmp_path)
    assert references == []
    assert "No pretrained model can be had here" in note
    (first,), _ = available(REGISTRY, download=True, folder=tmp_path)
    assert str(first) == "pretrained:preset=dinov2-vits14"


def test_exported_folders_are_distinguished_from_others_and_the_newest_is_first(tmp_path, exported):
    for age, name in enumerate(("old", "new")):
        shutil.copytree(exported, tmp_path / name)
        os.utime(tmp_path / name / "config.json", (1000 + age, 1000 + age))
    (tmp_path / "other").mkdir()
    (tmp_path / "other/config.json").write_text('{"architecture": "resnet18"}')
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/config.json").write_text("{")
    shutil.copytree(exported, tmp_path / "bare")
    (tmp_path / "bare/model.safetensors").unlink()
    assert exported_folders(tmp_path) == [tmp_path / "new", tmp_path / "old"]


def test_a_model_that_was_found_and_cannot_be_built_is_left_out_with_its_reason(tmp_path, cache, exported):
    for name in ("bad", "good"):
        shutil.copytree(exported, tmp_path / name)
    config = tmp_path / "bad/config.json"
    facts = json.loads(config.read_text())
    config.write_text(json.dumps({**facts, "architecture": "no_such_network"}))
    references, note = models_to_try([], Settings(out=tmp_path / "out"), REGISTRY, folder=tmp_path)
    assert [str(one) for one in references] == [f"pretrained:path={tmp_path / 'good'}"]
    assert note.startswith(f"pretrained:path={tmp_path / 'bad'} is left out: ")
