"""Linear layers on frozen features with few labels: one fit for each random draw of labelled images.

With n labels a class the regularisation is the one given, since two labels leave none to choose it by. With a share
of the labels, where that is five or more of every class, each draw chooses its own on a fifth of its labels.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from sslbench import EvaluationData
from sslbench_plugins.blocks.probes.chosen_strength import fit_chosen
from sslbench_plugins.blocks.probes.evaluable import features_and_labels
from sslbench_plugins.blocks.probes.logistic import LogisticFit, fit_logistic
from sslbench_plugins.blocks.probes.standardise import Standardiser
from sslbench_plugins.blocks.probes.stratified import class_counts

ENOUGH_TO_CHOOSE = 5
"""labels of every class that a share needs for its regularisation to be chosen: a fifth of them is one"""
NUMBERS = 1 << 26
"""features of draws that are fitted side by side: 256 MiB of float32"""


class NoOptimum(Exception):
    """A fit that did not converge; its words are the reason."""


class LinearTask(NamedTuple):
    """Frozen features, standardised by all training images, which takes no label."""

    features: Tensor
    """to draw from ``[N, D]``"""
    labels: Tensor
    """int64 ``[N]``"""
    test: Tensor
    """to judge on, standardised alike"""
    answers: Tensor
    classes: int
    seed: int

    @classmethod
    def of(cls, data: EvaluationData) -> LinearTask:
        features, labels = features_and_labels(data.train)
        test, answers = features_and_labels(data.test)
        standardise = Standardiser.fitted(features)
        return cls(standardise(features), labels, standardise(test), answers, data.classes, data.seed)

    def right(self, chosen: Tensor, l2: float, *, share: bool) -> Tensor:
        """float32 ``[draws, test images]``: 1 where a draw's layer gives a test image its class, else 0.

        ``chosen``: bool ``[draws, N]``, the labelled images of each, as many in every draw; ``share``: they are a
        share of the labels. Raises NoOptimum where a fit does not converge.
        """
        counts = class_counts(self.labels[chosen[0]], self.classes)
        enough = share and int(counts[counts > 0].min()) >= ENOUGH_TO_CHOOSE
        fits = self._chosen_fits(chosen) if enough else self._fits(chosen, l2)
        right: list[Tensor] = []
        for strength, fit in fits:
            if not fit.converged:
                raise NoOptimum(f"no optimum within {fit.steps} steps at l2 = {strength:g}")
            for weight, bias in zip(fit.weight, fit.bias, strict=True):
                right.append((torch.addmm(bias, weight, self.test.T).argmax(dim=0) == self.answers).float())
        return torch.stack(right)

    def _fits(self, chosen: Tensor, l2: float) -> Iterator[tuple[float, LogisticFit]]:
        """At one l2, as many draws at a time as fit into memory."""
        # [draws, labels], each row the samples of one draw
        places = chosen.nonzero()[:, 1].view(len(chosen), -1)
        for some in places.split(max(1, NUMBERS // (places.shape[1] * self.features.shape[1]))):
            yield l2, fit_logistic(self.features[some], self.labels[some], self.classes, l2)

    def _chosen_fits(self, chosen: Tensor) -> Iterator[tuple[float, LogisticFit]]:
        for one in chosen:
            found = fit_chosen(self.features[one], self.labels[one], self.classes, self.seed)
            assert found is not None  # a fifth of five labels is one
            yield found
