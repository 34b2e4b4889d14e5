"""A model that takes no training step, with the features of a data set: what embedding, recipes and heads rest on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from sslbench.errors import UserError
from sslbench.execute.built import build_dataset, build_method
from sslbench.execute.executor import Event, Work
from sslbench.execute.scheduler import Request, work_of
from sslbench.execute.worker import Bench
from sslbench.hooks.contracts import Dataset, JudgedInput
from sslbench.hooks.kinds import MethodSpec
from sslbench.hooks.registry import Registry
from sslbench.plan.cell import Choice
from sslbench.plan.graph import Group
from sslbench.plan.reference import Reference
from sslbench.plan.single import chosen, single
from sslbench.train.data import Judged
from sslbench.train.features import Extraction
from sslbench.train.models import Method

Listen = Callable[[Event], None]
BACKBONE = "convnet-small"
"""of a method that needs one, where none is named"""


@dataclass(frozen=True)
class Settings:
    """Where and how precisely features are made."""

    device: str = "auto"
    precision: str = "auto"
    out: Path = Path("sslbench-results/features")
    """folder below whose ``artifacts`` features are kept"""
    download: bool = False
    seed: int = 0

    @cached_property
    def training(self) -> dict[str, Any]:
        """The settings of a suite that matter where nothing is trained."""
        from sslbench.measure.machine import resolve_device, resolve_precision

        device = resolve_device(self.device)
        return {"device": device, "precision": resolve_precision(self.precision, device)}


@dataclass(frozen=True)
class Model:
    """A method that takes no training step, and its backbone where it uses one."""

    reference: Reference
    """as it was given"""
    method: Choice
    backbone: Choice | None
    registry: Registry

    @property
    def label(self) -> str:
        """A name for a table: that of the preset or the path, where it was given by one."""
        given = self.reference.given
        short = next(iter(given.values())) if set(given) in ({"preset"}, {"path"}, {"name"}, {"hub"}) else None
        return str(short or self.reference)

    @classmethod
    def found(cls, reference: Reference, registry: Registry, backbone: Reference | None = None) -> Model:
        """Raises UserError for a method that is not there, or one that would have to be trained first."""
        method = chosen("method", reference, registry)
        assert isinstance(method.spec, MethodSpec)
        if method.spec.trains:
            raise UserError(
                f"{reference.where}: {method.name} has to be trained first: sslbench run -m {method.name}, then"
                f" sslbench export DIR --where method={method.name} -o FOLDER, and give FOLDER as the model"
            )
        needs = "backbone" in method.spec.uses
        network = chosen("backbone", backbone or Reference(BACKBONE), registry) if needs else None
        return cls(reference, method, network, registry)

    @property
    def plugins(self) -> dict[str, Mapping[str, Any]]:
        """As a ``Work`` has them."""
        both = {"method": self.method, "backbone": self.backbone}
        return {kind: choice.description for kind, choice in both.items() if choice is not None}

    def built(self, image_size: int, settings: Settings) -> Method:
        """Raises UserError where it cannot be had."""
        work = Work("", self.plugins, settings.seed, settings.training, None, (), "", download=settings.download)
        return build_method(work, self.registry, image_size, 0)


@dataclass
class Frozen:
    """A model and a data set; what is asked for is made once, and kept below ``settings.out``."""

    model: Model
    dataset: Choice
    settings: Settings
    listen: Listen = field(default=lambda event: None)

    def __post_init__(self) -> None:
        self.pretraining = single(
            self.model.method, self.dataset, self.model.backbone, self.settings.training, self.settings.seed
        )
        request = Request(download=self.settings.download)
        work = work_of(Group(self.pretraining, ()), self.settings.out, request)
        self._bench = Bench(work, self.listen, self.model.registry)

    @cached_property
    def extraction(self) -> Extraction:
        """Features of both splits, from the cache if they are there."""
        return self._bench.prepare()[1]

    @cached_property
    def data(self) -> Judged:
        """The splits, in the order of the features."""
        return self._bench.data()

    @property
    def images(self) -> Dataset:
        """The data set itself."""
        return build_dataset(self._bench.work, self._bench.registry)

    @property
    def classes(self) -> list[str]:
        """Names of the classes, in the order of the labels."""
        return list(self.images.classes)

    @cached_property
    def judged_input(self) -> JudgedInput:
        """What the encoder is given."""
        method = self.model.built(self.data.image_size, self.settings)
        return method.judged_input or self.data.judged_input
