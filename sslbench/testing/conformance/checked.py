"""What became of the plugins that were checked: faults once each, what was tried, and what was not and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sslbench.contracts.plugin import Spec
from sslbench.testing.conformance import two_devices
from sslbench.testing.conformance.check import Trial, faults_of
from sslbench.testing.conformance.every import needs_first
from sslbench.testing.conformance.fault import Fault, Place, place_in
from sslbench.testing.conformance.problem import Untried
from sslbench.testing.conformance.settings import Setting, settings_of, words_of

TWO_RANKS = "So a loss that is a mean over images needs nothing"
RANDOM_LOSS = "its loss draws random numbers"


@dataclass
class Checked:
    """One plugin, after it was checked."""

    kind: str
    name: str
    distribution: str = ""
    """what brings it, with its version; empty for a file or module"""
    settings: int = 0
    """sets of parameters that it was tried with"""
    checks: int = 0
    faults: list[Fault] = field(default_factory=list)
    not_checked: list[str] = field(default_factory=list)
    """one line each: what, and why"""

    @property
    def label(self) -> str:
        """``kind.name``."""
        return f"{self.kind}.{self.name}"

    def add(self, found: Iterable[tuple[Fault, str]]) -> None:
        """Faults, each with the setting that it was seen with; those that are known get one more setting."""
        seen: dict[Any, list[str]] = {}
        first: dict[Any, Fault] = {}
        for fault, words in found:
            first.setdefault(fault.key, fault)
            seen.setdefault(fault.key, []).append(words)
        self.faults += [replace(fault, setting=words_of(seen[key])) for key, fault in first.items()]


def check_spec(spec: Spec, given: Mapping[str, Any], distribution: str = "", *, thorough: bool = True) -> Checked:
    """Try one spec with its defaults and what was ``given``; ``thorough``: also its presets and limits."""
    done = Checked(spec.kind, spec.name, distribution)
    settings, mistakes = settings_of(spec, given)
    if not settings:
        done.not_checked = [*mistakes, *required(spec, given)]
        return done
    found = list(faults_found(spec, settings if thorough else settings[:1], done))
    done.add(found)
    return done


def required(spec: Spec, given: Mapping[str, Any]) -> Iterator[str]:
    """How to give what has no default."""
    names = [name for name, f in spec.params.model_fields.items() if f.is_required() and name not in given]
    if names:
        pairs = ",".join(f"{name}=VALUE" for name in names)
        yield f"give it: {spec.kind}.{spec.name}:{pairs}, or --set {names[0]}=VALUE"


def faults_found(spec: Spec, settings: Sequence[Setting], done: Checked) -> Iterator[tuple[Fault, str]]:
    """Each fault with each setting that it is seen with; counts what is tried."""
    left: dict[str, list[str]] = {}
    for setting in settings:
        trial = Trial(spec, setting.params)
        if reason := needs_first(trial):
            where = f" {setting.words}" if setting.words else ""
            left.setdefault(reason.partition(":")[0], []).append(f"{done.label}{where}: {reason}")
            continue
        done.settings += 1
        for fault in faults_of(trial, setting.level, setting.words):
            if isinstance(fault, Untried):
                left.setdefault(str(fault), []).append(f"{done.label}: {fault}")
            elif not isinstance(fault, Fault):
                done.checks += 1
            elif fault.refused and not setting.words and nothing_built(trial):
                done.not_checked.append(f"{spec.kind}.{spec.name}: {fault.text.removeprefix('raised UserError: ')}")
                return
            else:
                yield fault, setting.words
    for lines in left.values():
        more = len(lines) - 1
        done.not_checked.append(lines[0] + (f"; as {more} other settings" if more else ""))


def nothing_built(trial: Trial) -> bool:
    """Whether ``build`` refuses what it is given, so that nothing can be tried."""
    return Trial.build not in trial.made and trial.subject is None


def on_two_ranks(specs: Sequence[tuple[Spec, Mapping[str, Any], Checked]], ranks: int) -> None:
    """Let the methods among these, of which nothing else is wrong, take a step in several processes too."""
    tried = []
    for spec, given, done in specs:
        if spec.kind == "method" and getattr(spec, "trains", False) and done.settings and not done.faults:
            params = settings_of(spec, given)[0][0].params
            tried.append((spec, params, done))
    if not tried:
        return
    found = two_devices.of_methods([(spec, params) for spec, params, _ in tried], ranks)  # type: ignore[misc]
    for (spec, params, done), lines in zip(tried, found, strict=True):
        done.checks += 1
        for line in lines:
            if line.startswith(RANDOM_LOSS):
                done.not_checked.append(f"{done.label} on {ranks} ranks: {line}")
            else:
                done.faults.append(Fault(line, TWO_RANKS, place_of_forward(spec, params)))


def place_of_forward(spec: Spec, params: Any) -> Place | None:
    """Where the loss is computed."""
    from sslbench.testing.conformance.methods import method

    return place_in(method(Trial(spec, params)), "forward")
