"""Options that ``run`` and ``plan`` share, and the request they make."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from sslbench.advise.frozen import Settings
    from sslbench.execute.request import Request

AXES = (
    ("-m", "method", "SimCLR, MAE, baselines"),
    ("-a", "augmentation", "how views are made"),
    ("-k", "masking", "which patches are hidden"),
    ("-e", "evaluator", "what judges the features"),
    ("-d", "dataset", "the images"),
    ("-b", "backbone", "the network"),
)
FORMATS = click.Choice(["table", "markdown", "csv", "json"])


def suite_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Everything that says what is to be run; the same for ``run`` and ``plan``."""
    decorators = [
        click.argument("suite", default="quick"),
        click.option("--size", metavar="NAME", help="A smaller form that the suite has, such as small."),
    ]
    for short, axis, what in AXES:
        text = f"{what}: NAME or NAME:key=value,key=value; repeatable, replaces the suite's"
        decorators.append(click.option(short, f"--{axis}", axis, multiple=True, metavar="NAME", help=text))
    decorators += [
        click.option("--seeds", metavar="N,N", help="Seeds, such as 0,1,2."),
        click.option("--epochs", type=int, metavar="N", help="Passes over the training images."),
        click.option("--batch-size", type=int, metavar="N", help="Source images per step."),
        click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Any other key of [training]."),
        click.option("--device", metavar="NAME", help="auto, cpu, cuda or cuda:N."),
        click.option("--precision", type=click.Choice(["auto", "fp32", "bf16", "fp16"]), help="Of the training step."),
        click.option("--compile/--no-compile", "compile_", default=None, help="Use torch.compile."),
        click.option(
            "--out",
            type=click.Path(path_type=Path, file_okay=True),
            metavar="DIR",
            help="Results folder.  [default: sslbench-results/SUITE]",
        ),
        click.option("--fresh", is_flag=True, help="Run everything again, whatever is done."),
        click.option("--keep-stale", is_flag=True, help="Reuse results of older code or data, knowingly."),
        click.option("--executor", default="inline", show_default=True, metavar="NAME", help="Where the work runs."),
        click.option("--max-cells", type=click.IntRange(0), metavar="N", help="Run at most N cells now."),
        click.option("--strict-plugins", is_flag=True, help="Refuse to start if any installed plugin is broken."),
        click.option("--download", is_flag=True, help="Allow data sets and models to be fetched."),
    ]
    for decorator in reversed(decorators):
        function = decorator(function)
    return function


def feature_options(
    folder: str = "", flag: str = "--cache", what: str = "Folder that features are kept in."
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Where and how features are made, and the folder that keeps ``what``; none without a default for it."""
    keep = click.option(
        flag,
        "cache",
        type=click.Path(path_type=Path, file_okay=False),
        default=Path(folder),
        metavar="DIR",
        show_default=True,
        help=what,
    )
    decorators = [
        click.option("--device", default="auto", metavar="NAME", help="auto, cpu, cuda or cuda:N."),
        click.option(
            "--precision",
            type=click.Choice(["auto", "fp32", "bf16", "fp16"]),
            default="auto",
            help="Of the features.",
        ),
        *([keep] if folder else []),
        click.option("--download", is_flag=True, help="Allow data sets and models to be fetched."),
    ]

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


def read_settings_of_features(options: dict[str, Any]) -> Settings:
    """What ``feature_options`` say. Raises UserError for a device that is not there."""
    from sslbench.advise.frozen import Settings

    place = {"out": options["cache"]} if "cache" in options else {}
    settings = Settings(options["device"], options["precision"], download=options["download"], **place)
    _ = settings.training
    return settings


def read_request(options: dict[str, Any]) -> Request:
    """The request behind the options. Raises UserError with one line per mistake."""
    from sslbench.execute.request import Request
    from sslbench.plan.expand import Overrides

    training = {
        "epochs": options["epochs"],
        "batch_size": options["batch_size"],
        "device": options["device"],
        "precision": options["precision"],
        "compile": options["compile_"],
    }
    training = {key: value for key, value in training.items() if value is not None}
    training |= read_settings(options["settings"])
    return Request(
        suite=options["suite"],
        overrides=Overrides(
            {axis: options[axis] for _, axis, _ in AXES if options[axis]},
            read_seeds(options["seeds"]),
            training,
        ),
        out=options["out"],
        fresh=options["fresh"],
        keep_stale=options["keep_stale"],
        executor=options["executor"],
        max_cells=options["max_cells"],
        strict_plugins=options["strict_plugins"],
        download=options["download"],
        size=options["size"],
    )


def suites_line() -> str:
    """For the end of a command's help."""
    from sslbench.plan.builtin import builtin_suites

    return f"Built-in suites: {', '.join(builtin_suites())} (see: sslbench suites)."


def read_settings(pairs: tuple[str, ...]) -> dict[str, Any]:
    """``--set KEY=VALUE`` pairs. Raises UserError for a pair without ``=``; keys are checked with the suite."""
    from sslbench.errors import UserError
    from sslbench.plan.reference import parse_value

    wrong = [pair for pair in pairs if "=" not in pair]
    if wrong:
        raise UserError(*(f"--set {pair!r} is not KEY=VALUE" for pair in wrong))
    return {key.removeprefix("training."): parse_value(value) for key, _, value in (p.partition("=") for p in pairs)}


def read_seeds(text: str | None) -> list[int] | None:
    """``0,1,2`` -> integers. Raises UserError for anything else."""
    from sslbench.errors import UserError

    if text is None:
        return None
    try:
        seeds = [int(word) for word in text.split(",")]
    except ValueError:
        raise UserError(f"--seeds {text!r}: expected integers separated by commas, such as 0,1,2") from None
    if min(seeds) < 0:
        raise UserError(f"--seeds {text!r}: seeds are 0 or larger")
    return seeds
