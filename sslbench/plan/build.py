"""Plugins built by name: how a plugin reaches others that are installed."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from sslbench.contracts.plugin import BuildContext
from sslbench.errors import SslbenchError, UserError
from sslbench.hooks.params import resolve
from sslbench.hooks.registry import default_registry, one_line
from sslbench.plan.reference import parse_reference


def build_plugin(
    kind: str, reference: str, where: str = "", given: Mapping[str, Any] | None = None, **context: Any
) -> Any:
    """What the plugin called ``NAME`` or ``NAME:key=value,key=value`` builds from its parameters.

    ``given`` are parameters beside those of the reference; ``context`` are fields of ``BuildContext``, such as
    ``image_size`` for a backbone, each of which has a default. No random generator is seeded. ``where`` names the
    place of the mistake in messages. Raises UserError for an unknown name or a wrong parameter, PluginError for a
    plugin that is broken.
    """
    parsed = parse_reference(reference, where)
    try:
        spec = default_registry().get(kind, parsed.name)
    except UserError as error:
        raise UserError(f"{where}: {error.messages[0]}" if where else error.messages[0]) from None
    params, mistakes = resolve(spec.label, spec.params, {**parsed.given, **(given or {})}, spec.presets)
    if params is None:
        raise UserError(*(f"{where}: {line}" if where else line for line in mistakes))
    return spec.build(params, BuildContext(**context))


def build_installed(kind: str) -> dict[str, Any]:
    """Every installed plugin of a kind by name, built with its default parameters.

    One that is broken or cannot be built without parameters is left out, with a line on stderr.
    """
    built = {}
    for name in default_registry().names(kind):
        try:
            built[name] = build_plugin(kind, name)
        except Exception as error:
            reason = error.messages[0] if isinstance(error, SslbenchError) else one_line(error)
            print(f"sslbench: warning: {kind} {name!r} is left out: {reason}", file=sys.stderr)
    return built
