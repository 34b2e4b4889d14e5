from __future__ import annotations

import pytest
import torch

from sslbench_plugins.evaluators.reconstruction.inpainting import bilinear, hidden_pixels, nearest


def masks(batch, grid, hidden, seed=0):
    patches = grid[0] * grid[1]
    return torch.rand(batch, patches, generator=torch.Generator().manual_seed(seed)).argsort(dim=1) < hidden


def plain_nearest(image, hidden):
    """Every hidden pixel against every visible one: the set of colours at the least distance, by pixel."""
    size = hidden.shape[0]
    visible = [(r, c) for r in range(size) for c in range(size) if not hidden[r, c]]
    found = {}
    for r in range(size):
        for c in range(size):
            gaps = [(r - a) ** 2 + (c - b) ** 2 for a, b in visible]
            least = min(gaps)
            found[r, c] = [image[:, a, b].tolist() for (a, b), gap in zip(visible, gaps, strict=True) if gap == least]
    return found


def plain_bilinear(image, hidden):
    """One pixel at a time: look left, right, up and down for a visible one."""
    size = hidden.shape[0]
    out = image.clone()
    lost = []
    for r in range(size):
        for c in range(size):
            if not hidden[r, c]:
                continue
            total, weights = torch.zeros(image.shape[0]), 0.0
            for down, right in ((0, -1), (0, 1), (-1, 0), (1, 0)):
                a, b, steps = r + down, c + right, 1
                while 0 <= a < size and 0 <= b < size and hidden[a, b]:
                    a, b, steps = a + down, b + right, steps + 1
                if 0 <= a < size and 0 <= b < size:
                    total, weights = total + image[:, a, b] / steps, weights + 1 / steps
            if weights:
                out[:, r, c] = total / weights
            else:
                lost.append((r, c))
    return out, lost


@pytest.mark.parametrize(("grid", "size", "hidden"), [((4, 4), 8, 12), ((3, 3), 9, 1), ((3, 3), 9, 8), ((6, 6), 6, 30)])
def test_nearest_takes_a_colour_at_the_least_distance(grid, size, hidden):
    images, mask = torch.rand(3, 3, size, size), masks(3, grid, hidden)
    filled = nearest(images, mask, grid)
    for image, one, dark in zip(images, filled, hidden_pixels(mask, grid, size), strict=True):
        for (r, c), colours in plain_nearest(image, dark).items():
            assert one[:, r, c].tolist() in colours
        assert torch.equal(one[:, ~dark], image[:, ~dark])


def test_of_equally_near_pixels_the_first_patchs_is_taken():
    image = torch.tensor([[1.0, 0.0, 9.0]]).repeat(3, 1)[None].expand(1, 3, 3, 3)
    mask = torch.tensor([[False, True, False] * 3])
    assert (nearest(image, mask, (3, 3))[0, :, :, 1] == 1).all()


@pytest.mark.parametrize(
    ("grid", "size", "hidden"), [((4, 4), 8, 12), ((3, 3), 9, 1), ((4, 4), 16, 15), ((5, 5), 5, 18)]
)
def test_bilinear_follows_the_plain_search(grid, size, hidden):
    images, mask = torch.rand(4, 3, size, size), masks(4, grid, hidden)
    filled = bilinear(images, mask, grid)
    near = nearest(images, mask, grid)
    for image, one, dark, other in zip(images, filled, hidden_pixels(mask, grid, size), near, strict=True):
        expected, lost = plain_bilinear(image, dark)
        for r, c in lost:
            expected[:, r, c] = other[:, r, c]
        assert torch.allclose(one, expected, atol=1e-5)


def test_an_image_that_is_linear_in_each_direction_comes_back_exactly():
    y, x = torch.meshgrid(torch.linspace(0, 1, 12), torch.linspace(0, 1, 12), indexing="ij")
    image = torch.stack([x, 0.3 + 0.5 * x - 0.2 * y, 0.1 + x * y])[None]
    inner = torch.tensor([[False] * 6 + [True, False] + [False] * 8])
    assert torch.allclose(bilinear(image, inner, (4, 4)), image, atol=1e-6)
    columns = torch.tensor([[False, True, True, False] * 4])
    assert torch.allclose(bilinear(image, columns, (4, 4)), image, atol=1e-6)
    assert not torch.allclose(nearest(image, columns, (4, 4)), image, atol=1e-2)


def test_visible_pixels_are_as_they_were_and_hidden_ones_do_not_matter():
    images, mask = torch.rand(2, 3, 8, 8), masks(2, (4, 4), 10)
    dark = hidden_pixels(mask, (4, 4), 8)[:, None]
    for fill in (nearest, bilinear):
        filled = fill(images, mask, (4, 4))
        assert torch.equal(torch.where(dark, 0.0, filled), torch.where(dark, 0.0, images))
        assert torch.equal(fill(torch.where(dark, 77.0, images), mask, (4, 4)), filled)


def test_many_images_are_filled_as_each_alone(monkeypatch):
    from sslbench_plugins.evaluators.reconstruction import inpainting

    images, mask = torch.rand(7, 3, 8, 8), masks(7, (4, 4), 10)
    whole = nearest(images, mask, (4, 4))
    monkeypatch.setattr(inpainting, "DISTANCES", 1)
    assert torch.equal(nearest(images, mask, (4, 4)), whole)


def test_patches_become_pixels_row_by_row():
    mask = torch.tensor([[True, False, False, False, False, True]])
    expected = torch.tensor([[1, 1, 0, 0, 0, 0]] * 3 + [[0, 0, 0, 0, 1, 1]] * 3).bool()
    assert torch.equal(hidden_pixels(mask, (2, 3), 6)[0], expected)
