"""What torch warns of on a GPU without need is not shown; whatever else it warns of is."""

from __future__ import annotations

import warnings

import pytest

from sslbench.measure import machine
from sslbench.measure.device_warnings import HARMLESS
from sslbench.measure.machine import resolve_device

SAID = (
    "TensorFloat32 tensor cores for float32 matrix multiplication available but not enabled. Consider setting",
    "\nOnline softmax is disabled on the fly since Inductor decides to\nsplit the reduction.",
    "Attempting to run cuBLAS, but there was no current CUDA context! Attempting to set the primary context...",
    "The pynvml package is deprecated. Please install nvidia-ml-py instead.",
)


def warned():
    """What is seen of the harmless warnings and of one that is not."""
    with warnings.catch_warnings(record=True) as seen:
        for text, (_, category) in zip(SAID, HARMLESS, strict=True):
            warnings.warn(text, category, stacklevel=2)
        warnings.warn("The CUDA Graph is empty.", UserWarning, stacklevel=2)
    return [str(warning.message) for warning in seen]


def test_tests_ignore_them():
    with pytest.raises(UserWarning, match="The CUDA Graph is empty"):
        warned()


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_whoever_computes_on_a_gpu_is_not_shown_them(device, monkeypatch):
    monkeypatch.setattr(machine.torch.cuda, "is_available", lambda: True)
    with warnings.catch_warnings():
        warnings.resetwarnings()
        warnings.simplefilter("always")
        resolve_device(device)
        assert len(warned()) == (1 if device == "cuda" else len(SAID) + 1)
