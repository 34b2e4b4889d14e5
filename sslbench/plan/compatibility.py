"""Which plugins work together: what one needs must be provided by another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sslbench.contracts.dataset import DatasetSpec
from sslbench.contracts.evaluator import EvaluatorSpec
from sslbench.plan.cell import Choice, Pretraining

if TYPE_CHECKING:
    from sslbench.contracts.backbone import BackboneSpec
    from sslbench.contracts.method import MethodSpec

OF_DATA = frozenset({"labels", "factors", "mask", "depth"})
"""What only a data set can provide."""


def incompatible(
    method: Choice[MethodSpec], backbone: Choice[BackboneSpec] | None, dataset: Choice[DatasetSpec] | None = None
) -> str | None:
    """Why a method cannot work with a backbone or a data set, or None."""
    if dataset is not None and method.spec.uses_labels and "labels" not in dataset.spec.provided(dataset.params):
        return f"{method.name} trains on labels; data set {dataset.name} has none"
    missing = method.spec.needs - backbone.spec.provided(backbone.params) if backbone else frozenset()
    if backbone and missing:
        return f"{method.name} needs a backbone with {', '.join(sorted(missing))}; {backbone.name} has none"
    return None


def incompatible_evaluator(evaluator: Choice[EvaluatorSpec], pretraining: Pretraining) -> str | None:
    """Why an evaluator cannot be run on a pretraining, or None."""
    dataset, method, backbone = pretraining.dataset, pretraining.method, pretraining.backbone
    of_dataset = dataset.spec.provided(dataset.params)
    needed_of_data = evaluator.spec.needs & (OF_DATA | of_dataset)
    if missing := needed_of_data - of_dataset:
        return f"{evaluator.name} needs {', '.join(sorted(missing))}; data set {dataset.name} has none"
    of_model = method.spec.provided(method.params)
    if backbone is not None:
        of_model |= {"encoder"} | backbone.spec.provided(backbone.params)
    if missing := evaluator.spec.needs - needed_of_data - of_model:
        model = f"{method.name} on {backbone.name}" if backbone else method.name
        return f"{evaluator.name} needs {', '.join(sorted(missing))}; {model} has none"
    return None
