"""Problems: how a plugin breaks its contract, one line each; also those that it would have on a GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from sslbench.hooks.registry import one_line
from sslbench.testing.pretended_gpu import DEVICE, WAITS, MixedDevices, NotOnHost, OtherGenerator, PretendedGpu

SIZE = 16
"""side of the images that plugins are tried on, pixels"""
Problems = Iterator[str]


class Untried(str):
    """In the place of a problem: what could not be tried, and why."""

    __slots__ = ()


def gpu_problems(work: Callable[[PretendedGpu], Sequence[Tensor]], where: str) -> Problems:
    """Whether ``work``, named by ``where``, keeps to the GPU and returns tensors there.

    On a machine that has a GPU nothing is pretended. Work that needs numbers, as any that waits for the GPU does,
    cannot be tried.
    """
    if torch.cuda.is_available():
        return
    try:
        with PretendedGpu() as gpu:
            results = work(gpu)
    except (MixedDevices, NotOnHost, OtherGenerator) as error:
        yield f"{where} on a GPU: {str(error).splitlines()[0]}"
        return
    except WAITS:
        yield Untried(f"{where} on a GPU that is pretended: it asks for a number, for which a GPU would have to wait")
        return
    except Exception as error:
        yield Untried(f"{where} on a GPU that is pretended: {one_line(error)}")
        return
    if any(result.device != DEVICE for result in results):
        yield f"{where} on a GPU: it returned a tensor on the CPU"
