"""How strongly a linear probe is regularised, chosen on training features that the fit has not seen."""

from __future__ import annotations

import torch
from torch import Tensor

from sslbench_plugins.blocks.logistic import LogisticFit, fit_logistic
from sslbench_plugins.blocks.stratified import class_counts, random_rank_in_class

STRENGTHS = (1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
"""the l2 tried, strong to weak, each fit starting from the one before, until one finds no optimum"""
HELD_OUT = 0.2
"""share of each class that chooses among them"""
CHOOSING_TOLERANCE = 1e-4
"""nats: how near its optimum a fit must be to choose by; the final one is a hundred times nearer"""


def hold_out(labels: Tensor, classes: int, seed: int) -> Tensor:
    """bool ``[N]``, True = held out: ``HELD_OUT`` of every class, rounded, at least one and never its last one."""
    counts = class_counts(labels, classes)
    held = (counts * HELD_OUT).round().long().clamp_min(1).minimum(counts - 1)
    return random_rank_in_class(labels, classes, torch.Generator().manual_seed(seed)) < held[labels]


def choose_strength(features: Tensor, labels: Tensor, held: Tensor, classes: int) -> tuple[float, LogisticFit]:
    """The l2 whose fit to the rest is the most accurate on the ``held`` out (of equals the strongest), and that fit.

    ``features`` ``[N, D]``, standardised; ``held`` bool ``[N]``. Sees nothing but its arguments: no test split.
    """
    kept, kept_labels = features[~held], labels[~held]
    fits: list[LogisticFit] = []
    for l2 in STRENGTHS:
        start = fits[-1] if fits else None
        fit = fit_logistic(kept, kept_labels, classes, l2, init=start, tolerance=CHOOSING_TOLERANCE)
        if fits and not fit.converged:
            break
        fits.append(fit)
    right = [(fit.logits(features[held])[0].argmax(dim=0) == labels[held]).sum() for fit in fits]
    best = int(torch.stack(right).argmax())
    return STRENGTHS[best], fits[best]
