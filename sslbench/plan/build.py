"""Other people's plugins, built by name: how a simulator reaches the augmentations and maskings that are installed."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from sslbench.contracts.plugin import BuildContext
from sslbench.errors import SslbenchError, UserError
from sslbench.hooks.params import resolve
from sslbench.hooks.registry import default_registry
from sslbench.plan.reference import parse_reference


def build_plugin(
    kind: str, reference: str, where: str = "", given: Mapping[str, Any] | None = None, **context: Any
) -> Any:
    """What the plugin called ``NAME`` or ``NAME:key=value,key=value`` builds from its parameters.

    ``given`` are parameters beside those of the reference; ``context`` are fields of ``BuildContext``, such as
    ``image_size`` for a backbone. ``where`` names the place of the mistake in messages. Raises
    UserError for an unknown name or a wrong parameter, PluginError for a plugin that is broken.
    """
    wanted = parse_reference(reference, where)
    try:
        spec = default_registry().get(kind, wanted.name)
    except UserError as error:
        raise UserError(f"{where}: {error.messages[0]}" if where else error.messages[0]) from None
    params, mistakes = resolve(spec.label, spec.params, {**wanted.given, **(given or {})}, spec.presets)
    if params is None:
        raise UserError(*(f"{where}: {line}" if where else line for line in mistakes))
    return spec.build(params, BuildContext(**context))


def build_installed(kind: str) -> dict[str, Any]:
    """Every installed plugin of a kind by name, with its default parameters.

    One that is broken or cannot be built without parameters is left out, with a line on stderr.
    """
    found = {}
    for name in default_registry().names(kind):
        try:
            found[name] = build_plugin(kind, name)
        except SslbenchError as error:
            print(f"sslbench: warning: {kind} {name!r} is left out: {error.messages[0]}", file=sys.stderr)
    return found
