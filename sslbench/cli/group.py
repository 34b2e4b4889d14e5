"""The commands as click sees them. Each is imported when it is called, so that ``--help`` is instant."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import redirect_stdout
from functools import cache, wraps
from importlib import import_module
from typing import Any

import click
from click.shell_completion import CompletionItem

from sslbench.cli.command import explained
from sslbench.cli.streams import standard_error
from sslbench.errors import did_you_mean

WRONG_USAGE = 2
"""exit code"""
COMMANDS = {
    "run": "Run a suite; say which recipe is best, how good and how fast.",
    "plan": "Print the cells of a suite: done, to run, stale, skipped and why.",
    "look": "Show images, views, masks and odd files, before any training.",
    "results": "Print the results of a folder.",
    "report": "Write results as one HTML page with tables, charts and pictures.",
    "merge": "Put the results of several folders into one.",
    "recipe": "Say which model serves a folder of images, and what to do next.",
    "predict": "Label new images with a head that recipe fitted.",
    "embed": "Write the features of a data set to a file that others can read.",
    "export": "Write a trained encoder for others to load, timm among them.",
    "compare": "Say what moved between two sets of results, beyond the spread.",
    "speed": "Measure the speed of training steps, and ratios with intervals.",
    "simulate": "Run small studies without training, and test claims with them.",
    "claims": "Test every claim and print the command that shows it.",
    "suites": "List the built-in suites, or print the file of one.",
    "new": "Write a plugin in a package of its own, ready to install.",
    "check": "Try plugins against their contract: each fault with its line.",
    "list": "List every plugin with its summary and distribution.",
    "show": "Show one plugin: parameters, defaults, units, presets, citation.",
    "plugins": "Load every plugin and report ok or failed, and why.",
    "doctor": "Report what this machine has, what is missing and how to get it.",
    "completion": "Print the script by which a shell completes commands after TAB.",
}
GROUPS = {
    "Try recipes": ("run", "plan", "look", "recipe", "speed", "simulate", "suites"),
    "Understand results": ("results", "report", "compare", "claims", "merge"),
    "Use what was trained": ("predict", "embed", "export"),
    "Extend and set up": ("new", "check", "list", "show", "plugins", "doctor", "completion"),
}
"""title -> commands, in the order of ``--help``"""


class LazyGroup(click.Group):
    """Knows the commands by name and help line; imports one only when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All commands, in the order of ``--help``."""
        return [name for names in GROUPS.values() for name in names if name in COMMANDS]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """What click returns. Raises UsageError."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            words = f"{explained(error, ctx).message}; options of a command come after its name"
            raise click.UsageError(words, ctx) from None
        except click.UsageError as error:
            raise explained(error, ctx) from None

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now, or None."""
        return imported(cmd_name) if cmd_name in COMMANDS else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command of the arguments; an unknown name is a usage error with a hint."""
        if args and args[0] not in COMMANDS and not ctx.resilient_parsing:
            allowed = ", ".join(self.list_commands(ctx))
            ctx.fail(f"no such command {args[0]!r}{did_you_mean(args[0], list(COMMANDS))} (commands: {allowed})")
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
        """Commands with their help lines, none of which is imported; options where a hyphen was typed."""
        if incomplete.startswith("-"):
            return click.Command.shell_complete(self, ctx, incomplete)
        return [
            CompletionItem(name, help=COMMANDS[name]) for name in self.list_commands(ctx) if name.startswith(incomplete)
        ]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The help lines of all commands, none of which is imported."""
        for title, names in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([(name, COMMANDS[name]) for name in names if name in COMMANDS])


@cache
def imported(name: str) -> click.Command:
    """The command of that name."""
    command: click.Command = import_module(f"sslbench.cli.{name}").command
    if command.callback is not None:
        command.callback = apart(command.callback)
    return command


def apart(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, with what plugins and libraries print meanwhile on stderr: stdout carries the result alone."""

    @wraps(function)
    def call(*arguments: Any, **options: Any) -> Any:
        with redirect_stdout(standard_error()):
            return function(*arguments, **options)

    return call


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with: sslbench run, or sslbench COMMAND --help",
)
@click.version_option(package_name="sslbench", message="sslbench %(version)s", help="Print the version.")
def cli() -> None:
    """Which self-supervised recipe serves your images best, and what it costs."""


def invoke(arguments: list[str]) -> int:
    """Exit code of one command. Raises what goes wrong, click's mistakes too."""
    if not arguments:  # wrong usage, to which the help is the answer
        context = click.Context(cli, info_name="sslbench", **cli.context_settings)
        standard_error().write(cli.get_help(context) + "\n")
        return WRONG_USAGE
    try:
        with cli.make_context("sslbench", arguments) as context:
            code = cli.invoke(context)
    except click.exceptions.Exit as done:  # --help, --version
        return done.exit_code
    return code if isinstance(code, int) else 0
