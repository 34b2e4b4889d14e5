"""One record: what a cell of a suite gave, or a row of a speed suite. Typed here, JSON on disk (schema 2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from sslbench.contracts.weights import LoadedWeights
from sslbench.store.json_parts import DamagedRecord, Part

SCHEMA = 2
Kind = Literal["run", "speed"]
Status = Literal["done", "collapsed", "diverged", "timeout", "oom", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class MetricValue(Part):
    """One measured quantity of a record."""

    value: float | None
    """None where it could not be measured"""
    unit: str = ""
    higher_is_better: bool | None = True
    std: float | None = None
    """standard deviation over repeated draws inside the evaluator"""
    n: int | None = None
    reason: str | None = None
    relative_error: float | None = None
    """standard error over the value, where it was measured in rounds"""
    evaluator: str | None = None
    """of a point of a curve: who measured it"""


@dataclass(frozen=True, slots=True)
class CurvePoint(Part):
    """What was measured after an epoch, which count from 1; the loss is its mean."""

    epoch: int
    loss: float | None
    metrics: Mapping[str, MetricValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TrainingInput(Part):
    """What is needed beside the weights to build a method again and to give its encoder what it was trained on."""

    image_size: int
    """pixels"""
    classes: int
    mean: tuple[float, ...]
    """per channel, of values in 0..1"""
    std: tuple[float, ...]
    white: Mapping[str, float] | None = None
    """value of deep grey that became 255, by kind, of those that there were; None where it was not kept"""


@dataclass(frozen=True, slots=True)
class InputFacts(Part):
    """What an encoder is given in evaluation."""

    size: int
    """side, pixels"""
    mean: tuple[float, ...]
    """per channel, of values in 0..1"""
    std: tuple[float, ...]
    crop: float = 1.0
    """share of the side that the centre crop keeps, in (0, 1]"""
    interpolation: str = "bilinear"


@dataclass(frozen=True)
class WeightsFacts(LoadedWeights, Part):
    """Weights of somebody else that a network started from, and the input that it was given."""

    input: InputFacts | None = None


@dataclass(frozen=True, slots=True)
class TrainingFacts(Part):
    """What a pretraining took. What was not measured is None. Losses are means of an epoch."""

    key: str | None = None
    epochs: int | None = None
    steps: int | None = None
    seconds: float | None = None
    images_per_second: float | None = None
    step_ms_median: float | None = None
    step_ms_iqr: float | None = None
    data_wait_share: float | None = None
    """0..1"""
    peak_memory_bytes: int | None = None
    flops_per_image: float | None = None
    final_loss: float | None = None
    losses: tuple[float | None, ...] | None = None
    curve: tuple[CurvePoint, ...] | None = None
    batch_size: int | None = None
    """as used: the suite's, or the whole training split where that is smaller"""
    scalars: Mapping[str, float | None] = field(default_factory=dict)
    """what the method logged at its last step"""
    resumed_at: int | None = None
    """step at which it went on after an interruption"""
    images_skipped: int | None = None
    """in records without ``data``: those that could not be read"""
    input: TrainingInput | None = None
    curve_seconds: float | None = None
    """spent on evaluation during training, no part of ``seconds``"""
    curve_asked: Mapping[str, Any] | None = None
    weights: WeightsFacts | None = None
    """of somebody else, that it started from"""
    at_once: int | None = None
    """pretrainings that may have shared its device, itself included: its times are slower than they would be alone"""
    threads: int | None = None
    """of the processor, for each of its steps"""
    joules_per_image: float | None = None
    """of the whole GPU card, or the processors' packages, in training"""
    why_no_energy: str | None = None
    """why that is not known"""


@dataclass(frozen=True, slots=True)
class FeatureFacts(Part):
    """What the frozen features are like, and what extracting them took."""

    dim: int | None = None
    images_per_second: float | None = None
    seconds: float | None = None
    spread: float | None = None
    """0 where all images have one feature vector, 1 where they point anywhere"""


@dataclass(frozen=True, slots=True)
class DataFacts(Part):
    """What a run looked at. What is not known is None."""

    train_images: int
    """labelled or not, those that methods are trained on"""
    test_images: int
    """those that evaluators report on"""
    evaluated_on: str | None = None
    """whose split these are: ``test``, or what they were held out of"""
    classes: int | None = None
    majority_class: str | None = None
    majority_share: float | None = None
    """0..1: share of the most frequent class among the images that evaluators report on"""
    image_size: int | None = None
    """side after reading, pixels"""
    sides: tuple[int, ...] | None = None
    """smallest and largest side before, pixels"""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """reason -> files or rows that were not looked at"""
    duplicates: int | None = None
    """images to evaluate on that equal one to train on, by digest; None where they were not compared"""
    fingerprint: str | None = None
    """of the data set"""
    classes_evaluated: int | None = None
    """those that the images to evaluate on are of"""
    why_not_compared: str | None = None
    """why ``duplicates`` is not known"""
    repeated: int | None = None
    """images to train on that equal an earlier one; None where there are no digests"""
    contradictory: int | None = None
    """images of which an equal one has another label; None where there are no digests or labels"""


@dataclass(frozen=True, slots=True)
class Record(Part):
    """One cell: which one, how it ended, what it measured, what it cost, and what made it."""

    cell: str
    status: Status
    method: str
    seed: int
    reason: str | None = None
    """why it has another status than ``done``"""
    augmentation: str | None = None
    masking: str | None = None
    mask_ratio: float | None = None
    evaluator: str | None = None
    dataset: str | None = None
    backbone: str | None = None
    params: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """all resolved parameters, by kind of plugin; those of ``training`` beside them"""
    metrics: Mapping[str, MetricValue] = field(default_factory=dict)
    headline: str | None = None
    """the metric to rank by"""
    pretraining: TrainingFacts | None = None
    features: FeatureFacts | None = None
    data: DataFacts | None = None
    traceback: str | None = None
    provenance: Mapping[str, Any] | None = None
    inputs: Mapping[str, Any] | None = None
    """the identity of the code and the fingerprint of the data that it was made from"""
    kind: Kind = "run"
    speed: Mapping[str, Any] | None = None
    """of a row of a speed suite: what was timed"""

    @classmethod
    def from_json(cls, data: Any, where: str = "record") -> Self:
        """A record of this schema or of schema 1. Raises DamagedRecord for anything else."""
        if isinstance(data, Mapping):
            schema = data.get("schema", 1)
            if schema not in (1, SCHEMA):
                raise DamagedRecord(f"{where}: has schema {schema!r}; this version reads 1 and {SCHEMA}")
            current = data if schema == SCHEMA else from_schema_1(data)
            data = {key: value for key, value in current.items() if key != "schema"}
        return cls.checked(data, where)

    def to_json(self) -> dict[str, Any]:
        """As ``results --format json`` prints it and the store keeps it: a copy."""
        return {"schema": SCHEMA, **Part.to_json(self)}

    @property
    def at_once(self) -> int:
        """Pretrainings that may have shared a device while it trained, itself included."""
        return (self.pretraining.at_once if self.pretraining else None) or 1

    @property
    def finished(self) -> bool:
        """Whether it was evaluated."""
        return self.status in ("done", "collapsed")

    @property
    def data_fingerprint(self) -> str:
        """Of the data; empty where nobody knows."""
        return (self.data.fingerprint if self.data else None) or str((self.inputs or {}).get("data") or "")

    @property
    def weights_fingerprint(self) -> str:
        """Fingerprint of the files that its method reads; empty for most."""
        return str((self.inputs or {}).get("weights") or "")

    @property
    def weights(self) -> WeightsFacts | None:
        """Of somebody else, that the network started from."""
        return self.pretraining.weights if self.pretraining else None

    @property
    def made(self) -> str:
        """When: UTC, ISO 8601; empty where nobody knows."""
        return str((self.provenance or {}).get("time") or "")


def from_schema_1(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """A record of schema 1 (before December 2026) in the words of schema 2."""
    params = data.get("params")
    if not isinstance(params, Mapping) or not isinstance(params.get("training"), Mapping):
        return data
    # The one setting that ended in ``_on`` had another verb: which split evaluators report on.
    training = {"evaluate_on" if name.endswith("_on") else name: value for name, value in params["training"].items()}
    return {**data, "params": {**params, "training": training}}
