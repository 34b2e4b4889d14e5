"""One linear layer on frozen features: the exact optimum, or 100 epochs of Adam.

``exact``: multinomial logistic regression on standardised features. Its regularisation is chosen on a fifth of the
training features that the fit has not seen, then all training features are fitted and the test split is scored once.
Up to 5,000 images are fitted to the optimum; with more, the fit ends where its accuracy has settled within 0.1 points.
``adam-100``: the tutorial's recipe, on the features as they are; the last epoch counts, whatever it is on test. It
is far from the optimum on small sets, where 100 epochs are few steps (1,000 images: 400 steps of at most 0.001).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from sslbench import EvaluationData, EvaluatorSpec, LinearHead, Metric, Params, UserError, hookimpl, param
from sslbench_plugins.blocks.probes.chosen_strength import fit_chosen
from sslbench_plugins.blocks.probes.evaluable import features_and_labels, why_not_evaluable
from sslbench_plugins.blocks.probes.logistic import LogisticFit
from sslbench_plugins.blocks.probes.standardise import Standardiser

NO_CHOICE = "every class has a single training image, so none can be held out to choose the regularisation"
NO_OPTIMUM = "no optimum within {} steps at l2 = {:g}"

LEARNING_RATE, EPOCHS, BATCH_SIZE = 1e-3, 100, 256


class LinearProbeParams(Params):
    protocol: Literal["exact", "adam-100"] = param(
        "exact",
        "exact: logistic regression, l2 chosen on held-out training features;"
        " adam-100: Adam 1e-3, batch 256, 100 epochs, which are too few for small sets",
    )


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
        return _top1(fit.logits(standardise(test))[0], test_labels)

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
        chosen = fit_chosen(standardise(features), labels, data.classes, data.seed)
        if chosen is None:
            return NO_CHOICE
        l2, fit = chosen
        return (standardise, fit) if fit.converged else NO_OPTIMUM.format(fit.steps, l2)

    def _adam(self, data: EvaluationData) -> Metric:
        features, labels = features_and_labels(data.train)
        weight, bias = train_adam(features, labels, data.classes, data.seed)
        test, test_labels = features_and_labels(data.test)
        return _top1(torch.addmm(bias, weight, test.T), test_labels)


def _top1(logits: Tensor, labels: Tensor) -> Metric:
    """``[C, N]`` and ``[N]`` -> accuracy, 0..1."""
    right = (logits.argmax(dim=0) == labels).float()
    return Metric("linear_top1", float(right.double().mean()), per_image=right)


@hookimpl
def sslbench_evaluators() -> list[EvaluatorSpec]:
    return [
        EvaluatorSpec(
            name="linear-probe",
            summary=__doc__.partition("\n")[0],
            params=LinearProbeParams,
            build=lambda params, context: LinearProbe(params),
            headline="linear_top1",
            citation="Zhang, Isola and Efros 2016, Colorful Image Colorization, section 3.2 (linear classifiers on"
            " frozen features); exact: Radford et al. 2021, CLIP, section 3.2 (L-BFGS, l2 chosen on validation data)",
        )
    ]
