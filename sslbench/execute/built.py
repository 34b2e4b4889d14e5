"""The plugins of one piece of work, built from its plain values."""

from __future__ import annotations

from typing import Any

from sslbench.errors import SslbenchError
from sslbench.execute.executor import Work
from sslbench.hooks.contracts import Dataset
from sslbench.hooks.kinds import MethodSpec, consent
from sslbench.hooks.registry import Registry
from sslbench.train.data import Judged
from sslbench.train.models import Method
from sslbench.train.randomness import seed_everything

_LAST_DATASET: dict[tuple[str, str, bool], Dataset | SslbenchError] = {}


def build_chosen(work: Work, registry: Registry, kind: str, **context: Any) -> Any:
    """The plugin of one kind, built with its parameters; None where the work has none."""
    chosen = work.plugins.get(kind)
    if chosen is None:
        return None
    spec = registry.get(kind, chosen["name"])
    return spec.build(spec.params(**chosen["params"]), **context, **consent(spec, work.download))


def method_spec_of(work: Work, registry: Registry) -> MethodSpec:
    spec = registry.get("method", work.plugins["method"]["name"])
    assert isinstance(spec, MethodSpec)
    return spec


def build_method(work: Work, registry: Registry, image_size: int, classes: int, seed: int | None = None) -> Method:
    """The method on its backbone, initialised from the seed (default: the work's)."""
    seed_everything(work.seed if seed is None else seed, "init")
    backbone = build_chosen(work, registry, "backbone", image_size=image_size)
    context: dict[str, Any] = {"image_size": image_size, "mask_ratio": work.mask_ratio}
    if method_spec_of(work, registry).uses_labels:
        context["classes"] = classes
    method: Method = build_chosen(work, registry, "method", backbone=backbone, **context)
    return method


def input_of(data: Judged) -> dict[str, Any]:
    """What is needed beside the weights to build the method again and to give its encoder what it was trained on."""
    return {"image_size": data.image_size, "classes": data.classes, "mean": list(data.mean), "std": list(data.std)}


def build_dataset(work: Work, registry: Registry) -> Dataset:
    """The data set, read once and kept for the next piece of work; a failure to read is kept as well."""
    chosen = work.plugins["dataset"]
    key = (chosen["name"], repr(sorted(chosen["params"].items())), work.download)
    if key not in _LAST_DATASET:
        _LAST_DATASET.clear()
        try:
            _LAST_DATASET[key] = build_chosen(work, registry, "dataset", download=work.download)
        except SslbenchError as error:
            _LAST_DATASET[key] = error
    kept = _LAST_DATASET[key]
    if isinstance(kept, SslbenchError):
        raise kept
    return kept
