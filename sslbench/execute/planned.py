"""What a worker finds, held against the plan: where they differ, the result would be filed under a false key."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sslbench.contracts.executor import Work
from sslbench.errors import UserError
from sslbench.hooks.registry import Registry
from sslbench.plan.cell import files_of
from sslbench.plan.choose import sent
from sslbench.plan.identity import harness_identity, plugin_identity


def check_planned(work: Work, registry: Registry) -> None:
    """Raises UserError where code, images or weights here are others than those that the work was planned with."""
    if differ := [*other_code(work, registry), *other_files(work, registry)]:
        raise UserError(f"refused: {'; '.join(differ)}")


def other_code(work: Work, registry: Registry) -> Iterator[str]:
    """A line where plugins or the harness are others."""
    if not work.codes:
        return
    plugins = [*work.plugins.items(), *(("evaluator", evaluation.evaluator) for evaluation in work.evaluations)]
    own = {"the harness": harness_identity()}
    for kind, plain in plugins:
        choice, code = sent(kind, plain, registry), plugin_identity(registry.entry_of(kind, plain.name))
        own |= replace(choice, code=code).codes
    planned = [(label, code) for label, code in work.codes.items() if own.get(label, code) != code]
    if planned:
        differ = ", ".join(f"{label} is {own[label]} here, {code} in the plan" for label, code in planned)
        yield f"{differ}; install the same where it is planned and where it runs"


def other_files(work: Work, registry: Registry) -> Iterator[str]:
    """A line for images and one for weights that are others."""
    changed = "are not those of the plan; they were changed since, or this machine has others"
    dataset = work.plugins.get("dataset")
    if work.fingerprint and dataset:
        choice = sent("dataset", dataset, registry)
        if choice.spec.fingerprint(choice.params) != work.fingerprint:
            yield f"the images of data set {dataset.name!r} {changed} (names, sizes, times of change)"
    if work.weights and files_of(sent(kind, plain, registry) for kind, plain in work.plugins.items()) != work.weights:
        yield f"the weights of method {work.plugins['method'].name!r} {changed}"
