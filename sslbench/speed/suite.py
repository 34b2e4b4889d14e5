"""What a speed suite says: axes, batches, precisions, and what each row is compared with. A TOML file, or a name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sslbench.errors import UserError, did_you_mean
from sslbench.hooks.params import validation_lines
from sslbench.plan.suite import RawSuite, read_suite

SPEED_AXES = ("method", "augmentation", "masking", "dataset", "backbone")
COMPILING: Mapping[str, str | None] = {"eager": None, "compile": "default", "cuda-graphs": "reduce-overhead"}
"""Configuration -> mode of ``torch.compile``, or None for none."""
Precision = Literal["auto", "fp32", "bf16", "fp16"]
Compiling = Literal["eager", "compile", "cuda-graphs"]


class Model(BaseModel):
    """A part of a speed suite's file; unknown keys are mistakes."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class SpeedSettings(Model):
    """How it is measured; the same for all rows."""

    image_size: int = Field(224, ge=2, description="side of the views, pixels")
    batch_sizes: list[int] = Field([32], min_length=1, description="source images per step")
    precisions: list[Precision] = Field(["auto"], min_length=1, description="numbers of the step; auto: bf16 on a GPU")
    compile: list[Compiling] = Field(["eager"], min_length=1, description="eager, compile, cuda-graphs")
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N")
    preset: str = Field("default", description="preset of every plugin that has one of this name")
    warmup: int = Field(10, ge=2, description="steps before the clock counts, at least")
    steps: int = Field(40, ge=2, description="timed steps a row, at most; twice as many of a baseline")
    seconds: float | None = Field(None, gt=0, description="for the whole suite; rows that do not fit are left out")


class Part(Model):
    """A cross product of its own within a suite, for every device or for one kind of them."""

    device: Literal["any", "cpu", "cuda"] = "any"
    axes: dict[str, list[Any]] = Field(default_factory=dict)
    batch_sizes: list[int] | None = Field(None, min_length=1)
    seconds: float | None = Field(None, gt=0)
    """the suite's where ``[speed]`` says nothing; of several parts, the most counts"""
    left_out: str = ""
    """what this part does not measure, for whom, and how to ask for it"""


class Baseline(Model):
    """What rows are compared with: the same row with some things changed."""

    name: str = Field(min_length=1)
    change: dict[str, Any] = Field(min_length=1)
    """``precision``, ``batch_size``, ``compile``; a plugin by its axis; one of its parameters as ``AXIS.KEY``"""
    note: str = ""


class Published(Model):
    """A ratio of the literature, to stand beside a measured one."""

    where: dict[str, Any]
    """the row, as in ``Baseline.change``"""
    against: str
    """name of the baseline"""
    ratio: float
    words: str
    """in which units, on which machine"""


class Expected(Model):
    """A sentence about ratios, tested by their intervals."""

    statement: str
    low: float
    high: float
    against: list[str] = Field(min_length=1)
    where: dict[str, Any] = Field(default_factory=dict)
    """the rows, as in ``Baseline.change``"""


class SpeedFile(Model):
    """The layout of a speed suite."""

    name: str = ""
    summary: str = ""
    axes: dict[str, list[Any]] = Field(default_factory=dict)
    speed: SpeedSettings = SpeedSettings()
    parts: list[Part] = Field(default_factory=list)
    baselines: list[Baseline] = Field(default_factory=list)
    published: list[Published] = Field(default_factory=list)
    expected: Expected | None = None


def read_speed_suite(name: str, settings: Mapping[str, Any]) -> tuple[RawSuite, SpeedFile]:
    """A built-in speed suite by name, or a TOML file by path; ``settings`` replace those of ``[speed]``. Raises
    UserError with one line a mistake."""
    raw = read_suite(name, package="sslbench.speed")
    written = raw.data.get("speed", {})
    data = {**raw.data, "speed": {**written, **settings}} if isinstance(written, Mapping) else raw.data
    try:
        layout = SpeedFile.model_validate(dict(data))
    except ValidationError as error:
        raise UserError(*(f"{raw.source}: {line}" for line in mistakes(error))) from None
    if "batch_sizes" in settings:
        parts = [part.model_copy(update={"batch_sizes": None}) for part in layout.parts]
        layout = layout.model_copy(update={"parts": parts})
    return raw, layout


def mistakes(error: ValidationError) -> list[str]:
    """One line per mistake; an unknown key gets the allowed ones."""
    models: dict[str, type[Model]] = {
        "speed": SpeedSettings,
        "parts": Part,
        "baselines": Baseline,
        "published": Published,
    }
    lines = []
    for item, line in zip(error.errors(include_url=False), validation_lines(error), strict=True):
        if item["type"] != "extra_forbidden":
            lines.append(line)
            continue
        *parents, key = (str(part) for part in item["loc"])
        allowed = list(models.get(parents[0] if parents else "", SpeedFile).model_fields)
        where = ".".join([*parents, key])
        lines.append(f"unknown key {where!r}{did_you_mean(key, allowed)} (allowed: {', '.join(allowed)})")
    return lines
