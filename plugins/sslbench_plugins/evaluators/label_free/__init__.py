"""Without labels: how many directions features use, how even they lie, how near views of one image are.

Everything is measured on training images, so that a choice made by it has not seen the test split, and on the
features that are judged, before any projector. None of these figures says what the features are good for.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from pydantic import field_validator
from torch import Tensor

from sslbench import EvaluatedModel, EvaluationData, EvaluatorSpec, Metric, Params, build_plugin, hookimpl, param
from sslbench_plugins.blocks.probes.evaluable import LARGEST
from sslbench_plugins.evaluators.label_free.spectrum import alpha_req, effective_rank, rankme
from sslbench_plugins.evaluators.label_free.view_geometry import alignment, lidar, uniformity

VIEWS_AT_ONCE = 256
FEWEST_IMAGES = 3

Wanted = dict[str, tuple[Callable[[Tensor], float], bool | None]]
# name, higher is better; alpha-ReQ is best near 1, so it is its distance from 1 that has a direction.
OF_FEATURES: Wanted = {
    "rankme": (rankme, True),
    "effective_rank": (effective_rank, True),
    "alpha_req": (alpha_req, None),
    "alpha_req_off_1": (lambda features: abs(alpha_req(features) - 1), False),
    "uniformity": (uniformity, False),
}
OF_VIEWS: Wanted = {
    "alignment": (alignment, False),
    "lidar": (lidar, True),
}


class LabelFreeParams(Params):
    images: int = param(4096, "training images whose features are looked at, a fixed random part", ge=FEWEST_IMAGES)
    view_images: int = param(512, "of these, images of which views are made", ge=FEWEST_IMAGES)
    views: int = param(8, "views of each; 0 leaves alignment and lidar out, which need them", ge=0)
    augmentation: str = param("simclr", "what makes the views, the same for every method", names="augmentation")

    @field_validator("views")
    @classmethod
    def _none_or_two(cls, views: int) -> int:
        if views == 1:
            raise ValueError("one view has no other to be held against; allowed: 0, or 2 and more")
        return views


class LabelFree:
    """Spectrum and uniformity of frozen features; alignment and LiDAR of fresh views."""

    def __init__(self, params: LabelFreeParams) -> None:
        self.params = params
        self.augmentation = build_plugin("augmentation", params.augmentation, "evaluator 'label-free'")

    def evaluate(self, data: EvaluationData) -> list[Metric]:
        assert data.model is not None
        chosen = some(len(data.train.features), self.params.images)
        features = data.train.features[chosen.to(data.train.features.device)]
        metrics = measured(OF_FEATURES, features, why_not(features))
        if self.params.views:
            reason = why_not(features)
            views = features if reason else self._views(data.model, chosen[: self.params.view_images], data.seed)
            metrics += measured(OF_VIEWS, views, reason or why_not(views.flatten(0, -2)))
        return metrics

    def _views(self, model: EvaluatedModel, chosen: Tensor, seed: int) -> Tensor:
        """float32 ``[n, q, D]``: each image's views through the frozen encoder."""
        generator = torch.Generator(model.device).manual_seed(seed)
        encoder = model.method.encoder
        columns = []
        for place in range(self.params.views):
            transform = self.augmentation.view(place % 2, "global", model.image_size)
            parts = []
            for indices in chosen.split(VIEWS_AT_ONCE):
                images = model.normalise(transform(model.pixels("train", indices), generator))
                with torch.inference_mode(), model.autocast():
                    parts.append(encoder(images).float())
            columns.append(torch.cat(parts))
        return torch.stack(columns, dim=1).clone()


def some(count: int, most: int) -> Tensor:
    """int64 ``[min(count, most)]``: a fixed random choice of ``count`` places, the same for every method and seed."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(0))[:most]


def why_not(features: Tensor) -> str:
    """Empty where float ``[N, D]`` can be measured, else one line."""
    if len(features) < FEWEST_IMAGES:
        return f"{len(features)} training images; at least {FEWEST_IMAGES} are needed"
    bad = int((~(features.abs() <= LARGEST)).any(dim=1).sum())
    return f"{bad} of {len(features)} feature vectors hold NaN, infinity or more than {LARGEST:.0e}" if bad else ""


def measured(wanted: Wanted, values: Tensor, reason: str) -> list[Metric]:
    """A metric each; None, with the reason, where one is undefined."""
    metrics = []
    for name, (measure, higher) in wanted.items():
        try:
            value, why = (None, reason) if reason else (measure(values), "")
        except ValueError as error:
            value, why = None, str(error)
        metrics.append(Metric(name, value, higher_is_better=higher, reason=why))
    return metrics


@hookimpl
def sslbench_evaluators() -> list[EvaluatorSpec]:
    return [
        EvaluatorSpec(
            name="label-free",
            summary=__doc__.partition("\n")[0],
            params=LabelFreeParams,
            build=lambda params, context: LabelFree(params),
            needs=frozenset(),
            uses_model=True,
            headline="rankme",
            citation="Garrido et al. 2023, RankMe; Roy and Vetterli 2007; Agrawal et al. 2022, alpha-ReQ;"
            " Wang and Isola 2020 (alignment, uniformity); Thilak et al. 2024, LiDAR",
        )
    ]
