from __future__ import annotations

import pytest
import torch
from torchvision.transforms.v2 import functional as reference

from sslbench_plugins.blocks.views.blur import blur, blur_by_taps, blur_image, tap_weights
from sslbench_plugins.blocks.views.photographic_view import blur_kernel


@pytest.mark.parametrize(("size", "kernel"), [(8, 3), (32, 3), (32, 23), (96, 9)])
def test_each_sample_is_torchvisions_blur_with_its_sigma(size, kernel):
    images = torch.rand(5, 3, size, size, generator=torch.Generator().manual_seed(0))
    sigma = torch.tensor([0.1, 0.5, 1.0, 1.7, 2.0])
    ours = blur(images, sigma, kernel)
    if kernel < size // 2:
        assert torch.allclose(blur_by_taps(images, sigma, kernel), ours, atol=1e-6)
    for index in range(5):
        theirs = reference.gaussian_blur(images[index], [kernel, kernel], [sigma[index].item()] * 2)
        assert torch.allclose(ours[index], theirs, atol=2e-6)


@pytest.mark.parametrize(("size", "kernel"), [(96, 9), (224, 23)])
@pytest.mark.parametrize("sigma", [0.1, 0.5, 1.0, 1.7, 2.0])
def test_a_large_image_is_torchvisions_blur_too(size, kernel, sigma):
    image = torch.rand(3, size, size, generator=torch.Generator().manual_seed(0))
    theirs = reference.gaussian_blur(image, [kernel, kernel], [sigma, sigma])
    assert torch.allclose(blur_image(image.clone(), sigma, kernel), theirs, atol=2e-6)


@pytest.mark.parametrize(("size", "kernel"), [(8, 3), (32, 3), (96, 9), (224, 23)])
def test_the_kernel_is_a_tenth_of_the_side_and_odd(size, kernel):
    assert blur_kernel(size) == kernel


def test_no_weight_is_so_small_that_products_with_it_are_slow():
    weights = tap_weights(torch.linspace(0.1, 2, 1901), 23)
    smallest_pixel = 1 / 255
    assert weights[weights > 0].min() * smallest_pixel > torch.finfo(torch.float32).tiny
    assert (weights == 0).any()
    assert torch.allclose(2 * weights.sum(dim=1) - weights[:, 0], torch.ones(len(weights)))
