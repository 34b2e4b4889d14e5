"""A data set of two splits, of which the one to judge on is read when it is first asked for."""

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
    """called once; not at all by a run that judges on a part of the training split"""
    classes: Sequence[str]
    sums: Tensor | None = None
    """``channel_sums`` of the training images, where they are known already"""

    def split(self, name: Literal["train", "test"]) -> Split:
        if name == "train":
            return self.train
        if isinstance(self._test, UserError):
            raise self._test
        return self._test

    @cached_property
    def _test(self) -> Split | UserError:
        # A mistake is kept as well, so that images that cannot be read are decoded once and not for each method.
        try:
            return self.read_test()
        except UserError as error:
            return error

    @cached_property
    def image_size(self) -> int:
        return int(self.train.images[torch.arange(min(1, len(self.train)))].shape[-1])

    @property
    def mean(self) -> Triple:
        return self._statistics[0]

    @property
    def std(self) -> Triple:
        return self._statistics[1]

    @cached_property
    def _statistics(self) -> tuple[Triple, Triple]:
        sums = self.sums
        if sums is None:
            sums = torch.zeros(3, 3, dtype=torch.int64)
            for part in torch.arange(len(self.train)).split(CHUNK):
                sums += channel_sums(self.train.images[part])
        return mean_and_deviation(sums)
