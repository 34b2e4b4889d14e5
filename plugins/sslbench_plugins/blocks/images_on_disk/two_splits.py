"""A data set of two splits, of which the test split is read when it is first used, and statistics of its images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from sslbench import Split, SplitName, UserError

Triple = tuple[float, float, float]
"""one number for each channel"""
CHUNK = 4096
"""images whose statistics are computed at a time"""


def channel_sums(images: Tensor) -> Tensor:
    """uint8 ``[N, 3, H, W]`` -> int64 ``[3, 3]``: count, sum and sum of squares of each channel's values. Whole
    numbers, so that sums over parts add up to the same in any order."""
    values = images.transpose(0, 1).flatten(1).to(torch.int32)
    count = torch.full((3,), values.shape[1], dtype=torch.int64)
    return torch.stack([count, values.sum(dim=1), values.square().sum(dim=1)])


def mean_and_deviation(sums: Tensor) -> tuple[Triple, Triple]:
    """What ``channel_sums`` counted, as mean and deviation of values in 0..1; both 0 where there is no image."""
    count, total, squares = sums.double()
    mean = total / count.clamp(min=1)
    variance = squares / count.clamp(min=1) - mean.square()
    deviation = variance.clamp_(min=0).sqrt()
    return tuple((mean / 255).tolist()), tuple((deviation / 255).tolist())


@dataclass(frozen=True)
class TwoSplits:
    """Splits of uint8 ``[N, 3, S, S]`` images, with the statistics of the training split."""

    train: Split
    read_test: Callable[[], Split]
    """called once; not at all by a run that evaluates on a part of the training split"""
    classes: Sequence[str]
    """names, in the order of the labels"""
    sums: Tensor | None = None
    """``channel_sums`` of the training images, where they are known already"""

    def split(self, name: SplitName) -> Split:
        """One of the two. Raises UserError, each time, where the test split cannot be read."""
        if name == "train":
            return self.train
        if isinstance(self._test, UserError):
            raise self._test
        return self._test

    @cached_property
    def _test(self) -> Split | UserError:
        # An error is kept as well, so that images that cannot be read are decoded once and not for each method.
        try:
            return self.read_test()
        except UserError as error:
            return error

    @cached_property
    def image_size(self) -> int:
        """Side of the images, pixels."""
        return side_of(self.train)

    @property
    def mean(self) -> Triple:
        """Of each channel over the training split, of values in 0..1."""
        return self._statistics[0]

    @property
    def std(self) -> Triple:
        """Of each channel over the training split, of values in 0..1."""
        return self._statistics[1]

    @cached_property
    def _statistics(self) -> tuple[Triple, Triple]:
        if self.sums is not None:
            return mean_and_deviation(self.sums)
        chunks = torch.split(torch.arange(len(self.train)), CHUNK)
        return mean_and_deviation(torch.stack([channel_sums(self.train.images[indices]) for indices in chunks]).sum(0))


def side_of(split: Split) -> int:
    """Side of the images of a split, pixels."""
    return int(split.images[torch.arange(min(1, len(split)))].shape[-1])
