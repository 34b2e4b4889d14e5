"""A folder of images without labels: how the features of a model spread, which images are alike, which are odd."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import torch

from sslbench.advise.folder import folder_reference, reading_size
from sslbench.advise.frozen import BACKBONE, Frozen, Model, Settings
from sslbench.advise.models import available
from sslbench.contracts.executor import Emit
from sslbench.errors import UserError
from sslbench.execute.request import Request
from sslbench.execute.scheduler import run
from sslbench.hooks.registry import Registry
from sslbench.measure.similarity import near_pairs, neighbours, outliers, whitened
from sslbench.plan.reference import Reference
from sslbench.plan.single import chosen
from sslbench.plan.suite import RawSuite

LABEL_FREE, ALONE = "label-free", {"views": 0}
"""the evaluator, and what leaves out the views, which take as many passes through the model as thousands of images"""
BASELINES = ("random-init",)
NEIGHBOURS = 10
"""of each image, among which duplicates are sought and whose mean distance says how odd it is"""
THRESHOLD = 0.85
"""cosine of whitened features; found 78 to 93% of planted copies and nothing else with three models (docs/log.md)"""
EXAMPLES, EACH = 5, 4
"""images whose neighbours are shown, and how many of each"""
SHOWN = 10
"""rows of a table"""
ODD = 100
"""outliers that are kept"""


@dataclass(frozen=True)
class Surveyed:
    """One model and what can be said of its features without labels."""

    label: str
    dim: int
    images_per_second: float | None
    metrics: dict[str, float | None]


@dataclass(frozen=True)
class Pair:
    first: str
    second: str
    cosine: float


@dataclass(frozen=True)
class Odd:
    path: str
    distance: float
    deviations: float


@dataclass(frozen=True)
class Near:
    path: str
    nearest: tuple[tuple[str, float], ...]
    """path and cosine"""


@dataclass(frozen=True)
class Survey:
    """The answer. Paths are below the root."""

    root: Path
    images: int
    notes: tuple[str, ...]
    note: str
    """on the models, if something is to be said"""
    models: tuple[Surveyed, ...]
    by: str
    """the model whose features the rest rests on"""
    threshold: float
    equal_files: tuple[tuple[str, ...], ...]
    near: tuple[Pair, ...]
    outliers: tuple[Odd, ...]
    neighbours: tuple[Near, ...]
    shown: int = SHOWN


def survey(
    root: Path,
    settings: Settings,
    registry: Registry,
    emit: Emit,
    *,
    models: Sequence[Reference] = (),
    threshold: float = THRESHOLD,
) -> Survey:
    """Look at all images below ``root`` through the models (default: those that can be had; else an untrained network).

    ``threshold``: cosine of whitened features from which on two images are near duplicates.
    Raises UserError for a folder with fewer than 3 images that can be read, and for a model that is not there.
    """
    had = available(registry, settings.download) if not models else None
    references = list(had.references if had else models) or [Reference(name) for name in BASELINES]
    found = [Model.found(one, registry) for one in references]
    frozen = []
    for model in found:
        size = reading_size(model, settings)
        reference = folder_reference(root, size, labelled=False)
        frozen.append(Frozen(model, chosen("dataset", reference, registry), settings, emit))
    check_enough(frozen[0], root)
    rows = tuple(surveyed(one, settings, registry, emit) for one in frozen)
    paths, features = all_images(frozen[0], root)
    near = neighbours(features, min(NEIGHBOURS, len(paths) - 1))
    skipped = frozen[0].data.skipped
    pairs = near_pairs(neighbours(whitened(features), min(NEIGHBOURS, len(paths) - 1)), threshold)
    examples = torch.linspace(0, len(paths) - 1, min(EXAMPLES, len(paths))).long().tolist()
    return Survey(
        root,
        len(paths),
        (f"{skipped} image{'s' if skipped > 1 else ''} left out: they cannot be read",) if skipped else (),
        had.note if had else "",
        rows,
        rows[0].label,
        threshold,
        equal_files(root, paths),
        tuple(Pair(paths[i], paths[j], cosine) for i, j, cosine in pairs),
        tuple(Odd(paths[one.index], one.distance, one.deviations) for one in outliers(near, ODD)),
        tuple(
            Near(
                paths[i],
                tuple(
                    (paths[j], cosine)
                    for j, cosine in zip(near.index[i, :EACH].tolist(), near.cosine[i, :EACH].tolist(), strict=True)
                ),
            )
            for i in examples
        ),
    )


def check_enough(frozen: Frozen, root: Path) -> None:
    count = sum(len(frozen.images.split(name)) for name in ("train", "test"))
    if count < 3:
        raise UserError(f"{root}: {count} images can be read; at least 3 are needed to compare them")


def surveyed(frozen: Frozen, settings: Settings, registry: Registry, emit: Emit) -> Surveyed:
    """Label-free metrics by the evaluator of that name, where it is installed; the spread in any case."""
    found = frozen.extraction
    metrics: dict[str, float | None] = {"spread": found.spread}
    if LABEL_FREE in registry.names("evaluator"):
        axes = {
            "method": [frozen.model.reference],
            "dataset": [Reference(frozen.dataset.name, frozen.dataset.values)],
            "backbone": [Reference(BACKBONE)],
            "evaluator": [Reference(LABEL_FREE, ALONE)],
        }
        data: dict[str, Any] = {"axes": axes, "seeds": [settings.seed], "training": dict(settings.training)}
        request = Request(RawSuite("recipe", "recipe", data), out=settings.out, download=settings.download)
        for record in run(request, emit, registry).records:
            metrics |= {name: metric["value"] for name, metric in record["metrics"].items()}
    return Surveyed(frozen.model.label, found.dim, found.images_per_second, metrics)


def all_images(frozen: Frozen, root: Path) -> tuple[list[str], torch.Tensor]:
    """Names below the root, and features, of every image, in the order of the names."""
    data, found = frozen.data, frozen.extraction
    paths = [*data.train.paths, *data.test.paths]
    names = [str(Path(path).relative_to(root.expanduser())) for path in paths]
    features = torch.cat([found.train.features, found.test.features])
    order = sorted(range(len(names)), key=names.__getitem__)
    return [names[place] for place in order], features[torch.tensor(order, device=features.device)]


def equal_files(root: Path, names: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """Groups of images whose files are the same, byte for byte."""
    groups: dict[tuple[int, bytes], list[str]] = {}
    for name in names:
        content = (root.expanduser() / name).read_bytes()
        groups.setdefault((len(content), blake2b(content, digest_size=16).digest()), []).append(name)
    return tuple(tuple(group) for group in groups.values() if len(group) > 1)
