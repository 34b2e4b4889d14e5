"""One row of a speed suite: which training step is timed, and how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sslbench.plan.cell import Choice, codes_of, digest
from sslbench.plan.expand import incompatible
from sslbench.plan.identity import harness_identity
from sslbench.speed.suite import SPEED_AXES

SETTINGS = ("batch_size", "precision", "compile")
"""What may differ from row to row and is no plugin."""


@dataclass(frozen=True)
class SpeedRow:
    """One training step whose speed is measured. An axis that the method does not use is None."""

    method: Choice[Any]
    backbone: Choice[Any] | None
    masking: Choice[Any] | None
    augmentation: Choice[Any] | None
    """of the end-to-end measurement, as the data set is; None without one"""
    dataset: Choice[Any] | None
    batch_size: int
    precision: str
    compile: str
    """a configuration of ``COMPILING``"""
    image_size: int
    """pixels"""
    device: str
    skip: str | None = None
    """why this row cannot be timed, or None"""

    @cached_property
    def choices(self) -> dict[str, Choice[Any]]:
        """Its plugins, by axis."""
        return {axis: getattr(self, axis) for axis in SPEED_AXES if getattr(self, axis) is not None}

    @property
    def name(self) -> str:
        """The names of its plugins."""
        return " ".join(choice.name for choice in self.choices.values())

    @property
    def mask_ratio(self) -> float | None:
        """Share of the patches that are masked, in (0, 1); None where nothing is."""
        return getattr(self.masking.params, "ratio", None) if self.masking else None

    @property
    def settings(self) -> dict[str, Any]:
        """All that is no plugin, JSON-able; of the device its kind alone."""
        settings = {name: getattr(self, name) for name in (*SETTINGS, "image_size")}
        return {**settings, "device": self.device.partition(":")[0]}

    @cached_property
    def description(self) -> dict[str, Any]:
        """What is to be measured, whatever code computes it."""
        return {**{axis: choice.description for axis, choice in self.choices.items()}, "speed": self.settings}

    @cached_property
    def inputs(self) -> dict[str, Any]:
        """The code that computes it."""
        return {"code": {"the harness": harness_identity(), **codes_of(self.choices.values())}}

    @cached_property
    def key(self) -> str:
        """Hash of the description and of the code."""
        return digest([self.description, self.inputs])

    def value(self, key: str) -> Any:
        """Of ``precision``, ``method`` (its name) or ``method.decoder_depth``; None where there is no such thing."""
        axis, _, parameter = key.partition(".")
        if axis in SETTINGS:
            return getattr(self, axis)
        choice = self.choices.get(axis)
        return None if choice is None else choice.values.get(parameter) if parameter else choice.name

    def matches(self, where: Mapping[str, Any]) -> bool:
        """Whether each key of ``where`` has this value."""
        return all(self.value(key) == wanted for key, wanted in where.items())


def why_not_timed(method: Choice[Any], backbone: Choice[Any] | None) -> str | None:
    """Why a step of a method cannot be timed on a backbone, or None."""
    return incompatible(method, backbone) if method.spec.trains else f"{method.name} takes no training step"
