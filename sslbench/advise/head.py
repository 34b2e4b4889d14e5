"""A linear layer that was fitted on a frozen model's features: kept with all that labels new images by it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from sslbench.advise.folder import UNLABELLED
from sslbench.advise.frozen import Frozen, Settings
from sslbench.contracts.dataset import Dataset
from sslbench.contracts.evaluator import EvaluationData, FitsHead, LinearHead
from sslbench.contracts.executor import PluginChoice
from sslbench.contracts.method import InputSpec
from sslbench.contracts.plugin import BuildContext
from sslbench.errors import UserError
from sslbench.evaluate.features import extract
from sslbench.evaluate.view import EvaluationView
from sslbench.hooks.registry import Registry
from sslbench.plan.choose import sent
from sslbench.plan.expand import fingerprint_of
from sslbench.plan.reference import Reference
from sslbench.plan.single import chosen
from sslbench.train.build import build_method
from sslbench.train.checkpoint import load_tensors, save_tensors, write_atomically

PROBE = "linear-probe"
"""the evaluator that fits it"""
TENSORS, FACTS = "head.safetensors", "head.json"
SCHEMA = 1


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
    """side at which images are read"""
    wanted: InputSpec
    figures: Mapping[str, Any]
    """how well it did, and on what"""


@dataclass(frozen=True)
class Prediction:
    """What the head says of one image."""

    path: str
    probabilities: tuple[float, ...]
    """of each class, in the order of the classes; they add up to 1"""


def fit_head(frozen: Frozen, read_size: int, figures: Mapping[str, Any], registry: Registry) -> Head:
    """The layer that the probe judges, fitted on the training split. Raises UserError where there is none to be had."""
    evaluator = registry.get("evaluator", PROBE)
    probe = evaluator.build(evaluator.params(), BuildContext())
    if not isinstance(probe, FitsHead):
        raise UserError(f"evaluator {PROBE!r} of this installation hands over no head")
    found = frozen.extraction
    classes = frozen.classes
    layer = probe.fit(EvaluationData(found.train, found.test, len(classes), frozen.settings.seed))
    plugins = dict(frozen.model.plugins)
    # The head is used from other folders than the one it was made in.
    if given := plugins["method"].params.get("path"):
        path = str(Path(given).expanduser().resolve())
        plugins["method"] = PluginChoice(plugins["method"].name, {**plugins["method"].params, "path": path})
    return Head(
        LinearHead(layer.weight.cpu(), layer.bias.cpu()),
        classes,
        plugins,
        frozen.settings.seed,
        frozen.pretraining.weights,
        read_size,
        frozen.input_spec,
        figures,
    )


def write_head(head: Head, folder: Path) -> None:
    """Two files, the facts last."""
    save_tensors(folder / TENSORS, {"weight": head.layer.weight, "bias": head.layer.bias}, {})
    facts = {
        "schema": SCHEMA,
        "classes": head.classes,
        "model": {kind: asdict(plugin) for kind, plugin in head.plugins.items()},
        "seed": head.seed,
        "weights": head.weights,
        "read_size": head.read_size,
        "input": asdict(head.wanted),
        "figures": head.figures,
    }
    write_atomically(folder / FACTS, json.dumps(facts, indent=1, allow_nan=False).encode())


def read_head(folder: Path) -> Head:
    """What ``write_head`` wrote. Raises UserError for anything else."""
    if folder.name == FACTS:
        folder = folder.parent
    try:
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        tensors, _ = load_tensors(folder / TENSORS)
        wanted = facts["input"] | {key: tuple(facts["input"][key]) for key in ("mean", "std")}
        return Head(
            LinearHead(tensors["weight"], tensors["bias"]),
            facts["classes"],
            {kind: PluginChoice(plugin["name"], plugin["params"]) for kind, plugin in facts["model"].items()},
            facts["seed"],
            facts["weights"],
            facts["read_size"],
            InputSpec(**wanted),
            facts["figures"],
        )
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        what = error.strerror if isinstance(error, OSError) and error.strerror else f"{type(error).__name__}: {error}"
        raise UserError(f"{folder}: holds no head that `sslbench recipe` wrote ({what})") from None


def predict(
    head: Head, images: Sequence[Path], settings: Settings, registry: Registry, batch: int = 64
) -> tuple[list[Prediction], list[str]]:
    """What the head says of files and of folders of images, in order; and the images that could not be read, in words.

    Raises UserError where a path or the model is not there, or the model's weights are not those of the head.
    """
    choices = {kind: sent(kind, plain, registry) for kind, plain in head.plugins.items()}
    method = choices["method"]
    if fingerprint_of(method) != head.weights:
        raise UserError("the model's weights have changed since the head was fitted; run sslbench recipe again")
    device = torch.device(settings.training.device)
    context = BuildContext(head.wanted.size, seed=head.seed, download=settings.download)
    encoder = build_method(method, choices.get("backbone"), context).encoder.to(device).eval()
    view = EvaluationView(head.wanted, device)
    found: list[Prediction] = []
    skipped: list[str] = []
    for dataset, asked in read(images, head.read_size, registry):
        split = dataset.split("train")
        if len(split):
            features = extract(encoder, split, view, batch, device, settings.training.precision)
            shares = head.layer.logits(features.cpu()).softmax(dim=1).tolist()
            found += [Prediction(path, tuple(row)) for path, row in zip(split.paths, shares, strict=True)]
        skipped += sorted(asked - set(split.paths)) or ([f"{split.skipped} images"] if split.skipped else [])
    return found, skipped


def read(images: Sequence[Path], size: int, registry: Registry) -> Iterator[tuple[Dataset, set[str]]]:
    """Each folder, and the files between them together: a data set, and the names that it was asked for."""
    runs: list[tuple[bool, list[Path]]] = []
    for path in images:
        if not path.is_dir() and runs and not runs[-1][0]:
            runs[-1][1].append(path)
        else:
            runs.append((path.is_dir(), [path]))
    for is_folder, paths in runs:
        given: dict[str, Any] = {"root": str(paths[0])} if is_folder else {"files": [str(path) for path in paths]}
        reference = Reference(UNLABELLED, {**given, "size": size, "test_share": 0.0, "on_error": "skip"})
        choice = chosen("dataset", reference, registry)
        yield choice.build(BuildContext()), set(map(str, given.get("files", ())))
