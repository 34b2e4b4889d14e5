"""What holds for every kind: name, summary, parameters, presets, and what ``build`` does beside building."""

from __future__ import annotations

import re
from typing import Any

from sslbench.contracts.params import MaskingParams, MethodParams, Params
from sslbench.errors import SslbenchError, did_you_mean
from sslbench.hooks.params import plugins_named, resolve
from sslbench.hooks.registry import default_registry
from sslbench.plan.choose import plugins_of
from sslbench.testing.conformance.check import Trial, check
from sslbench.testing.conformance.problem import Problems

ALL = "augmentation masking backbone method evaluator dataset executor observer simulator"
NAME = re.compile(r"[a-z0-9][a-z0-9.-]*")
KNOWN = ("labels", "factors", "mask", "depth", "encoder", "tokens", "attention", "reconstruction")
"""words that plugins need of each other"""


@check(ALL, "unique within its kind", "spec", level="defaults")
def name_and_summary(trial: Trial) -> Problems:
    """Lower case, one line."""
    spec = trial.spec
    if not NAME.fullmatch(spec.name):
        yield f"name {spec.name!r} must be lower-case letters, digits, '-' and '.'"
    if not spec.summary:
        yield "it has no summary, and the module of its build no docstring"


@check(ALL, "its parameters: name, type, default, limits and description of each", "params", level="defaults")
def parameters_are_described(trial: Trial) -> Problems:
    """Each with words; of the class that its kind has."""
    model = trial.spec.params
    fields = model.model_fields
    yield from (f"parameter {name!r} has no description" for name, field in fields.items() if not field.description)
    if not model.model_config.get("frozen") or model.model_config.get("extra") != "forbid":
        yield "its parameters are not frozen, or take unknown keys; subclass sslbench.Params and leave its settings"
    if trial.spec.kind == "masking" and not issubclass(model, MaskingParams):
        yield "its parameters are no MaskingParams: they have no ratio"
    if trial.spec.kind == "method" and trial.spec.trains and not issubclass(model, MethodParams):
        yield "its parameters are no MethodParams: they say nothing of an optimizer"


@check(ALL, "A plugin by name with all its parameters, in plain values", "params")
def parameters_travel(trial: Trial) -> Problems:
    """As JSON to another process and back."""
    params: Params = trial.params
    again, mistakes = resolve(trial.spec.label, trial.spec.params, params.model_dump(mode="json"))
    if mistakes:
        yield f"its own values are refused where they come from a file: {mistakes[0]}"
    elif again != params:
        changed = [name for name in type(params).model_fields if getattr(again, name) != getattr(params, name)]
        yield f"parameter {changed[0] if changed else '?'!r} is another one after it was written as JSON"


@check(ALL, "named sets of parameters, chosen with ``NAME:preset=...`` or by a suite", "params", level="defaults")
def presets_are_parameters(trial: Trial) -> Problems:
    """Each a set that can be resolved, with what is given."""
    spec = trial.spec
    given = {name: getattr(trial.params, name) for name, f in spec.params.model_fields.items() if f.is_required()}
    for preset in spec.presets:
        mistakes = resolve(spec.label, spec.params, given, spec.presets, preset)[1]
        yield from (line.removeprefix(f"{spec.label}: ") for line in mistakes)


@check(ALL, "That plugin is then looked up before anything runs", "params")
def named_plugins_are_there(trial: Trial) -> Problems:
    """Those that parameters name."""
    if plugins_named(trial.params):
        lines = plugins_of(trial.spec, trial.params, default_registry())[1]
        yield from (line.removeprefix(f"{trial.spec.label}: ") for line in lines)


@check(
    "evaluator method",
    "what plugins need of each other and provide",
    "spec",
    "defaults",
)
def needs_are_words_that_somebody_provides(trial: Trial) -> Problems:
    """Or that are not a slip of the pen."""
    for word in sorted(set(trial.spec.needs) - set(KNOWN)):
        if hint := did_you_mean(word, list(KNOWN)):
            yield f"it needs {word!r}, which no plugin provides{hint}"


@check("method backbone", "parameters -> what would have to be fetched from the network, in words", "spec", "defaults")
def words_about_others_are_texts(trial: Trial) -> Problems:
    """What would be fetched, and whose code would run."""
    for name in ("fetches", "runs_code"):
        function: Any = getattr(trial.spec, name)
        if function is not None and not isinstance(found := function(trial.params), str):
            yield f"{name} returned a {type(found).__name__}, not a text"


def needs_first(trial: Trial) -> str:
    """What has to be there before a spec can be tried, in words; empty where all is."""
    spec, params = trial.spec, trial.params
    if missing := getattr(spec, "missing", ""):
        return str(missing)
    for name, words in (("fetches", "needs a download"), ("runs_code", "would run code of others")):
        function: Any = getattr(spec, name, None)
        try:
            if function is not None and (what := function(params)):
                return f"{words}: {what}"
        except SslbenchError as error:
            return error.messages[0]
    return ""
