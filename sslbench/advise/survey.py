"""A folder of images without labels: how features spread, which images are duplicates, outliers and neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from sslbench.advise.available import models_to_try
from sslbench.advise.defaults import LABEL_FREE, UNTRAINED
from sslbench.advise.folder import folder_reference, notes_on_left_out, reading_size
from sslbench.advise.frozen import FrozenFeatures, Model, Session
from sslbench.errors import UserError
from sslbench.hooks.user_paths import expanded
from sslbench.measure.similarity import near_pairs, neighbours, outliers, whitened
from sslbench.plan.reference import Reference

WITHOUT_VIEWS = {"views": 0}
"""parameters of the label-free evaluator: views take as many passes through the model as thousands of images"""
FEWEST = 3
"""images that can be compared"""
NEIGHBOURS = 10
"""of each image: duplicates are sought among them, and their mean distance says how far an outlier lies"""
THRESHOLD = 0.85
"""cosine of whitened features; found 78 to 93% of planted copies and nothing else with three models (docs/log.md)"""
EXAMPLES, NEAREST, OUTLIERS = 5, 4, 100
"""images whose neighbours are shown, how many of each, and outliers that are kept"""


@dataclass(frozen=True)
class SurveyedModel:
    """One model and what its features say without labels."""

    label: str
    dim: int
    images_per_second: float | None
    metrics: dict[str, float | None]


@dataclass(frozen=True)
class SimilarPair:
    """Two images whose whitened features are nearly parallel."""

    first: str
    second: str
    cosine: float


@dataclass(frozen=True)
class OutlierImage:
    """An image far from its neighbours."""

    path: str
    distance: float
    """mean of 1 - cosine to its neighbours"""
    deviations: float
    """how far that lies above the median image's, in (scaled) median absolute deviations"""


@dataclass(frozen=True)
class ImageNeighbours:
    """An image and the most similar others."""

    path: str
    nearest: tuple[tuple[str, float], ...]
    """path and cosine"""


@dataclass(frozen=True)
class Survey:
    """What was found out. Paths are below the root; what follows ``features_of`` rests on that model's features."""

    root: Path
    images: int
    notes: tuple[str, ...]
    note: str
    """on the models, if there is one"""
    models: tuple[SurveyedModel, ...]
    features_of: str
    threshold: float
    equal_files: tuple[tuple[str, ...], ...]
    near_duplicates: tuple[SimilarPair, ...]
    outliers: tuple[OutlierImage, ...]
    neighbours: tuple[ImageNeighbours, ...]


def survey(root: Path, session: Session, *, models: Sequence[Reference] = (), threshold: float = THRESHOLD) -> Survey:
    """Look at all images below ``root`` through the models (default: those that can be had; else an untrained network).

    ``threshold``: cosine of whitened features from which on two images are near duplicates.
    Raises UserError for a folder with fewer than 3 images that can be read, and for a model that is not there.
    """
    settings, registry = session.settings, session.registry
    references, note = models_to_try(models, settings, registry)
    all_features = [
        session.features(model, folder_reference(root, reading_size(model, settings), labelled=False))
        for model in [Model.of(reference, registry) for reference in references or (Reference(UNTRAINED),)]
    ]
    frozen = all_features[0]
    count = sum(len(frozen.images.split(name)) for name in ("train", "test"))
    if count < FEWEST:
        raise UserError(f"{root}: {count} images can be read; at least {FEWEST} are needed to compare them")
    rows = tuple(survey_model(features, session) for features in all_features)
    paths, features = all_images(frozen, root)
    count = len(paths)
    most = min(NEIGHBOURS, count - 1)
    near, near_whitened = neighbours(features, most), neighbours(whitened(features), most)
    shown = torch.linspace(0, count - 1, min(EXAMPLES, count)).long()
    nearest = shown.tolist(), near.index[shown, :NEAREST].tolist(), near.cosine[shown, :NEAREST].tolist()
    return Survey(
        root,
        count,
        tuple(notes_on_left_out(frozen.data)),
        note,
        rows,
        rows[0].label,
        threshold,
        equal_files(frozen, root),
        tuple(SimilarPair(paths[i], paths[j], cosine) for i, j, cosine in near_pairs(near_whitened, threshold)),
        tuple(OutlierImage(paths[far.index], far.distance, far.deviations) for far in outliers(near, OUTLIERS)),
        tuple(
            ImageNeighbours(paths[i], tuple(zip((paths[j] for j in others), cosines, strict=True)))
            for i, others, cosines in zip(*nearest, strict=True)
        ),
    )


def survey_model(frozen: FrozenFeatures, session: Session) -> SurveyedModel:
    """The spread of its features, and the metrics of the label-free evaluator where it is installed."""
    extraction = frozen.extraction
    metrics: dict[str, float | None] = {"spread": extraction.spread}
    if LABEL_FREE in session.registry.names("evaluator"):
        dataset = Reference(frozen.dataset.name, frozen.dataset.values)
        for record in session.evaluate(frozen.model.reference, dataset, [Reference(LABEL_FREE, WITHOUT_VIEWS)]):
            metrics |= {name: metric.value for name, metric in record.metrics.items()}
    return SurveyedModel(frozen.model.label, extraction.dim, extraction.images_per_second, metrics)


def all_images(frozen: FrozenFeatures, root: Path) -> tuple[list[str], Tensor]:
    """Names below the root, and features float32 ``[N, D]``, of every image, in the order of the names."""
    names, extraction = names_below(frozen, root), frozen.extraction
    features = torch.cat([extraction.train.features, extraction.test.features])
    order = sorted(range(len(names)), key=names.__getitem__)
    return [names[index] for index in order], features[torch.tensor(order, device=features.device)]


def names_below(frozen: FrozenFeatures, root: Path) -> list[str]:
    """Of all images, those of the training split first."""
    folder = expanded(root).resolve()
    return [str(Path(path).relative_to(folder)) for path in (*frozen.data.train.paths, *frozen.data.test.paths)]


def equal_files(frozen: FrozenFeatures, root: Path) -> tuple[tuple[str, ...], ...]:
    """Groups of images whose files are the same, byte for byte."""
    groups: dict[bytes, list[str]] = {}
    digests = [*frozen.data.train.digests, *frozen.data.test.digests]
    for name, digest in sorted(zip(names_below(frozen, root), digests, strict=True)):
        groups.setdefault(digest, []).append(name)
    return tuple(tuple(group) for group in groups.values() if len(group) > 1)
