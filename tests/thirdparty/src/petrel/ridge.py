"""Ridge: a linear classifier by ridge regression onto the classes, in closed form."""

from collections.abc import Iterator

import torch
from torch.nn import functional

from sslbench import (
    BuildContext,
    EvaluationData,
    EvaluatorSpec,
    LinearHead,
    Metric,
    Params,
    UserError,
    hookimpl,
    param,
)


class RidgeParams(Params):
    strength: float = param(0.1, "of the penalty, times the number of images", gt=0)


class Ridge:
    def __init__(self, params: RidgeParams) -> None:
        self.strength = params.strength

    def fit(self, data: EvaluationData) -> LinearHead:
        if data.train.labels is None or not data.train.features.isfinite().all():
            raise UserError("evaluator 'ridge' needs labels, and features that are finite")
        features, targets = data.train.features.double(), functional.one_hot(data.train.labels, data.classes).double()
        centre, mean = features.mean(dim=0), targets.mean(dim=0)
        features, targets = features - centre, targets - mean
        penalty = self.strength * len(features) * torch.eye(features.shape[1], dtype=torch.float64)
        weight = torch.linalg.solve(features.T @ features + penalty, features.T @ targets).T
        return LinearHead(weight.float(), (mean - weight @ centre).float())

    def evaluate(self, data: EvaluationData) -> Iterator[Metric]:
        if data.test.labels is None or not data.test.features.isfinite().all():
            yield Metric("ridge_top1", None, reason="no labels, or features that are not finite")
            return
        right = (self.fit(data).logits(data.test.features).argmax(dim=1) == data.test.labels).float()
        yield Metric("ridge_top1", right.mean().item(), per_image=right)


def build(params: RidgeParams, context: BuildContext) -> Ridge:
    return Ridge(params)


@hookimpl
def sslbench_evaluators():
    return [EvaluatorSpec(name="ridge", params=RidgeParams, build=build, headline="ridge_top1")]
