"""Parameters of plugins: frozen pydantic models, with a description and a unit for each."""

from __future__ import annotations

import os
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def resolved_path(text: str) -> str:
    """The absolute path without links, ``~`` and ``..``, so that one place has one spelling; empty text stays empty."""
    return os.path.realpath(os.path.expanduser(text)) if text else text


PathText = Annotated[str, AfterValidator(resolved_path)]
"""the type of a parameter that names a file or folder: one place is one value, however it was spelled"""


def param(default: Any, description: str, *, unit: str = "", names: str = "", **constraints: Any) -> Any:
    """One parameter of a plugin. A ``default`` of ``...`` makes it required; ``constraints`` are pydantic's.

    ``names``: the kind of plugin that the value names, as ``NAME`` or ``NAME:key=value`` (``build_plugin`` builds it).
    That plugin is then looked up before anything runs; results that depend on it are stale when its code, or a file
    that it reads, changes; and what it would fetch, run or be licensed under reaches the user. A named method is taken
    as it is built: one that trains is refused. A default of ``""`` names none.
    """
    extra: Any = {key: value for key, value in (("unit", unit), ("names", names)) if value} or None
    return Field(default, description=description, json_schema_extra=extra, **constraints)


class Params(BaseModel):
    """The parameters of one plugin. Subclass it, one ``name: type = param(default, "what it does")`` a line."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, protected_namespaces=(), allow_inf_nan=False
    )


class MaskingParams(Params):
    """What every masking has: the share of patches that it masks."""

    ratio: float = param(0.75, "share of the patches that are masked", gt=0, lt=1)


class SimulatorParams(Params):
    """What every simulator has: the number of seeds that its verdicts rest on."""

    claim_seeds: int = param(20, "seeds that the claims are checked on, from the given one upwards", ge=1, le=1000)


class MethodParams(Params):
    """How a method is optimised; subclasses set the paper's values. The learning rate in use is
    ``lr * batch_size / lr_batch`` (the linear scaling rule), ``lr`` times the root of that share (``lr_scaling``), or
    ``lr`` where ``lr_batch`` is 0."""

    optimizer: Literal["adamw", "sgd", "lars"] = param("adamw", "update rule")
    lr: float = param(1e-3, "base learning rate", gt=0)
    lr_batch: int = param(256, "batch size that `lr` is meant for; 0: use `lr` as it is", ge=0, unit="images")
    lr_scaling: Literal["linear", "sqrt"] = param("linear", "how the learning rate grows with the batch size")
    weight_decay: float = param(1e-4, "weight decay", ge=0)
    momentum: float = param(0.9, "momentum of sgd and lars", ge=0, lt=1)
    beta1: float = param(0.9, "adamw: decay of the first moment", ge=0, lt=1)
    beta2: float = param(0.999, "adamw: decay of the second moment", ge=0, lt=1)
    warmup_epochs: float = param(0, "linear warm-up before the cosine decay", ge=0, unit="epochs")
    schedule: Literal["step", "epoch"] = param("step", "how often the learning rate changes")
    lr_end: float = param(0.0, "learning rate at the end of the cosine", ge=0)
    weight_decay_end: float | None = param(None, "weight decay at the end of a cosine from `weight_decay`", ge=0)
    decay_all: bool = param(False, "decay biases and norms as well")
    lars_momentum: Literal["inside", "outside"] = param(
        "inside", "lars: learning rate inside the momentum buffer (SimCLR) or outside (BYOL, MoCo v3)"
    )
