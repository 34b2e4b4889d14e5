"""``sslbench embed``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sslbench.advise.defaults import BACKBONE
from sslbench.cli.command import Command
from sslbench.cli.complete import plugins
from sslbench.cli.numbers import Whole
from sslbench.cli.options import UserPath, feature_options
from sslbench.cli.streams import QUIET, say, show


@click.command(
    "embed",
    cls=Command,
    examples=[
        "sslbench embed digits -m raw-pixels -o features.npz",
        "sslbench embed photos -m random-init -b resnet18-cifar -o features.parquet",
        "sslbench embed photos -m pretrained:preset=dinov2-vits14 --download -o x.npz",
    ],
)
@click.argument("dataset", metavar="DATASET", shell_complete=plugins("dataset", paths=True))
@click.option(
    "-m",
    "--model",
    "model",
    required=True,
    metavar="MODEL",
    shell_complete=plugins("method", paths=True),
    help="An exported folder, or a method that takes no training step: NAME:key=value.",
)
@click.option(
    "-b",
    "--backbone",
    metavar="NAME",
    shell_complete=plugins("backbone"),
    help=f"Network of a method that needs one.  [default: {BACKBONE}]",
)
@click.option(
    "-o",
    "--out",
    required=True,
    metavar="FILE",
    type=UserPath(),
    help="File to write: .parquet, .npz or .safetensors.",
)
@click.option("--size", type=Whole(4), metavar="N", help="Side to which a folder's images are read.")
@feature_options("sslbench-results/features")
def command(dataset: str, model: str, backbone: str | None, out: Path, size: int | None, **options: Any) -> None:
    """Write features, labels and paths of DATASET, a NAME:key=value or a folder of images, to a file.

    What was extracted before is not extracted again (--cache).
    """
    from sslbench.advise.embed import check_file, embed, write
    from sslbench.advise.folder import dataset_reference, loaded_weights, on_scale, reading_size, unknown_scale
    from sslbench.advise.frozen import FrozenFeatures, Model
    from sslbench.cli.options import read_settings_of_features
    from sslbench.errors import UserError
    from sslbench.hooks.registry import default_registry
    from sslbench.plan.choose import chosen, model_reference
    from sslbench.plan.reference import parse_reference
    from sslbench.progress.display import Display

    check_file(out)
    settings = read_settings_of_features(options)
    registry = default_registry()
    network = parse_reference(backbone, "--backbone") if backbone else None
    encoder = Model.of(model_reference(model), registry, network)
    reference = dataset_reference(dataset, lambda: size or reading_size(encoder, settings), registry)
    if size is not None and reference.given.get("size") != size:
        raise UserError(
            f"--size is for a folder of images; of data set {reference.name!r} give the parameter: size={size}"
        )
    loaded = loaded_weights(encoder, settings)
    white = loaded.white if loaded else None
    reference = on_scale(reference, white, registry)
    with Display(quiet=QUIET.get()) as display:
        frozen = FrozenFeatures(encoder, chosen("dataset", reference, registry), settings, display.show)
        embeddings = embed(frozen)
    for note in unknown_scale(frozen.data.white, white, "the model does not say how") if loaded else ():
        say(note)
    write(embeddings, out)
    labels = "without labels" if embeddings.labels is None else f"{len(embeddings.classes)} classes"
    show(f"{out}: {len(embeddings):,} images, {embeddings.features.shape[1]:,} features, {labels}")
