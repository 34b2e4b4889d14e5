from __future__ import annotations

import math

import pytest
import torch
from torchvision.transforms.v2 import InterpolationMode, functional as reference

from sslbench import BuildContext
from sslbench.hooks.registry import Registry
from sslbench_plugins.augmentations.affine import warp

REGISTRY = Registry()
NAMES = REGISTRY.catalogue.names("augmentation")


def view(name, size=16, **overrides):
    spec = REGISTRY.get("augmentation", name)
    return spec.build(spec.params(**overrides), BuildContext()).view(0, "global", size)


def photographs(count=8, size=24):
    return torch.randint(0, 256, (count, 3, size, size), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


# A coin that is tossed for each sample, and no more, cannot tell eight samples apart.
COINS = {"none", "flip-only", "grey-only"}


@pytest.mark.parametrize("name", [name for name in NAMES if name not in COINS])
def test_every_sample_has_its_own_parameters_and_every_call_new_ones(name):
    same = photographs(1).expand(8, -1, -1, -1)
    generator = seeded()
    transform = view(name)
    first, second = transform(same, generator), transform(same, generator)
    assert all(not torch.equal(first[0], other) for other in first[1:])
    assert not torch.equal(first, second)


def test_none_is_the_image_itself():
    images = photographs(size=16)
    assert torch.equal(view("none")(images, seeded()), images / 255)


@pytest.mark.parametrize("name", ["simclr", "mae"])
def test_flips_come_as_often_as_asked(name):
    """A ramp from left to right tells whether a view is mirrored, whatever its crop."""
    ramp = torch.linspace(0, 255, 32).to(torch.uint8).expand(2000, 3, 32, 32)
    overrides = {"jitter": 0, "grey": 0, "blur": 0} if name == "simclr" else {}
    for wanted in (0.0, 0.3, 1.0):
        out = view(name, flip=wanted, **overrides)(ramp, seeded())
        mirrored = (out[..., -1] < out[..., 0]).float().mean().item()
        assert mirrored == pytest.approx(wanted, abs=0.04)


def test_grey_and_blur_come_as_often_as_asked():
    images = photographs(1500, 8)
    off = {"jitter": 0, "flip": 0, "crop_scale_min": 1.0}
    out = view("simclr", 8, grey=0.2, blur=0, **off)(images, seeded())
    assert (out.std(dim=1).amax(dim=(1, 2)) < 1e-5).float().mean().item() == pytest.approx(0.2, abs=0.04)
    plain = view("simclr", 8, grey=0, blur=0, **off)(images, seeded())
    blurred = view("simclr", 8, grey=0, blur=0.5, **off)(images, seeded())
    changed = (plain - blurred).abs().amax(dim=(1, 2, 3)) > 1e-3
    # A deviation below a fifth of a pixel leaves the image as it is, to the eye: 5% of those that are blurred.
    assert changed.float().mean().item() == pytest.approx(0.5, abs=0.06)


def test_strength_scales_the_jitter():
    images = photographs(200, 8)
    off = {"flip": 0, "crop_scale_min": 1.0, "grey": 0, "blur": 0, "jitter": 1}
    plain = view("simclr", 8, **{**off, "jitter": 0})(images, seeded())

    def change(strength):
        return (view("simclr", 8, strength=strength, **off)(images, seeded()) - plain).abs().mean().item()

    assert change(0.0) < 1e-5
    assert 0.02 < change(0.25) < change(0.5) < change(1.0)


@pytest.mark.parametrize("size", [8, 21])
def test_warp_is_torchvisions_affine(size):
    images = torch.rand(6, 3, size, size, generator=seeded())
    degrees = torch.tensor([0.0, 20.0, -20.0, 7.0, 90.0, 13.0])
    scale = torch.tensor([1.0, 0.7, 1.0, 0.85, 1.0, 0.9])
    down, across = torch.tensor([[0.0, 1, -2, 1, 0, 2], [0.0, 2, 1, -1, 0, 3]]) / size
    ours = warp(images, degrees * math.pi / 180, scale, down, across)
    for index in range(6):
        theirs = reference.affine(
            images[index],
            angle=degrees[index].item(),
            translate=[across[index].item() * size, down[index].item() * size],
            scale=scale[index].item(),
            shear=[0.0, 0.0],
            interpolation=InterpolationMode.BILINEAR,
        )
        assert torch.allclose(ours[index], theirs, atol=2e-5)


def test_affine_makes_views_of_eight_pixels_that_keep_what_is_there():
    images = photographs(64, 8)
    out = view("affine", 8, degrees=0, scale_min=1, shift=0, brightness=0)(images, seeded())
    assert torch.allclose(out, images / 255, atol=1e-5)


@pytest.mark.gpu
@pytest.mark.parametrize("name", NAMES)
def test_views_are_made_on_the_images_device(name):
    out = view(name)(photographs().cuda(), torch.Generator("cuda").manual_seed(0))
    assert out.is_cuda
    assert out.shape == (8, 3, 16, 16)
    assert 0 <= out.min().item() <= out.max().item() <= 1


COLOUR_OFF = {"crop_scale_min": 1.0, "flip": 0, "jitter": 0, "grey": 0}


def test_byols_second_view_alone_is_solarised_as_torchvision_does():
    images = photographs(size=16)
    spec = REGISTRY.get("augmentation", "byol")
    off = {**COLOUR_OFF, "blur_first": 0, "blur_second": 0, "solarize_second": 1}
    views = spec.build(spec.params(**off), BuildContext())
    plain = images / 255
    assert torch.allclose(views.view(0, "global", 16)(images, seeded()), plain, atol=1e-5)
    second = views.view(1, "global", 16)(images, seeded())
    assert torch.allclose(second, reference.solarize(plain, 0.5), atol=1e-5)


def test_byols_first_view_is_always_blurred_and_its_second_seldom():
    images = photographs(400, 16)
    spec = REGISTRY.get("augmentation", "byol")
    views = spec.build(spec.params(**COLOUR_OFF, solarize_second=0), BuildContext())
    changed = [
        ((views.view(i, "global", 16)(images, seeded()) - images / 255).abs().amax(dim=(1, 2, 3)) > 1e-3).float().mean()
        for i in (0, 1)
    ]
    assert changed[0] > 0.9
    assert changed[1].item() == pytest.approx(0.1, abs=0.05)


def test_all_of_lejepas_views_are_solarised_alike():
    images = photographs(size=16)
    spec = REGISTRY.get("augmentation", "lejepa")
    whole = {"global_scale_min": 1, "local_scale_min": 1, "local_scale_max": 1, "flip": 0}
    views = spec.build(spec.params(**whole, jitter=0, grey=0, blur=0, solarize=1), BuildContext())
    for index, kind in ((0, "global"), (1, "global"), (2, "local")):
        view = views.view(index, kind, 16)(images, seeded())
        assert torch.allclose(view, reference.solarize(images / 255, 0.5), atol=1e-5)


COLOURLESS = {
    "dino": {"jitter": 0, "grey": 0, "blur_first": 0, "blur_second": 0, "blur_local": 0, "solarize_second": 0},
    "swav": {"jitter": 0, "grey": 0, "blur": 0},
    "lejepa": {"jitter": 0, "grey": 0, "blur": 0, "solarize": 0},
}


@pytest.mark.parametrize(("name", "most", "least"), [("dino", 0.55, 0.55), ("swav", 0.35, 0.45), ("lejepa", 0.5, 0.55)])
def test_small_crops_show_less_of_the_image(name, most, least):
    ramp = torch.linspace(0, 255, 64).to(torch.uint8).expand(500, 3, 64, 64)
    spec = REGISTRY.get("augmentation", name)
    views = spec.build(spec.params(**COLOURLESS[name]), BuildContext())

    def width(index, kind, size):
        out = views.view(index, kind, size)(ramp, seeded())
        assert out.shape == (500, 3, size, size)
        row = out.mean(dim=(1, 2))
        return (row.amax(1) - row.amin(1)).mean().item()

    assert width(2, "local", 16) < most <= least < width(0, "global", 32)


@pytest.mark.parametrize(
    ("name", "overrides"),
    [
        ("flip-only", {"probability": 0}),
        ("grey-only", {"probability": 0}),
        ("blur-only", {"probability": 0}),
        ("jitter-only", {"probability": 0}),
        ("crop-only", {"scale_min": 1.0}),
    ],
)
def test_a_single_transform_that_is_off_leaves_the_image(name, overrides):
    images = photographs(size=16)
    assert torch.allclose(view(name, **overrides)(images, seeded()), images / 255, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "theirs"),
    [("flip-only", reference.horizontal_flip), ("grey-only", lambda x: reference.rgb_to_grayscale(x, 3))],
)
def test_a_single_transform_is_torchvisions(name, theirs):
    images = photographs(size=16)
    out = view(name, probability=1)(images, seeded())
    assert torch.allclose(out, torch.stack([theirs(image) for image in images / 255]), atol=1e-5)
