"""``sslbench completion``."""

from __future__ import annotations

import os
from pathlib import Path

import click

from sslbench.cli.command import Command
from sslbench.cli.options import Choice
from sslbench.cli.shells import SHELLS, script
from sslbench.cli.streams import note, show
from sslbench.errors import UserError


@click.command(
    "completion",
    cls=Command,
    examples=[
        'eval "$(sslbench completion bash)"         # in ~/.bashrc; zsh: in ~/.zshrc',
        "sslbench completion fish > ~/.config/fish/completions/sslbench.fish",
    ],
)
@click.argument("shell", metavar="SHELL", required=False, type=Choice(list(SHELLS)))
def command(shell: str | None) -> None:
    """Print the script by which SHELL (bash, zsh or fish; default: that of $SHELL) completes sslbench after TAB.

    Completes commands, options, suites, plugins, their parameters and presets, folders of results and files. Plugins
    are loaded once for it, and again when others are installed; TAB loads none.
    """
    from sslbench.hooks.remembered import is_current, remember

    name = shell or Path(os.environ.get("SHELL", "")).name
    if name not in SHELLS:
        raise UserError(f"name the shell: sslbench completion SHELL (allowed: {', '.join(SHELLS)})")
    if not is_current():
        note("loading every plugin once, for the names of their parameters")
        remember()
    show(script(name), "toml")
