"""How commands print: the option ``--format``, and JSON documents with their schema."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import click

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def format_option(*formats: str, what: str = "output") -> Decorator:
    """``--format``, passed as ``format_``; the default is the first of ``formats`` (default: table or JSON)."""
    choices = formats or ("table", "json")
    text = f"Format of the {what}."
    return click.option(
        "--format", "format_", type=click.Choice(choices), default=choices[0], show_default=True, help=text
    )


def print_json(document: Mapping[str, Any]) -> None:
    """One JSON object on stdout, whose first key is ``schema``."""
    from sslbench.store.record import SCHEMA

    click.echo(json.dumps({"schema": SCHEMA, **document}, indent=1))
