"""From references to plugins with their parameters, and one line for each mistake; and to what plugins build."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sslbench.contracts.defaults import PRETRAINED
from sslbench.contracts.executor import PluginChoice
from sslbench.contracts.params import Params
from sslbench.contracts.plugin import BuildContext, Spec
from sslbench.errors import SslbenchError, UserError, printable, quoted
from sslbench.hooks.params import plugins_named, resolve
from sslbench.hooks.registry import Registry, default_registry, one_line
from sslbench.plan.cell import Choice, digest
from sslbench.plan.identity import plugin_identity
from sslbench.plan.meant import exists, meant, preset_hint
from sslbench.plan.method_epochs import EPOCHS, takes_epochs, with_epochs
from sslbench.plan.reference import Reference, parse_reference

AUTO = "auto"  # what the data set recommends, else the paper's
AUTOMATIC = ("augmentation", "masking")  # axes that may have it


def look_up(
    axis: str, references: Sequence[Reference], registry: Registry, preset: str, *, own_epochs: bool = False
) -> tuple[tuple[Choice[Any] | None, ...], list[str]]:
    """The plugins behind references, in order, and one line per mistake, an entry given twice among them. ``auto`` is
    None. ``own_epochs``: a method may have ``epochs`` beside its parameters."""
    choices: dict[str, Choice[Any] | None] = {}
    mistakes: list[str] = []
    for reference in references:
        auto = axis in AUTOMATIC and reference.name == AUTO and not reference.given
        try:
            choice, wrong = (None, []) if auto else choose(axis, reference, registry, preset, own_epochs=own_epochs)
        except SslbenchError as error:
            choice, wrong = None, list(error.messages)
        if choice is not None or auto:
            key = AUTO if choice is None else digest([choice.description, choice.epochs])
            if key in choices:
                wrong = [f"{quoted(str(reference))} is given twice, here and before; name it once"]
            choices[key] = choice
        mistakes += placed(reference.where, wrong)
    return tuple(choices.values()), mistakes


def choose(
    kind: str, reference: Reference, registry: Registry, preset: str, *, own_epochs: bool = False
) -> tuple[Choice[Any] | None, list[str]]:
    """One plugin with its parameters, or None, and one line per mistake. Raises as ``Registry.get`` does for an unknown
    or broken one."""
    reference = meant(kind, reference, registry)
    spec = found(kind, reference.name, registry)
    entry = registry.entry_of(kind, reference.name)
    epochs, given = None, reference.given
    if own_epochs and takes_epochs(spec):
        checked, mistakes = resolve(spec.label, with_epochs(spec.params), given, spec.presets, preset)
        if checked is None:
            return None, mistakes
        epochs, given = (getattr(checked, EPOCHS), {key: given[key] for key in given if key != EPOCHS})
    params, mistakes = resolve(spec.label, spec.params, given, spec.presets, preset)
    if params is None:
        return None, mistakes
    named, mistakes = plugins_of(spec, params, registry)
    return Choice(spec, params, plugin_identity(entry), entry.distribution, entry.version, named, epochs), mistakes


def found(kind: str, name: str, registry: Registry) -> Spec:
    """The plugin of this name. Raises as ``Registry.get`` does, with what to write for the name of a preset, and that a
    data set is no path either."""
    try:
        return registry.get(kind, name)
    except UserError as error:
        if name in registry.names(kind):
            raise
        hint = preset_hint(kind, name, registry)
        if hint:
            raise UserError(f"unknown {kind} {name!r}{hint}") from None
        if kind == "dataset" and not exists(name):
            raise UserError(f"{error.messages[0]}; no folder or file here has that name either") from None
        raise


def plugins_of(spec: Spec, params: Params, registry: Registry) -> tuple[dict[str, Choice[Any]], list[str]]:
    """Parameter -> the plugin that it names; and one line per mistake."""
    named: dict[str, Choice[Any]] = {}
    mistakes: list[str] = []
    for name, (kind, text) in plugins_named(params).items():
        where = f"{spec.label}: {name}"
        try:
            choice, wrong = choose(kind, parse_reference(text, where), registry, "")
        except SslbenchError as error:
            # The message of a reference that cannot be read names its place; that of an unknown name does not.
            mistakes += [line if line.startswith(where) else f"{where}: {line}" for line in error.messages]
            continue
        if choice is not None and getattr(choice.spec, "trains", False):
            wrong = [*wrong, to_be_trained(choice.name, f"{name}={PRETRAINED}:path=FOLDER")]
        mistakes += placed(where, wrong)
        named |= {name: choice} if choice else {}
    return named, mistakes


def to_be_trained(method: str, then: str) -> str:
    """What to do where a trained model is needed and a method is named that would have to be trained; ``then``: what
    to give in its place."""
    return (
        f"{method} has to be trained first: sslbench run -m {method}, then sslbench export DIR --where"
        f" method={method} -o FOLDER, and give {then}"
    )


def placed(where: str, lines: Iterable[str]) -> list[str]:
    """Lines about mistakes, each with the place of the mistake in front, if any."""
    return [f"{where}: {line}" if where else line for line in lines]


def chosen(kind: str, reference: Reference, registry: Registry) -> Choice[Any]:
    """The plugin with its parameters. Raises UserError with one line for each mistake."""
    try:
        choice, mistakes = choose(kind, reference, registry, "default")
    except UserError as error:
        choice, mistakes = None, list(error.messages)
    if choice is None:
        raise UserError(*placed(reference.where, mistakes))
    return choice


def sent(kind: str, plain: PluginChoice, registry: Registry) -> Choice[Any]:
    """The choice whose ``Choice.plain`` another process sent, or a file holds. Raises as ``Registry.get`` does, and
    UserError for parameters that the plugin does not take."""
    spec = registry.get(kind, plain.name)
    params, mistakes = resolve(spec.label, spec.params, plain.params, spec.presets)
    if params is None:
        raise UserError(*mistakes)
    named, mistakes = plugins_of(spec, params, registry)
    if mistakes:
        raise UserError(*mistakes)
    return Choice(spec, params, named=named)


def model_reference(text: str, where: str = "--model") -> Reference:
    """``NAME:key=value,...`` of a method, or the path of an exported folder or of a file with its configuration."""
    if exists(text):
        return Reference(PRETRAINED, {"path": text}, where)
    return parse_reference(text, where)


def build_plugin(
    kind: str, reference: str, where: str = "", given: Mapping[str, Any] | None = None, **context: Any
) -> Any:
    """What the plugin called ``NAME`` or ``NAME:key=value,key=value`` builds from its parameters.

    ``given``: parameters beside those of the reference; ``context``: fields of ``BuildContext``, each with a default;
    ``where``: the place of a mistake, for messages. No random generator is seeded. Raises UserError for an unknown
    name, a wrong parameter or a method without the backbone that it works on, PluginError for a plugin that is broken.
    """
    parsed = parse_reference(reference, where)
    try:
        spec = default_registry().get(kind, parsed.name)
    except UserError as error:
        raise UserError(*placed(where, error.messages)) from None
    params, mistakes = resolve(spec.label, spec.params, {**parsed.given, **(given or {})}, spec.presets)
    if params is None:
        raise UserError(*placed(where, mistakes))
    if "backbone" in getattr(spec, "uses", ()) and context.get("backbone") is None:
        need = f'{spec.label} works on a backbone; give one: backbone=build_plugin("backbone", NAME, image_size=...)'
        raise UserError(*placed(where, [need]))
    named, mistakes = plugins_of(spec, params, default_registry())
    if mistakes:
        raise UserError(*placed(where, mistakes))
    return Choice(spec, params, named=named).build(BuildContext(**context))


def build_installed(kind: str) -> dict[str, Any]:
    """Every installed plugin of a kind by name, built with its default parameters. One that is broken or cannot be
    built without parameters is left out, with a line on stderr."""
    built = {}
    for name in default_registry().names(kind):
        try:
            built[name] = build_plugin(kind, name)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            reason = error.messages[0] if isinstance(error, SslbenchError) else one_line(error)
            print(printable(f"sslbench: warning: {kind} {name!r} is left out: {reason}"), file=sys.stderr)
    return built
