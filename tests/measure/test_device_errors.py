from __future__ import annotations

import errno

import pytest
import torch

from sslbench.errors import UserError
from sslbench.execute.outcome import status_of
from sslbench.measure.device_errors import is_gpu_fault, out_of_memory, too_large

MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.10 GiB"),
    torch.AcceleratorError(
        "CUDA error: out of memory\nSearch for `cudaErrorMemoryAllocation' in https://docs.nvidia.com"
    ),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"),
    RuntimeError("GET was unable to find an engine to execute this computation"),
    RuntimeError("FIND was unable to find an engine to execute this computation"),
    RuntimeError("[cudnn_frontend] Error: No valid execution plans built."),
    RuntimeError("Unable to find a valid cuDNN algorithm to run convolution"),
    RuntimeError("CUDA ran out of memory outside PyTorch's allocator. If this workload uses many dynamic shapes"),
    RuntimeError("cusolver error: CUSOLVER_STATUS_ALLOC_FAILED, when calling `cusolverDnCreate(handle)`"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried"),
    RuntimeError(
        "[enforce fail at alloc_cpu.cpp:124] data. DefaultCPUAllocator: not enough memory: you tried to allocate"
    ),
    RuntimeError("NCCL error: unhandled cuda error\nLast error:\nCuda failure 2 'out of memory'"),
    RuntimeError("NCCL error: internal error\nLast error:\nFailed to CUDA calloc async 67108864 bytes"),
    RuntimeError("NCCL error: internal error\nLast error:\nFailed to CUDA host alloc 4194304 bytes"),
    MemoryError("Unable to allocate 7.45 GiB for an array"),
    OSError(errno.ENOMEM, "Cannot allocate memory"),
]
SIZES = [
    RuntimeError("Expected canUse32BitIndexMath(input) && canUse32BitIndexMath(output) to be true, but got false."),
    RuntimeError("upsample_nearest_nhwc only supports output tensors with less than INT_MAX elements, but got [2, 3]"),
    RuntimeError("input tensor must fit into 32-bit index math"),
    RuntimeError("integer out of range"),
    RuntimeError("too many elements"),
    torch.AcceleratorError("CUDA error: invalid configuration argument\nCUDA kernel errors might be asynchronously"),
]
FAULTS = [
    "CUDA error: device-side assert triggered\nCompile with `TORCH_USE_CUDA_DSA` to enable device-side assertions.",
    "AcceleratorError: CUDA error: an illegal memory access was encountered",
    "CUDA error: misaligned address",
    "CUDA error: unspecified launch failure",
    "CUDA driver error: an illegal instruction was encountered",
    "NCCL error: unhandled cuda error\nLast error:\nCuda failure 'an illegal memory access was encountered'",
    "CUDA error: uncorrectable ECC error encountered",
]
OTHERS = [
    RuntimeError("mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)"),
    RuntimeError("CUDA error: no kernel image is available for execution on the device"),
    ValueError("the text of a user: out of memory"),
    UserError("digits are out of memory"),
    OSError(errno.ENOSPC, "No space left on device"),
    IndexError("index out of range in self"),
]


@pytest.mark.parametrize("error", MEMORY, ids=str)
def test_memory_that_ran_out_is_known_by_its_words(error):
    assert out_of_memory(error)
    assert status_of(error) == "oom"
    assert not too_large(error)
    assert not is_gpu_fault(str(error))


@pytest.mark.parametrize("error", SIZES, ids=str)
def test_a_size_beyond_the_indices_is_known_and_is_no_lack_of_memory(error):
    assert too_large(error)
    assert status_of(error) == "failed"
    assert not is_gpu_fault(str(error))


@pytest.mark.parametrize("text", FAULTS)
def test_a_gpu_that_works_no_more_is_known(text):
    assert is_gpu_fault(text)
    assert status_of(RuntimeError(text)) == "failed"


@pytest.mark.parametrize("error", OTHERS, ids=str)
def test_other_errors_are_none_of_these(error):
    assert status_of(error) == "failed"
    assert not any([out_of_memory(error), too_large(error), is_gpu_fault(str(error))])
