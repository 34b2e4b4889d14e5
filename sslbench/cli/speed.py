"""``sslbench speed``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from sslbench.cli.command import Command, typed
from sslbench.cli.complete import one_of, suite_names
from sslbench.cli.numbers import Whole
from sslbench.cli.options import (
    AXES,
    DEVICE_WORDS,
    DEVICES,
    FORMATS,
    PLUGINS,
    Function,
    UserPath,
    axis_option,
    decorated,
    read_settings,
)
from sslbench.cli.streams import QUIET, note, say, show
from sslbench.speed import SUITE

if TYPE_CHECKING:
    from sslbench.speed.run import SpeedRequest

SPEED_AXES = [axis for axis in AXES if axis[1] != "evaluator"]
SECTIONS = {
    PLUGINS: " ".join(axis for _, axis, _ in SPEED_AXES),
    "Settings of the step": "batch_size find_batch image_size precision compile device",
    "How it is measured": "baseline steps seconds",
}


def speed_options(function: Function) -> Function:
    """Everything that says what is to be measured."""
    axes = [axis_option(axis, "; also measures end to end" if axis[1] == "dataset" else "") for axis in SPEED_AXES]
    several = "; repeatable."
    precisions = f"Precision of the step: auto, fp32, tf32, bf16, fp16{several}"
    ways = f"How the step is run: eager, compile, cuda-graphs, compile+cuda-graphs{several}"
    limit = "Time for the whole suite; rows that do not fit are left out."
    folder = "Results folder.  [default: sslbench-results/SUITE]"
    change = (
        "Compare each row with itself with this changed, such as precision=fp32 or method.decoder_depth=8;"
        " several changes make one baseline."
    )
    settings = [
        click.option("--batch-size", multiple=True, metavar="N,N", help=f"Source images per step{several}"),
        click.option("--precision", multiple=True, metavar="NAME,NAME", help=precisions),
        click.option("--compile", multiple=True, metavar="NAME,NAME", help=ways),
        click.option("--image-size", type=Whole(2), metavar="N", help="Side of the views, pixels."),
        click.option("--device", metavar="NAME", shell_complete=one_of(DEVICE_WORDS), help=DEVICES),
        click.option("--steps", type=Whole(10), metavar="N", help="Timed steps a row, at most."),
        click.option("--seconds", type=float, metavar="S", help=limit),
        click.option("--baseline", multiple=True, metavar="KEY=VALUE", help=change),
        click.option("--find-batch", is_flag=True, help="Find the largest batch that fits into memory."),
        click.option("--download", is_flag=True, help="Allow data sets to be fetched."),
        click.option("--out", type=UserPath(), metavar="DIR", help=folder),
        click.option(
            "--format", "fmt", type=FORMATS, default="table", show_default=True, help="Format of the result on stdout."
        ),
    ]
    return decorated(
        function,
        [click.argument("suite", default=SUITE, shell_complete=suite_names("sslbench.speed")), *axes, *settings],
    )


@click.command(
    "speed",
    cls=Command,
    sections=SECTIONS,
    examples=[
        "sslbench speed",
        "sslbench speed methods --batch-size 64,256 --seconds 60",
        "sslbench speed -m mae -k random:ratio=0.75 --baseline masking.ratio=0.5",
    ],
)
@speed_options
def command(fmt: str, **options: Any) -> int:
    """Measure the training steps of SUITE, a built-in name or a TOML file (default: mae-speedup), and nothing else:
    images per second, step times, memory, arithmetic, and how many times as fast each is as its baseline.

    Rows are timed in turn, one step each, so that what else runs on the machine slows all of them alike. Plugins that
    are named are measured in the place of the suite's. One that the suite has keeps the suite's settings, under those
    that are given with it; NAME:preset=default leaves them out.
    """
    request = read_speed_request(options)
    from sslbench.progress.display import Display
    from sslbench.report.text import plural
    from sslbench.speed.run import speed
    from sslbench.speed.table import render_speed

    with Display(quiet=QUIET.get()) as display:
        outcome = speed(request, display.show)
    show(render_speed(outcome.records, fmt, outcome.suite), fmt)
    for words in outcome.left_out:
        say(f"left out {words}")
    stored = f"results: {outcome.out}" if outcome.store_error is None else f"not stored: {outcome.store_error}"
    (say if outcome.store_error else note)(f"{plural(len(outcome.records), 'row')}; {stored}")
    return outcome.exit_code


def read_speed_request(options: dict[str, Any]) -> SpeedRequest:
    """The request behind the options. Raises UserError with one line per mistake."""
    settings: dict[str, Any] = {
        "batch_sizes": whole_numbers("--batch-size", split_at_commas(options["batch_size"])),
        "precisions": split_at_commas(options["precision"]),
        "compile": split_at_commas(options["compile"]),
        **{name: options[name] for name in ("image_size", "device", "steps", "seconds")},
    }
    change = read_settings(options["baseline"], "--baseline")
    from sslbench.speed.run import SpeedRequest

    return SpeedRequest(
        axes={axis: options[axis] for _, axis, _ in SPEED_AXES if options[axis]},
        settings={key: value for key, value in settings.items() if value not in (None, [])},
        baselines=[change] if change else [],
        command=typed(),
        **{name: options[name] for name in ("suite", "out", "find_batch", "download")},
    )


def split_at_commas(texts: tuple[str, ...]) -> list[str]:
    """``("32,64", "128")`` -> its parts."""
    return [word.strip() for text in texts for word in text.split(",")]


def whole_numbers(option: str, words: list[str]) -> list[int]:
    """``["32", "64"]`` -> numbers. Raises UserError for anything that is not above 0."""
    from sslbench.errors import UserError, quoted

    wrong = [word for word in words if not re.fullmatch("[1-9][0-9]{,17}", word)]
    if wrong:
        raise UserError(f"{option} {quoted(','.join(wrong))}: expected whole numbers above 0, separated by commas")
    return [int(word) for word in words]
