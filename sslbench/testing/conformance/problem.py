"""Problems: how a plugin breaks its contract, one line each; also those that it would have on a GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from sslbench.testing.pretended_gpu import DEVICE, MixedDevices, PretendedGpu

SIZE = 16
"""side of the images that plugins are tried on, pixels"""
Problems = Iterator[str]


def gpu_problems(work: Callable[[PretendedGpu], Sequence[Tensor]], where: str) -> Problems:
    """Whether ``work``, named by ``where``, keeps to the GPU and returns tensors there.

    On a machine that has a GPU nothing is pretended. Work that needs numbers, as any that waits for the GPU does,
    cannot be tried. Neither is a problem.
    """
    if torch.cuda.is_available():
        return
    try:
        with PretendedGpu() as gpu:
            results = work(gpu)
    except MixedDevices as error:
        yield f"{where} on a GPU: {str(error).splitlines()[0]}"
        return
    except Exception:
        return
    if any(result.device != DEVICE for result in results):
        yield f"{where} on a GPU: it returned a tensor on the CPU"
