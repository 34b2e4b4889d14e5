"""Checks that every plugin must pass: ``problems(spec)`` lists how a spec breaks the contract of its kind.

Each module has the checks of one kind, or of one subject; ``check.py`` says what a check is.
"""

from __future__ import annotations

from typing import Any

from sslbench.contracts.plugin import Spec
from sslbench.testing.conformance import (  # noqa: F401  (each makes its checks known)
    augmentations,
    backbones,
    dataset_reads,
    datasets,
    evaluators,
    every,
    executors,
    maskings,
    method_steps,
    methods,
    observers,
    peeking,
    seeds,
    simulators,
    tokens,
    training,
)
from sslbench.testing.conformance.check import CHECKS, Trial, faults_of
from sslbench.testing.conformance.fault import Fault
from sslbench.testing.conformance.settings import settings_of
from sslbench.testing.conformance.two_devices import of_two_devices

__all__ = ["CHECKS", "problems"]


def problems(spec: Spec, *, ranks: int = 1, **given: Any) -> list[str]:
    """How ``spec`` breaks the contract of its kind, one line each; empty for a good one.

    ``given``: parameters to build it with. A spec with required parameters cannot be checked without them.
    ``ranks``: 2 also tries a method in so many processes that share its batches (``--devices``), which takes seconds.
    """
    settings, mistakes = settings_of(spec, given)
    if not settings:
        lines = [*every.name_and_summary(Trial(spec, None))]
        return [f"{spec.label}: {line}" for line in lines] + mistakes
    params = settings[0].params
    lines = [fault.text for fault in faults_of(Trial(spec, params)) if isinstance(fault, Fault)]
    if ranks > 1 and spec.kind == "method" and getattr(spec, "trains", False):
        lines += of_two_devices(spec, params, ranks)  # type: ignore[arg-type]
    return [f"{spec.label}: {line}" for line in lines]
