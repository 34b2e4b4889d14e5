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
FEW_ROUNDINGS = 5e-6
"""each step is exact to 1e-7; four turns of the jitter enlarge that by up to 1.8 each"""
ADJUST = (
    reference.adjust_brightness,
    reference.adjust_contrast,
    reference.adjust_saturation,
    reference.adjust_hue,
)


def by_torchvision(image, params, index, size, eight_bits):
    """One image through the same steps, in floats from the start or, as a large one, after the resize."""
    box = [int(values[index]) for values in params.boxes]
    image = image if eight_bits else image / 255
    out = reference.resized_crop(image, *box, [size, size], antialias=True)
    out = reference.horizontal_flip(out) if params.flipped[index] else out
    out = (out / 255 if eight_bits else out).clamp(0, 1)
    for number in params.order[index].tolist() if params.jittered[index] else []:
        out = ADJUST[number](out, params.factors[number][index].item())
    if params.greyed[index]:
        out = reference.rgb_to_grayscale(out, 3)
    if params.blurred[index]:
        kernel, sigma = blur_kernel(size), params.sigma[index].item()
        out = reference.gaussian_blur(out, [kernel, kernel], [sigma, sigma])
    return reference.solarize(out, 0.5) if params.solarized[index] else out


@pytest.mark.parametrize("way", ["some", "everywhere", "compiled"])
@pytest.mark.parametrize(("side", "size"), [(32, 32), (40, 24), (120, 96)])
def test_every_sample_is_what_torchvision_makes_of_it(monkeypatch, side, size, way):
    """In the way of a CPU, which works on the samples that a step is for, in that of a GPU, and in what is compiled."""
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: way == "compiled")
    images = torch.randint(0, 256, (24, 3, side, side), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    view = PhotographicView(EVERYTHING, size)
    drawn = view.draw(24, (side, side), torch.Generator().manual_seed(1))
    params = view.parameters(drawn, (side, side))
    steps = (params.jittered, params.greyed, params.blurred, params.solarized)
    assert all(0 < int(step.sum()) < 24 for step in steps), "each step applies to some samples and not to all"
    ours = view.apply_to_samples(images, params) if way == "some" else view.apply(images, drawn)
    for index in range(24):
        theirs = by_torchvision(images[index], params, index, size, eight_bits=way == "some" and side > 48)
        # Four operations in a row, each to 3e-6.
        assert torch.allclose(ours[index], theirs, atol=2e-5), (index, (ours[index] - theirs).abs().max())


def test_a_view_is_its_parameters_drawn_and_applied():
    images = torch.randint(0, 256, (9, 3, 32, 32), dtype=torch.uint8)
    view = PhotographicView(EVERYTHING, 32)
    whole = view(images, torch.Generator().manual_seed(3))
    drawn = view.draw(9, (32, 32), torch.Generator().manual_seed(3))
    assert torch.equal(whole, view.apply_to_samples(images, view.parameters(drawn, (32, 32))))
    assert torch.allclose(whole, view.apply(images, drawn), atol=FEW_ROUNDINGS)


@pytest.mark.parametrize("side", [32, 96])
def test_the_parts_that_a_batch_is_worked_on_in_change_nothing(monkeypatch, side):
    images = torch.randint(0, 256, (10, 3, side, side), dtype=torch.uint8)
    view = PhotographicView(EVERYTHING, side)
    params = view.parameters(view.draw(10, (side, side), torch.Generator().manual_seed(2)), (side, side))
    at_once = []
    for values in (1, 3 * 3 * side**2, 100 * 3 * side**2):
        monkeypatch.setattr(photographic_view, "ON_CPU", values)
        at_once.append(view.apply_to_samples(images, params))
    assert torch.allclose(at_once[0], at_once[1], atol=1e-6)
    assert torch.allclose(at_once[0], at_once[2], atol=1e-6)
