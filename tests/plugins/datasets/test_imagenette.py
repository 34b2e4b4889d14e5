from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
import torchvision.datasets as published
from PIL import Image

from sslbench import BuildContext, UserError
from sslbench.hooks.registry import Registry
from sslbench.testing.conformance import problems
from sslbench_plugins.datasets.imagenette import CLASSES

SPEC = Registry().get("dataset", "imagenette")


def build(root, download=False, **given):
    return SPEC.build(SPEC.params(root=str(root), **given), BuildContext(download=download))


def make(folder):
    """As it is unpacked: folders named by WordNet, in each split, with JPEGs of any size."""
    for split, count in (("train", 2), ("val", 1)):
        for index, name in enumerate(CLASSES):
            (folder / split / name).mkdir(parents=True)
            for number in range(count):
                grey = np.full((30 + index, 24), 20 * index + number + 5 * (split == "val"), dtype=np.uint8)
                Image.fromarray(grey).save(folder / split / name / f"{name}_{number}.JPEG", quality=95)


@pytest.fixture
def root(tmp_path):
    make(tmp_path / "imagenette2-160")
    return tmp_path


def test_folders_become_classes_with_words_and_images_one_size(root):
    data = build(root, size=16)
    assert data.classes[:2] == ["tench", "English springer"]
    for name, count in (("train", 2), ("test", 1)):
        split = data.split(name)
        assert split.images.shape == (10 * count, 3, 16, 16)
        assert split.labels.tolist() == [label for label in range(10) for _ in range(count)]
        shade = split.images.float().mean(dim=(1, 2, 3))
        expected = 20.0 * split.labels + torch.arange(count).repeat(10) + 5 * (name == "test")
        assert torch.allclose(shade, expected, atol=2)
    assert problems(SPEC, root=str(root), size=16) == []


def test_words_and_checksums_are_the_published_ones():
    kind = published.Imagenette
    assert {synset: words[0] for synset, words in kind._WNID_TO_CLASS.items()} == CLASSES
    for version, (_, digest) in kind._ARCHIVES.items():
        assert SPEC.fingerprint(SPEC.params(version=version)) == digest


@pytest.mark.parametrize(
    ("version", "folder"), [("160px", "imagenette2-160"), ("320px", "imagenette2-320"), ("full", "imagenette2")]
)
def test_without_the_files_it_says_what_is_missing_where_and_how_to_get_it(tmp_path, version, folder):
    words = rf"^imagenette: folder {folder} not found in {tmp_path}; --download fetches it \([\d.]+ [MG]B\), or give"
    with pytest.raises(UserError, match=words):
        build(tmp_path, version=version)


@pytest.mark.parametrize("lost", ["val", "train/n03888257"])
def test_a_folder_that_lacks_a_part_is_not_taken_for_the_data(root, lost):
    shutil.rmtree(root / "imagenette2-160" / lost)
    words = r"imagenette: \S+/(val|train) has not the ten folders n01440764 to n03888257; delete the folder and fetch"
    with pytest.raises(UserError, match=words):
        build(root)


def test_a_broken_image_is_named_or_left_out(root):
    (root / "imagenette2-160/train/n01440764/n01440764_0.JPEG").write_bytes(b"junk")
    with pytest.raises(UserError, match="1 of 20 images cannot be read; on_error=skip leaves them out") as caught:
        build(root)
    assert "train/n01440764/n01440764_0.JPEG: not an image that Pillow can read" in caught.value.messages[1]
    assert build(root, on_error="skip").split("train").left_out == {"cannot be read": 1}


@pytest.mark.parametrize("there", [False, True])
def test_it_is_fetched_only_when_that_was_allowed_and_not_twice(tmp_path, monkeypatch, there):
    fetches = []

    def fetch(root, size, download):
        fetches.append((root, size, download))
        make(root / "imagenette2-320")

    if there:
        make(tmp_path / "imagenette2-320")
    monkeypatch.setattr(published, "Imagenette", fetch)
    build(tmp_path, download=True, version="320px")
    assert fetches == ([] if there else [(tmp_path, "320px", True)])
