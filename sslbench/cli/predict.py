"""``sslbench predict``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sslbench.cli.command import Command
from sslbench.cli.options import Choice, UserPath, feature_options
from sslbench.cli.streams import say, show

FORMATS = Choice(["table", "csv", "json"])


@click.command(
    "predict",
    cls=Command,
    examples=[
        "sslbench predict sslbench-results/recipe/head new.jpg",
        "sslbench predict sslbench-results/recipe/head photos --unsure-first",
        "sslbench predict sslbench-results/recipe/head photos --format csv > labels.csv",
    ],
)
@click.argument("head", metavar="HEAD", type=UserPath())
@click.argument("images", metavar="IMAGES...", nargs=-1, required=True, type=UserPath())
@click.option("--unsure-first", is_flag=True, help="Those first that the head is least sure of.")
@click.option(
    "--format", "format_", type=FORMATS, default="table", show_default=True, help="How predictions are printed."
)
@feature_options()
def command(head: Path, images: tuple[Path, ...], unsure_first: bool, format_: str, **options: Any) -> int:
    """Label IMAGES, files or folders of them, by HEAD, the folder of a head that `sslbench recipe` fitted.

    Exit code 1 if an image cannot be read; the others are labelled.
    """
    from sslbench.advise.head import read_head
    from sslbench.advise.predict import predict, render_predictions
    from sslbench.cli.options import read_settings_of_features
    from sslbench.hooks.registry import default_registry

    fitted = read_head(head)
    if fitted.note:
        say(f"{head}: {fitted.note}")
    predictions, unreadable, notes = predict(fitted, images, read_settings_of_features(options), default_registry())
    for note in notes:
        say(note)
    if unsure_first:
        predictions.sort(key=lambda prediction: max(prediction.probabilities))
    show(render_predictions(predictions, fitted.classes, format_), format_)
    whites = " or ".join(f"{white:g}" for white in (fitted.white or {}).values())
    beyond = f" (or brighter than the head's training images, whose white is {whites})" if whites else ""
    for what in unreadable:
        say(f"{what}: cannot be read, not labelled{beyond}")
    return 1 if unreadable else 0
