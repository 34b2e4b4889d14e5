"""Entry point of ``sslbench``. Commands are imported when they are called, so that ``--help`` is instant."""

from __future__ import annotations

import os
import sys
from importlib import import_module

import click

from sslbench.errors import SslbenchError, did_you_mean

COMMANDS = {
    "run": "Run a suite and print one table with quality and speed in every row.",
    "plan": "Print the cells of a suite: done, to run, stale, skipped and why. Runs nothing.",
    "results": "Print the results of a folder.",
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
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"sslbench.cli.{cmd_name}").command
        return command

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


def check_given(ctx: click.Context, args: list[str]) -> None:
    """Raises UsageError for an option that is given twice where one value counts, and for a value without a letter."""
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


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with: sslbench run",
)
@click.version_option(package_name="sslbench", message="sslbench %(version)s", help="Print the version.")
def cli() -> None:
    """Which self-supervised recipe serves your images best, and what it costs."""


def main() -> None:
    """Run the command line and exit: 0 done, 1 a cell did not get done or a limit was crossed, 2 wrong usage, 3 not
    stored, 130 interrupted."""
    # Threads that spin while they wait stall each other wherever another program takes a core (docs/log.md).
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    sys.exit(call(sys.argv[1:]))


def call(arguments: list[str]) -> int:
    """Exit code of one command; errors are printed, a user's mistakes as one line each."""
    try:
        code = cli.main(arguments, prog_name="sslbench", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        path = context.command_path if context else "sslbench"
        complain(f"{error.format_message().rstrip('.')} (see: {path} --help)")
        return error.exit_code
    except SslbenchError as error:
        for message in error.messages:
            complain(message)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        complain("interrupted")
        return 130
    except BrokenPipeError:
        # The reader went away (| head); the interpreter must not try to flush into the closed pipe again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def complain(message: str) -> None:
    """One line on stderr."""
    click.echo(f"sslbench: error: {message}", err=True)
