"""Label-free measures: rank of the features (RankMe, LiDAR, alpha-ReQ), uniformity, and alignment of two views.

Everything is measured on training images, so that a choice made by it has not seen the test split, and on the
features that other evaluators get, before any projector. None of these numbers says what the features are good for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from pydantic import field_validator
from torch import Tensor

from sslbench import EvaluatedModel, EvaluationData, EvaluatorSpec, Metric, Params, build_plugin, hookimpl, param
from sslbench_plugins.blocks.probes.evaluable import model_of, why_not_squarable
from sslbench_plugins.evaluators.label_free.measures import (
    alignment,
    alpha_req,
    effective_rank,
    lidar,
    rankme,
    uniformity,
)

VIEWS_AT_ONCE = 256
FEWEST_IMAGES = 3

Measures = Mapping[str, tuple[Callable[[Tensor], float], bool | None]]
"""name -> function, and whether higher is better"""
# alpha-ReQ is best near 1, so it is its distance from 1 that has a direction.
OF_FEATURES: Measures = {
    "rankme": (rankme, True),
    "effective_rank": (effective_rank, True),
    "alpha_req": (alpha_req, None),
    "alpha_req_off_1": (lambda features: abs(alpha_req(features) - 1), False),
    "uniformity": (uniformity, False),
}
"""of float ``[N, D]``"""
OF_VIEWS: Measures = {"alignment": (alignment, False), "lidar": (lidar, True)}
"""of float ``[n, q, D]``"""


class LabelFreeParams(Params):
    """How many images are measured, and of which views."""

    images: int = param(4096, "training images whose features are measured, a fixed random part", ge=FEWEST_IMAGES)
    view_images: int = param(512, "of these, images of which views are made", ge=FEWEST_IMAGES)
    views: int = param(8, "views of each; 0 leaves alignment and lidar out, which need them", ge=0)
    augmentation: str = param("simclr", "what makes the views, the same for every method", names="augmentation")

    @field_validator("views")
    @classmethod
    def _none_or_two(cls, views: int) -> int:
        if views == 1:
            raise ValueError("one view has no other to be compared with; allowed: 0, or 2 and more")
        return views


class LabelFree:
    """Spectrum and uniformity of frozen features; alignment and LiDAR of fresh views."""

    def __init__(self, params: LabelFreeParams) -> None:
        self.params = params
        self.augmentation = build_plugin("augmentation", params.augmentation, "evaluator 'label-free'")

    def evaluate(self, data: EvaluationData) -> list[Metric]:
        images = random_subset(len(data.train.features), self.params.images)
        features = data.train.features[images.to(data.train.features.device)]
        reason = why_not_measurable(features)
        metrics = measure(OF_FEATURES, features, reason)
        if self.params.views:
            views = features if reason else self._views(model_of(data), images[: self.params.view_images], data.seed)
            metrics += measure(OF_VIEWS, views, reason or why_not_measurable(views.flatten(0, -2)))
        return metrics

    def _views(self, model: EvaluatedModel, images: Tensor, seed: int) -> Tensor:
        """float32 ``[n, q, D]``: features of each image's views; ``images`` int64 ``[n]``."""
        generator = torch.Generator(model.device).manual_seed(seed)
        encoder = model.method.encoder
        views = []
        for number in range(self.params.views):
            transform = self.augmentation.view(number % 2, "global", model.image_size)
            batches = []
            for indices in torch.split(images, VIEWS_AT_ONCE):
                inputs = model.normalise(transform(model.pixels("train", indices), generator))
                with torch.inference_mode(), model.autocast():
                    batches.append(encoder(inputs).float())
            views.append(torch.cat(batches))
        return torch.stack(views, dim=1).clone()


def random_subset(count: int, most: int) -> Tensor:
    """int64 ``[min(count, most)]``: a fixed random choice of ``count`` indices, the same for every method and seed."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(0))[:most]


def why_not_measurable(features: Tensor) -> str:
    """Empty where float ``[N, D]`` can be measured, else one line."""
    if len(features) < FEWEST_IMAGES:
        return f"{len(features)} training images; at least {FEWEST_IMAGES} are needed"
    return why_not_squarable(features, "feature")


def measure(measures: Measures, values: Tensor, reason: str) -> list[Metric]:
    """A metric each; None, with the reason, where there is one or a measure is undefined."""
    metrics = []
    for name, (function, higher_is_better) in measures.items():
        try:
            value, why = (None, reason) if reason else (function(values), "")
        except ValueError as error:
            value, why = None, str(error)
        metrics.append(Metric(name, value, higher_is_better=higher_is_better, reason=why))
    return metrics


@hookimpl
def sslbench_evaluators() -> list[EvaluatorSpec]:
    return [
        EvaluatorSpec(
            name="label-free",
            params=LabelFreeParams,
            build=lambda params, context: LabelFree(params),
            needs=frozenset(),
            uses_model=True,
            headline="rankme",
            citation="Garrido et al. 2023, RankMe; Roy and Vetterli 2007; Agrawal et al. 2022, alpha-ReQ;"
            " Wang and Isola 2020 (alignment, uniformity); Thilak et al. 2024, LiDAR",
        )
    ]
