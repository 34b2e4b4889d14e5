"""A linear layer that was fitted on a frozen model's features: kept with all that labels new images by it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from sslbench.advise.defaults import PROBE
from sslbench.advise.frozen import FrozenFeatures
from sslbench.contracts.evaluator import EvaluationData, FitsHead, LinearHead
from sslbench.contracts.executor import PluginChoice
from sslbench.contracts.method import InputSpec
from sslbench.contracts.plugin import BuildContext
from sslbench.errors import UserError
from sslbench.hooks.registry import Registry
from sslbench.hooks.user_paths import expanded
from sslbench.plan.choose import chosen
from sslbench.plan.reference import Reference
from sslbench.store.digests import DamagedFile, check_digest, read_json, write_json
from sslbench.train.checkpoint import save_tensors

TENSORS, FACTS, SCHEMA = "head.safetensors", "head.json", 2
UNSEEN = "damage to it would not be seen; sslbench recipe writes a new one"


@dataclass(frozen=True)
class Head:
    """The layer, the names of its classes, and the model whose features it reads."""

    layer: LinearHead
    classes: list[str]
    plugins: Mapping[str, PluginChoice]
    """method and backbone"""
    seed: int
    weights: str
    """fingerprint of the model's files"""
    read_size: int
    """side at which images are read, pixels"""
    input_spec: InputSpec
    numbers: Mapping[str, Any]
    """accuracy ``linear_top1`` (0..1) on how many test ``images`` of which ``folder``"""
    white: Mapping[str, float] | None = None
    """value of deep grey that became 255 when it was fitted, by kind; None: the head does not say"""
    note: str = ""
    """what a user should know about the files that it was read from"""


def fit_head(frozen: FrozenFeatures, read_size: int, numbers: Mapping[str, Any], registry: Registry) -> Head:
    """The layer that the linear probe evaluates, fitted on the training split.

    Raises UserError where there is nothing to fit, or the probe that is installed returns no layer.
    """
    classes, seed = frozen.classes, frozen.settings.seed
    probe = chosen("evaluator", Reference(PROBE), registry).build(BuildContext(classes=len(classes), seed=seed))
    if not isinstance(probe, FitsHead):
        raise UserError(f"evaluator {PROBE!r} of this installation returns no head")
    features = frozen.extraction
    layer = probe.fit(EvaluationData(features.train, features.test, len(classes), seed))
    layer = LinearHead(layer.weight.cpu(), layer.bias.cpu())
    plugins = {kind: with_absolute_path(plugin) for kind, plugin in frozen.model.plugins.items()}
    weights, input_spec = frozen.pretraining.weights, frozen.input_spec
    return Head(layer, classes, plugins, seed, weights, read_size, input_spec, numbers, frozen.data.white)


def with_absolute_path(plugin: PluginChoice) -> PluginChoice:
    """The head is used from other folders than the one it was made in."""
    path = plugin.params.get("path")
    if not path:
        return plugin
    return PluginChoice(plugin.name, {**plugin.params, "path": str(expanded(path).resolve())})


def write_head(head: Head, folder: Path) -> None:
    """Two files, the facts last, which name the other by its digest. Raises OSError."""
    tensors = save_tensors(folder / TENSORS, {"weight": head.layer.weight, "bias": head.layer.bias}, {})
    facts = {
        "schema": SCHEMA,
        "tensors": tensors,
        "classes": head.classes,
        "model": {kind: asdict(plugin) for kind, plugin in head.plugins.items()},
        "seed": head.seed,
        "weights": head.weights,
        "read_size": head.read_size,
        "input": asdict(head.input_spec),
        "numbers": head.numbers,
        "white": head.white,
    }
    write_json(folder / FACTS, facts, indent=1)


def read_head(folder: Path) -> Head:
    """What ``write_head`` wrote, now or in schema 1. Raises UserError for anything else, and for damage."""
    if folder.name == FACTS:
        folder = folder.parent
    try:
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        if facts["schema"] not in (1, SCHEMA):
            raise ValueError(f"schema {facts['schema']!r}; this version reads 1 and {SCHEMA}")
        if facts["schema"] == SCHEMA:
            check_files(folder)
        return head_of(facts, load_file(folder / TENSORS))
    except DamagedFile as error:
        raise UserError(f"{error}; run sslbench recipe again") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, SafetensorError) as error:
        what = error.strerror if isinstance(error, OSError) and error.strerror else f"{type(error).__name__}: {error}"
        raise UserError(f"{folder}: holds no head that `sslbench recipe` wrote ({what})") from None


def check_files(folder: Path) -> None:
    """Raises DamagedFile where a file does not match its digest, or the two are not of one head; OSError."""
    facts, tensors = read_json(folder / FACTS), check_digest(folder / TENSORS)
    if facts.get("tensors") != tensors:
        raise DamagedFile(f"{folder}: half written: {TENSORS} and {FACTS} are of two heads")


def head_of(facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Head:
    """The head of what its files hold. Raises KeyError, TypeError, ValueError or AttributeError for what is none."""
    layer, classes = LinearHead(tensors["weight"], tensors["bias"]), facts["classes"]
    if layer.weight.ndim != 2 or not layer.weight.shape[:1] == layer.bias.shape == (len(classes),):
        raise ValueError(f"{len(classes)} classes, {list(layer.weight.shape)} weights, {list(layer.bias.shape)} biases")
    return Head(
        layer,
        classes,
        {kind: PluginChoice(**plugin) for kind, plugin in facts["model"].items()},
        facts["seed"],
        facts["weights"],
        facts["read_size"],
        InputSpec(**facts["input"] | {key: tuple(facts["input"][key]) for key in ("mean", "std")}),
        facts["numbers" if facts["schema"] == SCHEMA else "figures"],
        white=white_of(facts.get("white")),
        note="" if facts["schema"] == SCHEMA else f"a head of schema {facts['schema']} has no digest: {UNSEEN}",
    )


def white_of(facts: Mapping[str, Any] | None) -> dict[str, float] | None:
    """By kind of deep grey. Raises TypeError, ValueError or AttributeError for what is none."""
    if facts is None:
        return None
    white = {str(kind): float(value) for kind, value in facts.items()}
    if not all(value > 0 for value in white.values()):
        raise ValueError(f"white of deep grey is {white}; values above 0 are allowed")
    return white
