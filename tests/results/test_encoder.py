"""Encoders and features of results, and new images."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import sslbench
from sslbench import UserError
from sslbench.store.artifacts import pretraining_files


@pytest.fixture
def encoder(results):
    return results.encoder("simclr (temperature=0.2)", seed=1)


@pytest.fixture
def record(results):
    temperature = {"temperature": 0.2}
    return next(r for r in results.records if r.seed == 1 and temperature.items() <= r.params.get("method", {}).items())


def test_new_images_have_the_features_that_were_evaluated(results, encoder, photos):
    images = sslbench.build_plugin("dataset", "imagefolder", given={"root": str(photos), "size": 16}).split("test")
    kept = results.features("simclr (temperature=0.2)", "test", seed=1)
    torch.testing.assert_close(encoder.embed(list(images.paths)), kept.features)
    torch.testing.assert_close(encoder.embed(images.images), kept.features)
    assert kept.labels.equal(images.labels)
    assert len(results.features("simclr (temperature=0.2)", "train").features) + len(kept.features) == 40


def test_it_is_a_module_in_eval_mode_that_takes_what_preprocess_makes(encoder, photos):
    assert isinstance(encoder, nn.Module)
    assert not any(module.training for module in encoder.modules())
    path = next(photos.glob("*/*.png"))
    given = encoder.preprocess(path)
    assert given.shape == (1, 3, encoder.input_spec.size, encoder.input_spec.size)
    with torch.no_grad():
        torch.testing.assert_close(encoder(given), encoder.embed(path))


def test_an_image_in_memory_is_read_as_its_file(encoder, photos):
    path = next(photos.glob("*/*.png"))
    pixels = np.asarray(Image.open(path))
    assert encoder.preprocess(Image.open(path)).equal(encoder.preprocess(path))
    assert encoder.embed([Image.fromarray(pixels), Image.open(path)]).shape == (2, encoder.embed(path).shape[1])


def test_batches_change_nothing(encoder, photos):
    paths = sorted(photos.glob("dark/*"))[:5]
    torch.testing.assert_close(encoder.embed(paths, batch=2), encoder.embed(paths))


@pytest.mark.parametrize(
    ("images", "words"),
    [
        ([], r"^images: \[\]; expected uint8 \[N, 3, H, W\] or \[3, H, W\], a PIL image, a path, or a list"),
        (3, r"^images: 3; expected uint8"),
        (torch.zeros(3, 8, 8), r"^images: torch\.float32 \[3, 8, 8\]; expected uint8"),
        (torch.zeros(8, 8, dtype=torch.uint8), r"^images: torch\.uint8 \[8, 8\]; expected"),
        ("nope.png", r"^images: nope\.png does not exist$"),
        (".", r"^images: \. is a folder; give its files, as sorted\(Path\(FOLDER\)"),
        ([torch.zeros(3, 8, n, dtype=torch.uint8) for n in (8, 9)], r"^images: of 2 sizes; tensors of one list"),
    ],
)
def test_what_are_no_images_is_said(encoder, images, words):
    with pytest.raises(UserError, match=words):
        encoder.embed(images)


def test_a_file_that_cannot_be_read_stops_it_so_that_rows_are_those_of_the_list(encoder, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no image")
    with pytest.raises(UserError, match=r"broken\.png"):
        encoder.embed([tmp_path / "broken.png"])


def test_a_seed_that_is_not_there_is_named_with_those_that_are(results):
    with pytest.raises(UserError, match=r"^seed 7: raw-pixels has no such seed \(seeds: 0, 1\)$"):
        results.encoder("raw-pixels", seed=7)


def test_a_split_that_is_not_there_is_named_with_those_that_are(results):
    with pytest.raises(UserError, match=r"^split 'tset'; did you mean 'test'\? \(allowed: train, test\)$"):
        results.features(0, "tset")


@pytest.mark.parametrize("damage", ["gone", "flipped"])
@pytest.mark.parametrize("name", ["weights", "features"])
def test_weights_and_features_that_are_gone_or_damaged_are_not_used(results, record, tmp_path, name, damage):
    folder = shutil.copytree(results.folder, tmp_path / "copy")
    path = getattr(pretraining_files(folder, record.pretraining.key), name)
    if damage == "gone":
        path.unlink()
    else:
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
    loaded = sslbench.load(folder)
    use = loaded.encoder if name == "weights" else loaded.features
    with pytest.raises(UserError, match=rf"seed 1: .*{name}\.safetensors.*fresh=True"):
        use("simclr (temperature=0.2)", seed=1)


def test_a_file_that_is_no_image_is_named_without_what_only_data_sets_take(encoder, tmp_path):
    (tmp_path / "x.png").write_text("no image")
    with pytest.raises(UserError, match="images: 1 of 1 images cannot be read") as caught:
        encoder.embed(tmp_path / "x.png")
    assert "on_error" not in str(caught.value)


@pytest.mark.parametrize("batch", [0, -1, 2.0, True])
def test_a_batch_has_an_image_or_more(encoder, batch):
    with pytest.raises(UserError, match=f"^batch = {batch}: expected images at a time, 1 or more$"):
        encoder.embed(torch.zeros(1, 3, 8, 8, dtype=torch.uint8), batch)
