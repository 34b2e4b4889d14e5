"""``sslbench look``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sslbench.cli.command import Command
from sslbench.cli.complete import plugins
from sslbench.cli.numbers import Whole
from sslbench.cli.options import DOWNLOAD, Decorator, UserPath, format_option, print_json
from sslbench.cli.streams import PICTURE, QUIET, note, show, terminal
from sslbench.look.defaults import BACKBONE

if TYPE_CHECKING:
    from sslbench.look.look import Look


def shown_option(short: str, kind: str, what: str, example: str, default: str) -> Decorator:
    """The option that names plugins of a kind, passed as ``KINDs``."""
    return click.option(
        short,
        f"--{kind}",
        f"{kind}s",
        multiple=True,
        metavar="NAME",
        shell_complete=plugins(kind),
        help=f"{kind.capitalize()} whose {what} are shown, as NAME:{example}; repeatable.  [default: {default}]",
    )


@click.command(
    "look",
    cls=Command,
    examples=[
        "sslbench look photos -o look.html",
        "sslbench look photos -a simclr -a dino -k block:ratio=0.75 -o views.png",
        "sslbench look digits -a affine -k random -k grid:ratio=0.5 --patch 2",
    ],
)
@click.argument("data", metavar="DATA", shell_complete=plugins("dataset", paths=True))
@shown_option("-a", "augmentation", "views", "key=value", "the data set's own")
@shown_option("-k", "masking", "masks", "ratio=0.5", "random")
@click.option(
    "-b",
    "--backbone",
    metavar="NAME",
    shell_complete=plugins("backbone"),
    help=f"Network whose patches are masked.  [default: {BACKBONE}]",
)
@click.option("--patch", type=Whole(1), metavar="N", help="Side of a patch, in the place of --backbone.")
@click.option(
    "--images",
    type=Whole(1, 16),
    default=6,
    show_default=True,
    metavar="N",
    help="Images whose views and masks are shown.",
)
@click.option("--seed", type=Whole(0), default=0, show_default=True, metavar="N", help="Seed of all random draws.")
@click.option("-o", "--out", metavar="FILE", type=UserPath(), help="File to write: .png or .html.")
@click.option("--download", is_flag=True, help=DOWNLOAD)
@format_option(what="facts")
def command(data: str, out: Path | None, format_: str, **options: Any) -> None:
    """Show what DATA, a NAME:key=value or a path, is before anything is trained on it.

    Some of its images, their random views under each augmentation, their masks under each masking, the number of images
    of each class, and files that are odd: as facts on stdout, and as pictures in FILE, or in the terminal where it can
    show them.
    """
    from sslbench.hooks.registry import default_registry
    from sslbench.look.look import look
    from sslbench.look.text import as_json, as_text
    from sslbench.look.wanted import LookRequest
    from sslbench.look.written import check_file, check_place, write
    from sslbench.progress.display import Display

    if out is not None:
        check_file(out)
    with Display(quiet=QUIET.get()) as display:
        found = look(LookRequest(data, **options), default_registry(), display.show)
    if out is not None:
        check_place(out, found)
        write(found, out)
    if format_ == "json":
        print_json(as_json(found))
    else:
        show(as_text(found))
    if out is not None:
        note(f"{out}: {len(found.pictures)} pictures")
    elif format_ == "json" or not shown_in_terminal(found):
        note("the pictures: add -o look.png, or -o look.html")


def shown_in_terminal(found: Look) -> bool:
    """Whether stdout is a terminal that shows pictures, which it then does."""
    stream = terminal()
    if stream is None:
        return False
    from sslbench.cli.terminal_pictures import in_terminal, protocol_of, room_of

    protocol = protocol_of(stream)
    if protocol is None:
        return False
    from sslbench.draw.canvas import png_of
    from sslbench.report.text import wrapped

    for picture in found.pictures:
        show(f"\n{wrapped(picture.caption)}")
        show(in_terminal(png_of(picture.image), protocol, room_of(stream)), PICTURE)
    return True
