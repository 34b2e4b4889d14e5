"""The l2 regularisation of a logistic regression, chosen on samples that the fit has not seen.

A fifth of every class is held out; each l2 is fitted on the rest, or on a stratified part of it where there is
plenty, since what is to be found is a decade. From there on ``n * l2`` is kept, as scikit-learn keeps ``C``: a prior
does not grow with the number of samples.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sslbench_plugins.blocks.probes.logistic import LogisticFit, StoppingRule, fit_logistic, fit_path
from sslbench_plugins.blocks.probes.samples import class_counts, random_rank_in_class

L2_VALUES = (1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
"""the l2 tried, strong to weak, each fit starting from the one before"""
HELD_OUT = 0.2
"""share of each class that chooses among them"""
PLENTY, PLENTY_A_CLASS = 5_000, 100
"""samples, in all or a class, whichever are more: no more are fitted to choose by"""
CHOOSING_GAIN, FINAL_GAIN = 3e-4, 1e-4
"""nats that the next step may still be expected to win, the second where there is plenty: the accuracy has settled
within 0.1 points by then. Few samples are fitted to the optimum, which takes next to no time"""
CLEARLY = 2
"""standard errors of the held-out accuracy by which an l2 must lose before weaker ones are not tried"""


def fit_with_chosen_l2(features: Tensor, labels: Tensor, classes: int, seed: int) -> tuple[float, LogisticFit] | None:
    """The chosen l2, and the fit to all samples with it.

    ``features``: float32 ``[n, D]``, standardised; ``labels``: int64 ``[n]``, 0..classes-1. ``seed`` decides what is
    held out. None where no class has a second sample to hold out.
    """
    held_out, fitted = split_to_choose(labels, classes, seed)
    if not bool(held_out.any()):
        return None
    l2, start = choose_l2(features, labels, held_out, fitted, classes)
    stop = StoppingRule(gain=FINAL_GAIN if len(features) > PLENTY else 0.0)
    return l2, fit_logistic(features, labels, classes, l2, init=start, stop=stop)


def split_to_choose(labels: Tensor, classes: int, seed: int) -> tuple[Tensor, Tensor]:
    """bool ``[n]`` twice: what is held out, and what is fitted to choose by.

    Held out is ``HELD_OUT`` of every class, rounded, at least one and never its last one.
    """
    counts = class_counts(labels, classes)
    held_out = (counts * HELD_OUT).round().long().clamp_min(1).minimum(counts - 1).clamp_min(0)
    rest = counts - held_out
    share = max(PLENTY, PLENTY_A_CLASS * classes) / rest.sum().clamp_min(1)
    end = held_out + rest.minimum((rest * share).ceil().long())
    ranks = random_rank_in_class(labels, classes, torch.Generator().manual_seed(seed))
    return ranks < held_out[labels], (ranks >= held_out[labels]) & (ranks < end[labels])


def choose_l2(
    features: Tensor, labels: Tensor, held_out: Tensor, fitted: Tensor, classes: int
) -> tuple[float, LogisticFit]:
    """The l2 for all n samples whose fit to the ``fitted`` is the most accurate on the ``held_out`` ones (of equals
    the strongest), and that fit. ``held_out`` and ``fitted``: bool ``[n]``. Sees no test split.
    """
    # Rows: each use of a mask would wait for the device.
    unseen, seen = held_out.nonzero()[:, 0], fitted.nonzero()[:, 0]
    inputs, true = features[unseen], labels[unseen]
    fits: list[LogisticFit] = []
    correct: list[int] = []
    for fit in fit_path(features[seen], labels[seen], classes, L2_VALUES, stop=StoppingRule(gain=CHOOSING_GAIN)):
        if fits and not fit.converged:
            break
        fits.append(fit)
        correct.append(int((fit.logits(inputs)[0].argmax(dim=0) == true).sum()))
        most = max(correct)
        if most - correct[-1] > CLEARLY * (most * (1 - most / len(true))) ** 0.5:
            break
    best = correct.index(max(correct))
    return L2_VALUES[best] * len(seen) / len(features), fits[best]
