"""Checks that every plugin must pass: ``problems(spec)`` lists how a spec breaks the contract of its kind."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from sslbench.contracts.augmentation import AugmentationSpec
from sslbench.contracts.backbone import BackboneSpec
from sslbench.contracts.dataset import DatasetSpec
from sslbench.contracts.evaluator import EvaluatorSpec
from sslbench.contracts.executor import ExecutorSpec
from sslbench.contracts.masking import MaskingSpec
from sslbench.contracts.method import MethodSpec
from sslbench.contracts.plugin import Spec
from sslbench.contracts.simulator import SimulatorSpec
from sslbench.hooks.params import resolve
from sslbench.testing.conformance.backbones import of_backbone
from sslbench.testing.conformance.evaluation import of_dataset, of_evaluator
from sslbench.testing.conformance.methods import of_method
from sslbench.testing.conformance.problem import Problems
from sslbench.testing.conformance.running import of_executor, of_simulator
from sslbench.testing.conformance.views import of_augmentation, of_masking

__all__ = ["problems"]


def problems(spec: Spec, **given: Any) -> list[str]:
    """How ``spec`` breaks the contract of its kind, one line each; empty for a good one.

    ``given``: parameters to build it with. A spec with required parameters cannot be checked without them.
    """
    lines = list(of_any(spec))
    params, mistakes = resolve(spec.label, spec.params, given)
    if params is None:
        return lines + mistakes
    try:
        if type(spec) in CHECKS:
            lines += CHECKS[type(spec)](spec, params)
    except Exception as error:
        lines.append(f"raised {type(error).__name__}: {error}")
    return [f"{spec.label}: {line}" for line in lines]


def of_any(spec: Spec) -> Problems:
    """Name, summary, descriptions of the parameters, presets."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]*", spec.name):
        yield f"name {spec.name!r} must be lower-case letters, digits, '-' and '.'"
    if not spec.summary:
        yield "it has no summary, and the module of its build no docstring"
    for name, field in spec.params.model_fields.items():
        if not field.description:
            yield f"parameter {name!r} has no description"
    for preset in spec.presets:
        required = {name for name, field in spec.params.model_fields.items() if field.is_required()}
        if not required:
            yield from resolve(spec.label, spec.params, {}, spec.presets, preset)[1]


CHECKS: dict[type[Spec], Callable[[Spec, Any], Problems]] = {
    AugmentationSpec: of_augmentation,
    MaskingSpec: of_masking,
    BackboneSpec: of_backbone,
    MethodSpec: of_method,
    EvaluatorSpec: of_evaluator,
    DatasetSpec: of_dataset,
    ExecutorSpec: of_executor,
    SimulatorSpec: of_simulator,
}
