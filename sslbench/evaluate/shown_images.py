"""The images of a pretraining for pictures: read when they are first asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from torch import Tensor

from sslbench.contracts.dataset import SplitName
from sslbench.hooks.registry import one_line
from sslbench.train.data import Splits

T = TypeVar("T")


class ImagesUnreadable(RuntimeError):
    """Images for a picture cannot be read: whatever was measured stays."""


class SplitImages:
    """``ShownImages`` of splits that ``read`` returns, called at most once."""

    def __init__(self, read: Callable[[], Splits]) -> None:
        self._read = read
        self._splits: Splits | None = None

    @property
    def class_names(self) -> Sequence[str]:
        """In the order of the labels. Raises ImagesUnreadable."""
        return self._reading(lambda splits: splits.class_names)

    def pixels(self, split: SplitName, indices: Tensor) -> Tensor:
        """uint8 ``[B, 3, H, W]`` on the CPU. Raises ImagesUnreadable."""
        rows = indices.cpu()
        return self._reading(lambda splits: (splits.train if split == "train" else splits.test).images[rows].cpu())

    def _reading(self, part: Callable[[Splits], T]) -> T:
        try:
            if self._splits is None:
                self._splits = self._read()
            return part(self._splits)
        except Exception as error:
            raise ImagesUnreadable(one_line(error)) from error
