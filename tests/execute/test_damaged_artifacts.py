"""Bits that flip and halves that are zeroed in what a run keeps: named, made again, and never used."""

from __future__ import annotations

import shutil

import pytest
import torch

from sslbench.contracts.executor import PluginChoice
from sslbench.execute.artifact_cache import ArtifactCache
from sslbench.store.artifacts import read_per_image
from sslbench.store.digests import DamagedFile
from sslbench.train.checkpoint import load_tensors, save_tensors

TRAINING = {"train_images": 64}
EVALUATORS = ("knn", "retrieval")


def halves(path):
    """The content of a file with a half zeroed or missing."""
    content = path.read_bytes()
    half = len(content) // 2
    yield from (bytes(half) + content[half:], content[:half] + bytes(len(content) - half), content[:half], b"")


def values(records):
    assert {record.status for record in records} == {"done"}
    return [record.metrics for record in records]


def features(folder):
    tensors, _ = load_tensors(folder / "artifacts/k0/features.safetensors")
    return {name: tensor.clone() for name, tensor in tensors.items()}


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.fixture
def whole(tmp_path, small_work, do_work):
    """The work, its folder after it was done, and what it gave."""
    work = small_work(tmp_path, evaluators=EVALUATORS, training=TRAINING)
    return work, tmp_path / "artifacts/k0", values(do_work(work).records)


@pytest.mark.parametrize("name", ["weights.safetensors", "pretraining.json"])
def test_damaged_weights_or_facts_are_named_and_trained_again_to_the_same_values(
    whole, do_work, flipped, tmp_path, name
):
    work, folder, expected = whole
    path, before = folder / name, features(tmp_path)
    damages = [*flipped(path), *halves(path)]
    for damage in damages:
        path.write_bytes(damage)
        warnings = []
        assert ArtifactCache(work, warnings.append).facts() is None
        assert len(warnings) == 1
        assert warnings[0].startswith(f"{path}: ")
        assert warnings[0].endswith("; training is done again")
    emitted = do_work(work)
    assert "training" in emitted.stages
    assert warnings[0] in emitted.warnings
    assert values(emitted.records) == expected
    assert same(features(tmp_path), before)
    assert do_work(work).warnings == []


def test_damaged_features_are_named_and_extracted_again_to_the_same_bits(whole, do_work, flipped, tmp_path):
    work, folder, expected = whole
    path, before = folder / "features.safetensors", features(tmp_path)
    for damage in [*flipped(path), *halves(path)]:
        path.write_bytes(damage)
        warnings = []
        assert ArtifactCache(work, warnings.append).features() is None
        assert len(warnings) == 1
        assert warnings[0].startswith(f"{path}: ")
        assert warnings[0].endswith("; features are extracted again")
    emitted = do_work(work)
    assert ("training" in emitted.stages, warnings[0] in emitted.warnings) == (False, True)
    assert values(emitted.records) == expected
    assert same(features(tmp_path), before)


def test_damaged_facts_of_the_data_are_named_and_gathered_again(whole, do_work, flipped):
    work, folder, expected = whole
    path, before = folder / "data.json", (folder / "data.json").read_bytes()
    for damage in [*flipped(path), *halves(path)]:
        path.write_bytes(damage)
        warnings = []
        assert ArtifactCache(work, warnings.append).data() is None
        assert len(warnings) == 1
        assert warnings[0].startswith(f"{path}: ")
        assert warnings[0].endswith("; the images are read again")
    emitted = do_work(work)
    assert warnings[0] in emitted.warnings
    assert values(emitted.records) == expected
    assert path.read_bytes() == before


def test_damaged_metrics_of_each_image_are_never_read(whole, flipped):
    _, folder, _ = whole
    path = folder / "per_image/cell-knn.safetensors"
    assert read_per_image(path)
    for damage in [*flipped(path), *halves(path)]:
        path.write_bytes(damage)
        with pytest.raises(DamagedFile, match=r"cell-knn\.safetensors: "):
            read_per_image(path)


def test_an_older_file_without_a_digest_is_named_once_and_made_again(whole, do_work):
    from safetensors.torch import save_file

    work, folder, expected = whole
    tensors, _ = load_tensors(folder / "weights.safetensors")
    save_file({name: tensor.clone() for name, tensor in tensors.items()}, folder / "weights.safetensors")
    emitted = do_work(work)
    words = "damaged or of an older sslbench: it has no digest; training is done again"
    assert f"{folder / 'weights.safetensors'}: {words}" in emitted.warnings
    assert values(emitted.records) == expected
    assert do_work(work).warnings == []


def test_weights_of_another_pretraining_are_not_used(whole, small_work, do_work, tmp_path):
    work, folder, expected = whole
    do_work(small_work(tmp_path, "byol", ("knn",), TRAINING, key="k1"))
    shutil.copy(folder.with_name("k1") / "weights.safetensors", folder)
    emitted = do_work(work)
    assert f"{folder / 'weights.safetensors'}: of pretraining k1, not k0; training is done again" in emitted.warnings
    assert values(emitted.records) == expected


def test_weights_of_other_shapes_are_trained_again(whole, do_work):
    work, folder, expected = whole
    path = folder / "weights.safetensors"
    tensors, facts = load_tensors(path)
    save_tensors(path, {name: tensor.flatten()[:1] for name, tensor in tensors.items()}, facts)
    (folder / "features.safetensors").unlink()
    emitted = do_work(work)
    assert f"{path}: not the weights of this method; training is done again" in emitted.warnings
    assert values(emitted.records) == expected


BACKBONES = {
    "convnet-small": {"width": 8},
    "resnet": {"depth": 18},
    "vit-tiny-small-image": {"dim": 24, "depth": 1, "heads": 2},
}


@pytest.mark.parametrize("method", ["simclr", "random-init"])
@pytest.mark.parametrize("backbone", BACKBONES)
def test_features_that_were_lost_are_extracted_again_bit_for_bit(tmp_path, small_work, do_work, backbone, method):
    """Whether the network was trained a moment ago or built again from its weights."""
    plugins = {"backbone": PluginChoice(backbone, BACKBONES[backbone])}
    work = small_work(tmp_path, method, ("retrieval", "linear-probe"), TRAINING, plugins=plugins)
    first, before = values(do_work(work).records), features(tmp_path)
    (tmp_path / "artifacts/k0/features.safetensors").unlink()
    emitted = do_work(work)
    assert "extracting features" in emitted.stages
    assert "training" not in emitted.stages
    assert same(features(tmp_path), before)
    assert values(emitted.records) == first
    assert values(do_work(work).records) == first
