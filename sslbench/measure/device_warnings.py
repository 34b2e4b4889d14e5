"""Warnings that torch gives on a GPU of what this project means to do, or of what torch puts right itself."""

from __future__ import annotations

import warnings

HARMLESS: tuple[tuple[str, type[Warning]], ...] = (
    # Of torch.compile in fp32, which is to be IEEE's; who wants TF32 asks for it.
    (r"TensorFloat32 tensor cores for float32 matrix multiplication available", UserWarning),
    # Of torch.compile: one way to compute a softmax in the place of another, with the same result.
    (r"\s*Online softmax is disabled on the fly", UserWarning),
    # Of a backward pass, whose thread has no context before its first product; torch then sets it.
    (r"Attempting to run cuBLAS, but there was no current CUDA context", UserWarning),
    # Of torch's own import where a package of that name is installed.
    (r"The pynvml package is deprecated", FutureWarning),
)
"""Beginning of the message, as a regular expression, and category."""


def ignore_harmless() -> None:
    """Show none of them in this process. To call it again changes nothing."""
    for message, category in HARMLESS:
        warnings.filterwarnings("ignore", message, category)
