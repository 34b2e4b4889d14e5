"""Is an augmentation safe for medical images? Anatomy and signal that are left after each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray

from sslbench import (
    Claim,
    SimulationResult,
    SimulatorParams,
    SimulatorSpec,
    across_seeds,
    check_claim,
    hookimpl,
    param,
)
from sslbench_plugins.blocks.images_on_disk.own_image import names_and_views, read_image
from sslbench_plugins.blocks.studies.correlation import pearson
from sslbench_plugins.blocks.studies.listed import OneOrMore, Words
from sslbench_plugins.simulators.augmentation_validator.grey_views import VIEWS, WHITE, brightness, scene

Picture = NDArray[np.float64]
FACTORS = (1.0, 1.2, 1.4, 1.6, 1.8, 2.0)
PERFECT = 1e-9
"""what a correlation of 1 may lack for rounding"""
SLIGHT = 0.1
"""loss of correlation that is called slight"""
SOURCE = "tutorial on self-supervised learning, exercise on augmentations for medical images"


class ValidatorParams(SimulatorParams):
    image: str = param("", "an image file of yours, judged as grey; empty: the drawn scene", unit="path")
    size: int = param(64, "side that your image is resized and cropped to", ge=8, le=1024, unit="px")
    augmentations: Annotated[Words, OneOrMore] = param(
        ("rotation", "flip", "elastic", "brightness", "noise"),
        "what to apply, in this order: rotation, flip, elastic, brightness, noise, or any registered one; a+b+c",
    )


def larger_half(image: Picture) -> str | None:
    """``left`` or ``right`` of the middle column of ``[H, W]``, by the sum of pixels; None where they are equal.

    Of an odd width the middle column belongs to neither. Raises ValueError for what is not two-dimensional or
    narrower than 2 pixels.
    """
    if image.ndim != 2 or image.shape[1] < 2:
        raise ValueError(f"image of shape {image.shape}; expected [H, W] with W of 2 or more")
    half = image.shape[1] // 2
    left, right = float(image[:, :half].sum()), float(image[:, -half:].sum())
    return None if left == right else "left" if left > right else "right"


def anatomy_kept(original: Picture, view: Picture) -> bool | None:
    """Is the half of ``[H, W]`` with the larger pixel sum still the same; None where a half cannot be told."""
    before, after = larger_half(original), larger_half(view)
    return None if before is None or after is None else before == after


def signal_kept(original: Picture, view: Picture) -> float | None:
    """Pearson's correlation of the pixels with the original's, -1..1; None where either image is constant."""
    return pearson(original, view)


class AugmentationValidator:
    def __init__(self, params: ValidatorParams) -> None:
        self.params = params
        self.views = names_and_views(params.augmentations, VIEWS, "augmentations")
        self.colour = read_image(params.image, params.size, "image") if params.image else None

    def original(self, rng: RandomState) -> Picture:
        return scene(rng) if self.colour is None else self.colour.mean(axis=0)

    def applied(self, seed: int, augmentations: dict[str, Callable[..., Picture]]) -> dict[str, Picture]:
        """The original and each augmentation of it, drawn one after another from one generator."""
        rng = RandomState(seed)
        original = self.original(rng)
        found = {"original": original}
        for name, augment in augmentations.items():
            if name in VIEWS:
                found[name] = augment(original, rng)
            else:
                colour = np.broadcast_to(original, (3, *original.shape)) if self.colour is None else self.colour
                found[name] = augment(colour[None], rng)[0].mean(axis=0)
        return found

    def run(self, seed: int) -> SimulationResult:
        pictures = self.applied(seed, self.views)
        original = pictures["original"]
        seeds = range(seed, seed + self.params.claim_seeds)
        measured = {one: self.measured(one) for one in seeds}
        rows = [judged(original, view, name) for name, view in pictures.items() if name != "original"]
        return SimulationResult(
            {"augmentations": rows, "brightness": brightening(original)},
            claims(measured),
            {"augmentations": lambda: draw(pictures)},
            advice(rows),
        )

    def measured(self, seed: int) -> dict[str, dict[str, Any]]:
        """Both measures of the five by name, and the signal under each brightness factor."""
        pictures = self.applied(seed, VIEWS)
        original = pictures.pop("original")
        found: dict[str, dict[str, Any]] = {name: judged(original, view, name) for name, view in pictures.items()}
        found["factors"] = {str(row["factor"]): row["signal_kept"] for row in brightening(original)}
        return found


def judged(original: Picture, view: Picture, name: str) -> dict[str, Any]:
    anatomy, signal = anatomy_kept(original, view), signal_kept(original, view)
    missing = [
        *(["both halves have the same sum: no half to keep"] if anatomy is None else []),
        *(["a constant image has no correlation"] if signal is None else []),
    ]
    return {"augmentation": name, "anatomy_kept": anatomy, "signal_kept": signal, "reason": "; ".join(missing)}


def brightening(original: Picture) -> list[dict[str, Any]]:
    """What is kept under each factor, and the share of pixels that are clipped."""
    return [
        {
            "factor": factor,
            "clipped_share": float((original * factor > WHITE).mean()),
            "signal_kept": (kept := signal_kept(original, brightness(original, factor=factor))),
            "reason": "a constant image has no correlation" if kept is None else "",
        }
        for factor in FACTORS
    ]


@dataclass(frozen=True)
class Seen:
    """What all seeds measured: seed -> view -> its measures; ``factors`` -> signal kept by each factor."""

    measured: dict[int, dict[str, dict[str, Any]]]

    def told(self, test: Callable[[dict[str, Any]], bool]) -> dict[int, bool | None]:
        """By seed; None where a measure that the test needs is undefined."""
        found: dict[int, bool | None] = {}
        for seed, one in self.measured.items():
            undefined = [name for name in VIEWS if None in (one[name]["signal_kept"], one[name]["anatomy_kept"])]
            found[seed] = None if undefined else test(one)
        return found

    def signal(self, name: str, digits: int = 3) -> str:
        """Correlation of a view with the original, over the seeds."""
        return across_seeds([one[name]["signal_kept"] for one in self.measured.values()], digits)

    def signals(self, *names: str) -> str:
        return "; ".join(f"{name} {self.signal(name)}" for name in names)


def kept(one: dict[str, Any]) -> dict[str, float]:
    return {name: one[name]["signal_kept"] for name in VIEWS}


def claims(measured: dict[int, dict[str, dict[str, Any]]]) -> list[Claim]:
    seen = Seen(measured)
    return [anatomy_claim(seen), *brightness_claims(seen), *slight_claims(seen)]


def anatomy_claim(seen: Seen) -> Claim:
    broken = {n: sum(one[n]["anatomy_kept"] is False for one in seen.measured.values()) for n in VIEWS}
    return check_claim(
        "horizontal flipping is the only one of the five that breaks the anatomy",
        SOURCE,
        "the brighter half changes sides under the flip and under no other",
        seen.told(lambda one: [n for n in VIEWS if not one[n]["anatomy_kept"]] == ["flip"]),
        "broken " + (", ".join(f"on {n} seeds by {name}" for name, n in broken.items() if n) or "by none"),
    )


def brightness_claims(seen: Seen) -> list[Claim]:
    factors = [one["factors"].values() for one in seen.measured.values()]
    low = [min((value for value in many if value is not None), default=None) for many in factors]
    return [
        check_claim(
            "brightness keeps the signal best",
            SOURCE,
            "its correlation with the original is the highest of the five",
            seen.told(lambda one: kept(one)["brightness"] == max(kept(one).values())),
            seen.signals(*VIEWS),
        ),
        check_claim(
            "brightness keeps the signal perfectly, because it is a linear scaling (at a factor of 1.2)",
            SOURCE,
            f"correlation 1 to within {PERFECT:g}",
            seen.told(lambda one: one["brightness"]["signal_kept"] >= 1 - PERFECT),
            f"correlation {seen.signal('brightness', 6)}",
        ),
        check_claim(
            "brightness keeps the signal perfectly, because it is a linear scaling (at every factor up to 2)",
            SOURCE,
            f"correlation 1 to within {PERFECT:g} at every factor from {FACTORS[0]:g} to {FACTORS[-1]:g}",
            seen.told(lambda one: all(value >= 1 - PERFECT for value in one["factors"].values())),
            f"lowest correlation {across_seeds(low, 6)}: clipping at {WHITE:g} is not linear",
        ),
    ]


def slight_claims(seen: Seen) -> list[Claim]:
    """What elastic deformation and noise cost."""
    slight, others = "adding noise lowers the signal only slightly", ("rotation", "flip", "elastic")
    return [
        check_claim(
            "elastic deformation keeps less of the signal than brightness",
            SOURCE,
            "its correlation with the original is lower",
            seen.told(lambda one: kept(one)["elastic"] < kept(one)["brightness"]),
            f"elastic {seen.signal('elastic')}, brightness {seen.signal('brightness')}",
        ),
        check_claim(
            f"{slight} (in itself)",
            SOURCE,
            f"it costs at most {SLIGHT:g} of the correlation",
            seen.told(lambda one: kept(one)["noise"] >= 1 - SLIGHT),
            f"correlation {seen.signal('noise')}",
        ),
        check_claim(
            f"{slight} (beside the others)",
            SOURCE,
            "it costs less than rotation, flip and elastic deformation do",
            seen.told(lambda one: kept(one)["noise"] > max(kept(one)[n] for n in others)),
            seen.signals("noise", *others),
        ),
    ]


def advice(rows: list[dict[str, Any]]) -> str:
    breaking = [row["augmentation"] for row in rows if row["anatomy_kept"] is False]
    left_out = f"leave out what moves the anatomy to the other side ({', '.join(breaking)})" if breaking else ""
    safe = [row for row in rows if row["anatomy_kept"] is not False and row["signal_kept"] is not None]
    weakest = min(safe, key=lambda row: row["signal_kept"], default=None)
    faint = (
        f"look at views of {weakest['augmentation']} before training on them: their correlation with the original is"
        f" {weakest['signal_kept']:.2f}"
        if weakest
        else "an image that is constant says nothing about an augmentation"
    )
    text = " and ".join(filter(None, [left_out, faint]))
    return f"{text[0].upper()}{text[1:]}."


def draw(pictures: dict[str, Picture]) -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2.2 * len(pictures), 2.6), layout="constrained")
    for axes, (name, picture) in zip(
        figure.subplots(1, len(pictures), squeeze=False)[0], pictures.items(), strict=True
    ):
        axes.imshow(picture, cmap="gray", vmin=0, vmax=WHITE)
        axes.set_title(name)
        axes.set_axis_off()
    return figure


@hookimpl
def sslbench_simulators() -> list[SimulatorSpec]:
    return [
        SimulatorSpec(
            name="augmentation-validator",
            summary=__doc__.partition("\n")[0],
            params=ValidatorParams,
            build=lambda params, context: AugmentationValidator(params),
            citation=SOURCE,
        )
    ]
