from __future__ import annotations

import colorsys
import hashlib
import math
import subprocess
import sys

import pytest
import torch

from sslbench import BuildContext
from sslbench.hooks.params import resolve
from sslbench.hooks.registry import Registry
from sslbench.train.data import pick
from sslbench_plugins.blocks.scenes import render
from sslbench_plugins.blocks.scenes.scene import FADING, HAZE, TURN, draw
from sslbench_plugins.blocks.scenes.signed_distance import FIGURES
from sslbench_plugins.blocks.scenes.textures import TEXTURES
from sslbench_plugins.datasets.shapes import VERSION

SPEC = Registry().get("dataset", "shapes")


def build(**given):
    given = {"train_images": 60, "test_images": 20, "image_size": 48, **given}
    return SPEC.build(SPEC.params(**given), BuildContext())


@pytest.fixture(scope="module")
def train():
    return build().split("train")


def centre(pixel, size):
    return (pixel + 0.5) / size


def test_the_mask_is_the_figure_that_the_factors_describe(train):
    """Pixel by pixel, from the factors alone: turn back, scale back, ask the figure."""
    masks, borderline = train.maps["mask"][torch.arange(8)], 0
    for image in range(8):
        x, y, scale, degrees = (train.factors[name][image].item() for name in ("x", "y", "scale", "rotation"))
        figure = list(FIGURES.values())[train.labels[image]][0]
        turn = complex(math.cos(math.radians(degrees)), math.sin(math.radians(degrees)))
        for row in range(48):
            for column in range(48):
                point = complex(centre(column, 48) - x, centre(row, 48) - y) / turn / scale
                distance = figure(*(torch.tensor([[[part]]], dtype=torch.float64) for part in (point.real, point.imag)))
                if abs(distance.item()) < 1e-4:
                    borderline += 1
                else:
                    assert (masks[image, row, column] == 1) == (distance.item() < 0), (image, row, column)
    assert borderline < 8


def test_depth_is_the_objects_and_a_plane_behind_them(train):
    every = torch.arange(len(train))
    masks, depths = train.maps["mask"][every], train.maps["depth"][every]
    line = (torch.arange(48) + 0.5) / 48
    design = torch.stack([line.repeat(48), line.repeat_interleave(48), torch.ones(48 * 48)], dim=1).double()
    for image in range(len(train)):
        mask, depth = masks[image], depths[image]
        assert torch.equal(depth[mask == 1].unique(), train.factors["depth"][image : image + 1])
        behind = [depth[mask == rank].unique() for rank in (1, 2, 3) if (mask == rank).any()]
        assert all(len(values) == 1 for values in behind)
        assert torch.equal(torch.cat(behind), torch.cat(behind).sort().values)
        ground = (mask == 0).flatten()
        solution = torch.linalg.lstsq(design[ground], depth.flatten()[ground].double()[:, None]).solution
        assert (design[ground] @ solution - depth.flatten()[ground, None]).abs().max() < 1e-5
        assert 0.6 <= depth.flatten()[ground].min() < depth.flatten()[ground].max() <= 1
        assert depth[0][mask[0] == 0].mean() > depth[-1][mask[-1] == 0].mean()


def test_the_colour_inside_is_the_hue_behind_haze(train):
    every = torch.arange(len(train))
    images, masks = train.images[every], train.maps["mask"][every]
    checked = 0
    for image in range(len(train)):
        inner = torch.nn.functional.avg_pool2d((masks[image] == 1).float()[None], 3, 1, 1)[0] > 0.99
        if not inner.any():
            continue
        checked += 1
        pixels = images[image][:, inner].double()
        assert (pixels.max(dim=1).values - pixels.min(dim=1).values).max() == 0
        share = FADING * train.factors["depth"][image].item()
        red, green, blue = (
            (value / 255 - haze * share) / (1 - share) for value, haze in zip(pixels[:, 0], HAZE, strict=True)
        )
        hue, saturation, value = colorsys.rgb_to_hsv(red.item(), green.item(), blue.item())
        assert hue == pytest.approx(train.factors["hue"][image].item(), abs=0.006)
        assert 0.84 < saturation < 1.01
        assert value == pytest.approx(1, abs=0.005)
    assert checked > 50


def test_the_ground_is_dull_and_its_texture_is_the_factor(train):
    images, masks = train.images[torch.arange(60)].float() / 255, train.maps["mask"][torch.arange(60)]
    assert train.factors["background"].unique().tolist() == list(range(len(TEXTURES)))
    for image in range(60):
        ground = images[image][:, torch.nn.functional.max_pool2d(masks[image].float()[None], 9, 1, 4)[0] == 0]
        assert (ground.max(dim=0).values - ground.min(dim=0).values).max() < 0.31
        spread = ground.mean(dim=0).std()
        assert (spread < 0.03) == (train.factors["background"][image] == list(TEXTURES).index("plain"))


def test_the_colour_of_a_plain_ground_is_the_factor_behind_haze(train):
    images, masks, depths = (reader[torch.arange(len(train))] for reader in (train.images, *train.maps.values()))
    plain = (train.factors["background"] == list(TEXTURES).index("plain")).nonzero().flatten().tolist()
    assert len(plain) > 10
    for image in plain:
        ground = torch.nn.functional.max_pool2d((masks[image] > 0).float()[None], 3, 1, 1)[0] == 0
        share = FADING * depths[image][ground].double()
        pixels, haze = images[image][:, ground].double() / 255, torch.tensor(HAZE, dtype=torch.double)[:, None]
        red, green, blue = ((pixels - haze * share) / (1 - share)).mean(dim=1).tolist()
        known = [train.factors[f"background_{name}"][image].item() for name in ("red_green", "blue_yellow")]
        light = red + green + blue
        assert known == pytest.approx([(red - green) / light, (blue - (red + green) / 2) / light], abs=0.004)


def test_edges_are_smooth_by_the_share_of_a_pixel_that_is_covered(train):
    """Of a square, in a pixel on its edge: the colour is a mix of ground and object, by area."""
    scenes = draw("edges", torch.arange(64), 1)
    squares = (scenes.figure[:, 0] == list(FIGURES).index("square")).nonzero().flatten()
    scenes = draw("edges", squares, 1)
    covered = torch.nn.functional.avg_pool2d((render.masks(scenes, 32 * 16) == 1).double(), 16)
    picture, ground = render.images(scenes, 32).double(), render.ground(scenes, 32).double() * 255
    object_colour = scenes.colour[:, 0, :, None, None] * 255
    mixed = ground + (object_colour - ground) * covered[:, None]
    # The formula takes an edge for a straight line across the pixel at the distance of its centre: at a slope, and at
    # corners, that is not quite the area.
    difference = (picture - mixed).abs() / (object_colour - ground).abs().clamp(min=20)
    assert difference.max() < 0.3
    on_edge = ((covered > 0.02) & (covered < 0.98))[:, None].expand_as(difference)
    assert difference[on_edge].mean() < 0.05
    assert torch.equal(
        (covered > 0.9) | (covered < 0.1),
        ((covered > 0.9) & (render.masks(scenes, 32) == 1)) | ((covered < 0.1) & (render.masks(scenes, 32) == 0)),
    )


def test_factors_are_within_their_ranges_and_independent():
    scenes = build(train_images=4000, image_size=16, reading="streaming").split("train")
    known = {"shape": scenes.labels, **scenes.factors}
    assert [name for name, values in known.items() if values.dtype == torch.int64] == ["shape", "background", "objects"]
    for name in ("background_red_green", "background_blue_yellow"):
        assert 0.09 < known[name].max() < 0.14
        assert -0.14 < known[name].min() < -0.09
        assert 0.03 < known[name].std() < 0.05
    ranges = {"hue": (0, 0.75), "x": (0.3, 0.7), "y": (0.3, 0.7), "scale": (0.16, 0.28), "rotation": (-30, 30)}
    for name, (low, high) in ranges.items():
        assert low <= known[name].min() < low + 0.01 * (high - low)
        assert high >= known[name].max() > high - 0.01 * (high - low)
    for name, kinds in (("shape", 8), ("background", 5), ("objects", 3)):
        shares = known[name].bincount() / 4000
        assert len(shares) == kinds
        assert (shares * kinds - 1).abs().max() < 0.2
    table = torch.stack([values.double() for values in known.values()])
    assert (torch.corrcoef(table) - torch.eye(len(known))).abs().max() < 0.07


def test_no_two_rotations_look_alike():
    assert min(period for _, period in FIGURES.values()) > 2 * TURN


def test_the_main_object_is_whole_near_and_the_largest():
    data = build(train_images=300, image_size=32)
    split = data.split("train")
    masks = split.maps["mask"][torch.arange(300)]
    area = torch.stack([(masks == rank).sum(dim=(1, 2)) for rank in (1, 2, 3)], dim=1)
    assert bool((area[:, 0] > area[:, 1]).all())
    assert bool((area[:, 0] > area[:, 2]).all())
    # It never touches the border, and the others are seldom covered.
    border = torch.cat([masks[:, 0], masks[:, -1], masks[:, :, 0], masks[:, :, -1]], dim=1)
    assert not bool((border == 1).any())
    objects = split.factors["objects"]
    assert bool((area[objects < 1, 1] == 0).all())
    assert bool((area[objects < 2, 2] == 0).all())
    assert (area[objects >= 1, 1] > 0).float().mean() > 0.98
    assert (area[objects >= 2, 2] > 0).float().mean() > 0.95


def test_one_object_is_one_object():
    split = build(objects=1).split("train")
    assert split.maps["mask"][torch.arange(60)].unique().tolist() == [0, 1]
    assert split.factors["objects"].unique().tolist() == [0]
    # All else is as it was.
    assert torch.equal(split.factors["hue"], build().split("train").factors["hue"])


def everything(split, indices):
    indices = torch.tensor(indices)
    return [split.images[indices], *(reader[indices] for reader in split.maps.values())]


def test_an_image_does_not_depend_on_its_batch_nor_on_the_number_of_images(train):
    indices = [5, 59, 0, 17, 17, 31]
    whole = everything(train, list(range(60)))
    for given in (train, build(reading="streaming").split("train"), build(train_images=61).split("train")):
        for all_of_it, some in zip(whole, everything(given, indices), strict=True):
            assert torch.equal(all_of_it[indices], some)
        for index in indices:
            assert torch.equal(whole[0][index], given.images[torch.tensor([index])][0])


def test_nor_on_the_number_of_threads():
    before = torch.get_num_threads()
    indices = torch.arange(200)
    split = build(train_images=200, reading="streaming").split("train")
    pictures = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            pictures.append(split.images[indices])
    finally:
        torch.set_num_threads(before)
    assert torch.equal(pictures[0], pictures[1])
    assert torch.equal(pictures[0], pictures[2])


def test_another_process_makes_the_same(train):
    code = (
        "import hashlib, torch; from sslbench import BuildContext; from sslbench.hooks.registry import Registry;"
        "spec = Registry().get('dataset', 'shapes');"
        "params = spec.params(train_images=60, test_images=20, image_size=48, reading='streaming');"
        "split = spec.build(params, BuildContext()).split('train');"
        "print(hashlib.sha256(split.images[torch.tensor([42, 7])].numpy().tobytes()).hexdigest())"
    )
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    here = hashlib.sha256(train.images[torch.tensor([42, 7])].numpy().tobytes()).hexdigest()
    assert there.strip() == here


def test_what_is_drawn_is_that_of_this_version():
    """Changes when a pixel does; then VERSION has to change as well, so that old results are not taken for new ones."""
    images = build(image_size=32, reading="streaming").split("train").images[torch.arange(60)]
    digest = hashlib.sha256(images.numpy().tobytes()).hexdigest()[:16]
    assert (VERSION, digest) == ("2", "5946a332b3010c72")


def test_splits_and_seeds_differ(train):
    assert not torch.equal(train.images[:20], build().split("test").images)
    assert not torch.equal(train.images, build(seed=1).split("train").images)


def test_picking_keeps_images_and_maps_together(train):
    for split in (train, build(reading="streaming").split("train")):
        part = pick(split, torch.tensor([9, 4]))
        for whole, some in zip(everything(train, [9, 4]), everything(part, [0, 1]), strict=True):
            assert torch.equal(whole, some)


def test_large_sets_are_rendered_on_demand():
    data = build(train_images=1_000, image_size=32, memory_limit=0.001)
    assert not isinstance(data.split("train").images, torch.Tensor)
    assert isinstance(data.split("test").images, torch.Tensor)
    with pytest.raises(IndexError, match=r"indices 3\.\.1000 of 1000 images"):
        data.split("train").images[torch.tensor([3, 1000])]
    kept = build(train_images=1_000, image_size=32)
    assert (data.mean, data.std) == (kept.mean, kept.std)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"image_size": 0}, "image_size = 0: input should be greater than or equal to 16"),
        ({"image_size": 15}, "image_size = 15: input should be greater than or equal to 16"),
        ({"image_size": 4096}, "image_size = 4096: input should be less than or equal to 1024"),
        ({"train_images": 1}, "train_images = 1: input should be greater than or equal to 2"),
        ({"test_images": 10**9}, "test_images = 1000000000: input should be less than or equal to 100000000"),
        ({"objects": 4}, "objects = 4: input should be less than or equal to 3"),
        ({"objects": 0}, "objects = 0: input should be greater than or equal to 1"),
        ({"reading": "mapped"}, r"reading = 'mapped': input should be 'auto', 'resident' or 'streaming'"),
    ],
)
def test_impossible_parameters_are_an_error_with_what_is_possible(given, words):
    assert resolve(SPEC.label, SPEC.params, given)[1] == [f"dataset 'shapes': {words}"]
