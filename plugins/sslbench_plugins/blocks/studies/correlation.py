"""Pearson's correlation, of one pair of arrays or of many at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

ROUNDING = 1e-12
"""error of a correlation of 1 from adding up to some millions of products"""


def pearson(first: ArrayLike, second: ArrayLike) -> float | None:
    """Pearson's correlation of two arrays of one shape, flattened: -1..1; None where either is constant.

    Raises ValueError where the shapes differ or there is nothing in them.
    """
    one, other = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if one.shape != other.shape or one.size == 0:
        raise ValueError(
            f"correlation of arrays of shapes {one.shape} and {other.shape}; they must be equal, not empty"
        )
    value = float(pearson_rows(one.reshape(1, -1), other.reshape(1, -1))[0])
    return None if np.isnan(value) else value


def pearson_rows(first: NDArray[np.floating], second: NDArray[np.floating]) -> NDArray[np.float64]:
    """Pearson's correlation of row i with row i: ``[B, N]`` or ``[1, N]`` each -> ``[B]``; NaN where a row is constant.

    What is within ``ROUNDING`` of 1 or -1 is 1 or -1.
    """
    one, varies_one = directions(first)
    other, varies_other = directions(second)
    if len(one) == 1:
        products = other @ one[0]
    elif len(other) == 1:
        products = one @ other[0]
    else:
        products = np.einsum("bn,bn->b", one, other)
    whole = np.abs(np.abs(products) - 1) <= ROUNDING
    products = np.where(whole, np.sign(products), products)
    return np.where(varies_one & varies_other, products, np.nan)


def directions(rows: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Each row ``[B, N]`` minus its mean, at length 1 (0 for a constant one); and which rows are not constant."""
    # Asked of the values themselves: after the mean is subtracted, rounding would make a constant row vary.
    varies = rows.min(axis=1) < rows.max(axis=1)
    centred = rows - rows.mean(axis=1, keepdims=True)
    length = np.sqrt(np.einsum("bn,bn->b", centred, centred))
    # A spread so small that its square is 0 has no direction either.
    varies &= length > 0
    return np.divide(centred, length[:, None], out=np.zeros_like(centred), where=varies[:, None]), varies
