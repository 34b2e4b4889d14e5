from __future__ import annotations

import torch

from sslbench_plugins.blocks.images_on_disk.two_splits import channel_sums, mean_and_deviation


def test_mean_and_deviation_are_those_of_all_pixels_in_any_parts():
    images = torch.randint(0, 256, (7, 3, 5, 4), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    whole = channel_sums(images)
    assert torch.equal(whole, channel_sums(images[:3]) + channel_sums(images[3:]))
    mean, deviation = mean_and_deviation(whole)
    values = images.double().transpose(0, 1).flatten(1) / 255
    assert torch.allclose(torch.tensor(mean).double(), values.mean(dim=1))
    assert torch.allclose(torch.tensor(deviation).double(), values.std(dim=1, unbiased=False))


def test_no_image_at_all():
    assert mean_and_deviation(torch.zeros(3, 3, dtype=torch.int64)) == ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0))
