"""Frozen features: extracted once per pretraining, shared by all its evaluators."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sslbench.contracts.dataset import Split
from sslbench.contracts.evaluator import FeatureSet
from sslbench.contracts.method import InputSpec
from sslbench.measure.device_errors import out_of_memory
from sslbench.measure.memory import PeakMemory, available_bytes, release_unused, used_bytes
from sslbench.measure.precision import computing
from sslbench.store.digests import DamagedFile
from sslbench.store.record import FeatureFacts
from sslbench.train.checkpoint import load_tensors, save_tensors, weights_digest
from sslbench.train.data import Splits
from sslbench.train.feed import Feed
from sslbench.train.ranks import on_first, own_run, rank, ranks
from sslbench.train.views import EvaluationView

BATCH = 256
"""images that an encoder is given at once, on a GPU at first"""
GROWTH = 8
"""times as many at most on a GPU"""
LARGE = 32 << 20
"""bytes of images beyond which a batch is not grown; as floats they are four times as many"""
SPARE = 2
"""times what a batch takes must be free for it"""

COLLAPSED_SPREAD = 0.01
"""Below this spread, features of different images are equal but for 1e-4 of their length squared."""

COLLAPSED_EMBEDDINGS = 0.05
"""Below this, the embeddings or distributions that a method without negatives compares are one vector to its loss: on
digits 0.03 for BYOL without predictor and stop-gradient, 0.95 with both (docs/log.md)."""


@dataclass(frozen=True)
class Extraction:
    """Features of both splits, and what extracting them took."""

    train: FeatureSet
    test: FeatureSet
    spread: float | None
    seconds: float | None
    images_per_second: float | None

    @property
    def dim(self) -> int:
        """Features of an image."""
        return self.train.features.shape[1]

    @property
    def facts(self) -> FeatureFacts:
        """The record's description of them."""
        return FeatureFacts(self.dim, self.images_per_second, self.seconds, self.spread)

    @property
    def classes(self) -> int:
        """One more than the largest label of either split; 0 without labels."""
        labels = [part.labels for part in (self.train, self.test) if part.labels is not None]
        return max((int(values.max()) + 1 for values in labels), default=0)


class Batching:
    """How many images an encoder is given at once: on a CPU always the same number, so that features have the same
    bits; on a GPU as many as its memory has room for, by what the first batch took of it."""

    def __init__(self, size: int, device: torch.device) -> None:
        self.size, self._device = size, device
        self._most = GROWTH * size if device.type == "cuda" else size

    def split(self, rows: Tensor) -> Iterator[Tensor]:
        """int64 ``[N]`` in order and in parts of ``size``, which may change on the way."""
        while len(rows):
            part, rows = rows[: self.size], rows[self.size :]
            yield part

    def encoded(self, encode: Callable[[Tensor], Tensor], images: Tensor) -> Iterator[Tensor]:
        """What ``encode`` makes of the images, in parts; where a GPU has no memory for one, of half as many. Raises
        what it raises for a single image."""
        while len(images):
            part = images[: self.size]
            features = self._measured(encode, part) if self.size < self._most else self._tried(encode, part)
            if features is None:
                self.size = self._most = len(part) // 2
                release_unused(self._device)
            else:
                yield features
                images = images[len(part) :]

    def _tried(self, encode: Callable[[Tensor], Tensor], images: Tensor) -> Tensor | None:
        try:
            return encode(images)
        except RuntimeError as error:
            if self._device.type != "cuda" or len(images) == 1 or not out_of_memory(error):
                raise
            return None

    def _measured(self, encode: Callable[[Tensor], Tensor], images: Tensor) -> Tensor | None:
        """The same; the size is doubled as long as there is room."""
        before, memory = used_bytes(self._device) or 0, PeakMemory(self._device)
        features = self._tried(encode, images)
        if features is not None:
            taken = ((memory.bytes() or 0) - before) / len(images)
            room = available_bytes(self._device) or 0
            most = min(self._most, LARGE * len(images) // images.nbytes, int(room / SPARE / max(1, taken)))
            while 2 * self.size <= most:
                self.size *= 2
            self._most = self.size
        return features


def extract(
    encoder: nn.Module, split: Split, view: Callable[[Tensor], Tensor], batch: int, device: torch.device, precision: str
) -> Tensor:
    """float32 ``[N, D]`` on ``device``: the encoder in eval mode over every image, in order, without gradients. Each
    rank takes a run of the batches; rank 0 has all features, the others their own. ``batch``: images at once, on a GPU
    at first (see Batching)."""
    parts = [torch.empty(0, device=device)]
    own = own_run(-(-len(split) // batch))
    rows = torch.arange(len(split))[own.start * batch : own.stop * batch]
    batching = Batching(batch, device)
    with torch.inference_mode(), computing(device, precision):
        for images in Feed(split.images, device).batches(batching.split(rows)):
            parts.extend(batching.encoded(lambda part: encoder(view(part)).float(), images))
    # Cloned outside inference mode, so that an evaluator may compute gradients with them.
    features = torch.cat(parts).clone()
    return features if ranks() == 1 else on_first(features, len(split))


def extract_all(
    encoder: nn.Module,
    data: Splits,
    device: torch.device,
    precision: str,
    input_spec: InputSpec | None = None,
    batch: int = BATCH,
) -> Extraction:
    """Features of both splits, ``batch`` images at once (on a GPU at first), in the training's ``precision``;
    ``input_spec``: the encoder's own. On ranks other than the first it is of their share alone. Raises RuntimeError
    where the encoder changes."""
    view = EvaluationView(input_spec or data.input_spec, device)
    was_training = encoder.training
    encoder.eval()
    before = weights_digest(encoder)

    begin = time.perf_counter()
    train = extract(encoder, data.train, view, batch, device, precision)
    test = extract(encoder, data.test, view, batch, device, precision)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    seconds = time.perf_counter() - begin
    if weights_digest(encoder) != before:
        raise RuntimeError("the encoder changed its weights or buffers in eval mode; frozen features must not")
    encoder.train(was_training)
    if rank():
        return Extraction(FeatureSet(train), FeatureSet(test), None, seconds, None)
    sets = feature_set(train, data.train, device), feature_set(test, data.test, device)
    return Extraction(*sets, spread(train), seconds, (len(train) + len(test)) / seconds)


def feature_set(features: Tensor, split: Split, device: torch.device) -> FeatureSet:
    """Features with the labels and factors of their split, all on ``device``."""
    labels = None if split.labels is None else split.labels.to(device)
    return FeatureSet(features, labels, {name: values.to(device) for name, values in split.factors.items()})


class StaleFeatures(Exception):
    """Stored features come from other weights, data or settings than those that are asked for."""


def spread(features: Tensor) -> float | None:
    """Deviation of the features' directions: 0 when all images get one vector, 1 when they point anywhere.

    Root of the summed per-dimension variance of the L2-normalised features (SimSiam, Chen & He 2021, section 4.1,
    times the root of the dimension). None where a feature is not finite, 0 where all are zero.
    """
    if not bool(torch.isfinite(features).all()):
        return None
    directions = nn.functional.normalize(features.double(), dim=1)
    if not bool(directions.any()):
        return 0.0
    return float(directions.var(dim=0, unbiased=False).sum().sqrt())


def save_extraction(path: Path, extraction: Extraction, made_of: Mapping[str, Any] | None = None) -> None:
    """Store features and labels; ``made_of`` names what they were made from, JSON-able. Raises OSError."""
    tensors = {"train/features": extraction.train.features, "test/features": extraction.test.features}
    for name, part in (("train", extraction.train), ("test", extraction.test)):
        if part.labels is not None:
            tensors[f"{name}/labels"] = part.labels
        tensors |= {f"{name}/factors/{factor}": values for factor, values in part.factors.items()}
    facts = {name: getattr(extraction, name) for name in ("spread", "seconds", "images_per_second")}
    save_tensors(path, tensors, {**facts, "made_of": dict(made_of or {})})


def load_extraction(path: Path, device: torch.device, made_of: Mapping[str, Any] | None = None) -> Extraction:
    """What ``save_extraction`` stored, on ``device``; memory-mapped on a CPU. Raises StaleFeatures where it was made of
    anything else than ``made_of`` names, DamagedFile or OSError where the file cannot be used."""
    tensors, facts = load_tensors(path)
    source = facts.get("made_of", {})
    for what, expected in (made_of or {}).items():
        if source.get(what) != expected:
            raise StaleFeatures(f"{path} was made with {what} {source.get(what)}, not {expected}")

    def part(name: str) -> FeatureSet:
        prefix = f"{name}/factors/"
        factors = {key.removeprefix(prefix): t.to(device) for key, t in tensors.items() if key.startswith(prefix)}
        labels = tensors[f"{name}/labels"].to(device) if f"{name}/labels" in tensors else None
        return FeatureSet(tensors[f"{name}/features"].to(device), labels, factors)

    try:
        return Extraction(part("train"), part("test"), facts["spread"], facts["seconds"], facts["images_per_second"])
    except KeyError as error:
        raise DamagedFile(f"{path}: damaged: {error} is missing") from None
