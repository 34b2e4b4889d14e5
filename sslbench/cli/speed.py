"""``sslbench speed``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sslbench.cli.options import AXES, FORMATS
from sslbench.speed.defaults import SUITE

if TYPE_CHECKING:
    from sslbench.speed.request import SpeedRequest

SPEED_AXES = [axis for axis in AXES if axis[1] != "evaluator"]


def axis_options() -> list[Any]:
    """One option for each axis of a speed suite."""
    options = []
    for short, axis, what in SPEED_AXES:
        more = "; also measures end to end" if axis == "dataset" else ""
        text = f"{what}{more}: NAME or NAME:key=value,key=value; repeatable, replaces the suite's"
        options.append(click.option(short, f"--{axis}", axis, multiple=True, metavar="NAME", help=text))
    return options


SETTING_OPTIONS = [
    click.option("--batch-size", multiple=True, metavar="N,N", help="Source images per step; repeatable."),
    click.option("--precision", multiple=True, metavar="NAME,NAME", help="auto, fp32, bf16, fp16; repeatable."),
    click.option(
        "--compile", "compile_", multiple=True, metavar="NAME,NAME", help="eager, compile, cuda-graphs; repeatable."
    ),
    click.option("--image-size", type=click.IntRange(2), metavar="N", help="Side of the views, pixels."),
    click.option("--device", metavar="NAME", help="auto, cpu, cuda or cuda:N."),
    click.option("--steps", type=click.IntRange(10), metavar="N", help="Timed steps a row, at most."),
    click.option("--seconds", type=float, metavar="S", help="For the whole suite; rows that do not fit are left out."),
    click.option(
        "--baseline",
        multiple=True,
        metavar="KEY=VALUE",
        help="Compare each row with itself with this changed, such as precision=fp32 or method.decoder_depth=8;"
        " several changes make one baseline.",
    ),
    click.option("--find-batch", is_flag=True, help="Find the largest batch that fits into memory."),
    click.option("--download", is_flag=True, help="Allow data sets to be fetched."),
    click.option(
        "--out",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="Results folder.  [default: sslbench-results/SUITE]",
    ),
]


def speed_options(function: Any) -> Any:
    """Adds to a command everything that says what is to be measured."""
    decorators = [click.argument("suite", default=SUITE), *axis_options(), *SETTING_OPTIONS]
    for decorator in reversed(decorators):
        function = decorator(function)
    return function


@click.command("speed", short_help="Measure speed.")
@speed_options
@click.option(
    "--format", "format_", type=FORMATS, default="table", show_default=True, help="Format of the result on stdout."
)
def command(format_: str, **options: Any) -> int:
    """Measure the training steps of SUITE, a built-in name or a TOML file (default: mae-speedup), and nothing else:
    images per second, step times, memory, arithmetic, and how many times as fast each is as its baseline.

    Rows are timed in turn, one step each, so that what else runs on the machine slows all of them alike.
    """
    request = read_speed_request(options)
    from sslbench.cli.progress import Display
    from sslbench.speed.run import speed

    with Display() as display:
        outcome = speed(request, display.show)
    from sslbench.speed.table import render_speed

    click.echo(render_speed(outcome.records, format_, outcome.suite))
    for words in outcome.left_out:
        click.echo(f"sslbench: left out {words}", err=True)
    stored = f"results: {outcome.out}" if outcome.store_error is None else f"not stored: {outcome.store_error}"
    click.echo(f"sslbench: {len(outcome.records)} rows; {stored}", err=True)
    return outcome.exit_code


def read_speed_request(options: dict[str, Any]) -> SpeedRequest:
    """The request behind the options. Raises UserError with one line per mistake."""
    from sslbench.speed.request import SpeedRequest

    settings: dict[str, Any] = {
        "batch_sizes": whole_numbers("--batch-size", split_at_commas(options["batch_size"])),
        "precisions": split_at_commas(options["precision"]),
        "compile": split_at_commas(options["compile_"]),
        "image_size": options["image_size"],
        "device": options["device"],
        "steps": options["steps"],
        "seconds": options["seconds"],
    }
    change = read_changes(options["baseline"])
    return SpeedRequest(
        suite=options["suite"],
        axes={axis: options[axis] for _, axis, _ in SPEED_AXES if options[axis]},
        settings={key: value for key, value in settings.items() if value},
        baselines=[change] if change else [],
        out=options["out"],
        find_batch=options["find_batch"],
        download=options["download"],
    )


def split_at_commas(texts: tuple[str, ...]) -> list[str]:
    """``("32,64", "128")`` -> its parts."""
    return [word.strip() for text in texts for word in text.split(",") if word.strip()]


def whole_numbers(option: str, words: list[str]) -> list[int]:
    """``["32", "64"]`` -> numbers. Raises UserError for anything that is not above 0."""
    from sslbench.errors import UserError

    wrong = [word for word in words if not (word.isdigit() and int(word) > 0)]
    if wrong:
        raise UserError(f"{option} {','.join(wrong)!r}: expected whole numbers above 0, separated by commas")
    return [int(word) for word in words]


def read_changes(pairs: tuple[str, ...]) -> dict[str, Any]:
    """``precision=fp32`` -> a value; ``method=mae:decoder_depth=1`` -> a plugin, as it is written."""
    from sslbench.errors import UserError
    from sslbench.plan.reference import parse_value

    wrong = [pair for pair in pairs if "=" not in pair]
    if wrong:
        raise UserError(*(f"--baseline {pair!r} is not KEY=VALUE" for pair in wrong))
    return {key: parse_value(value) for key, _, value in (pair.partition("=") for pair in pairs)}
