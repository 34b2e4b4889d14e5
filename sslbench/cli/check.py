"""``sslbench check``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from sslbench.cli.command import Command
from sslbench.cli.complete import checkable
from sslbench.cli.numbers import Whole
from sslbench.cli.options import format_option, print_json
from sslbench.cli.streams import note, show

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sslbench.testing.conformance.checked import Checked
    from sslbench.testing.conformance.targets import Target

RANKS = "Processes that share a batch when a method is compared with one; 1: do not."
SET = "A parameter of what is checked, such as root=photos; repeatable."


@click.command(
    "check",
    cls=Command,
    examples=[
        "sslbench check method.simclr     # a plugin that is installed",
        "sslbench check noise.py          # a file, or a module: my_package.noise",
        "sslbench check my-package        # all that a distribution brings",
        "sslbench check dataset.imagefolder:root=photos",
    ],
)
@click.argument("targets", nargs=-1, metavar="TARGET...", shell_complete=checkable)
@click.option("--all", "everything", is_flag=True, help="Everything that is installed, built-in plugins included.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help=SET)
@click.option("--quick", is_flag=True, help="Leave presets and the limits of parameters out.")
@click.option("--ranks", type=Whole(1, 8), default=2, show_default=True, metavar="N", help=RANKS)
@click.option("--json", "as_json_", is_flag=True, help="The same as --format json.")
@format_option(what="faults")
def command(
    targets: tuple[str, ...],
    everything: bool,
    settings: tuple[str, ...],
    quick: bool,
    ranks: int,
    as_json_: bool,
    format_: str,
) -> int:
    """Try plugins against their contract: each fault with file, line and the contract's sentence.

    TARGET is a plugin (kind.name), a module, a file, a distribution or its folder. Each plugin is tried with its
    defaults, its presets and the limits of its parameters. Exit code 1 for a fault, 2 where nothing could be tried.
    """
    from sslbench.errors import UserError
    from sslbench.hooks.registry import Registry
    from sslbench.testing.conformance.targets import targets_of

    if not targets and not everything:
        raise UserError("name what to check: TARGET..., or --all")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    found = targets_of(targets, everything, settings, Registry())
    plugins = checked(found, thorough=not quick, ranks=ranks)
    from sslbench.testing.conformance.text import as_json, as_text

    if as_json_ or format_ == "json":
        print_json(as_json(plugins))
    else:
        show(as_text(plugins))
    if any(one.faults for one in plugins):
        return 1
    return 0 if any(one.settings for one in plugins) else 2


def checked(targets: Sequence[Target], thorough: bool, ranks: int) -> list[Checked]:
    """What became of each, with progress on stderr."""
    from sslbench.testing.conformance.checked import Checked, check_spec, on_two_ranks

    plugins = []
    for number, target in enumerate(targets, start=1):
        note(f"checking {target.kind}.{target.name} ({number} of {len(targets)})")
        if target.spec is None:
            one = Checked(target.kind, target.name, target.distribution)
        else:
            one = check_spec(target.spec, target.given, target.distribution, thorough=thorough)
        one.faults[:0] = target.faults
        plugins.append(one)
    if ranks > 1:
        on_two_ranks([(t.spec, t.given, one) for t, one in zip(targets, plugins, strict=True) if t.spec], ranks)
    return plugins
