"""Linear probe: one linear layer on frozen features, the exact optimum or 100 epochs of Adam.

``exact``: multinomial logistic regression on standardised features. Its regularisation is chosen on a fifth of the
training features that the fit has not seen, then all training features are fitted and the test split is scored once.
Up to 5,000 images are fitted to the optimum; with more, the fit ends where its accuracy has settled within 0.1 points.
``adam-100``: the tutorial's recipe, on the features as they are; the last epoch counts, whatever it is on test. It
is far from the optimum on small sets, where 100 epochs are few steps (1,000 images: 400 steps of at most 0.001).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from sslbench import EvaluationData, EvaluatorSpec, LinearHead, Metric, Params, Picture, UserError, hookimpl, param
from sslbench_plugins.blocks.pictures.mistakes import mistakes
from sslbench_plugins.blocks.probes.chosen_l2 import fit_with_chosen_l2
from sslbench_plugins.blocks.probes.evaluable import (
    Unmeasurable,
    accuracies,
    features_and_labels,
    require,
    unmeasured,
    why_not_evaluable,
)
from sslbench_plugins.blocks.probes.linear_maps import Standardiser
from sslbench_plugins.blocks.probes.logistic import LogisticFit, why_no_optimum

TOP1 = "linear_top1"
LEARNING_RATE, EPOCHS, BATCH_SIZE = 1e-3, 100, 256


class LinearProbeParams(Params):
    """How the layer is fitted."""

    protocol: Literal["exact", "adam-100"] = param(
        "exact",
        "exact: logistic regression, l2 chosen on held-out training features;"
        " adam-100: Adam 1e-3, batch 256, 100 epochs, which are too few for small sets",
    )


class LinearProbe:
    """Fits on the training features, scores the test features."""

    def __init__(self, params: LinearProbeParams) -> None:
        self.params = params

    def evaluate(self, data: EvaluationData) -> Iterator[Metric | Picture]:
        try:
            logits = self._logits(data)
        except Unmeasurable as error:
            yield from unmeasured([TOP1], str(error))
            return
        _, test_labels = features_and_labels(data.test)
        yield from accuracies(TOP1, (logits.argmax(dim=0) == test_labels).float(), test_labels)
        yield from mistakes(data, logits.T, test_labels)

    def fit(self, data: EvaluationData) -> LinearHead:
        """The layer that is evaluated, on features as they are. Raises UserError where there is none."""
        try:
            require(why_not_evaluable(data))
            if self.params.protocol == "adam-100":
                weight, bias = train_adam(*features_and_labels(data.train), data.classes, data.seed)
                return LinearHead(weight, bias[:, 0])
            standardise, fit = fit_exactly(data)
        except Unmeasurable as error:
            raise UserError(f"evaluator 'linear-probe': {error}") from error
        return LinearHead(*standardise.undone(fit.weight[0], fit.bias[0, :, 0]))

    def _logits(self, data: EvaluationData) -> Tensor:
        """``[C, M]`` of the test images."""
        require(why_not_evaluable(data))
        if self.params.protocol == "adam-100":
            weight, bias = train_adam(*features_and_labels(data.train), data.classes, data.seed)
            return torch.addmm(bias, weight, data.test.features.T)
        standardise, fit = fit_exactly(data)
        return fit.logits(standardise(data.test.features))[0]


def fit_exactly(data: EvaluationData) -> tuple[Standardiser, LogisticFit]:
    """How the features are standardised, and the optimum on standardised features. Raises Unmeasurable."""
    features, labels = features_and_labels(data.train)
    standardise = Standardiser.fitted(features)
    chosen = fit_with_chosen_l2(standardise(features), labels, data.classes, data.seed)
    if chosen is None:
        reason = "every class has a single training image, so none can be held out to choose the regularisation"
        raise Unmeasurable(reason)
    l2, fit = chosen
    require(why_no_optimum(fit, l2))
    return standardise, fit


def train_adam(features: Tensor, labels: Tensor, classes: int, seed: int) -> tuple[Tensor, Tensor]:
    """Weight ``[C, D]`` and bias ``[C, 1]`` after ``EPOCHS`` epochs of Adam on the cross-entropy, no weight decay.

    Initialised and shuffled from ``seed``; the gradient of the one layer is written out, without autograd.
    """
    generator = torch.Generator().manual_seed(seed)
    samples, width = features.shape
    # torch.nn.Linear's initialisation: uniform within 1 / sqrt(inputs), weight and bias alike.
    initial = (torch.rand(classes, width + 1, generator=generator) * 2 - 1) / width**0.5
    weight = initial[:, :-1].contiguous().to(features).requires_grad_()
    bias = initial[:, -1:].contiguous().to(features).requires_grad_()
    optimizer = torch.optim.Adam([weight, bias], lr=LEARNING_RATE, fused=True)
    targets = F.one_hot(labels, classes).to(features)
    for _ in range(EPOCHS):
        order = torch.randperm(samples, generator=generator).to(features.device)
        for batch in torch.split(order, BATCH_SIZE):
            inputs = features[batch]
            logits = torch.addmm(bias.detach(), weight.detach(), inputs.T)
            residual = logits.softmax(dim=0).sub_(targets[batch].T).div_(len(batch))
            weight.grad, bias.grad = residual @ inputs, residual.sum(dim=1, keepdim=True)
            optimizer.step()
    return weight.detach(), bias.detach()


@hookimpl
def sslbench_evaluators() -> list[EvaluatorSpec]:
    return [
        EvaluatorSpec(
            name="linear-probe",
            params=LinearProbeParams,
            build=lambda params, context: LinearProbe(params),
            headline=TOP1,
            citation="Zhang, Isola and Efros 2016, Colorful Image Colorization, section 3.2 (linear classifiers on"
            " frozen features); exact: Radford et al. 2021, CLIP, section 3.2 (L-BFGS, l2 chosen on validation data)",
        )
    ]
