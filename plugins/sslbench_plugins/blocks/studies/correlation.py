"""Pearson's correlation, of one pair of arrays or of many at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
ROUNDING = 1e-12
"""error of a correlation of 1 from adding up to some millions of products"""


def pearson(first: ArrayLike, second: ArrayLike) -> float | None:
    """Pearson's correlation of two arrays of one shape, flattened: -1..1; None where either is constant. Raises
    ValueError where the shapes differ or the arrays are empty."""
    x, y = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if x.shape != y.shape or x.size == 0:
        raise ValueError(f"correlation of arrays of shapes {x.shape} and {y.shape}; they must be equal, not empty")
    value = float(pearson_rows(x.reshape(1, -1), y.reshape(1, -1))[0])
    return None if np.isnan(value) else value


def pearson_rows(first: NDArray[np.floating], second: NDArray[np.floating]) -> Floats:
    """Pearson's correlation of row i with row i: ``[B, N]`` or ``[1, N]`` each -> ``[B]``; NaN where a row is constant.
    What is within ``ROUNDING`` of 1 or -1 is 1 or -1."""
    x, x_varies = directions(first)
    y, y_varies = directions(second)
    products: Floats
    if len(x) == 1:
        products = y @ x[0]
    elif len(y) == 1:
        products = x @ y[0]
    else:
        products = np.einsum("bn,bn->b", x, y)
    perfect = np.abs(np.abs(products) - 1) <= ROUNDING
    products = np.where(perfect, np.sign(products), products)
    return np.where(x_varies & y_varies, products, np.nan)


def directions(rows: NDArray[np.floating]) -> tuple[Floats, NDArray[np.bool_]]:
    """Each row ``[B, N]`` minus its mean, at length 1 (0 for a constant one); and which rows are not constant."""
    # Compares the values themselves: after the mean is subtracted, rounding would make a constant row vary.
    varies = rows.min(axis=1) < rows.max(axis=1)
    centred = rows - rows.mean(axis=1, keepdims=True)
    length = np.sqrt(np.einsum("bn,bn->b", centred, centred))
    # A spread so small that its square is 0 has no direction either.
    varies &= length > 0
    return np.divide(centred, length[:, None], out=np.zeros_like(centred), where=varies[:, None]), varies
