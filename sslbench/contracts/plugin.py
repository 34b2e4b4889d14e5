"""What all kinds of plugin share: the spec that a hook returns for one named thing, and what it is built with."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from sslbench.contracts.params import Params
from sslbench.errors import UserError

Words = frozenset[str]  # what plugins need of each other and provide, such as ``labels`` or ``tokens``
NOTHING: Words = frozenset()
Channels = tuple[float, float, float]  # red, green, blue


@dataclass(frozen=True)
class BuildContext:
    """What ``build`` is given beside the parameters. Every kind gets one; it uses the fields that matter to it."""

    image_size: int = 224  # side of the images that a network is given, pixels
    classes: int = 0  # number of classes, for a method that trains on labels; 0 without labels
    seed: int = 0  # of the run; torch's global generators are seeded before ``build``
    download: bool = False  # True: the user allowed fetching
    backbone: Any = None  # an ``sslbench.Backbone``, with tokens where the spec needs them; None where none is used
    mask_ratio: float | None = None  # share of the patches that will be masked, in (0, 1); None without masking
    device: str = "cpu"  # where it will run, such as ``cuda:0``; the harness moves modules there itself
    devices: int = 1  # how many of them one pretraining is split over
    trust: bool = False  # True: the user allowed code that comes with a model to run
    mean: Channels = (0.0, 0.0, 0.0)  # what was subtracted from red, green and blue of every view, of values in 0..1
    std: Channels = (1.0, 1.0, 1.0)  # what these were then divided by: a view times this, plus the mean, is in 0..1


@dataclass(frozen=True, kw_only=True)
class Spec:
    """What every plugin states about itself."""

    kind: ClassVar[str]  # singular, such as ``method``
    name: str  # unique within its kind
    build: Callable[[Any, BuildContext], Any]  # -> what the kind's protocol or base class describes
    summary: str = ""  # one line; default: the first line of the docstring of the module that ``build`` is in
    params: type[Params] = Params  # its parameters: name, type, default, limits and description of each
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """named sets of parameters, chosen with ``NAME:preset=...`` or by a suite"""
    citation: str = ""  # paper, section; or where the definition is from

    def __post_init__(self) -> None:
        module = sys.modules.get(getattr(self.build, "__module__", ""))
        text = self.summary or (module.__doc__ if module else None) or ""
        object.__setattr__(self, "summary", text.strip().partition("\n")[0].strip())

    @property
    def label(self) -> str:
        """``kind 'name'``, as error messages write it."""
        return f"{self.kind} {self.name!r}"


def check_trust(spec: Spec, params: Params, trust: bool, label: str = "") -> None:
    """Raises UserError where ``build`` would run code of others (``runs_code``) that the user did not allow to run;
    ``label``: the plugin's for the message, where that is not the spec's."""
    runs_code = getattr(spec, "runs_code", None)
    if runs_code is not None and not trust and (what := runs_code(params)):
        raise UserError(f"{label or spec.label} would run {what}; --trust allows it")


@dataclass(frozen=True, kw_only=True)
class ProvidingSpec(Spec):
    """A spec of something that provides what others need."""

    provides: Words | Callable[[Any], Words] = NOTHING  # a function of the parameters where it depends on them

    def provided(self, params: Params) -> Words:
        """What it provides with these parameters."""
        return self.provides(params) if callable(self.provides) else self.provides
