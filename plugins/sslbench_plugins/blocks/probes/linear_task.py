"""Linear layers on frozen features with few labels: one fit for each random draw of labelled images.

With n labels a class the regularisation is the one given, since two labels leave none to choose it by. With a share
of the labels, where that is five or more of every class, each draw chooses its own on a fifth of its labels.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from sslbench import EvaluationData
from sslbench_plugins.blocks.probes.chosen_l2 import fit_with_chosen_l2
from sslbench_plugins.blocks.probes.evaluable import features_and_labels, require
from sslbench_plugins.blocks.probes.linear_maps import Standardiser
from sslbench_plugins.blocks.probes.logistic import LogisticFit, fit_logistic, why_no_optimum
from sslbench_plugins.blocks.probes.samples import class_counts

ENOUGH_TO_CHOOSE = 5
"""labels of every class that a share needs for its regularisation to be chosen: a fifth of them is one"""
NUMBERS = 1 << 26
"""features of draws that are fitted side by side: 256 MiB of float32"""


class LinearTask:
    """Frozen features, standardised by all training images, which takes no label, and their labels."""

    def __init__(self, data: EvaluationData) -> None:
        """From features and labels that are evaluable."""
        features, self.labels = features_and_labels(data.train)
        test_features, self.test_labels = features_and_labels(data.test)
        standardise = Standardiser.fitted(features)
        self.features, self.test_features = standardise(features), standardise(test_features)
        self.classes, self.seed = data.classes, data.seed

    def correct(self, drawn: Tensor, l2: float, *, choose: bool) -> Tensor:
        """float32 ``[draws, M]``: 1 where a draw's layer gives a test image its class, else 0.

        ``drawn``: bool ``[draws, N]``, the labelled images of each, as many in every draw; ``choose``: each draw
        chooses its l2 where it has labels enough. Raises Unmeasurable where a fit does not converge.
        """
        counts = class_counts(self.labels[drawn[0]], self.classes)
        enough = choose and int(counts[counts > 0].min()) >= ENOUGH_TO_CHOOSE
        correct: list[Tensor] = []
        for used_l2, fit in self._fits_with_chosen_l2(drawn) if enough else self._fits(drawn, l2):
            require(why_no_optimum(fit, used_l2))
            for weight, bias in zip(fit.weight, fit.bias, strict=True):
                logits = torch.addmm(bias, weight, self.test_features.T)
                correct.append((logits.argmax(dim=0) == self.test_labels).float())
        return torch.stack(correct)

    def _fits(self, drawn: Tensor, l2: float) -> Iterator[tuple[float, LogisticFit]]:
        """At one l2, as many draws at a time as fit into memory."""
        # [draws, labels], each row the samples of one draw
        rows = drawn.nonzero()[:, 1].view(len(drawn), -1)
        for part in torch.split(rows, max(1, NUMBERS // (rows.shape[1] * self.features.shape[1]))):
            yield l2, fit_logistic(self.features[part], self.labels[part], self.classes, l2)

    def _fits_with_chosen_l2(self, drawn: Tensor) -> Iterator[tuple[float, LogisticFit]]:
        for draw in drawn:
            chosen = fit_with_chosen_l2(self.features[draw], self.labels[draw], self.classes, self.seed)
            assert chosen is not None  # a fifth of five labels is one
            yield chosen
