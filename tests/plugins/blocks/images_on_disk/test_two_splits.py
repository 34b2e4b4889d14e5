from __future__ import annotations

import pytest
import torch

from sslbench import Split, UserError
from sslbench_plugins.blocks.images_on_disk.two_splits import TwoSplits

TRAIN = Split(torch.full((5, 3, 4, 4), 51, dtype=torch.uint8), torch.zeros(5, dtype=torch.int64))


def test_the_test_split_is_read_once_and_only_when_it_is_used():
    reads = []

    def read():
        reads.append(1)
        return TRAIN

    data = TwoSplits(TRAIN, read, ["a"])
    assert (data.image_size, data.mean, data.std) == (4, (0.2, 0.2, 0.2), (0.0, 0.0, 0.0))
    assert data.split("train") is TRAIN
    assert reads == []
    assert data.split("test") is data.split("test")
    assert reads == [1]


def test_so_is_a_mistake_in_it():
    reads = []

    def read():
        reads.append(1)
        raise UserError("broken")

    data = TwoSplits(TRAIN, read, ["a"])
    for _ in range(2):
        with pytest.raises(UserError, match="broken"):
            data.split("test")
    assert reads == [1]


def test_images_that_are_made_on_demand_have_statistics_too():
    class Reader:
        def __len__(self):
            return 5

        def __getitem__(self, indices):
            return TRAIN.images[indices]

    data = TwoSplits(Split(Reader()), lambda: TRAIN, [])
    assert (data.image_size, data.mean) == (4, (0.2, 0.2, 0.2))
