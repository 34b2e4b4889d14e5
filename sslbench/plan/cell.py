"""One point of the cross product, its canonical description, and the keys that follow from it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from sslbench.contracts.executor import CurveRequest, PluginChoice, TrainingSettings
from sslbench.contracts.params import Params
from sslbench.contracts.plugin import BuildContext, Spec

if TYPE_CHECKING:
    from sslbench.contracts.augmentation import AugmentationSpec
    from sslbench.contracts.backbone import BackboneSpec
    from sslbench.contracts.dataset import DatasetSpec
    from sslbench.contracts.evaluator import EvaluatorSpec
    from sslbench.contracts.masking import MaskingSpec
    from sslbench.contracts.method import MethodSpec

SHAPING = ("epochs", "batch_size", "image_size", "train_images", "evaluate_on", "precision", "compile", "accumulate")
"""Training settings that shape a result; the others only say where and how long it is made."""
EVALUATING = ("image_size", "train_images", "evaluate_on", "precision")
"""Those that still matter where nothing is trained."""


SpecT = TypeVar("SpecT", bound=Spec)


@dataclass(frozen=True)
class Choice(Generic[SpecT]):
    """A plugin with its parameters resolved."""

    spec: SpecT
    params: Params
    code: str = ""
    """which code this is: distribution, version, digest; empty where nobody asks"""
    distribution: str = ""
    version: str = ""
    named: Mapping[str, str] = field(default_factory=dict)
    """code of the plugins that its parameters name: what they are -> which code"""

    @property
    def name(self) -> str:
        return self.spec.name

    def build(self, context: BuildContext) -> Any:
        """What the plugin builds from the parameters. Raises whatever its ``build`` raises."""
        return self.spec.build(self.params, context)

    @property
    def plain(self) -> PluginChoice:
        """In values that can be sent to another process."""
        return PluginChoice(self.name, self.values)

    @cached_property
    def values(self) -> dict[str, Any]:
        """The resolved parameters, JSON-able."""
        return self.params.model_dump(mode="json")

    @cached_property
    def description(self) -> dict[str, Any]:
        return {"name": self.name, "params": self.values}

    @cached_property
    def codes(self) -> dict[str, str]:
        """All code that answers it, its own first, by what it is."""
        return {self.spec.label: self.code, **self.named}


def codes_of(choices: Iterable[Choice[Any]]) -> dict[str, str]:
    """All code that answers several choices."""
    return {what: code for choice in choices for what, code in choice.codes.items()}


def digest(value: Any) -> str:
    """64 bits of the canonical JSON, in hex."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


@dataclass(frozen=True)
class Pretraining:
    """What cells share that differ only in the evaluator. An axis the method does not use is None."""

    method: Choice[MethodSpec]
    dataset: Choice[DatasetSpec]
    backbone: Choice[BackboneSpec] | None
    augmentation: Choice[AugmentationSpec] | None
    masking: Choice[MaskingSpec] | None
    seed: int
    training: TrainingSettings
    fingerprint: str
    """of the data"""
    harness: str
    """code of the training loop"""
    weights: str = ""
    """fingerprint of the files that the method reads, if any"""
    curve: tuple[Choice[EvaluatorSpec], ...] = ()
    """evaluators that judge while it trains"""

    @cached_property
    def choices(self) -> dict[str, Choice[Any]]:
        kinds = ("method", "augmentation", "masking", "dataset", "backbone")
        return {kind: getattr(self, kind) for kind in kinds if getattr(self, kind) is not None}

    @property
    def mask_ratio(self) -> float | None:
        return getattr(self.masking.params, "ratio", None) if self.masking else None

    @cached_property
    def description(self) -> dict[str, Any]:
        """What was asked for, whatever code and data answer it."""
        keys = SHAPING if self.method.spec.trains else EVALUATING
        settings = {key: getattr(self.training, key) for key in keys}
        settings["device"] = self.training.device.partition(":")[0]
        return {
            **{kind: choice.description for kind, choice in self.choices.items()},
            "seed": self.seed,
            "training": settings,
        }

    @cached_property
    def description_digest(self) -> str:
        return digest(self.description)

    @cached_property
    def inputs(self) -> dict[str, Any]:
        """The code and data that answer it."""
        code = codes_of(self.choices.values())
        weights = {"weights": self.weights} if self.weights else {}
        return {"code": {"the harness": self.harness, **code}, "data": self.fingerprint, **weights}

    @cached_property
    def curve_asked(self) -> dict[str, Any]:
        """What is judged while it trains; empty for nothing. It changes no weight and is no part of the key."""
        if not self.curve or not self.method.spec.trains or not self.training.epochs:
            return {}
        evaluators = [{**choice.description, "code": choice.codes} for choice in self.curve]
        return {"every": self.training.curve_every, "evaluators": evaluators}

    @property
    def curve_request(self) -> CurveRequest | None:
        """The same, as an executor takes it."""
        if not self.curve_asked:
            return None
        return CurveRequest(self.training.curve_every, tuple(choice.plain for choice in self.curve), self.curve_asked)

    @cached_property
    def key(self) -> str:
        return digest([self.description, self.inputs])


@dataclass(frozen=True)
class Cell:
    """One pretraining judged by one evaluator."""

    pretraining: Pretraining
    evaluator: Choice[EvaluatorSpec]
    skip: str | None = None
    """why this combination makes no sense, or None"""

    @cached_property
    def inputs(self) -> dict[str, Any]:
        inputs = self.pretraining.inputs
        curve = self.pretraining.curve_asked
        asked = {"curve": curve} if curve else {}
        return {**inputs, "code": {**inputs["code"], **self.evaluator.codes}, **asked}

    @cached_property
    def description(self) -> str:
        """Hash of what was asked for, without code and data."""
        return digest([self.pretraining.description_digest, self.evaluator.description])

    @cached_property
    def key(self) -> str:
        """Hash of what was asked for and of the code and data that answer it."""
        return digest([self.pretraining.key, self.evaluator.description, self.evaluator.codes])

    @property
    def axes(self) -> dict[str, Any]:
        """The record's fields that say which cell it is."""
        shared = self.pretraining
        name = {kind: choice.name for kind, choice in shared.choices.items()}
        return {
            "method": shared.method.name,
            "augmentation": name.get("augmentation"),
            "masking": name.get("masking"),
            "mask_ratio": shared.mask_ratio,
            "evaluator": self.evaluator.name,
            "dataset": shared.dataset.name,
            "backbone": name.get("backbone"),
            "seed": shared.seed,
        }

    @property
    def params(self) -> dict[str, Any]:
        """All resolved parameters, by axis."""
        chosen = {kind: choice.values for kind, choice in self.pretraining.choices.items()}
        return {
            **chosen,
            "evaluator": self.evaluator.values,
            "training": self.pretraining.description["training"],
        }


def has_curve(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether a record with the inputs ``before`` has the curve that ``now`` asks for, if any."""
    return "curve" not in now or before.get("curve") == now["curve"]


def changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Why a record of the same description is stale, in words."""
    old, new = before.get("code", {}), now.get("code", {})
    reasons = [
        f"{who} changed ({old.get(who, 'absent')} -> {code})" for who, code in new.items() if old.get(who) != code
    ]
    if before.get("data") != now.get("data"):
        reasons.insert(0, "the data changed")
    if before.get("weights") != now.get("weights"):
        reasons.insert(0, "the weights changed")
    if not has_curve(before, now):
        reasons.append("it has no curve" if "curve" not in before else "its curve is of other settings or older code")
    return "; ".join(reasons) or "its key changed"
