"""``sslbench show``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from sslbench.cli.command import Command
from sslbench.cli.complete import kind_names, plugin_of_kind
from sslbench.cli.options import format_option, print_json
from sslbench.cli.streams import show

if TYPE_CHECKING:
    from sslbench.contracts.plugin import Spec

BOUNDS = {"exclusiveMinimum": ">", "minimum": ">=", "exclusiveMaximum": "<", "maximum": "<="}
LIMITS = {**BOUNDS, "multipleOf": "a multiple of"}  # JSON schema's word -> ours


@click.command(
    "show",
    cls=Command,
    examples=[
        "sslbench show method simclr",
        "sslbench show masking block",
        "sslbench show method pretrained --format json",
    ],
)
@click.argument("kind", shell_complete=kind_names)
@click.argument("name", shell_complete=plugin_of_kind)
@format_option(what="description")
def command(kind: str, name: str, format_: str) -> None:
    """Show the plugin NAME of KIND: parameters with defaults, units and limits, presets, citation."""
    from sslbench.hooks.catalogue import check_kind
    from sslbench.hooks.registry import default_registry

    registry = default_registry()
    kind = check_kind(kind)
    spec, entry = registry.get(kind, name), registry.entry_of(kind, name)
    facts = described(spec) | {"distribution": entry.distribution, "version": entry.version}
    if format_ == "json":
        print_json(facts)
    else:
        show(as_text(facts))


def described(spec: Spec) -> dict[str, Any]:
    """Everything that a spec states, JSON-able."""
    sets = {key: getattr(spec, key) for key in ("uses", "needs", "provides") if hasattr(spec, key)}
    words = {key: ["depends on the parameters"] if callable(value) else sorted(value) for key, value in sets.items()}
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
    """Name, type, default, unit, limits and description of each parameter, and of what is given beside them."""
    from sslbench.plan.method_epochs import takes_epochs, with_epochs

    model = with_epochs(spec.params) if takes_epochs(spec) else spec.params
    properties = model.model_json_schema().get("properties", {})
    rows = []
    for name, field in model.model_fields.items():
        schema, required = properties.get(name, {}), field.is_required()
        default = None if required else json_safe(field.default)
        row = {"name": name, "type": str(schema.get("type", "")), "required": required, "default": default}
        words = {"unit": schema.get("unit", ""), "allowed": ", ".join(limits(schema))}
        rows.append({**row, **words, "description": field.description or ""})
    return rows


def limits(schema: dict[str, Any]) -> list[str]:
    """What the JSON schema of a parameter allows, in words."""
    words = [f"{sign} {schema[key]}" for key, sign in LIMITS.items() if key in schema]
    if "enum" in schema:
        words.append("one of " + ", ".join(map(str, schema["enum"])))
    if "pattern" in schema:
        words.append("one of " + ", ".join(schema["pattern"].strip("^()$").split("|")))
    if "names" in schema:
        words.append(f"NAME or NAME:key=value of sslbench list {schema['names']}")
    return words


def json_safe(value: Any) -> Any:
    """The value, a list where it is a set."""
    return list(value) if isinstance(value, (set, frozenset)) else value


def as_text(facts: dict[str, Any]) -> str:
    """For a terminal; ``facts`` as ``described`` returns them, with distribution and version."""
    from sslbench.report.text import wrapped

    lines = [f"{facts['kind']} {facts['name']}  [{facts['distribution']} {facts['version']}]", facts["summary"]]
    lines += [f"after: {facts['citation']}"] if facts["citation"] else []
    lines += [f"{key}: {', '.join(facts[key]) or '-'}" for key in ("uses", "needs", "provides") if key in facts]
    lines = [wrapped(line, rest="    ") for line in lines]
    lines += ["", parameters_table(facts["parameters"]) if facts["parameters"] else "no parameters"]
    for name, values in facts["presets"].items():
        pairs = ", ".join(f"{key}={json.dumps(value)}" for key, value in values.items())
        lines += ["", wrapped(f"preset {name} ({facts['name']}:preset={name}): {pairs}", rest="    ")]
    return "\n".join(lines)


def parameters_table(rows: list[dict[str, Any]]) -> str:
    """One line for each parameter."""
    from sslbench.report.text import Column, listing

    defaults = ["required" if row["required"] else json.dumps(row["default"]) for row in rows]
    return listing(
        [
            Column("parameter", [row["name"] for row in rows]),
            Column("default", defaults),
            Column("unit", [row["unit"] or "-" for row in rows]),
            Column("allowed", [row["allowed"] or "-" for row in rows]),
            Column("what it is", [row["description"] for row in rows]),
        ]
    )
