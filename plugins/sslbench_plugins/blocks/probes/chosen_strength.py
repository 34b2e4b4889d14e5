"""How strong the regularisation of a logistic regression is to be: chosen on samples that the fit has not seen.

A fifth of every class is held out; each strength is fitted on the rest, or on a stratified part of it where there is
plenty, since what is to be found is a decade. From there on ``n * l2`` is kept, as scikit-learn keeps ``C``: a prior
does not grow with the number of samples.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sslbench_plugins.blocks.probes.logistic import Ends, LogisticFit, fit_logistic, fit_path
from sslbench_plugins.blocks.probes.stratified import class_counts, random_rank_in_class

STRENGTHS = (1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
"""the l2 tried, strong to weak, each fit starting from the one before"""
HELD_OUT = 0.2
"""share of each class that chooses among them"""
PLENTY, PLENTY_A_CLASS = 5_000, 100
"""samples, in all or a class, whichever are more: no more are fitted to choose by"""
CHOOSING_GAIN, FINAL_GAIN = 3e-4, 1e-4
"""nats that the next step may still be expected to win, the second where there is plenty: the accuracy has settled
within 0.1 points by then. Few samples are fitted to the optimum, which takes next to no time"""
CLEARLY = 2
"""standard errors of the held-out accuracy by which a strength must lose before weaker ones are not tried"""


def fit_chosen(features: Tensor, labels: Tensor, classes: int, seed: int) -> tuple[float, LogisticFit] | None:
    """The chosen l2, and the fit to all samples with it.

    ``features``: float32 ``[n, D]``, standardised; ``labels``: int64 ``[n]``, 0..classes-1. ``seed`` decides what is
    held out. None where no class has a second sample to hold out.
    """
    held, fitted = parts(labels, classes, seed)
    if not bool(held.any()):
        return None
    l2, start = choose_strength(features, labels, held, fitted, classes)
    gain = FINAL_GAIN if len(features) > PLENTY else 0.0
    return l2, fit_logistic(features, labels, classes, l2, init=start, gain=gain)


def parts(labels: Tensor, classes: int, seed: int) -> tuple[Tensor, Tensor]:
    """bool ``[n]`` twice: what is held out, and what is fitted to choose by.

    Held out is ``HELD_OUT`` of every class, rounded, at least one and never its last one.
    """
    counts = class_counts(labels, classes)
    held = (counts * HELD_OUT).round().long().clamp_min(1).minimum(counts - 1).clamp_min(0)
    rest = counts - held
    share = max(PLENTY, PLENTY_A_CLASS * classes) / rest.sum().clamp_min(1)
    enough = held + rest.minimum((rest * share).ceil().long())
    ranks = random_rank_in_class(labels, classes, torch.Generator().manual_seed(seed))
    return ranks < held[labels], (ranks >= held[labels]) & (ranks < enough[labels])


def choose_strength(
    features: Tensor, labels: Tensor, held: Tensor, fitted: Tensor, classes: int
) -> tuple[float, LogisticFit]:
    """The l2 for all n samples whose fit to ``fitted`` is the most accurate on the ``held`` out (of equals the
    strongest), and that fit. ``held`` and ``fitted``: bool ``[n]``. Sees nothing but its arguments: no test split.
    """
    part, part_labels = features[fitted], labels[fitted]
    judges, answers = features[held], labels[held]
    fits: list[LogisticFit] = []
    right: list[int] = []
    for fit in fit_path(part, part_labels, classes, STRENGTHS, ends=Ends(gain=CHOOSING_GAIN)):
        if fits and not fit.converged:
            break
        fits.append(fit)
        right.append(int((fit.logits(judges)[0].argmax(dim=0) == answers).sum()))
        most = max(right)
        if most - right[-1] > CLEARLY * (most * (1 - most / len(answers))) ** 0.5:
            break
    best = right.index(max(right))
    return STRENGTHS[best] * len(part) / len(features), fits[best]
