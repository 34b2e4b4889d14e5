"""A data set of two splits, of which the test split is read when it is first used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from sslbench import Split, UserError
from sslbench_plugins.blocks.images_on_disk.statistics import Triple, channel_sums, mean_and_deviation

CHUNK = 4096
"""images whose statistics are computed at a time"""


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

    def split(self, name: Literal["train", "test"]) -> Split:
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
        sums = self.sums
        if sums is None:
            sums = torch.zeros(3, 3, dtype=torch.int64)
            for indices in torch.split(torch.arange(len(self.train)), CHUNK):
                sums += channel_sums(self.train.images[indices])
        return mean_and_deviation(sums)


def side_of(split: Split) -> int:
    """Side of the images of a split, pixels."""
    return int(split.images[torch.arange(min(1, len(split)))].shape[-1])
