"""Executors: what stands between the scheduler and whatever runs the work: this process, others, a cluster."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict, Field, field_validator

from sslbench.contracts.defaults import CURVE_EVALUATORS
from sslbench.contracts.plugin import BuildContext, Spec

Precision = Literal["auto", "fp32", "tf32", "bf16", "fp16"]
"""``auto``: bf16 on a GPU that has it, else fp32"""


class TrainingSettings(BaseModel):
    """The training settings of a suite, the same for all its cells but for epochs that a method has of its own."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    epochs: int = Field(default=20, ge=0, description="passes over the training images")
    batch_size: int = Field(default=128, ge=2, description="source images per step")
    image_size: int | None = Field(default=None, ge=2, description="side of the views, pixels; default: the data set's")
    train_images: int | None = Field(
        default=None, ge=2, description="cap on the training images (a fixed random subset)"
    )
    evaluate_on: Literal["test", "validation"] = Field(
        default="test",
        description="`validation` holds out a fifth of the training split and leaves the test split alone",
    )
    preset: str = Field(default="default", description="preset of every plugin that has one of this name")
    device: str = Field(default="auto", description="auto, cpu, cuda or cuda:N")
    precision: Precision = Field(default="auto", description="numbers of the training step")
    devices: int = Field(default=1, ge=1, description="devices that share one pretraining, each with a part of a batch")
    accumulate: int = Field(default=1, ge=1, description="parts that a batch is split into before the optimizer steps")
    compile: bool = Field(default=False, description="torch.compile the method")
    cuda_graphs: bool = Field(default=False, description="each step as one CUDA graph, on a GPU")
    time_limit: float | None = Field(
        default=None, gt=0, description="seconds one training may take, and any other stage such as an evaluator"
    )
    checkpoint_every: float = Field(default=15.0, gt=0, description="seconds between two checkpoints, at least")
    curve_every: int = Field(default=0, ge=0, description="epochs between two evaluations during training; 0: none")
    curve: tuple[str | dict[str, Any], ...] = Field(
        default=CURVE_EVALUATORS, min_length=1, description="evaluators that run during training, if curve_every > 0"
    )

    @field_validator("curve", mode="before")
    @classmethod
    def _one_or_more(cls, evaluators: Any) -> Any:
        return (evaluators,) if isinstance(evaluators, str) else evaluators


@dataclass(frozen=True)
class PluginChoice:
    """A plugin by name with all its parameters, in plain values."""

    name: str
    params: Mapping[str, Any] = field(default_factory=dict)  # JSON-able


@dataclass(frozen=True)
class Evaluation:
    """One cell of a piece of work."""

    cell: str  # its key
    evaluator: PluginChoice
    params: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """the parameters of all the cell's plugins and of its training, by axis, as its record has them"""


@dataclass(frozen=True)
class CurveRequest:
    """What to evaluate while a method trains."""

    every: int  # epochs from one evaluation to the next, >= 1
    evaluators: tuple[PluginChoice, ...]
    asked: Mapping[str, Any] = field(default_factory=dict)
    """the same with the code of each evaluator, JSON-able: points of another request are not continued"""


@dataclass(frozen=True)
class Work:
    """One pretraining and its evaluations, in plain values: it can be sent to any process that has the plugins."""

    key: str  # of the pretraining
    plugins: Mapping[str, PluginChoice]  # by kind
    seed: int  # of the run, 0 or larger
    training: TrainingSettings  # with device and precision resolved
    mask_ratio: float | None  # share of the patches that are masked, in (0, 1); None without masking
    evaluations: tuple[Evaluation, ...]
    out: str  # results folder; artifacts are kept below it
    distributions: Mapping[str, str] = field(default_factory=dict)  # name -> version of what brings the plugins
    download: bool = False  # whether the user allowed fetching
    trust: bool = False  # whether the user allowed code that comes with a model to run
    fresh: bool = False  # forget what an earlier run left of this pretraining
    curve: CurveRequest | None = None
    fingerprint: str | None = None  # of the data set
    at_once: int = 1  # pretrainings that may share its device while it runs, itself included; the executor says so
    weights: str = ""  # fingerprint of the files that its plugins read beside the data, if any
    codes: Mapping[str, str] = field(default_factory=dict)
    """label -> identity of the code of each plugin and of the harness as planned: a worker with others refuses"""
    evaluation_batch: int = 256  # images that an encoder is given at once when features are extracted


@dataclass(frozen=True)
class Event:
    """What a worker reports while it works. The events are in ``sslbench.execute.events``."""

    work: str = field(default="", kw_only=True)
    """key of the pretraining that it is about; the scheduler fills it in"""


Emit = Callable[[Event], None]  # takes one event; may be called from any thread


@dataclass(frozen=True)
class TrainingProgress(Event):
    """Progress of a training, reported whenever the loss was read back."""

    epoch: int
    """from 1"""
    epochs: int
    step: int
    """steps done"""
    total_steps: int
    loss: float
    """mean of the epoch so far"""
    images_per_second: float
    """of the last steps"""


@dataclass(frozen=True)
class EpochEnded(Event):
    """An epoch of a training has ended. A training that goes on from a checkpoint reports the epochs before it again,
    and one that was done before all of them: with their loss and metrics, the rest None or empty."""

    epoch: int
    """from 1"""
    epochs: int
    loss: float | None
    """mean of the epoch"""
    learning_rate: float | None = None
    """of the first group of parameters, at the last step"""
    images_per_second: float | None = None
    """source images, waiting for data included"""
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    """``EVALUATOR/METRIC`` -> what was measured after it, where the training has a curve"""
    scalars: Mapping[str, float | None] = field(default_factory=dict)
    """what the method logged at the last step; None where it is not finite"""


@dataclass(frozen=True)
class Failure:
    """What kept a worker from ending its work."""

    reason: str
    """one line, such as ``lost: the worker process was killed (SIGKILL)``"""
    kind: Literal["lost", "timeout", "refused", "cancelled"] = "lost"
    """``lost`` may go well another time, the others would not or should not"""
    detail: str = ""
    """the last lines that the worker printed"""


@dataclass(frozen=True)
class Ended(Event):
    """A piece of work has ended: exactly one for each ``submit``, after all its other events."""

    key: str
    """of the work"""
    failure: Failure | None = None
    """None where ``run_work`` returned"""


@runtime_checkable
class Handle(Protocol):
    """Work under way."""

    def cancel(self) -> None:
        """End it as soon as may be. Returns at once; its ``Ended`` still comes."""


@runtime_checkable
class Executor(Protocol):
    """Runs ``sslbench.run_work(work, emit)`` somewhere and carries its events back, then ``Ended``."""

    @property
    def slots(self) -> int:
        """Pieces of work at a time, >= 1."""

    def devices(self) -> tuple[str, ...]:
        """What it can run on, such as ``("cpu",)`` or ``("cuda:0", "cuda:1")``; ``("cuda",)`` where only the kind is
        known. ``auto`` is resolved from it: a machine without a GPU may plan for workers that have one."""

    def submit(self, work: Work, emit: Emit) -> Handle:
        """Start the work. ``emit`` may be called from any thread, before or after this returns."""

    def close(self) -> None:
        """No more work comes: end what was kept for it. Called once, however the run ended; work that goes on without
        the scheduler (``detaches``) and was not cancelled goes on."""


@dataclass(frozen=True, kw_only=True)
class ExecutorSpec(Spec):
    """The spec of an executor. ``context.device`` is the device as asked for (``auto``, ``cpu``, ``cuda``, ``cuda:N``),
    ``context.devices`` how many of them one pretraining takes."""

    kind: ClassVar[str] = "executor"
    build: Callable[[Any, BuildContext], Executor]
    detaches: bool = False
    """True: its work goes on when the scheduler is gone, and a later ``submit`` of the same work finds it"""
