"""``sslbench recipe``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from sslbench.cli.command import Command
from sslbench.cli.complete import plugins
from sslbench.cli.numbers import Real
from sslbench.cli.options import Choice, UserPath, feature_options, kept_as
from sslbench.cli.streams import QUIET, say, show

FORMATS = Choice(["table", "json"])


@click.command(
    "recipe",
    cls=Command,
    examples=[
        "sslbench recipe photos",
        "sslbench recipe photos --labels labels.csv --download",
        "sslbench recipe photos --unlabelled --threshold 0.9",
        "sslbench recipe photos -m pretrained:preset=dinov2-vits14 --no-scratch",
    ],
)
@click.argument("folder", metavar="FOLDER", type=UserPath())
@click.option(
    "--labels",
    type=UserPath(),
    metavar="FILE",
    help="CSV with the columns path and label (and split), for images that are not in class folders.",
)
@click.option("--unlabelled", is_flag=True, help="Look at the images alone, at any depth.")
@click.option(
    "-m",
    "--model",
    "--models",
    "models",
    multiple=True,
    metavar="MODEL",
    shell_complete=plugins("method", paths=True),
    help="An exported folder, or a method that takes no training step: NAME:key=value; repeatable."
    "  [default: those that can be had, best first]",
)
@click.option(
    "--licence",
    "--license",
    type=Choice(["any", "commercial"]),
    default="any",
    show_default=True,
    help="What the licences of models have to allow; those that do not clearly are left out.",
)
@click.option("--scratch/--no-scratch", default=True, show_default=True, help="Train a small network beside.")
@click.option(
    "--threshold",
    type=Real(0, 1),
    default=0.85,
    show_default=True,
    help="Cosine of whitened features from which on unlabelled images are near duplicates.",
)
@feature_options("sslbench-results/recipe", "--out", "Folder for results, features and the fitted head.")
@click.option(
    "--format", "format_", type=FORMATS, default="table", show_default=True, help="How the answer is printed."
)
def command(
    folder: Path, labels: Path | None, unlabelled: bool, models: tuple[str, ...], format_: str, **options: Any
) -> int:
    """Say what to do with the images in FOLDER: features, k-NN, linear probe, few labels, and what next.

    FOLDER has one folder a class, or train/ and test/ with one folder a class in each, or --labels says them. Without
    labels: how features spread, near duplicates, outliers, nearest neighbours. The fitted head is kept in --out for
    `sslbench predict`.
    """
    from sslbench.advise.folder import has_classes
    from sslbench.advise.frozen import Session
    from sslbench.advise.kept import recipe_document, survey_document
    from sslbench.advise.recipe import recipe
    from sslbench.advise.survey import survey
    from sslbench.advise.text import render_recipe, render_survey
    from sslbench.cli.options import read_settings_of_features
    from sslbench.errors import UserError
    from sslbench.hooks.registry import default_registry
    from sslbench.plan.choose import model_reference
    from sslbench.progress.display import Display
    from sslbench.store.found import keep

    if labels is not None and unlabelled:
        raise UserError("--labels and --unlabelled: give one of them")
    labelled = has_classes(folder, default_registry())
    settings = replace(read_settings_of_features(options), licence=options["licence"])
    references = [model_reference(text) for text in models]
    not_stored, verdict = "", False
    with Display(data=False, quiet=QUIET.get()) as display:
        session = Session(settings, default_registry(), display.show)
        if labels is None and (unlabelled or not labelled):
            threshold = options["threshold"]
            found = survey(folder, session, models=references, threshold=threshold)
            text, kept = render_survey(found, format_), kept_as("survey", survey_document(found))
        else:
            scratch = options["scratch"]
            advice = recipe(folder, session, labels=labels, models=references, scratch=scratch)
            not_stored, verdict = advice.not_stored, True
            text, kept = render_recipe(advice, format_), kept_as("recipe", recipe_document(advice))
    show(text, format_, lead=verdict)
    keep(settings.out, kept)
    if not_stored:
        say(f"the head for sslbench predict is not stored: {not_stored}")
    return 3 if not_stored else 0
