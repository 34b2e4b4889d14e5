"""One linear layer on frozen features: the exact optimum, or 100 epochs of Adam.

``exact``: multinomial logistic regression on standardised features. Its regularisation is chosen on a fifth of the
training features that the fit has not seen, then all training features are fitted and the test split is scored once.
``adam-100``: the tutorial's recipe, on the features as they are; the last epoch counts, whatever it is on test. It
is far from the optimum on small sets, where 100 epochs are few steps (1,000 images: 400 steps of at most 0.001).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from sslbench import EvaluationData, EvaluatorSpec, LinearHead, Metric, Params, UserError, hookimpl, param
from sslbench_plugins.blocks.evaluable import features_and_labels, why_not_evaluable
from sslbench_plugins.blocks.logistic import LogisticFit, fit_logistic
from sslbench_plugins.blocks.standardise import Standardiser
from sslbench_plugins.blocks.stratified import class_counts, random_rank_in_class

STRENGTHS = (1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
"""the l2 tried, strong to weak, each fit starting from the one before, until one finds no optimum"""
HELD_OUT = 0.2
"""share of each class that chooses among them"""
CHOOSING_TOLERANCE = 1e-4
"""nats: how near its optimum a fit must be to choose by; the final one is a hundred times nearer"""
NO_CHOICE = "every class has a single training image, so none can be held out to choose the regularisation"
NO_OPTIMUM = "no optimum within {} steps at l2 = {:g}"

LEARNING_RATE, EPOCHS, BATCH_SIZE = 1e-3, 100, 256


class LinearProbeParams(Params):
    protocol: Literal["exact", "adam-100"] = param(
        "exact",
        "exact: logistic regression, l2 chosen on held-out training features;"
        " adam-100: Adam 1e-3, batch 256, 100 epochs, which are too few for small sets",
    )


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


def train_adam(features: Tensor, labels: Tensor, classes: int, seed: int) -> tuple[Tensor, Tensor]:
    """Weight ``[C, D]`` and bias ``[C, 1]`` after ``EPOCHS`` epochs of Adam on the cross-entropy, no weight decay.

    Initialised and shuffled from ``seed``; the gradient of the one layer is written out, without autograd.
    """
    generator = torch.Generator().manual_seed(seed)
    samples, width = features.shape
    # torch.nn.Linear's initialisation: uniform within 1 / sqrt(inputs), weight and bias alike.
    draw = (torch.rand(classes, width + 1, generator=generator) * 2 - 1) / width**0.5
    weight = draw[:, :-1].contiguous().to(features).requires_grad_()
    bias = draw[:, -1:].contiguous().to(features).requires_grad_()
    optimizer = torch.optim.Adam([weight, bias], lr=LEARNING_RATE, fused=True)
    targets = F.one_hot(labels, classes).to(features)
    for _ in range(EPOCHS):
        order = torch.randperm(samples, generator=generator).to(features.device)
        for batch in order.split(BATCH_SIZE):
            inputs = features[batch]
            logits = torch.addmm(bias.detach(), weight.detach(), inputs.T)
            residual = logits.softmax(dim=0).sub_(targets[batch].T).div_(len(batch))
            weight.grad, bias.grad = residual @ inputs, residual.sum(dim=1, keepdim=True)
            optimizer.step()
    return weight.detach(), bias.detach()


class LinearProbe:
    """Fits on the training features, scores the test features."""

    def __init__(self, params: LinearProbeParams) -> None:
        self.params = params

    def evaluate(self, data: EvaluationData) -> list[Metric]:
        reason = why_not_evaluable(data)
        if reason:
            return [Metric("linear_top1", None, reason=reason)]
        return [self._exact(data) if self.params.protocol == "exact" else self._adam(data)]

    def _exact(self, data: EvaluationData) -> Metric:
        found = self._fit(data)
        if isinstance(found, str):
            return Metric("linear_top1", None, reason=found)
        standardise, fit = found
        test, test_labels = features_and_labels(data.test)
        return Metric("linear_top1", _share_right(fit.logits(standardise(test))[0], test_labels))

    def fit(self, data: EvaluationData) -> LinearHead:
        """The layer that is judged, on features as they are. Raises UserError with the reason where there is none."""
        found = why_not_evaluable(data) or (self._fit(data) if self.params.protocol == "exact" else None)
        if isinstance(found, str):
            raise UserError(f"evaluator 'linear-probe': {found}")
        if found is None:
            features, labels = features_and_labels(data.train)
            weight, bias = train_adam(features, labels, data.classes, data.seed)
            return LinearHead(weight, bias[:, 0])
        (mean, scale), fit = found
        weight = fit.weight[0] * scale
        return LinearHead(weight, fit.bias[0, :, 0] - weight @ mean)

    def _fit(self, data: EvaluationData) -> tuple[Standardiser, LogisticFit] | str:
        """The map of the features and the optimum behind it, or why there is none."""
        features, labels = features_and_labels(data.train)
        standardise = Standardiser.fitted(features)
        features = standardise(features)
        held = hold_out(labels, data.classes, data.seed)
        if not bool(held.any()):
            return NO_CHOICE
        l2, start = choose_strength(features, labels, held, data.classes)
        fit = fit_logistic(features, labels, data.classes, l2, init=start)
        return (standardise, fit) if fit.converged else NO_OPTIMUM.format(fit.steps, l2)

    def _adam(self, data: EvaluationData) -> Metric:
        features, labels = features_and_labels(data.train)
        weight, bias = train_adam(features, labels, data.classes, data.seed)
        test, test_labels = features_and_labels(data.test)
        return Metric("linear_top1", _share_right(torch.addmm(bias, weight, test.T), test_labels))


def _share_right(logits: Tensor, labels: Tensor) -> float:
    """``[C, N]`` and ``[N]`` -> top-1 accuracy, 0..1."""
    return float((logits.argmax(dim=0) == labels).double().mean())


@hookimpl
def sslbench_evaluators() -> list[EvaluatorSpec]:
    return [
        EvaluatorSpec(
            name="linear-probe",
            summary=__doc__.partition("\n")[0],
            params=LinearProbeParams,
            build=LinearProbe,
            headline="linear_top1",
            citation="Zhang, Isola and Efros 2016, Colorful Image Colorization, section 3.2 (linear classifiers on"
            " frozen features); exact: Radford et al. 2021, CLIP, section 3.2 (L-BFGS, l2 chosen on validation data)",
        )
    ]
