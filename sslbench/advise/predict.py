"""New images labelled by a fitted head, and what is printed of it: for a terminal, as CSV or JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sslbench.advise.folder import scale_params, unknown_scale
from sslbench.advise.frozen import Settings
from sslbench.advise.head import Head
from sslbench.contracts.dataset import Split
from sslbench.contracts.defaults import UNLABELLED_IMAGES
from sslbench.contracts.plugin import BuildContext
from sslbench.errors import UserError
from sslbench.evaluate.features import extract
from sslbench.hooks.registry import Registry
from sslbench.hooks.user_paths import expanded
from sslbench.plan.cell import files_of
from sslbench.plan.choose import chosen, sent
from sslbench.plan.reference import Reference
from sslbench.report.comma_separated import as_csv
from sslbench.report.screen import one_line
from sslbench.report.text import Column, listing
from sslbench.train.task import build_method
from sslbench.train.views import EvaluationView


@dataclass(frozen=True)
class Prediction:
    """What the head returns for one image."""

    path: str
    probabilities: tuple[float, ...]
    """of each class, in the order of the classes; they add up to 1"""

    @property
    def ranking(self) -> list[int]:
        """Classes, the likeliest first."""
        return sorted(range(len(self.probabilities)), key=lambda index: -self.probabilities[index])


def predict(
    head: Head, images: Sequence[Path], settings: Settings, registry: Registry, batch: int = 64
) -> tuple[list[Prediction], list[str], list[str]]:
    """A prediction for each image among files and folders of images, in order; those that could not be read; and what
    a user should know about the scale of their grey.

    Raises UserError where a path or the model is not there, or the model's weights are not those of the head.
    """
    device = torch.device(settings.training.device)
    encoder = encoder_of(head, settings, registry).to(device).eval()
    encoder = encoder.to(memory_format=torch.channels_last)  # as that on whose features the head was fitted
    view = EvaluationView(head.input_spec, device)
    predictions: list[Prediction] = []
    unreadable: list[str] = []
    notes: list[str] = []
    for split, files in read(images, head, registry):
        notes += notes_on_scale(split, head)
        if len(split):
            features = extract(encoder, split, view, batch, device, settings.training.precision)
            check_features(features, head)
            shares = head.layer.logits(features.cpu()).softmax(dim=1).tolist()
            predictions += [Prediction(path, tuple(row)) for path, row in zip(split.paths, shares, strict=True)]
        missing, lost = sorted(files - set(split.paths)), split.left_out.get("cannot be read", 0)
        unreadable += missing or ([f"{lost} images"] if lost else [])
    return predictions, unreadable, list(dict.fromkeys(notes))


def notes_on_scale(split: Split, head: Head) -> list[str]:
    """One line for each kind of deep grey whose scale the head does not know."""
    why = "the head does not say how" if head.white is None else "the head was fitted on no such image, so not how"
    return unknown_scale(split.white, head.white, why)


def encoder_of(head: Head, settings: Settings, registry: Registry) -> nn.Module:
    """The model whose features the head reads. Raises UserError where it is not the one that the head was fitted on, or
    would run code that the user did not allow to run."""
    choices = {kind: sent(kind, plain, registry) for kind, plain in head.plugins.items()}
    if "method" not in choices:
        raise UserError("the head names no model; run sslbench recipe again")
    method = choices["method"]
    for choice in choices.values():
        choice.check_trust(settings.trust)
    if method.spec.trains:
        raise UserError(f"the head's model, {method.name}, takes training steps; run sslbench recipe again")
    if files_of(choices.values()) != head.weights:
        raise UserError("the model's weights have changed since the head was fitted; run sslbench recipe again")
    context = BuildContext(head.input_spec.size, seed=head.seed, download=settings.download, trust=settings.trust)
    return build_method(method, choices.get("backbone"), context).encoder


def check_features(features: Tensor, head: Head) -> None:
    """Raises UserError where ``features``, ``[N, D]``, are not as long as the head's layer is wide."""
    given, wanted = features.shape[1], head.layer.weight.shape[1]
    if given != wanted:
        raise UserError(f"the head reads {wanted} features, its model gives {given}; run sslbench recipe again")


def read(images: Sequence[Path], head: Head, registry: Registry) -> Iterator[tuple[Split, set[str]]]:
    """Each folder, and the files between two folders together: the images that can be read, as they were spelled, and
    the names of all files, empty for a folder. Deep grey is scaled as it was when the head was fitted."""
    fixed = {"size": head.read_size, "test_share": 0.0, "on_error": "skip", **scale_params(head.white)}
    for folder_index, run in groupby(enumerate(images), lambda item: item[0] if item[1].is_dir() else -1):
        paths = [path for _, path in run]
        source: dict[str, Any] = {"files": [*map(str, paths)]} if folder_index < 0 else {"root": str(paths[0])}
        split = (
            chosen("dataset", Reference(UNLABELLED_IMAGES, source | fixed), registry)
            .build(BuildContext())
            .split("train")
        )
        if folder_index >= 0:
            root = expanded(paths[0]).resolve()
            split = replace(split, paths=[str(paths[0] / Path(path).relative_to(root)) for path in split.paths])
        yield split, set(source.get("files", ()))


def render_predictions(predictions: Sequence[Prediction], classes: Sequence[str], fmt: str) -> str:
    """Without a newline at the end. ``table`` has the two likeliest classes, ``csv`` and ``json`` the probability of
    each."""
    if fmt == "table":
        return as_table(predictions, classes) if predictions else "no image was labelled"
    rows: list[dict[str, Any]] = [
        {"path": prediction.path, "label": classes[prediction.ranking[0]]} for prediction in predictions
    ]
    if fmt == "json":
        for row, prediction in zip(rows, predictions, strict=True):
            row["probabilities"] = dict(zip(classes, prediction.probabilities, strict=True))
        return json.dumps({"schema": 2, "predictions": rows}, indent=1, allow_nan=False)
    names = [f"p({name})" for name in classes]
    for row, prediction in zip(rows, predictions, strict=True):
        shares = [f"{share:.6g}" for share in prediction.probabilities]
        row |= {"probability": shares[prediction.ranking[0]], **dict(zip(names, shares, strict=True))}
    return as_csv(rows, ["path", "label", "probability", *names])


def as_table(predictions: Sequence[Prediction], classes: Sequence[str]) -> str:
    """The likeliest class of each image and the next, in percent."""
    columns = [Column("image", [one_line(prediction.path) for prediction in predictions])]
    for rank, title in enumerate(("label", "next")):
        labels = [prediction.ranking[rank] for prediction in predictions]
        shares = [prediction.probabilities[label] for prediction, label in zip(predictions, labels, strict=True)]
        columns.append(Column(title, [one_line(classes[label]) for label in labels], rank=2 * rank))
        columns.append(Column("%", [f"{100 * share:.1f}" for share in shares], number=True, rank=2 * rank + 1))
    return listing(columns, "--format csv")
