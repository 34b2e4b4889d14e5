"""What a speed suite says: axes, batches, precisions, and what each row is compared with. A TOML file, or a name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from sslbench.contracts.executor import Precision
from sslbench.errors import UserError
from sslbench.hooks.values import mended
from sslbench.plan.suite import RawSuite, name_mistakes, read_suite

SPEED_AXES = ("method", "augmentation", "masking", "dataset", "backbone")


class Ways(NamedTuple):
    """Settings of a training that say how its steps are run."""

    compile: bool = False
    cuda_graphs: bool = False


COMPILING: Mapping[str, Ways] = {
    "eager": Ways(),
    "compile": Ways(compile=True),
    "cuda-graphs": Ways(cuda_graphs=True),
    "compile+cuda-graphs": Ways(compile=True, cuda_graphs=True),
}
"""by the names that rows have for them"""
Compiling = Literal["eager", "compile", "cuda-graphs", "compile+cuda-graphs"]


def each_once(values: list[Any]) -> list[Any]:
    """The list itself. Raises ValueError for a value that is there twice."""
    if len(set(values)) < len(values):
        raise ValueError("each value may be given once")
    return values


EachOnce = AfterValidator(each_once)
BatchSizes = Annotated[list[Annotated[int, Field(ge=1)]], EachOnce]
Precisions = Annotated[list[Precision], EachOnce]
Compilings = Annotated[list[Compiling], EachOnce]


class Model(BaseModel):
    """A part of a speed suite's file; unknown keys are mistakes."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class SpeedSettings(Model):
    """How it is measured; the same for all rows."""

    image_size: int = Field(224, ge=2, description="side of the views, pixels")
    batch_sizes: BatchSizes = Field([32], min_length=1, description="source images per step")
    precisions: Precisions = Field(["auto"], min_length=1, description="numbers of the step; auto: bf16 on a GPU")
    compile: Compilings = Field(["eager"], min_length=1, description="eager, compile, cuda-graphs, compile+cuda-graphs")
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N")
    preset: str = Field("default", description="preset of every plugin that has one of this name")
    warmup: int = Field(10, ge=2, description="steps before the clock counts, at least")
    steps: int = Field(40, ge=2, description="timed steps a row, at most; twice as many of a baseline")
    seconds: float | None = Field(None, gt=0, description="for the whole suite; rows that do not fit are left out")


class Part(Model):
    """A cross product of its own within a suite, for every device or for one kind of them."""

    device: Literal["any", "cpu", "cuda"] = "any"
    axes: dict[str, list[Any]] = Field(default_factory=dict)
    batch_sizes: BatchSizes | None = Field(None, min_length=1)
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
    UserError with one line a mistake of its layout."""
    raw, layout, mistakes = read_speed_layout(name, settings)
    if mistakes:
        raise UserError(*mistakes)
    return raw, layout


def read_speed_layout(name: str, settings: Mapping[str, Any]) -> tuple[RawSuite, SpeedFile, list[str]]:
    """The same without what is wrong, and one line per mistake. Raises UserError for what cannot be read at all."""
    raw = read_suite(name, package="sslbench.speed")
    layout, lines = mended(SpeedFile, raw.data)
    layout = layout or SpeedFile()
    given, wrong = mended(SpeedFile, {"speed": settings})
    lines += name_mistakes(raw.name, layout.name if "name" in layout.model_fields_set else None)
    mistakes = [f"{raw.source}: {line}" for line in lines] + [f"command line: {line}" for line in wrong]
    changes = {} if given is None else {key: getattr(given.speed, key) for key in given.speed.model_fields_set}
    speed = layout.speed.model_copy(update=changes)
    parts = layout.parts
    if "batch_sizes" in changes:
        parts = [part.model_copy(update={"batch_sizes": None}) for part in parts]
    return raw, layout.model_copy(update={"speed": speed, "parts": parts}), mistakes
