"""What an error says of the device: no memory is left, a size is beyond its indices, or it works no more.

The texts are those of torch and of the libraries under it, which have an exception of their own for few of them.
"""

from __future__ import annotations

import errno
import re

import torch

from sslbench.errors import text_of

NO_MEMORY = re.compile(
    r"out of memory"  # torch's allocators, CUDA's runtime and driver, NCCL
    r"|can't allocate memory|not enough memory: you tried to allocate"  # torch on the CPU of Linux, of Windows
    r"|_ALLOC_FAILED|_ALLOCATION_FAILED"  # cuBLAS, cuDNN, cuFFT, cuSOLVER, cuSPARSE
    # cuDNN without room for what it needs to work in; of a convolution that it does not have at all it says the same.
    r"|unable to find an engine to execute|No valid execution plans|Unable to find a valid cuDNN algorithm"
    r"|Failed to CUDA (host )?[cm]?alloc|Failed to alloc gpu memory",  # NCCL
    re.IGNORECASE,
)
TOO_LARGE = re.compile(
    r"canUse32BitIndexMath|32-bit index|INT_MAX elements|too many elements|integer out of range"
    r"|tensor too large or too many dimensions|too many blocks|invalid configuration argument",
    re.IGNORECASE,
)
"""a tensor of 2^31 elements or more, or a launch of more blocks than there may be"""
FAULT = re.compile(
    r"cuda.*(device-side assert|illegal (memory access|instruction)|misaligned address|program counter"
    r"|hardware stack error|unspecified launch failure|launch timed out|uncorrectable"
    r"|operation not supported on global)",
    re.IGNORECASE | re.DOTALL,
)
"""errors after which every call of CUDA fails in this process"""


def out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, of the device or of the host."""
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and NO_MEMORY.search(text_of(error)) is not None


def too_large(error: BaseException) -> bool:
    """Whether a tensor has more elements than a kernel can count."""
    return isinstance(error, RuntimeError) and TOO_LARGE.search(text_of(error)) is not None


def is_gpu_fault(text: str) -> bool:
    """Whether an error of this text, or a record's reason, leaves the process with a GPU that works no more."""
    return FAULT.search(text) is not None
