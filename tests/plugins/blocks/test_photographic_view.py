"""A whole view beside torchvision's functional transforms, sample by sample, with the parameters that were drawn."""

from __future__ import annotations

import pytest
import torch
from torchvision.transforms.v2 import functional as reference

from sslbench_plugins.blocks.views import photographic_view
from sslbench_plugins.blocks.views.photographic_view import PhotographicView, Pipeline, blur_kernel

EVERYTHING = Pipeline(
    crop_scale=(0.08, 1.0),
    flip=0.5,
    jitter=0.8,
    strengths=(0.8, 0.8, 0.8, 0.2),
    grey=0.2,
    blur=0.5,
    solarize=0.3,
)
ADJUST = (
    reference.adjust_brightness,
    reference.adjust_contrast,
    reference.adjust_saturation,
    reference.adjust_hue,
)


def by_torchvision(image, drawn, place, size, eight_bits):
    """One image through the same steps, in floats from the start or, as a large one, after the resize."""
    box = [int(values[place]) for values in drawn.boxes]
    image = image if eight_bits else image / 255
    out = reference.resized_crop(image, *box, [size, size], antialias=True)
    out = reference.horizontal_flip(out) if drawn.flipped[place] else out
    out = (out / 255 if eight_bits else out).clamp(0, 1)
    for number in drawn.order[place].tolist() if drawn.jittered[place] else []:
        out = ADJUST[number](out, drawn.factors[place, number].item())
    if drawn.greyed[place]:
        out = reference.rgb_to_grayscale(out, 3)
    if drawn.blurred[place]:
        kernel, sigma = blur_kernel(size), drawn.sigma[place].item()
        out = reference.gaussian_blur(out, [kernel, kernel], [sigma, sigma])
    return reference.solarize(out, 0.5) if drawn.solarized[place] else out


@pytest.mark.parametrize("colour", ["some", "everywhere"])
@pytest.mark.parametrize(("side", "size"), [(32, 32), (40, 24), (120, 96)])
def test_every_sample_is_what_torchvision_makes_of_it(monkeypatch, side, size, colour):
    """In the way of a CPU, which works on the samples that a step is for, and in that of a GPU."""
    monkeypatch.setattr(PhotographicView, "_colour_some", getattr(PhotographicView, f"_colour_{colour}"))
    images = torch.randint(0, 256, (24, 3, side, side), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    view = PhotographicView(EVERYTHING, size)
    drawn = view.draw(24, (side, side), torch.Generator().manual_seed(1))
    steps = (drawn.jittered, drawn.greyed, drawn.blurred, drawn.solarized)
    assert all(0 < int(step.sum()) < 24 for step in steps), "each step is there, and is not for all"
    ours = view.apply(images, drawn)
    for place in range(24):
        theirs = by_torchvision(images[place], drawn, place, size, eight_bits=side > 48)
        # Four operations in a row, each to 3e-6.
        assert torch.allclose(ours[place], theirs, atol=2e-5), (place, (ours[place] - theirs).abs().max())


def test_a_view_is_a_draw_and_what_follows_from_it():
    images = torch.randint(0, 256, (9, 3, 32, 32), dtype=torch.uint8)
    view = PhotographicView(EVERYTHING, 32)
    whole = view(images, torch.Generator().manual_seed(3))
    drawn = view.draw(9, (32, 32), torch.Generator().manual_seed(3))
    assert torch.equal(whole, view.apply(images, drawn))


@pytest.mark.parametrize("side", [32, 96])
def test_the_parts_that_a_batch_is_worked_on_in_change_nothing(monkeypatch, side):
    images = torch.randint(0, 256, (10, 3, side, side), dtype=torch.uint8)
    view = PhotographicView(EVERYTHING, side)
    drawn = view.draw(10, (side, side), torch.Generator().manual_seed(2))
    at_once = []
    for values in (1, 3 * 3 * side**2, 100 * 3 * side**2):
        monkeypatch.setattr(photographic_view, "ON_CPU", values)
        at_once.append(view.apply(images, drawn))
    assert torch.allclose(at_once[0], at_once[1], atol=1e-6)
    assert torch.allclose(at_once[0], at_once[2], atol=1e-6)
