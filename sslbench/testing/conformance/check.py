"""Checks: each a sentence of the contract and a function that sees whether a plugin keeps it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from sslbench.contracts.plugin import BuildContext
from sslbench.errors import UserError
from sslbench.hooks.registry import one_line
from sslbench.testing.conformance.effects import ENVIRONMENT, process_stays, unchanged
from sslbench.testing.conformance.fault import Fault, home_of, place_in, place_of, raised_at
from sslbench.testing.conformance.problem import Problems, Untried

Level = Literal["bounds", "presets", "defaults"]
LEVELS: tuple[Level, ...] = ("bounds", "presets", "defaults")
"""what a check is tried with: all of them, the defaults and presets, the defaults alone"""
OWN_RANDOMNESS = "Randomness comes from the generator that you are given"
EVERYBODYS = "The process is everybody's"
NO_TRACEBACK = "Errors that a user can cause are sslbench.UserError, one line"
DRAWS_FROM_TORCH = ("backbone", "method", "evaluator", "simulator", "executor", "observer")
"""kinds that may draw from torch's global generator, which is seeded before"""
GIVEN_ONE = ("augmentation", "masking")
"""kinds that are given a generator"""
Made = TypeVar("Made")


@dataclass
class Trial:
    """A spec with the parameters that it is tried with."""

    spec: Any
    params: Any
    patience: float = 120.0
    """seconds that work of an executor without a plugin may take, workers' start included"""
    made: dict[Any, Any] = field(default_factory=dict)
    subject: Any = None
    """what ``build`` returned where a check needed a context for it"""

    def build(self, **context: Any) -> Any:
        """What ``build`` returns, anew."""
        return self.spec.build(self.params, BuildContext(**context))

    @property
    def built(self) -> Any:
        """What ``build`` returns, made once."""
        return self.once(Trial.build)

    def once(self, make: Callable[[Trial], Made]) -> Made:
        """What a function makes of this trial, made once."""
        if make not in self.made:
            self.made[make] = make(self)
        found: Made = self.made[make]
        return found


@dataclass(frozen=True)
class Check:
    """One sentence of a contract, and how it is tried."""

    function: Callable[[Any], Problems]
    promise: str
    at: str
    """the part of what ``build`` returns that is at fault; ``build`` itself, or ``params``"""
    level: Level
    gate: bool
    """True: nothing else is tried where this fails, since that would fail as well"""


CHECKS: dict[str, list[Check]] = defaultdict(list)
"""kind -> its checks, those first that the others rest on"""
Function = TypeVar("Function", bound=Callable[[Any], Problems])


def check(
    kinds: str, promise: str, at: str = "build", level: Level = "presets", gate: bool = False
) -> Callable[[Function], Function]:
    """Make a function a check of one or several kinds (with blanks between them). ``promise``: the sentence that
    stands in ``sslbench/contracts`` or ``docs/plugins.md``."""

    def register(function: Function) -> Function:
        for kind in kinds.split():
            CHECKS[kind].append(Check(function, promise, at, level, gate))
            CHECKS[kind].sort(key=lambda one: (one.at != "spec", not one.gate))
        return function

    return register


def faults_of(trial: Trial, level: Level = "defaults", setting: str = "") -> Iterator[Fault | Untried | int]:
    """Each fault of one spec with one set of parameters, once, and what could not be tried; after each check 1, to be
    counted."""
    seen: set[Any] = set()
    for one in CHECKS[trial.spec.kind]:
        if LEVELS.index(level) < LEVELS.index(one.level):
            continue
        faults, untried = outcome(one, trial, setting)
        found = [fault for fault in faults if fault.key not in seen]
        seen |= {fault.key for fault in found}
        yield from found
        yield from untried
        yield 1
        shown = [fault for fault in found if fault.promise != EVERYBODYS]
        if any(one.gate or fault.promise == OWN_RANDOMNESS for fault in shown):
            return


def outcome(one: Check, trial: Trial, setting: str) -> tuple[list[Fault], list[Untried]]:
    """The faults that one check finds, what it raises and what it changed for the process among them; and what could
    not be tried."""
    faults, untried, changed = tried(one, trial, setting)
    if changed:  # what a library changes when it is imported for the first time is not the plugin's doing
        again = tried(one, Trial(trial.spec, trial.params, trial.patience), setting)[2]
        changed = [name for name in changed if name in again]
    place = of_part(one.at, trial) if changed else None
    return faults + [of_effect(name, trial, place, setting) for name in changed], untried


def of_effect(name: str, trial: Trial, place: Any, setting: str) -> Fault:
    """What is wrong with changing one thing that the whole process shares."""
    if not name.endswith(" random state"):
        return Fault(f"it changed {name}, which the whole process shares", EVERYBODYS, place, setting)
    more = " instead of the one it was given" if trial.spec.kind in GIVEN_ONE else ", which no seed of a run sets"
    text = f"it drew from {name.removesuffix(' random state')} global generator{more}"
    return Fault(text, OWN_RANDOMNESS, place, setting)


def tried(one: Check, trial: Trial, setting: str) -> tuple[list[Fault], list[Untried], list[str]]:
    """The faults that one check finds, what it raises among them; what it could not try; and what changed for the
    process meanwhile."""
    lines: list[str] = []
    untried: list[Untried] = []
    faults: list[Fault] = []
    with unchanged(trial.spec.kind in DRAWS_FROM_TORCH) as changed, process_stays():
        try:
            for line in one.function(trial):
                (untried if isinstance(line, Untried) else lines).append(line)  # type: ignore[arg-type]
        except KeyboardInterrupt:
            raise
        except UserError as error:
            if not setting or lines:  # with limits of parameters it says in words what cannot be
                text = f"raised UserError: {error.messages[0]}"
                faults = [Fault(text, one.promise, of_error(error, trial), setting, refused=True)]
        except BaseException as error:
            text = f"raised {one_line(error)}"
            faults = [Fault(text, NO_TRACEBACK if setting else one.promise, of_error(error, trial), setting)]
    place = of_part(one.at, trial) if lines else None
    if trial.spec.kind == "observer":  # in a process of its own, whose library it may set up
        changed = [name for name in changed if name != ENVIRONMENT]
    return [Fault(line, one.promise, place, setting) for line in lines] + faults, untried, changed


def of_error(error: BaseException, trial: Trial) -> Any:
    """Where it was raised, as far as that is the plugin's code."""
    return raised_at(error, home_of(trial.spec)) or place_of(trial.spec.build)


def of_part(part: str, trial: Trial) -> Any:
    """Where the part of a plugin that a check is about is defined."""
    if part == "params":
        return place_of(trial.spec.params) or place_of(trial.spec.build)
    if part in ("build", "spec"):
        return place_of(trial.spec.build)
    if callable(found := getattr(trial.spec, part, None)):  # such as fingerprint
        return place_of(found) or place_of(trial.spec.build)
    built = trial.made.get(Trial.build) if trial.subject is None else trial.subject
    return (None if built is None else place_in(built, part)) or place_of(trial.spec.build)
