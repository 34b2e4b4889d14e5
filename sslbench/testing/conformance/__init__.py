"""Checks that every plugin must pass: ``problems(spec)`` lists how a spec breaks the contract of its kind."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from sslbench.contracts.method import MethodSpec
from sslbench.contracts.plugin import Spec
from sslbench.hooks.params import resolve
from sslbench.testing.conformance.executors import of_executor
from sslbench.testing.conformance.networks import of_backbone, of_method
from sslbench.testing.conformance.observers import of_observer
from sslbench.testing.conformance.problem import Problems
from sslbench.testing.conformance.results import of_dataset, of_evaluator, of_simulator
from sslbench.testing.conformance.two_devices import of_two_devices
from sslbench.testing.conformance.views import of_augmentation, of_masking

__all__ = ["problems"]

CHECKS: dict[str, Callable[[Any, Any], Problems]] = {
    "augmentation": of_augmentation,
    "masking": of_masking,
    "backbone": of_backbone,
    "method": of_method,
    "evaluator": of_evaluator,
    "dataset": of_dataset,
    "executor": of_executor,
    "observer": of_observer,
    "simulator": of_simulator,
}


def problems(spec: Spec, *, ranks: int = 1, **given: Any) -> list[str]:
    """How ``spec`` breaks the contract of its kind, one line each; empty for a good one.

    ``given``: parameters to build it with. A spec with required parameters cannot be checked without them.
    ``ranks``: 2 also tries a method in so many processes that share its batches (``--devices``), which takes seconds.
    """
    lines = list(of_any(spec))
    params, mistakes = resolve(spec.label, spec.params, given)
    if params is None:
        return lines + mistakes
    try:
        if spec.kind in CHECKS:
            lines += CHECKS[spec.kind](spec, params)
        if ranks > 1 and isinstance(spec, MethodSpec) and spec.trains:
            lines += of_two_devices(spec, params, ranks)
    except Exception as error:
        lines.append(f"raised {type(error).__name__}: {error}")
    return [f"{spec.label}: {line}" for line in lines]


def of_any(spec: Spec) -> Problems:
    """Name, summary, descriptions of the parameters, presets."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]*", spec.name):
        yield f"name {spec.name!r} must be lower-case letters, digits, '-' and '.'"
    if not spec.summary:
        yield "it has no summary, and the module of its build no docstring"
    fields = spec.params.model_fields
    yield from (f"parameter {name!r} has no description" for name, field in fields.items() if not field.description)
    if not any(field.is_required() for field in fields.values()):
        for preset in spec.presets:
            yield from resolve(spec.label, spec.params, {}, spec.presets, preset)[1]
