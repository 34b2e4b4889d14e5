"""What all advice is made with: models that take no training step, their features, and evaluations by ordinary runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from safetensors import SafetensorError

from sslbench.advise.defaults import BACKBONE
from sslbench.contracts.dataset import Dataset, DatasetSpec
from sslbench.contracts.defaults import IN_PROCESS
from sslbench.contracts.executor import Emit, PluginChoice, TrainingSettings
from sslbench.contracts.method import InputSpec, Method
from sslbench.contracts.plugin import BuildContext
from sslbench.errors import UserError
from sslbench.evaluate.features import (
    Extraction,
    StaleFeatures,
    extract_all,
    load_extraction,
    save_extraction,
)
from sslbench.execute.events import StageStarted
from sslbench.execute.pretraining import PretrainingJob
from sslbench.execute.request import Request
from sslbench.execute.scheduler import run
from sslbench.execute.work import work_of
from sslbench.hooks.registry import Registry
from sslbench.measure.machine import resolve_device, resolve_precision
from sslbench.plan.cell import Choice
from sslbench.plan.choose import chosen, to_be_trained
from sslbench.plan.expand import single
from sslbench.plan.plan import Group
from sslbench.plan.reference import Reference
from sslbench.plan.suite import RawSuite
from sslbench.store.record import Record
from sslbench.train.checkpoint import weights_digest
from sslbench.train.data import Splits
from sslbench.train.task import build_dataset, build_method

UNTRAINED_FEATURES = "untrained.safetensors"
"""file of the features of the network with fresh weights, beside the model's"""


@dataclass(frozen=True)
class Settings:
    """Where and how precisely features are made."""

    device: str = "auto"
    precision: str = "auto"
    out: Path = Path("sslbench-results/features")
    """folder below whose ``artifacts`` features are kept"""
    download: bool = False
    seed: int = 0
    trust: bool = False
    """whether code that comes with a model may run"""
    licence: Literal["any", "commercial"] = "any"
    """what the licences of models have to allow"""

    @cached_property
    def training(self) -> TrainingSettings:
        """Device and precision, resolved, as a suite has them. Raises UserError for a device that is not there."""
        device = resolve_device(self.device)
        return TrainingSettings(device=device, precision=resolve_precision(self.precision, device))


@dataclass(frozen=True)
class Model:
    """A method that takes no training step, and its backbone where it uses one."""

    reference: Reference
    """as it was given"""
    method: Choice[Any]
    backbone: Choice[Any] | None
    registry: Registry

    @classmethod
    def of(cls, reference: Reference, registry: Registry, backbone: Reference | None = None) -> Model:
        """Raises UserError for a method that is not there, or one that would have to be trained first."""
        method = chosen("method", reference, registry)
        if method.spec.trains:
            raise UserError(f"{reference.where}: {to_be_trained(method.name, 'FOLDER as the model')}")
        needs_backbone = "backbone" in method.spec.uses
        network = chosen("backbone", backbone or Reference(BACKBONE), registry) if needs_backbone else None
        return cls(reference, method, network, registry)

    @property
    def label(self) -> str:
        """A name for a table: that of the preset or the path, where it was given by one."""
        given = self.reference.given
        short = next(iter(given.values())) if set(given) in ({"preset"}, {"path"}, {"name"}, {"hub"}) else None
        return str(short or self.reference)

    @property
    def plugins(self) -> dict[str, PluginChoice]:
        """Method and backbone, in plain values."""
        choices = {"method": self.method, "backbone": self.backbone}
        return {kind: choice.plain for kind, choice in choices.items() if choice is not None}

    def build(self, image_size: int, settings: Settings) -> Method:
        """The method with its weights. Raises UserError where these are not on this machine."""
        context = BuildContext(image_size, seed=settings.seed, download=settings.download, trust=settings.trust)
        context = replace(context, device=settings.training.device)
        return build_method(self.method, self.backbone, context)


@dataclass
class FrozenFeatures:
    """A model and a data set; everything is computed when it is first used, and kept below ``settings.out``."""

    model: Model
    dataset: Choice[DatasetSpec]
    settings: Settings
    emit: Emit = field(default=lambda event: None)

    def __post_init__(self) -> None:
        model, settings = self.model, self.settings
        self.pretraining = single(model.method, self.dataset, model.backbone, settings.training, settings.seed)
        work = work_of(Group(self.pretraining, ()), settings.out, settings.download, settings.trust)
        self._job = PretrainingJob(work, self.emit, self.model.registry)

    @cached_property
    def extraction(self) -> Extraction:
        """Features of both splits, from the cache if they are there."""
        return self._job.prepare()[1]

    def untrained(self) -> Extraction:
        """Features of the same network with fresh weights, kept beside those of the model. Raises UserError where it
        cannot be built, or its weights are none or always the same."""
        path, made_of = self._job.cache.files.folder / UNTRAINED_FEATURES, {"key": self.pretraining.key}
        try:
            return load_extraction(path, self._job.device, made_of)
        except (OSError, SafetensorError, KeyError, StaleFeatures):
            pass
        seed = self.settings.seed
        method, other = (self._job.build(self.data, one) for one in (seed, seed + 1))
        # Of a model that is untrained itself another seed is the twin.
        encoder, fresh = method.encoder, other.untrained()
        if weights_digest(encoder) == weights_digest(fresh):
            raise UserError("it cannot be built untrained: it has no weights, or takes them from where they lie")
        self.emit(StageStarted("extracting features of the untrained network"))
        extracted = extract_all(
            fresh.to(self._job.device), self.data, self._job.device, self._job.settings.precision, method.input_spec
        )
        self._job.cache.save(lambda: save_extraction(path, extracted, made_of), "untrained features")
        return extracted

    @cached_property
    def data(self) -> Splits:
        """The splits, in the order of the features."""
        return self._job.data()

    @property
    def images(self) -> Dataset:
        """The data set itself."""
        return build_dataset(self.dataset, self.settings.download)

    @property
    def classes(self) -> list[str]:
        """Names of the classes, in the order of the labels."""
        return list(self.images.classes)

    @cached_property
    def input_spec(self) -> InputSpec:
        """What the encoder is given."""
        method = self.model.build(self.data.image_size, self.settings)
        return method.input_spec or self.data.input_spec


@dataclass(frozen=True)
class Session:
    """Settings, installed plugins, and where events go."""

    settings: Settings
    registry: Registry
    emit: Emit

    def features(self, model: Model, dataset: Reference) -> FrozenFeatures:
        """A model on a data set. Raises UserError where there is no such data set."""
        return FrozenFeatures(model, chosen("dataset", dataset, self.registry), self.settings, self.emit)

    def evaluate(
        self, method: Reference, dataset: Reference, evaluators: Sequence[Reference], **training: Any
    ) -> list[Record]:
        """The records of one method, by evaluator: kept, resumed and shown like those of any other run.

        ``training``: settings of a suite beside device and precision.
        """
        axes = {"method": [method], "dataset": [dataset], "backbone": [Reference(BACKBONE)], "augmentation": ["auto"]}
        settings, resolved = self.settings, self.settings.training
        data = {
            "axes": {**axes, "evaluator": list(evaluators)},
            "seeds": [settings.seed],
            "training": {"device": resolved.device, "precision": resolved.precision, **training},
        }
        suite = RawSuite("recipe", "recipe", data)
        # In this process, which has the images in memory already.
        request = Request(suite, out=settings.out, executor=IN_PROCESS)
        request = replace(request, download=settings.download, trust=settings.trust)
        return run(request, self.emit, self.registry).records
