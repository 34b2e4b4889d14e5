"""One pretraining without a suite: a method, a data set, and the backbone where the method uses one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sslbench.contracts.dataset import DatasetSpec
from sslbench.contracts.defaults import PRETRAINED
from sslbench.contracts.executor import TrainingSettings
from sslbench.errors import UserError
from sslbench.hooks.registry import Registry
from sslbench.plan.cell import Choice, Pretraining
from sslbench.plan.choose import choose
from sslbench.plan.compatibility import incompatible
from sslbench.plan.expand import fingerprint_of
from sslbench.plan.identity import harness_identity
from sslbench.plan.reference import Reference, parse_reference

if TYPE_CHECKING:
    from sslbench.contracts.backbone import BackboneSpec
    from sslbench.contracts.method import MethodSpec


def model_reference(text: str, where: str = "--model") -> Reference:
    """``NAME:key=value,...`` of a method, or the path of an exported folder or of a file with its configuration."""
    if Path(text).expanduser().exists():
        return Reference(PRETRAINED, {"path": text}, where)
    return parse_reference(text, where)


def chosen(kind: str, reference: Reference, registry: Registry) -> Choice[Any]:
    """The plugin with its parameters. Raises UserError with one line for each mistake."""
    try:
        choice, mistakes = choose(kind, reference, registry, "default")
    except UserError as error:
        choice, mistakes = None, list(error.messages)
    if choice is None:
        raise UserError(*(f"{reference.where}: {line}" if reference.where else line for line in mistakes))
    return choice


def single(
    method: Choice[MethodSpec],
    dataset: Choice[DatasetSpec],
    backbone: Choice[BackboneSpec] | None,
    training: TrainingSettings,
    seed: int,
) -> Pretraining:
    """What all evaluations of this combination share; ``training`` has device and precision resolved. ``backbone`` is
    ignored where the method uses none.

    Raises UserError where the plugins do not work together.
    """
    used = backbone if "backbone" in method.spec.uses else None
    reason = incompatible(method, used, dataset)
    if reason:
        raise UserError(reason)
    return Pretraining(
        method=method,
        dataset=dataset,
        backbone=used,
        augmentation=None,
        masking=None,
        seed=seed,
        training=training,
        fingerprint=dataset.spec.fingerprint(dataset.params),
        harness=harness_identity(),
        weights=fingerprint_of(method),
    )
