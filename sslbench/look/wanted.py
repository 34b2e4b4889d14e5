"""Which augmentations and maskings are shown, and the patches that are masked: what the user names, else defaults."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sslbench.contracts.augmentation import ViewRequest
from sslbench.contracts.plugin import BuildContext
from sslbench.errors import UserError
from sslbench.hooks.registry import Registry
from sslbench.look.defaults import AUGMENTATION, BACKBONE, MASKING
from sslbench.plan.cell import Choice
from sslbench.plan.choose import AUTO, chosen
from sslbench.plan.reference import Reference, parse_reference

GLOBAL_VIEWS, LOCAL_VIEWS = 2, 4
LOCAL_SHARE = 3 / 7
"""side of a local view over that of a global one: 96 of 224 pixels"""


@dataclass(frozen=True)
class LookRequest:
    """What the user asks for."""

    data: str
    augmentations: tuple[str, ...] = ()
    """each ``NAME`` or ``NAME:key=value``; empty: what the data set recommends"""
    maskings: tuple[str, ...] = ()
    backbone: str | None = None
    """whose patches are masked"""
    patch: int | None = None
    """side of a patch, pixels; in the place of a backbone"""
    images: int = 6
    """whose views and masks are shown"""
    seed: int = 0
    download: bool = False


@dataclass(frozen=True)
class Wanted:
    """The plugins behind a request, with their parameters, each under the words that the user has for it."""

    augmentations: tuple[tuple[str, Choice[Any]], ...]
    maskings: tuple[tuple[str, Choice[Any]], ...]
    backbone: Choice[Any] | None
    notes: tuple[str, ...]
    """what was chosen where nothing was named"""


def read_wanted(request: LookRequest, dataset: Choice[Any], registry: Registry) -> Wanted:
    """Look everything up. Raises UserError with one line for each mistake."""
    mistakes, notes = [], []
    if request.backbone is not None and request.patch is not None:
        mistakes.append("--backbone and --patch both say what the patches are: give one of them")
    recommended = dataset.spec.recommends.get("augmentation")
    names = list(request.augmentations)
    if not names:
        names = [recommended or AUGMENTATION]
        why = f"recommended by {dataset.spec.label}" if recommended else "the data set recommends none"
        notes.append(f"augmentation {names[0]} ({why}; -a NAME shows another)")
    names = [(recommended or AUGMENTATION) if name == AUTO else name for name in names]
    augmentations = looked_up("augmentation", names, registry, mistakes)
    if not request.maskings:
        notes.append(f"masking {MASKING} (the default; -k NAME:ratio=0.5 shows another)")
    maskings = looked_up("masking", request.maskings or (MASKING,), registry, mistakes)
    backbones = (
        [] if request.patch is not None else looked_up("backbone", [request.backbone or BACKBONE], registry, mistakes)
    )
    if mistakes:
        raise UserError(*mistakes)
    return Wanted(augmentations, maskings, backbones[0][1] if backbones else None, tuple(notes))


def looked_up(
    kind: str, texts: Sequence[str], registry: Registry, mistakes: list[str]
) -> tuple[tuple[str, Choice[Any]], ...]:
    """The plugins by the texts that name them, each once; what is wrong is added to ``mistakes``."""
    found: dict[str, Choice[Any]] = {}
    for text in dict.fromkeys(texts):
        try:
            reference = parse_reference(text, f"--{kind}")
            found[text] = chosen(kind, Reference(reference.name, reference.given, reference.where), registry)
        except UserError as error:
            mistakes += error.messages
    return tuple(found.items())


def view_requests(augmentation: Choice[Any], image_size: int) -> tuple[ViewRequest, ...]:
    """As many views as methods usually ask for, of the kinds that it makes."""
    kinds = augmentation.spec.view_kinds
    large = (ViewRequest("global", image_size),) * (GLOBAL_VIEWS if "global" in kinds else 0)
    small = (ViewRequest("local", max(1, round(image_size * LOCAL_SHARE))),) * (LOCAL_VIEWS if "local" in kinds else 0)
    return large + small


def patch_grid(wanted: Wanted, patch: int | None, image_size: int) -> tuple[int, int]:
    """Rows and columns of patches. Raises UserError where they do not divide the images, and for a backbone that cuts
    none."""
    if patch is not None:
        if image_size % patch or patch == image_size:
            allowed = ", ".join(str(side) for side in range(1, image_size) if image_size % side == 0)
            why = "leaves one patch" if patch == image_size else "does not divide images"
            raise UserError(f"--patch {patch}: {why} of {image_size} px; allowed: {allowed}")
        return image_size // patch, image_size // patch
    assert wanted.backbone is not None
    network = wanted.backbone.build(BuildContext(image_size=image_size))
    grid = getattr(network, "grid", None)
    if grid is None:
        label = wanted.backbone.spec.label
        raise UserError(f"--backbone: {label} cuts no patches; name one with tokens, or give --patch N")
    rows, columns = grid
    return int(rows), int(columns)
