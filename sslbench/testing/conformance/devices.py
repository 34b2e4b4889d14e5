"""What a plugin would do on a GPU, tried without one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from sslbench.testing.conformance.problem import Problems
from sslbench.testing.pretended_gpu import DEVICE, MIXED, PretendedGpu


def of_gpu(work: Callable[[PretendedGpu], Sequence[Tensor]], where: str) -> Problems:
    """Whether ``work``, named by ``where``, keeps to the GPU and answers there. On a machine that has a GPU nothing is
    pretended, and work that needs numbers, as one that waits for the GPU does, cannot be tried; neither is a problem.
    """
    if torch.cuda.is_available():
        return
    try:
        with PretendedGpu() as gpu:
            answers = work(gpu)
    except MIXED as error:
        yield f"{where} on a GPU: {str(error).splitlines()[0]}"
        return
    except Exception:
        return
    if any(answer.device != DEVICE for answer in answers):
        yield f"{where} on a GPU: it answered on the CPU"
