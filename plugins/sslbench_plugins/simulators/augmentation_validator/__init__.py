"""Is an augmentation safe for medical images? Anatomy and signal that are left after each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import numpy as np
from numpy.random import RandomState

from sslbench import BuildContext, SimulationResult, SimulatorParams, SimulatorSpec, hookimpl, param
from sslbench_plugins.blocks.studies.listed import OneOrMore, Words
from sslbench_plugins.blocks.studies.results import Row, row_of_pictures
from sslbench_plugins.blocks.studies.user_data import ArrayView, read_image, views_by_reference
from sslbench_plugins.simulators.augmentation_validator import tables
from sslbench_plugins.simulators.augmentation_validator.claims import SOURCE, claims
from sslbench_plugins.simulators.augmentation_validator.tables import VIEWS, WHITE, GreyView, Measured, Picture


class ValidatorParams(SimulatorParams):
    """Whose image, and which augmentations of it."""

    image: str = param("", "an image file of yours, taken as grey; empty: the drawn scene", unit="path")
    size: int = param(64, "side that your image is resized and cropped to", ge=8, le=1024, unit="px")
    augmentations: Annotated[Words, OneOrMore] = param(
        ("rotation", "flip", "elastic", "brightness", "noise"),
        "what to apply, in this order: rotation, flip, elastic, brightness, noise, or any registered one; a+b+c",
    )


class Validator:
    """Both measures of each view, on the drawn scene or a user's image."""

    def __init__(self, params: ValidatorParams, context: BuildContext) -> None:
        self.params = params
        self.views = views_by_reference(params.augmentations, VIEWS, self.on_grey, "augmentations")
        self.colour = read_image(params.image, params.size, "image") if params.image else None

    def on_grey(self, view: ArrayView) -> GreyView:
        """A registered augmentation of the image in colour, or in three equal channels, and the mean of its result."""

        def apply(image: Picture, rng: RandomState) -> Picture:
            colour = np.broadcast_to(image, (3, *image.shape)) if self.colour is None else self.colour
            return np.asarray(view(colour[None], rng)[0].mean(axis=0))

        return apply

    def pictures(self, seed: int, views: Mapping[str, GreyView]) -> dict[str, Picture]:
        """The original and each view of it, drawn one after another from one generator."""
        rng = RandomState(seed)
        original = tables.scene(rng) if self.colour is None else self.colour.mean(axis=0)
        return {"original": original, **{name: view(original, rng) for name, view in views.items()}}

    def measured(self, seed: int) -> Measured:
        """Both tables, of the five augmentations that the claims are about."""
        pictures = self.pictures(seed, VIEWS)
        original = pictures.pop("original")
        rows = {name: tables.view_row(original, view, name) for name, view in pictures.items()}
        return Measured(rows, tables.brightness_rows(original))

    def run(self, seed: int) -> SimulationResult:
        pictures = self.pictures(seed, self.views)
        original = pictures["original"]
        rows = [tables.view_row(original, view, name) for name, view in pictures.items() if name != "original"]
        return SimulationResult(
            {"augmentations": rows, "brightness": tables.brightness_rows(original)},
            claims({s: self.measured(s) for s in range(seed, seed + self.params.claim_seeds)}),
            {"augmentations": lambda: row_of_pictures(pictures, (2.2, 2.6), cmap="gray", vmin=0, vmax=WHITE)},
            advice(rows),
        )


def advice(rows: list[Row]) -> str:
    """Which augmentations to leave out, and which one to look at first."""
    breaking = [row["augmentation"] for row in rows if row["anatomy_kept"] is False]
    safe = [row for row in rows if row["anatomy_kept"] is not False and row["signal_kept"] is not None]
    sentences = [f"leave out what moves the anatomy to the other side ({', '.join(breaking)})"] if breaking else []
    if safe:
        weakest = min(safe, key=lambda row: row["signal_kept"])
        sentences.append(
            f"look at views of {weakest['augmentation']} before training on them: their correlation with the original"
            f" is {weakest['signal_kept']:.2f}"
        )
    else:
        sentences.append("an image that is constant says nothing about an augmentation")
    text = " and ".join(sentences)
    return f"{text[0].upper()}{text[1:]}."


@hookimpl
def sslbench_simulators() -> list[SimulatorSpec]:
    return [SimulatorSpec(name="augmentation-validator", params=ValidatorParams, build=Validator, citation=SOURCE)]
