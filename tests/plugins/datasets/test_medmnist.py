from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
import torch

from sslbench import BuildContext, UserError
from sslbench.hooks.registry import Registry
from sslbench.testing.conformance import problems
from sslbench_plugins.datasets.medmnist import arrays, npz as npz_module
from sslbench_plugins.datasets.medmnist.known import CLASSES, FINDINGS

SPEC = Registry().get("dataset", "medmnist")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SSLBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def params(path="", **given):
    return SPEC.params(path=str(path), **given)


def build(path="", **given):
    return SPEC.build(params(path, **given), BuildContext())


def pixels(count, seed, shape=(8, 8, 3)):
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8)


def contents(shape=(8, 8, 3), columns=1, classes=3, counts=(12, 4, 6)):
    """What such a file holds, as the published ones do."""
    held = {}
    for seed, (part, count) in enumerate(zip(("train", "val", "test"), counts, strict=True)):
        held[f"{part}_images"] = pixels(count, seed, shape)
        held[f"{part}_labels"] = (np.arange(count * columns).reshape(count, columns) % classes).astype(np.uint8)
    return held


def write(path, held=None, compressed=True):
    path.parent.mkdir(parents=True, exist_ok=True)
    (np.savez_compressed if compressed else np.savez)(path, **(held or contents()))
    return path


def images_of(split):
    return split.images[torch.arange(len(split))]


def as_tensor(array):
    return torch.from_numpy(array).permute(0, 3, 1, 2)


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("reading", ["auto", "resident", "mapped"])
def test_images_labels_and_statistics_wherever_they_lie(tmp_path, reading, compressed, monkeypatch):
    monkeypatch.setattr(npz_module, "CHUNK_BYTES", 5 * 8 * 8 * 3)
    held = contents()
    data = build(write(tmp_path / "x.npz", held, compressed), reading=reading)
    for name in ("train", "test"):
        assert torch.equal(images_of(data.split(name)), as_tensor(held[f"{name}_images"]))
        assert data.split(name).labels.tolist() == held[f"{name}_labels"][:, 0].tolist()
        assert len(set(data.split(name).digests)) == len(data.split(name))
    assert data.classes == ["0", "1", "2"]
    assert data.split("train").left_out == {"split val, not used": 4}
    assert (data.image_size, data.split("test").sides, data.split("test").held_out) == (8, (8, 8), False)
    values = held["train_images"].astype(np.float64) / 255
    assert data.mean == pytest.approx(values.mean(axis=(0, 1, 2)).tolist())
    assert data.std == pytest.approx(values.std(axis=(0, 1, 2)).tolist())


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 1)])
def test_grey_has_three_equal_channels(tmp_path, shape):
    held = contents(shape)
    images = images_of(build(write(tmp_path / "x.npz", held)).split("train"))
    assert images.shape == (12, 3, 8, 8)
    for channel in range(3):
        assert torch.equal(images[:, channel].flatten(), torch.from_numpy(held["train_images"].copy()).flatten())


def test_it_conforms_with_classes_and_with_several_labels(tmp_path):
    assert problems(SPEC, path=str(write(tmp_path / "x.npz"))) == []
    several = write(tmp_path / "y.npz", contents(columns=4, classes=2, counts=(12, 4, 7)))
    assert problems(SPEC, path=str(several)) == []


def test_several_labels_are_factors_with_the_published_names(tmp_path):
    held = contents(columns=14, classes=2)
    held["train_labels"][0, 3] = 1
    where = write(tmp_path / "chestmnist_64.npz", held)
    data = build(where)
    assert SPEC.provided(params(where)) == {"factors"}
    assert (data.classes, data.split("train").labels) == ([], None)
    assert [*data.split("train").factors] == FINDINGS["chestmnist"].split("|")
    assert data.split("train").factors["infiltration"].tolist() == held["train_labels"][:, 3].tolist()
    assert [*build(write(tmp_path / "y.npz", contents(columns=2, classes=2))).split("test").factors] == [
        "label_0",
        "label_1",
    ]


@pytest.mark.parametrize("name", CLASSES)
def test_classes_have_the_published_names(tmp_path, name):
    count = len(CLASSES[name].split("|"))
    where = write(tmp_path / f"{name}.npz", contents(classes=count, counts=(24, 4, 6)))
    assert build(where).classes == CLASSES[name].split("|")
    assert build(name=name, root=str(tmp_path)).classes == CLASSES[name].split("|")
    assert SPEC.provided(params(where)) == {"labels"}


def test_numbers_of_published_classes_are_those_of_the_paper():
    counts = {name: len(words.split("|")) for name, words in {**CLASSES, **FINDINGS}.items()}
    assert counts == {
        "pathmnist": 9,
        "dermamnist": 7,
        "octmnist": 4,
        "pneumoniamnist": 2,
        "retinamnist": 5,
        "breastmnist": 2,
        "bloodmnist": 8,
        "tissuemnist": 8,
        "organamnist": 11,
        "organcmnist": 11,
        "organsmnist": 11,
        "chestmnist": 14,
    }


def test_a_file_of_a_published_name_with_more_classes_has_numbers(tmp_path):
    assert build(write(tmp_path / "pneumoniamnist.npz")).classes == ["0", "1", "2"]


def test_what_becomes_of_validation_images(tmp_path):
    held = contents()
    where = write(tmp_path / "x.npz", held)
    data = build(where, validation="train")
    both = np.concatenate([held["train_images"], held["val_images"]])
    assert torch.equal(images_of(data.split("train")), as_tensor(both))
    assert (len(data.split("train").labels), data.split("train").left_out) == (16, {})
    data = build(where, validation="test", reading="mapped")
    assert torch.equal(images_of(data.split("test")), as_tensor(held["val_images"]))
    assert data.split("train").left_out == {"split test, not used": 6}


def test_published_files_are_found_by_name(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSLBENCH_DATA", raising=False)
    with pytest.raises(UserError, match=r"pathmnist_64.npz not found in .*/.medmnist; fetch it from https://zenodo"):
        build(name="pathmnist_64")
    write(tmp_path / ".medmnist" / "pathmnist_64.npz")
    assert len(build(name="pathmnist_64").split("train")) == 12
    monkeypatch.setenv("SSLBENCH_DATA", str(tmp_path / "data"))
    write(tmp_path / "data" / "bloodmnist.npz")
    assert build(name="bloodmnist").classes[0] == "basophil"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "give path=FILE.npz, or name=NAME of bloodmnist, breastmnist, "),
        ({"name": "pathmnst"}, "name=pathmnst is no published set of images; allowed: bloodmnist, .*_224 behind it"),
        ({"name": "organmnist3d"}, "name=organmnist3d is no published set of images"),
        ({"name": "pathmnist", "path": "x.npz"}, "path and name both say the file; give one of them"),
        ({"path": "nowhere.npz"}, "nowhere.npz does not exist"),
    ],
)
def test_what_names_no_file_is_one_line(given, words):
    with pytest.raises(UserError, match=words) as caught:
        build(**given)
    assert len(caught.value.messages) == 1


def test_a_folder_names_the_files_in_it(tmp_path):
    write(tmp_path / "bloodmnist.npz")
    with pytest.raises(UserError, match=r"is a folder; give an .npz file \(it holds bloodmnist.npz\)"):
        build(tmp_path)


def changed(**arrays):
    held = {**contents(), **arrays}
    return {name: array for name, array in held.items() if array is not None}


ODD = {
    "no images": (changed(test_images=None), r"has no array test_images; it holds test_labels, train_images"),
    "no labels": (changed(train_labels=None), r"has no array train_labels; it holds "),
    "volumes": (changed(train_images=pixels(12, 0, (8, 8, 8))), r"holds volumes \(12 x 8 x 8 x 8\); images of"),
    "volumes in colour": (changed(train_images=pixels(12, 0, (8, 8, 8, 3))), r"holds volumes \(12 x 8 x 8 x 8 x 3\)"),
    "four channels": (changed(train_images=pixels(12, 0, (8, 8, 4))), r"is 12 x 8 x 8 x 4; N x S x S \(grey\) or N x"),
    "floats": (changed(train_images=np.zeros((12, 8, 8), np.float32)), r"holds float32; images are uint8"),
    "not square": (changed(train_images=pixels(12, 0, (8, 6, 3))), r"images are 6 x 8 pixels; square ones are read"),
    "by columns": (changed(train_images=np.asfortranarray(pixels(12, 0))), r"row by row, is read"),
    "fewer labels": (changed(train_labels=np.zeros((3, 1), np.uint8)), r"train_labels has 3 labels for 12 images"),
    "negative": (changed(train_labels=np.full((12, 1), -1)), r"train_labels holds -1; classes are numbered from 0"),
    "words": (changed(train_labels=np.array(["cat"] * 12)), r"is 12 of <U3; a whole number for each image"),
    "objects": (changed(train_labels=np.array([{}] * 12, dtype=object)), r"it holds Python objects, which are"),
    "a new class": (changed(test_labels=np.full((6, 1), 7, np.uint8)), r"has class '7' in the images to evaluate"),
    "several numbers": (changed(**contents(columns=2, classes=5)), r"have 2 labels each, up to 4; several are 0 or 1"),
    "different numbers": (changed(test_labels=np.zeros((6, 2), np.uint8)), r"its parts have different numbers of"),
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_a_file_that_is_not_laid_out_so_is_one_line(tmp_path, name):
    held, words = ODD[name]
    with pytest.raises(UserError, match=words) as caught:
        build(write(tmp_path / "x.npz", held)).split("test")
    assert len(caught.value.messages) == 1
    assert "\n" not in caught.value.messages[0]


def test_images_to_evaluate_on_of_another_size_are_refused(tmp_path):
    data = build(write(tmp_path / "x.npz", changed(test_images=pixels(6, 0, (9, 9, 3)))))
    with pytest.raises(UserError, match=r"images of train and val and test are of different sizes"):
        data.split("test")
    with pytest.raises(UserError, match=r"images of train_images and val_images are of different sizes"):
        build(write(tmp_path / "x.npz", changed(val_images=pixels(4, 0, (9, 9, 3)))), validation="train")


def mistakes_of(function):
    try:
        function()
    except UserError as error:
        return error.messages
    return ()


def test_any_bit_of_a_file_may_be_wrong(tmp_path, flipped):
    where = write(tmp_path / "x.npz")
    expected = images_of(build(where).split("train"))
    kinds = set()
    for content in flipped(where, places=60):
        where.write_bytes(content)

        def look():
            assert torch.equal(images_of(build(where).split("train")), expected)

        messages = mistakes_of(look)
        assert all("\n" not in line for line in messages)
        kinds.add(bool(messages))
    assert True in kinds


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x05\x06" + bytes(18)])
def test_what_is_no_archive_is_one_line(tmp_path, content):
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(UserError, match=r"x.npz(: | )(cannot be read|has no array)"):
        build(tmp_path / "x.npz")


def test_an_array_that_is_shorter_than_its_header_says_is_one_line(tmp_path):
    held = contents()
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        for name, array in held.items():
            file = io.BytesIO()
            np.save(file, array)
            archive.writestr(f"{name}.npy", file.getvalue()[: -100 if name == "train_images" else None])
    with pytest.raises(UserError, match=r"x.npz: train_images cannot be read: it is shorter than its header says"):
        build(tmp_path / "x.npz")


def test_the_fingerprint_is_of_the_content_alone(tmp_path):
    one = write(tmp_path / "a" / "x.npz")
    seen = SPEC.fingerprint(params(one))
    assert SPEC.fingerprint(params(write(tmp_path / "b" / "x.npz"))) == seen
    held = contents()
    held["test_images"][0, 0, 0, 0] ^= 1
    assert SPEC.fingerprint(params(write(one, held))) != seen


def test_a_mapped_file_is_made_once_and_again_when_the_content_changes(tmp_path, cache, monkeypatch):
    made, write_file = [], arrays.write
    monkeypatch.setattr(arrays, "write", lambda *given: made.append(given[0]) or write_file(*given))
    where = write(tmp_path / "x.npz")
    first = build(where, memory_limit=0)
    assert images_of(first.split("train")).shape == (12, 3, 8, 8)
    build(write(tmp_path / "copy" / "x.npz"), memory_limit=0)
    assert len(made) == 1
    build(write(where, contents(counts=(13, 4, 6))), memory_limit=0)
    assert len(made) == 2


def test_a_disk_without_room_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(arrays.shutil, "disk_usage", lambda folder: type("Usage", (), {"free": 100})())
    with pytest.raises(UserError, match=r"its images take 0.0 GiB, and .* has 0.0 GiB left; \$SSLBENCH_CACHE names"):
        build(write(tmp_path / "x.npz"), reading="mapped")


def test_a_cache_that_cannot_be_written_is_one_line(tmp_path, cache):
    cache.write_text("a file in the place of the folder")
    with pytest.raises(UserError, match=r"cannot write .*; \$SSLBENCH_CACHE names another folder, reading=resident"):
        build(write(tmp_path / "x.npz"), reading="mapped")
