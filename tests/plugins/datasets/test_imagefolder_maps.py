from __future__ import annotations

import os

import numpy as np
import pytest
import torch
from PIL import Image

from sslbench import BuildContext, UserError
from sslbench.hooks.registry import Registry
from sslbench.plan.expand import expand, resolve_suite
from sslbench.plan.suite import Overrides, RawSuite
from sslbench.testing.conformance import problems

REGISTRY = Registry()
SPEC = REGISTRY.get("dataset", "imagefolder-maps")


def build(root, **given):
    return SPEC.build(SPEC.params(**{"root": str(root), "size": 16, **given}), BuildContext())


def save(path, values, mode=None, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(values)
    (image.convert(mode) if mode else image).save(path, **options)
    return path


def scene(root, name, shape=(20, 30), masks=True, depth=True, suffix=".png", seed=0):
    """A dark image with a bright rectangle; its mask is 2 there, its depth half of the largest."""
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 60, (*shape, 3)).astype(np.uint8)
    mask = np.zeros(shape, dtype=np.uint8)
    mask[4:12, 8:20] = 2
    image[mask == 2] += 150
    save(root / "images" / f"{name}{suffix}", image)
    if masks:
        save(root / "masks" / f"{name}.png", mask)
    if depth:
        save(root / "depth" / f"{name}.png", np.where(mask == 2, 32768, 65535).astype(np.uint16))


@pytest.fixture
def root(tmp_path):
    for number in range(10):
        scene(tmp_path / "root", f"{number}", (20 + number, 30), seed=number)
    return tmp_path / "root"


def edit(root, path, values, **options):
    (root / path).unlink(missing_ok=True)
    return save(root / path, values, **options)


def test_images_come_with_their_maps_in_the_same_view(root):
    data = build(root)
    assert (list(data.classes), data.image_size) == ([], 16)
    train, test = data.split("train"), data.split("test")
    assert (len(train), len(test)) == (8, 2)
    assert train.labels is None
    for split in (train, test):
        rows = torch.arange(len(split))
        images, masks, depth = split.images[rows].float().mean(1), split.maps["mask"][rows], split.maps["depth"][rows]
        assert masks.dtype == torch.uint8
        assert depth.dtype == torch.float32
        assert set(masks.unique().tolist()) == {0, 2}
        for image, mask in zip(images, masks, strict=True):
            # Edges are smooth in the image: all but those pixels are clearly bright or dark.
            assert ((image > 105) == (mask == 2)).float().mean() > 0.93
        assert torch.allclose(depth, torch.where(masks == 2, 32768 / 65535, 1.0))
    assert [path.rpartition("/")[2] for path in test.paths] == [
        path.rpartition("/")[2] for path in build(root).split("test").paths
    ]
    assert problems(SPEC, root=str(root), size=16) == []


def test_the_order_of_maps_is_that_of_images(root):
    for number in range(10):
        edit(root, f"masks/{number}.png", np.full((20 + number, 30), number + 1, dtype=np.uint8))
    split = build(root).split("train")
    numbers = [int(path.rpartition("/")[2].partition(".")[0]) for path in split.paths]
    masks = split.maps["mask"][torch.arange(8).flip(0)]
    assert masks[:, 0, 0].flip(0).tolist() == [number + 1 for number in numbers]


def test_what_is_provided_is_what_lies_there(tmp_path):
    for name, options in (("a", {"depth": False}), ("b", {"masks": False}), ("c", {})):
        for number in range(3):
            scene(tmp_path / name, str(number), **options)
    provided = {name: SPEC.provided(SPEC.params(root=str(tmp_path / name))) for name in "abc"}
    assert provided == {"a": {"mask"}, "b": {"depth"}, "c": {"mask", "depth"}}
    assert set(build(tmp_path / "b").split("train").maps) == {"depth"}


def test_class_folders_become_labels(tmp_path):
    for name in ("cat", "dog"):
        for number in range(5):
            scene(tmp_path, f"{name}/{number}", seed=number + 5 * (name == "dog"))
    data = build(tmp_path)
    assert data.classes == ["cat", "dog"]
    assert data.split("test").labels.bincount().tolist() == [1, 1]
    assert SPEC.provided(SPEC.params(root=str(tmp_path))) == {"mask", "depth", "labels"}
    assert problems(SPEC, root=str(tmp_path), size=16) == []


def test_train_and_test_folders_are_used_as_they_are(tmp_path):
    for part, count in (("train", 4), ("val", 2)):
        for number in range(count):
            scene(tmp_path / part, f"{part}{number}")
    data = build(tmp_path)
    assert [len(data.split(name)) for name in ("train", "test")] == [4, 2]
    assert all("val" in path for path in data.split("test").paths)


def test_a_plan_skips_what_the_folder_lacks(tmp_path):
    for number in range(3):
        scene(tmp_path, str(number), depth=False)
    axes = {
        "method": ["random-init"],
        "dataset": [{"name": "imagefolder-maps", "root": str(tmp_path)}],
        "backbone": ["vit-tiny-small-image"],
        "evaluator": ["dense-segmentation", "dense-regression", "knn"],
    }
    cells = expand(resolve_suite(RawSuite("s", "s.toml", {"axes": axes}), Overrides(), REGISTRY))
    assert [cell.skip for cell in cells] == [
        None,
        "dense-regression needs depth; data set imagefolder-maps has none",
        "knn needs labels; data set imagefolder-maps has none",
    ]


@pytest.mark.parametrize("mode", ["1", "L", "P", "I;16"])
def test_masks_of_any_one_channel_mode_hold_numbers_of_classes(root, mode):
    values = np.zeros((20, 30), dtype=np.uint8)
    values[:, 15:] = 1
    if mode == "P":
        image = Image.fromarray(values).convert("P")
        image.putpalette([9, 9, 9, 200, 100, 50] + [0] * 762)
        image.putdata(values.flatten().tolist())
        image.save(root / "masks/0.png")
    elif mode == "1":
        Image.fromarray(values * 255).convert("1").save(root / "masks/0.png")
    else:
        edit(root, "masks/0.png", values.astype(np.uint16) if mode == "I;16" else values)
    split = build(root, test_share=0.05).split("train")
    index = next(n for n, path in enumerate(split.paths) if path.endswith("/0.png"))
    mask = split.maps["mask"][torch.tensor([index])][0]
    assert mask[:, :8].unique().tolist() == [0]
    assert mask[:, 8:].unique().tolist() == [1]


def test_another_value_may_mean_unknown(root):
    for number in range(10):
        values = np.zeros((20 + number, 30), dtype=np.uint8)
        values[:5], values[-5:] = 7, 255
        edit(root, f"masks/{number}.png", values)
    usual, other, none = (
        build(root, **given).split("train").maps["mask"] for given in ({}, {"unknown": 7}, {"unknown": -1})
    )
    rows = torch.arange(8)
    assert usual[rows].unique().tolist() == [0, 7, 255]
    assert torch.equal(other[rows] == 255, usual[rows] == 7)
    assert torch.equal(other[rows] == 254, usual[rows] == 255)
    assert none[rows].unique().tolist() == [0, 7, 254]


def test_black_and_white_masks_are_an_error_that_names_both_meanings(root):
    for number in range(10):
        values = np.zeros((20 + number, 30), dtype=np.uint8)
        values[:, :9] = 255
        edit(root, f"masks/{number}.png", values)
    with pytest.raises(UserError, match="masks hold 0 and 255 alone, and unknown=255 .* unknown=-1 makes it a class"):
        build(root)
    assert build(root, unknown=-1).split("train").maps["mask"][torch.arange(8)].unique().tolist() == [0, 254]


def test_depth_of_8_and_16_bits_and_floats(root):
    eight = np.tile(np.arange(30, dtype=np.uint8) * 8, (20, 1))
    edit(root, "depth/0.png", eight)
    sixteen = np.tile(np.arange(30, dtype=np.uint16) * 2000, (21, 1))
    edit(root, "depth/1.png", sixteen)
    floats = np.tile(np.linspace(0, 1, 30, dtype=np.float32), (22, 1))
    floats[0, 0] = np.nan
    (root / "depth/2.png").unlink()
    save(root / "depth/2.tif", floats)
    split = build(root, size=20, test_share=0.05).split("train")
    for name, width, values, white in (("0", 20, eight, 255), ("1", 21, sixteen, 65535), ("2", 22, floats, 1)):
        index = next(n for n, path in enumerate(split.paths) if path.endswith(f"/{name}.png"))
        depth = split.maps["depth"][torch.tensor([index])][0]
        left = (30 - width) / 2
        columns = ((torch.arange(20) + 0.5) * width / 20 + left).floor().long()
        expected = torch.from_numpy(values[10].astype(np.float32))[columns] / white
        if name != "2":
            expected[expected == 0] = float("nan")
        assert torch.allclose(depth[10], expected, equal_nan=True)


def test_zero_of_whole_numbers_is_not_measured_and_zero_of_floats_is_near(root):
    edit(root, "depth/0.png", np.zeros((20, 30), dtype=np.uint16))
    (root / "depth/1.png").unlink()
    save(root / "depth/1.tif", np.zeros((21, 30), dtype=np.float32))
    split = build(root, test_share=0.05).split("train")
    depths = {path.rpartition("/")[2]: split.maps["depth"][torch.tensor([n])] for n, path in enumerate(split.paths)}
    assert depths["0.png"].isnan().all()
    assert (depths["1.png"] == 0).all()


def test_an_image_that_lies_on_its_side_fits_its_upright_map(tmp_path):
    for number in range(3):
        scene(tmp_path, str(number))
    exif = Image.Exif()
    exif[274] = 6
    save(tmp_path / "images/0.jpg", np.full((30, 20, 3), 90, dtype=np.uint8), exif=exif)
    (tmp_path / "images/0.png").unlink()
    assert len(build(tmp_path, test_share=0.1).split("train")) == 2


def test_an_image_that_cannot_be_read_is_left_out_with_its_maps(root):
    (root / "images/3.png").write_bytes(b"no image")
    edit(root, "masks/3.png", np.zeros((3, 3), dtype=np.uint8))
    with pytest.raises(UserError, match="1 of 8 images cannot be read; on_error=skip leaves them out"):
        build(root)
    train = build(root, on_error="skip").split("train")
    assert (len(train), train.left_out["cannot be read"]) == (7, 1)
    assert len(train.maps["mask"]) == len(train.maps["depth"]) == 7


def test_images_without_a_map_are_counted_and_named(root):
    for number in range(7):
        (root / f"masks/{number}.png").unlink()
    with pytest.raises(UserError) as caught:
        build(root)
    first, *rest = caught.value.messages
    assert f"7 of 10 images have no map in {root}/masks (endings: .png .tif .tiff .bmp)" in first
    assert f"missing: {root}/masks/0.*" in rest[0]
    assert len(rest) == 6
    assert "and 2 more" in rest[5]


def test_maps_without_an_image_are_left_alone(root):
    save(root / "masks/other.png", np.zeros((2, 2), dtype=np.uint8))
    assert len(build(root).split("train")) == 8


def test_two_maps_of_one_image_are_an_error(root):
    save(root / "masks/4.tif", np.zeros((24, 30), dtype=np.uint8))
    with pytest.raises(UserError, match=r"masks/4.png and 4.tif are maps of one image; keep one"):
        build(root)


def test_maps_of_another_size_are_an_error_with_both_sizes(root):
    edit(root, "masks/1.png", np.zeros((30, 21), dtype=np.uint8))
    with pytest.raises(UserError) as caught:
        build(root, test_share=0.05)
    assert "1 of 9 maps do not fit their images; each must have its image's size" in caught.value.messages[0]
    assert f"{root}/masks/1.png is 21 x 30 pixels, its image 30 x 21" in caught.value.messages[1]


def test_maps_that_are_no_images_are_an_error(root):
    (root / "depth/1.png").write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"depth/1.png: not an image that Pillow can read"):
        build(root, test_share=0.05)


@pytest.mark.parametrize(
    ("path", "values", "words"),
    [
        ("masks/1.png", np.zeros((21, 30, 3), np.uint8), "masks/1.png: its pixels are RGB; a mask has one channel"),
        ("masks/1.png", np.full((21, 30), 300, np.uint16), "masks/1.png: its values are 300..300; classes are 0..254"),
        (
            "depth/1.png",
            np.zeros((21, 30, 3), np.uint8),
            "depth/1.png: its pixels are RGB; a depth map has one channel",
        ),
    ],
)
def test_maps_with_wrong_values_are_an_error_when_they_are_read(root, path, values, words):
    edit(root, path, values)

    def read():
        split = build(root, test_share=0.05).split("train")
        return [reader[torch.arange(len(split))] for reader in split.maps.values()]

    with pytest.raises(UserError, match=words):
        read()


def test_depths_beyond_one_are_an_error(root):
    (root / "depth/1.png").unlink()
    save(root / "depth/1.tif", np.full((21, 30), 3.5, np.float32))
    split = build(root, test_share=0.05).split("train")
    with pytest.raises(UserError, match="depth/1.tif: its depths are 3.5..3.5; 0..1 and NaN are understood"):
        split.maps["depth"][torch.arange(len(split))]


def test_classes_without_room_are_an_error(root):
    values = np.zeros((21, 30), dtype=np.uint8)
    values[0, 0], values[0, 1] = 254, 255
    edit(root, "masks/1.png", values)
    with pytest.raises(UserError, match="it holds 254 and 255, and unknown=-1 leaves no number for the second"):
        build(root, test_share=0.05, unknown=-1)


def test_wrong_layouts_are_an_error_with_what_is_expected(tmp_path):
    with pytest.raises(UserError, match="does not exist; expected ROOT/images, and ROOT/masks or ROOT/depth"):
        build(tmp_path / "none")
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="is a file, not a folder"):
        build(tmp_path / "file")
    (tmp_path / "bare").mkdir()
    with pytest.raises(UserError, match="has no folder images and no folder train"):
        build(tmp_path / "bare")
    (tmp_path / "bare/images").mkdir()
    with pytest.raises(UserError, match="bare/images holds no image; expected"):
        build(tmp_path / "bare")
    scene(tmp_path / "alone", "a", masks=False, depth=False)
    with pytest.raises(UserError, match="alone has neither masks nor depth; expected"):
        build(tmp_path / "alone")
    scene(tmp_path / "mixed", "a")
    scene(tmp_path / "mixed", "cat/a")
    with pytest.raises(UserError, match="holds 1 images and folders with 1 more; put all into folders"):
        build(tmp_path / "mixed")


def test_splits_must_have_the_same_maps_and_classes(tmp_path):
    for part, options in (("train", {}), ("test", {"depth": False})):
        scene(tmp_path / "maps" / part, "a", **options)
    with pytest.raises(UserError, match="maps/train has depth and .*maps/test has not"):
        build(tmp_path / "maps")
    for part, name in (("train", "cat"), ("test", "dog")):
        scene(tmp_path / "classes" / part, f"{name}/a")
    with pytest.raises(UserError, match="classes/test has class 'dog', which .*classes/train does not have"):
        build(tmp_path / "classes")


def test_the_fingerprint_changes_with_images_and_maps(root):
    params = SPEC.params(root=str(root))
    prints = [SPEC.fingerprint(params)]
    os.utime(root / "masks/0.png", (1, 1))
    prints.append(SPEC.fingerprint(params))
    os.utime(root / "images/0.png", (1, 1))
    prints.append(SPEC.fingerprint(params))
    assert len(set(prints)) == 3
    assert SPEC.fingerprint(params) == prints[-1]
