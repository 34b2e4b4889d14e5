"""``sslbench show``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from sslbench.contracts.plugin import Spec


@click.command("show", short_help="Show one plugin.")
@click.argument("kind")
@click.argument("name")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="Of the answer.",
)
def command(kind: str, name: str, format_: str) -> None:
    """Show the plugin NAME of KIND: parameters with defaults, units and limits, presets, citation."""
    from sslbench.hooks.catalogue import check_kind
    from sslbench.hooks.registry import default_registry

    registry = default_registry()
    kind = check_kind(kind)
    spec, entry = registry.get(kind, name), registry.entry_of(kind, name)
    facts = described(spec) | {"distribution": entry.distribution, "version": entry.version}
    click.echo(json.dumps({"schema": 1, **facts}, indent=1) if format_ == "json" else as_text(facts))


def described(spec: Spec) -> dict[str, Any]:
    """Everything a spec says of itself, JSON-able."""
    words = {}
    for key in ("uses", "needs", "provides"):
        value = getattr(spec, key, None)
        if callable(value):
            words[key] = ["depends on the parameters"]
        elif value is not None:
            words[key] = sorted(value)
    return {
        "kind": spec.kind,
        "name": spec.name,
        "summary": spec.summary,
        "parameters": parameters(spec),
        "presets": {name: dict(values) for name, values in spec.presets.items()},
        **words,
        "citation": spec.citation,
    }


def parameters(spec: Spec) -> list[dict[str, Any]]:
    """Name, type, default, unit, limits and description of each parameter."""
    properties = spec.params.model_json_schema().get("properties", {})
    found = []
    for name, field in spec.params.model_fields.items():
        schema = properties.get(name, {})
        limits = [f"{sign} {schema[key]}" for key, sign in SIGNS.items() if key in schema]
        if "enum" in schema:
            limits.append("one of " + ", ".join(map(str, schema["enum"])))
        if "pattern" in schema:
            limits.append("one of " + ", ".join(schema["pattern"].strip("^()$").split("|")))
        if "names" in schema:
            limits.append(f"NAME or NAME:key=value of sslbench list {schema['names']}")
        found.append(
            {
                "name": name,
                "type": str(schema.get("type", "")),
                "required": field.is_required(),
                "default": None if field.is_required() else json_safe(field.default),
                "unit": schema.get("unit", ""),
                "allowed": ", ".join(limits),
                "description": field.description or "",
            }
        )
    return found


SIGNS = {
    "exclusiveMinimum": ">",
    "minimum": ">=",
    "exclusiveMaximum": "<",
    "maximum": "<=",
    "multipleOf": "a multiple of",
}


def json_safe(value: Any) -> Any:
    return list(value) if isinstance(value, (tuple, set, frozenset)) else value


def as_text(facts: dict[str, Any]) -> str:
    from tabulate import tabulate

    lines = [
        f"{facts['kind']} {facts['name']}  [{facts['distribution']} {facts['version']}]",
        facts["summary"],
    ]
    if facts["citation"]:
        lines.append(f"after: {facts['citation']}")
    lines += [f"{key}: {', '.join(facts[key]) or '-'}" for key in ("uses", "needs", "provides") if key in facts]
    if facts["parameters"]:
        rows = [
            [
                item["name"],
                "required" if item["required"] else json.dumps(item["default"]),
                item["unit"] or "-",
                item["allowed"] or "-",
                item["description"],
            ]
            for item in facts["parameters"]
        ]
        headers = ["parameter", "default", "unit", "allowed", "what it is"]
        lines += ["", tabulate(rows, headers=headers, tablefmt="simple", disable_numparse=True)]
    else:
        lines += ["", "no parameters"]
    for name, values in facts["presets"].items():
        pairs = ", ".join(f"{key}={json.dumps(value)}" for key, value in values.items())
        lines += ["", f"preset {name} ({facts['name']}:preset={name}): {pairs}"]
    return "\n".join(lines)
