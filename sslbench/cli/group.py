"""The commands as click sees them. Each is imported when it is called, so that ``--help`` is instant."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import redirect_stdout
from functools import cache, wraps
from importlib import import_module
from typing import Any

import click

from sslbench.cli.streams import standard_error
from sslbench.errors import did_you_mean

COMMANDS = {
    "run": "Run a suite and print one table with quality and speed in every row.",
    "plan": "Print the cells of a suite: done, to run, stale, skipped and why. Runs nothing.",
    "results": "Print the results of a folder.",
    "report": "Write results as one HTML page with tables, charts and pictures.",
    "merge": "Put the results of several folders into one.",
    "recipe": "Say what to do with a folder of images: which model serves them, and what next.",
    "predict": "Label new images with a head that recipe fitted.",
    "embed": "Write the features of a data set to a file that others can read.",
    "export": "Write a trained encoder for others to load, timm among them.",
    "compare": "Say what moved between two sets of results, beyond the spread.",
    "speed": "Measure the speed of training steps: images/s, memory, arithmetic, and ratios with their intervals.",
    "simulate": "Run small studies without training and test the claims of the literature with them.",
    "claims": "Test every claim and print the command that shows it.",
    "suites": "List the built-in suites, or print the file of one.",
    "list": "List every plugin with its summary and distribution.",
    "show": "Show one plugin: parameters with defaults and units, presets, citation.",
    "plugins": "Load every plugin and report ok or failed, and why.",
    "doctor": "Report what this machine has, what is missing and how to get it.",
}


class LazyGroup(click.Group):
    """Knows the commands by name and help line; imports one only when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All commands, in the order of ``--help``."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now, or None."""
        return imported(cmd_name) if cmd_name in COMMANDS else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command of the arguments; an unknown name is a usage error with a hint."""
        if args and args[0] not in COMMANDS:
            allowed = ", ".join(COMMANDS)
            ctx.fail(f"no such command {args[0]!r}{did_you_mean(args[0], list(COMMANDS))} (commands: {allowed})")
        name, command, rest = super().resolve_command(ctx, args)
        if command is not None:
            check_given(click.Context(command, info_name=name, parent=ctx), rest)
        return name, command, rest

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The help lines of all commands, none of which is imported."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


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


def check_given(ctx: click.Context, args: list[str]) -> None:
    """Raises UsageError for an option that is given twice where one value counts, and for an empty text as a value."""
    try:
        values, _, order = ctx.command.make_parser(ctx).parse_args(list(args))
    except click.UsageError:
        return  # the command itself says so
    for param in dict.fromkeys(order):
        is_option = isinstance(param, click.Option)
        name = max(param.opts, key=len) if is_option else param.human_readable_name
        given = values.get(str(param.name))
        if is_option and not param.multiple and order.count(param) > 1:
            ctx.fail(f"{name} is given twice; it has one value")
        texts = given if isinstance(given, (list, tuple)) else [given]
        if any(isinstance(text, str) and not text.strip() for text in texts):
            ctx.fail(f"{name} is given an empty text; leave it out, or give it a value")


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]}, epilog="Start with: sslbench run")
@click.version_option(package_name="sslbench", message="sslbench %(version)s", help="Print the version.")
def cli() -> None:
    """Which self-supervised recipe serves your images best, and what it costs."""


def invoke(arguments: list[str]) -> int:
    """Exit code of one command. Raises what goes wrong, click's mistakes too."""
    try:
        with cli.make_context("sslbench", arguments) as context:
            code = cli.invoke(context)
    except click.exceptions.Exit as done:  # --help, --version
        return done.exit_code
    return code if isinstance(code, int) else 0
