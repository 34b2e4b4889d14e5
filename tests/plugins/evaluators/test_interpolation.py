from __future__ import annotations

import pytest
import torch

from sslbench_plugins.evaluators.reconstruction.interpolation import bilinear, masked_pixels, nearest


def masks(batch, grid, masked, seed=0):
    patches = grid[0] * grid[1]
    return torch.rand(batch, patches, generator=torch.Generator().manual_seed(seed)).argsort(dim=1) < masked


def plain_nearest(image, masked):
    """Every masked pixel against every visible one: the set of colours at the least distance, by pixel."""
    size = masked.shape[0]
    visible = [(r, c) for r in range(size) for c in range(size) if not masked[r, c]]
    colours = {}
    for r in range(size):
        for c in range(size):
            gaps = [(r - a) ** 2 + (c - b) ** 2 for a, b in visible]
            least = min(gaps)
            colours[r, c] = [image[:, a, b].tolist() for (a, b), gap in zip(visible, gaps, strict=True) if gap == least]
    return colours


def plain_bilinear(image, masked):
    """One pixel at a time: look left, right, up and down for a visible one."""
    size = masked.shape[0]
    out = image.clone()
    isolated = []
    for r in range(size):
        for c in range(size):
            if not masked[r, c]:
                continue
            total, weights = torch.zeros(image.shape[0]), 0.0
            for down, right in ((0, -1), (0, 1), (-1, 0), (1, 0)):
                a, b, steps = r + down, c + right, 1
                while 0 <= a < size and 0 <= b < size and masked[a, b]:
                    a, b, steps = a + down, b + right, steps + 1
                if 0 <= a < size and 0 <= b < size:
                    total, weights = total + image[:, a, b] / steps, weights + 1 / steps
            if weights:
                out[:, r, c] = total / weights
            else:
                isolated.append((r, c))
    return out, isolated


@pytest.mark.parametrize(("grid", "size", "masked"), [((4, 4), 8, 12), ((3, 3), 9, 1), ((3, 3), 9, 8), ((6, 6), 6, 30)])
def test_nearest_takes_a_colour_at_the_least_distance(grid, size, masked):
    images, mask = torch.rand(3, 3, size, size), masks(3, grid, masked)
    filled = nearest(images, mask, grid)
    for image, result, masked_in_image in zip(images, filled, masked_pixels(mask, grid, size), strict=True):
        for (r, c), colours in plain_nearest(image, masked_in_image).items():
            assert result[:, r, c].tolist() in colours
        assert torch.equal(result[:, ~masked_in_image], image[:, ~masked_in_image])


def test_of_equally_near_pixels_the_first_patchs_is_taken():
    image = torch.tensor([[1.0, 0.0, 9.0]]).repeat(3, 1)[None].expand(1, 3, 3, 3)
    mask = torch.tensor([[False, True, False] * 3])
    assert (nearest(image, mask, (3, 3))[0, :, :, 1] == 1).all()


@pytest.mark.parametrize(
    ("grid", "size", "masked"), [((4, 4), 8, 12), ((3, 3), 9, 1), ((4, 4), 16, 15), ((5, 5), 5, 18)]
)
def test_bilinear_agrees_with_the_plain_search(grid, size, masked):
    images, mask = torch.rand(4, 3, size, size), masks(4, grid, masked)
    filled = bilinear(images, mask, grid)
    by_nearest = nearest(images, mask, grid)
    for image, result, masked_in_image, other in zip(
        images, filled, masked_pixels(mask, grid, size), by_nearest, strict=True
    ):
        expected, isolated = plain_bilinear(image, masked_in_image)
        for r, c in isolated:
            expected[:, r, c] = other[:, r, c]
        assert torch.allclose(result, expected, atol=1e-5)


def test_an_image_that_is_linear_in_each_direction_comes_back_exactly():
    y, x = torch.meshgrid(torch.linspace(0, 1, 12), torch.linspace(0, 1, 12), indexing="ij")
    image = torch.stack([x, 0.3 + 0.5 * x - 0.2 * y, 0.1 + x * y])[None]
    inner = torch.tensor([[False] * 6 + [True, False] + [False] * 8])
    assert torch.allclose(bilinear(image, inner, (4, 4)), image, atol=1e-6)
    columns = torch.tensor([[False, True, True, False] * 4])
    assert torch.allclose(bilinear(image, columns, (4, 4)), image, atol=1e-6)
    assert not torch.allclose(nearest(image, columns, (4, 4)), image, atol=1e-2)


def test_visible_pixels_are_as_they_were_and_masked_ones_do_not_matter():
    images, mask = torch.rand(2, 3, 8, 8), masks(2, (4, 4), 10)
    masked_in_image = masked_pixels(mask, (4, 4), 8)[:, None]
    for fill in (nearest, bilinear):
        filled = fill(images, mask, (4, 4))
        assert torch.equal(torch.where(masked_in_image, 0.0, filled), torch.where(masked_in_image, 0.0, images))
        assert torch.equal(fill(torch.where(masked_in_image, 77.0, images), mask, (4, 4)), filled)


def test_many_images_are_filled_as_each_alone(monkeypatch):
    from sslbench_plugins.evaluators.reconstruction import interpolation

    images, mask = torch.rand(7, 3, 8, 8), masks(7, (4, 4), 10)
    whole = nearest(images, mask, (4, 4))
    monkeypatch.setattr(interpolation, "DISTANCES", 1)
    assert torch.equal(nearest(images, mask, (4, 4)), whole)


def test_patches_become_pixels_row_by_row():
    mask = torch.tensor([[True, False, False, False, False, True]])
    expected = torch.tensor([[1, 1, 0, 0, 0, 0]] * 3 + [[0, 0, 0, 0, 1, 1]] * 3).bool()
    assert torch.equal(masked_pixels(mask, (2, 3), 6)[0], expected)
