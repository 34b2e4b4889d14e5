"""A command of ours as click sees it: options in sections, examples at the end of its help, and no value that is given
twice or empty."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import click

from sslbench.cli.streams import QUIET
from sslbench.errors import did_you_mean, quoted

OTHERS = "Options"
"""section of the options that no section names"""
TYPED = "sslbench.typed"
"""key of a context's ``meta``"""


class Command(click.Command):
    """A command whose help has its options in ``sections`` (title -> names of parameters) and ends with ``examples``,
    which are commands as a shell takes them, a comment after ``#`` allowed."""

    def __init__(
        self, *arguments: Any, sections: Mapping[str, str] | None = None, examples: Sequence[str] = (), **more: Any
    ) -> None:
        super().__init__(*arguments, **more)
        self.help = (self.help or "").replace("``", "`")  # which docstrings have for code
        self.params.append(quiet_option())
        self.sections = {title: names.split() for title, names in (sections or {}).items()}
        self.examples = tuple(examples)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The options, each section under its title; what no section names comes last."""
        options = [param for param in self.get_params(ctx) if isinstance(param, click.Option)]
        rows = {param.name: row for param in options if (row := param.get_help_record(ctx))}
        for title, names in self.sections.items():
            with formatter.section(title):
                formatter.write_dl([rows.pop(name) for name in names])
        with formatter.section(OTHERS):
            formatter.write_dl(list(rows.values()))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The epilog, then the examples."""
        super().format_epilog(ctx, formatter)
        if self.examples:
            with formatter.section("Examples"):
                formatter.write("".join(f"{'':>{formatter.current_indent}}{line}\n" for line in self.examples))

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """What click returns. Raises UsageError that knows which command it is about."""
        ctx.meta[TYPED] = shlex.join([*ctx.command_path.split(), *(word for word in args if word != "--trust")])
        try:
            if ctx.resilient_parsing:  # for completion, at the end of which may be an option without its value
                return super().parse_args(ctx, args[:-1] if args and args[-1].startswith("-") else args)
            check_given(ctx, args)
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            raise explained(error, ctx) from None


def typed() -> str:
    """The command that runs, in words of a shell, without what lets foreign code run."""
    return str(click.get_current_context().meta[TYPED])


def quiet_option() -> click.Option:
    """``--quiet``, which every command has."""

    def set_quiet(_: click.Context, __: click.Parameter, given: bool) -> None:
        QUIET.set(given)

    text = "No progress and no notes on stderr; warnings and errors stay."
    return click.Option(["-q", "--quiet"], is_flag=True, expose_value=False, callback=set_quiet, help=text)


def explained(error: click.UsageError, ctx: click.Context) -> click.UsageError:
    """The error, which knows its command; of an unknown option with the one that may be meant."""
    error.ctx = error.ctx or ctx
    if not isinstance(error, click.NoSuchOption):
        return error
    options = [param for param in ctx.command.get_params(ctx) if isinstance(param, click.Option)]
    words = [word for option in options for word in (*option.opts, *option.secondary_opts)]
    name = error.option_name
    return click.UsageError(f"no such option {quoted(name)}{did_you_mean(name, words)}", ctx)


def check_given(ctx: click.Context, args: list[str]) -> None:
    """Raises UsageError for an option that is given twice where one value counts, and for an empty text as a value."""
    values, _, order = ctx.command.make_parser(ctx).parse_args(list(args))
    for param in dict.fromkeys(order):
        is_option = isinstance(param, click.Option)
        name = max(param.opts, key=len) if is_option else param.human_readable_name
        given = values.get(str(param.name))
        if is_option and not param.multiple and order.count(param) > 1:
            ctx.fail(f"{name} is given twice; it has one value")
        texts = given if isinstance(given, (list, tuple)) else [given]
        if any(isinstance(text, str) and not text.strip() for text in texts):
            ctx.fail(f"{name} is given an empty text; leave it out, or give it a value")
