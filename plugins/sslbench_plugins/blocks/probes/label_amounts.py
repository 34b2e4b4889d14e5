"""How many labels of each class may be used: a number, or a share of those that there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from sslbench_plugins.blocks.probes.each_once import each_once
from sslbench_plugins.blocks.probes.stratified import share_of_each
from sslbench_plugins.blocks.studies.listed import Several

LabelNumbers = Annotated[tuple[Annotated[int, Field(ge=1)], ...], Several, each_once("number of labels")]
"""a parameter: labels of each class, ``2+13``"""
LabelShares = Annotated[tuple[Annotated[float, Field(gt=0, le=1)], ...], Several, each_once("share of labels")]
"""a parameter: shares of the labels, ``0.01+0.1+1``"""


class LabelAmount(NamedTuple):
    """So many labels of each class."""

    name: str
    """such as ``2`` or ``10%``, the end of the metrics' names"""
    per_class: Tensor
    """int64 ``[classes]``"""
    share: float | None
    """of the labels, in (0, 1]; None for a number of each class"""
    reason: str = ""
    """one line where there are not as many"""

    def drawn(self, ranks: Tensor, labels: Tensor) -> Tensor:
        """bool ``[draws, N]``: the labelled images of each draw; ``ranks`` as ``draw_ranks`` returns them."""
        return ranks < self.per_class[labels]


def amount_names(numbers: Sequence[int], shares: Sequence[float]) -> list[str]:
    """Numbers as they are, then shares in percent."""
    return [str(number) for number in numbers] + [percent(share) for share in shares]


def label_amounts(numbers: Sequence[int], shares: Sequence[float], available: Tensor) -> list[LabelAmount]:
    """In the order of ``amount_names``; ``available``: int64 ``[classes]``, how many labels each class has."""
    return [_of_number(number, available) for number in numbers] + [
        LabelAmount(percent(share), share_of_each(available, share), share) for share in shares
    ]


def require_amount(numbers: Sequence[int], shares: Sequence[float]) -> None:
    """Raises ValueError where there is neither a number nor a share."""
    if not numbers and not shares:
        raise ValueError("name at least one number of labels, or one share of them")


def percent(share: float) -> str:
    """0.125 -> ``12.5%``."""
    return f"{100 * share:g}%"


def why_too_few(number: int, available: Tensor) -> str:
    """A line with the class that has the fewest labels, where these are fewer than ``number``; else empty."""
    rarest = int(available.argmin())
    count = int(available[rarest])
    return f"class {rarest} has only {count} of {number} labels" if count < number else ""


def _of_number(number: int, available: Tensor) -> LabelAmount:
    return LabelAmount(str(number), torch.full_like(available, number), None, why_too_few(number, available))
