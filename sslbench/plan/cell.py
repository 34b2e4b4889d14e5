"""One point of the cross product, its canonical description, and the keys that follow from it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from sslbench.contracts.augmentation import AugmentationSpec
from sslbench.contracts.dataset import DatasetSpec
from sslbench.contracts.evaluator import EvaluatorSpec
from sslbench.contracts.executor import CurveRequest, PluginChoice, TrainingSettings
from sslbench.contracts.masking import MaskingSpec
from sslbench.contracts.params import Params
from sslbench.contracts.plugin import BuildContext, Spec, check_trust
from sslbench.contracts.weights import Licence

if TYPE_CHECKING:
    from sslbench.contracts.backbone import BackboneSpec
    from sslbench.contracts.method import MethodSpec

SHAPING = ("epochs", "batch_size", "image_size", "train_images", "evaluate_on", "precision", "compile", "accumulate")
"""Training settings that shape a result; the others only determine where and how long it is made."""
EVALUATING = ("image_size", "train_images", "evaluate_on", "precision")
"""Those that still matter where nothing is trained."""
FILES = "files of the evaluator"
"""key of their fingerprint among a cell's inputs"""

SpecT = TypeVar("SpecT", bound=Spec)


@dataclass(frozen=True)
class Choice(Generic[SpecT]):
    """A plugin with its parameters resolved."""

    spec: SpecT
    params: Params  # defaults, preset and what the user gave
    code: str = ""  # identity of its code: distribution, version, digest; empty where no key depends on it
    distribution: str = ""  # what brings it, and its version
    version: str = ""
    named: Mapping[str, Choice[Any]] = field(default_factory=dict)  # parameter -> the plugin that it names
    epochs: int | None = None  # of a method that is trained for others than the suite's

    @property
    def name(self) -> str:
        """Of the plugin."""
        return self.spec.name

    def build(self, context: BuildContext) -> Any:
        """What the plugin builds from the parameters. Raises UserError where that would run code that the user did not
        allow to run, else whatever its ``build`` raises."""
        self.check_trust(context.trust)
        return self.spec.build(self.params, context)

    def check_trust(self, trust: bool) -> None:
        """Raises UserError where it, or a plugin that its parameters name, would run code that the user did not allow
        to run."""
        for label, part in self.parts:
            check_trust(part.spec, part.params, trust, label)

    @property
    def plain(self) -> PluginChoice:
        """Name and parameters, which can be sent to another process."""
        return PluginChoice(self.name, self.values)

    @cached_property
    def values(self) -> dict[str, Any]:
        """The resolved parameters, JSON-able."""
        return self.params.model_dump(mode="json")

    @cached_property
    def description(self) -> dict[str, Any]:
        """What a key depends on beside the code, JSON-able."""
        return {"name": self.name, "params": self.values}

    @cached_property
    def codes(self) -> dict[str, str]:
        """All code behind it, its own first: label -> code."""
        return {label: part.code for label, part in self.parts}

    @cached_property
    def parts(self) -> tuple[tuple[str, Choice[Any]], ...]:
        """It, the plugins that its parameters name, and those that these name, each with a label; two may have one."""
        named = (pair for choice in self.named.values() for pair in choice.parts)
        return (self.spec.label, self), *((f"{label} of {self.spec.label}", part) for label, part in named)

    @cached_property
    def files(self) -> str:
        """Changes when the content of a file does that it, or a plugin that its parameters name, reads; empty for most.
        What a data set reads itself is its own fingerprint. Raises UserError where a file is missing."""
        readers = [part for _, part in self.parts if part is not self or self.spec.kind != "dataset"]
        found = [text for part in readers if (text := fingerprint_of(part.spec, part.params))]
        return together(found)

    def fetches(self) -> Iterator[tuple[str, str]]:
        """Label of each of its parts that is not on this machine, and what would have to be fetched, in words."""
        for label, part in self.parts:
            of_part = getattr(part.spec, "fetches", None)
            if of_part is not None and (what := of_part(part.params)):
                yield label, what

    def licences(self) -> Iterator[tuple[str, Licence]]:
        """Label of each of its parts that loads weights of somebody else, and their licence."""
        for label, part in self.parts:
            of_part = getattr(part.spec, "licence", None)
            if of_part is not None:
                yield label, of_part(part.params)

    @property
    def runs_code(self) -> bool:
        """Whether building it, or a plugin that its parameters name, runs code that is not of an installed package."""
        specs = [(getattr(part.spec, "runs_code", None), part.params) for _, part in self.parts]
        return any(of_part is not None and of_part(params) for of_part, params in specs)


def fingerprint_of(spec: Spec, params: Params) -> str:
    """Of the files that a plugin reads; empty where it reads none, as most."""
    of_files = getattr(spec, "fingerprint", None)
    return str(of_files(params)) if of_files else ""


def codes_of(choices: Iterable[Choice[Any]]) -> dict[str, str]:
    """All code behind several choices: label -> code."""
    return {label: code for choice in choices for label, code in choice.codes.items()}


def together(fingerprints: Sequence[str]) -> str:
    """One of several; empty for none."""
    return digest(list(fingerprints)) if len(fingerprints) > 1 else "".join(fingerprints)


def files_of(choices: Iterable[Choice[Any] | None]) -> str:
    """``Choice.files`` of the plugins of a pretraining together; empty for most."""
    found = sorted(choice.files for choice in choices if choice is not None and choice.files)
    return together(found)


def digest(value: Any) -> str:
    """64 bits of the canonical JSON, in hex."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


@dataclass(frozen=True)
class Pretraining:
    """What cells share that differ only in the evaluator."""

    method: Choice[MethodSpec]
    dataset: Choice[DatasetSpec]
    backbone: Choice[BackboneSpec] | None  # None where the method uses none, as the next two
    augmentation: Choice[AugmentationSpec] | None
    masking: Choice[MaskingSpec] | None
    seed: int  # 0 or larger
    training: TrainingSettings  # with device and precision resolved
    fingerprint: str  # of the data
    harness: str  # identity of the code that trains and evaluates
    weights: str = ""  # ``Choice.files`` of its plugins
    curve: tuple[Choice[EvaluatorSpec], ...] = ()  # evaluators that run during training

    @cached_property
    def choices(self) -> dict[str, Choice[Any]]:
        """Its plugins by kind; those that the method does not use are left out."""
        kinds = ("method", "augmentation", "masking", "dataset", "backbone")
        return {kind: getattr(self, kind) for kind in kinds if getattr(self, kind) is not None}

    @property
    def mask_ratio(self) -> float | None:
        """Share of the patches that are masked, in (0, 1); None without masking."""
        return getattr(self.masking.params, "ratio", None) if self.masking else None

    @property
    def epochs(self) -> int | None:
        """That the method is trained for; None for one that takes no step."""
        return self.training.epochs if self.method.spec.trains else None

    @cached_property
    def description(self) -> dict[str, Any]:
        """The plugins, the seed and the settings, whatever the code and the data are."""
        keys = SHAPING if self.method.spec.trains else EVALUATING
        settings = {key: getattr(self.training, key) for key in keys}
        settings["device"] = self.training.device.partition(":")[0]
        if self.method.spec.trains and self.training.devices > 1:
            settings["devices"] = self.training.devices
        if self.method.spec.trains and self.training.cuda_graphs:
            settings["cuda_graphs"] = True
        plugins = {kind: choice.description for kind, choice in self.choices.items()}
        return {**plugins, "seed": self.seed, "training": settings}

    @cached_property
    def description_digest(self) -> str:
        """Hash of the description."""
        return digest(self.description)

    @cached_property
    def inputs(self) -> dict[str, Any]:
        """The code and data that it is made from."""
        code = {"the harness": self.harness, **codes_of(self.choices.values())}
        return {"code": code, "data": self.fingerprint, **({"weights": self.weights} if self.weights else {})}

    @property
    def content(self) -> str:
        """Fingerprints of the data and of the files that its plugins read."""
        return " ".join(filter(None, [self.fingerprint, self.weights]))

    @cached_property
    def curve_settings(self) -> dict[str, Any]:
        """What is evaluated during training; empty for nothing. It changes no weight and is no part of the key."""
        if not self.curve or not self.method.spec.trains or not self.training.epochs:
            return {}
        evaluators = [
            {**choice.description, "code": choice.codes, **({"files": choice.files} if choice.files else {})}
            for choice in self.curve
        ]
        return {"every": self.training.curve_every, "evaluators": evaluators}

    @property
    def curve_request(self) -> CurveRequest | None:
        """The same, as an executor takes it."""
        if not self.curve_settings:
            return None
        evaluators = tuple(choice.plain for choice in self.curve)
        return CurveRequest(self.training.curve_every, evaluators, self.curve_settings)

    @cached_property
    def key(self) -> str:
        """Hash of the description, the code and the data."""
        return digest([self.description, self.inputs])


@dataclass(frozen=True)
class Cell:
    """One pretraining evaluated by one evaluator: one row of the result."""

    pretraining: Pretraining
    evaluator: Choice[EvaluatorSpec]
    skip: str | None = None  # why these plugins do not work together, or None

    @cached_property
    def inputs(self) -> dict[str, Any]:
        """The code, data and curve settings that its record is made from."""
        inputs, curve = self.pretraining.inputs, self.pretraining.curve_settings
        files = {FILES: self.evaluator.files} if self.evaluator.files else {}
        code = {**inputs["code"], **self.evaluator.codes}
        return {**inputs, **files, "code": code, **({"curve": curve} if curve else {})}

    @cached_property
    def description(self) -> str:
        """Hash of plugins, seed and settings, without code and data."""
        return digest([self.pretraining.description_digest, self.evaluator.description])

    @cached_property
    def key(self) -> str:
        """Hash of plugins, seed and settings, and of the code and data."""
        files = [self.evaluator.files] if self.evaluator.files else []
        return digest([self.pretraining.key, self.evaluator.description, self.evaluator.codes, *files])

    @property
    def axes(self) -> dict[str, Any]:
        """The record's fields that identify the cell for a reader."""
        shared = self.pretraining
        names = {kind: choice.name for kind, choice in shared.choices.items()}
        return {
            "method": shared.method.name,
            "augmentation": names.get("augmentation"),
            "masking": names.get("masking"),
            "mask_ratio": shared.mask_ratio,
            "evaluator": self.evaluator.name,
            "dataset": shared.dataset.name,
            "backbone": names.get("backbone"),
            "seed": shared.seed,
        }

    @property
    def params(self) -> dict[str, Any]:
        """All resolved parameters, by axis."""
        plugins = {kind: choice.values for kind, choice in self.pretraining.choices.items()}
        return {**plugins, "evaluator": self.evaluator.values, "training": self.pretraining.description["training"]}


def has_curve(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether a record with the inputs ``before`` has the curve that the inputs ``now`` contain, if any."""
    return "curve" not in now or before.get("curve") == now["curve"]


def changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Why a record of the same description is stale, in words."""
    reasons = [f"the {name} changed" for name in ("weights", "data", FILES) if before.get(name) != now.get(name)]
    for label, code in now.get("code", {}).items():
        old = before.get("code", {}).get(label, "absent")
        if old != code:
            reasons.append(f"{label} changed ({old} -> {code})")
    if not has_curve(before, now):
        reasons.append("it has no curve" if "curve" not in before else "its curve is of other settings or older code")
    return "; ".join(reasons) or "its key changed"
