"""A map of the features in two dimensions (PCA or t-SNE), drawn with the images, and how far it can be trusted.

The metric is of the map, not of the features: trustworthiness is 1 where whatever is near on the map is near among the
features too, and lower where the map puts images beside each other that are not alike. No row is marked by it. PCA
keeps distances along the two directions with the most variance; t-SNE keeps who is near whom, while distances between
groups and the sizes of groups mean nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import torch
from torch import Tensor

from sslbench import (
    EvaluationData,
    EvaluatorSpec,
    Metric,
    Params,
    Picture,
    PicturePoints,
    ShownImages,
    class_words,
    drawable_names,
    hookimpl,
    param,
    point_map,
    small_images,
    with_names,
)
from sslbench_plugins.blocks.probes.evaluable import Unmeasurable, require, unmeasured, why_all_equal, why_not_finite
from sslbench_plugins.blocks.probes.samples import evenly_spaced

TRUSTWORTHINESS, VARIANCE = "map_trustworthiness", "map_variance"
NEAR = 5
"""neighbours that trustworthiness asks about"""
FEWEST = 2 * NEAR + 2
"""images, of which trustworthiness is defined"""
MOST_COLOURS = 16
"""classes that frames can tell apart"""
THUMBNAIL = 32
"""pixels a side at most of the images that go with the points"""


class FeatureMapParams(Params):
    """How the map is made."""

    method: Literal["tsne", "pca"] = param("tsne", "tsne: who is near whom; pca: the two directions of most variance")
    images: int = param(300, "test images, at most, evenly spaced", ge=FEWEST, le=2000, unit="images")
    perplexity: float = param(30.0, "of t-SNE, about how many neighbours count; less where there are few images", gt=1)


class FeatureMap:
    """Lays test images out by their features, without their labels."""

    def __init__(self, params: FeatureMapParams) -> None:
        self.params = params

    def evaluate(self, data: EvaluationData) -> Iterator[Metric | Picture]:
        rows = evenly_spaced(len(data.test.features), self.params.images)
        features = data.test.features[rows.to(data.test.features.device)].cpu()
        try:
            require(why_no_map(features))
        except Unmeasurable as error:
            for metric in unmeasured([TRUSTWORTHINESS, VARIANCE], str(error)):
                yield Metric(metric.name, None, higher_is_better=None, reason=metric.reason)
            return
        principal, share = principal_components(features)
        xy = principal if self.params.method == "pca" else self._tsne(features, principal, data.seed)
        yield Metric(TRUSTWORTHINESS, trustworthiness_of(features, xy), higher_is_better=None)
        yield Metric(VARIANCE, share, higher_is_better=None)
        if data.shown is not None:
            yield self._picture(data, data.shown, rows, xy)

    def _tsne(self, features: Tensor, principal: Tensor, seed: int) -> Tensor:
        """float32 ``[N, 2]``, starting from the principal components, as scikit-learn does it; exact, so that it is the
        same however many threads there are."""
        from sklearn.manifold import TSNE

        perplexity = min(self.params.perplexity, (len(features) - 1) / 3)
        start = (principal / principal[:, 0].std(unbiased=False) * 1e-4).numpy()
        made: Any = TSNE(2, perplexity=perplexity, init=start, method="exact", random_state=seed)
        return torch.from_numpy(made.fit_transform(features.numpy())).float()

    def _picture(self, data: EvaluationData, shown: ShownImages, rows: Tensor, xy: Tensor) -> Picture:
        images = shown.pixels("test", rows)
        labels = None if data.test.labels is None else data.test.labels.cpu()[rows]
        words, drawn = class_words(shown.class_names, data.classes), drawable_names(shown.class_names, data.classes)
        names = [f"image {row}" for row in rows.tolist()] if labels is None else [words[n] for n in labels.tolist()]
        way = "t-SNE" if self.params.method == "tsne" else "the first two principal components"
        classes = 0 if labels is None else len(set(labels.tolist()))
        known = f" of {classes:,} class{'' if classes == 1 else 'es'}" if classes else ""
        known += ", in frames of their class's colour" if 0 < classes <= MOST_COLOURS else ""
        caption = (
            f"Map of {len(rows)} of {len(data.test.features):,} test images{known}, laid out by their features alone"
            f" ({way}): images that lie near each other have like features."
        )
        if 0 < classes <= MOST_COLOURS and labels is not None:
            caption = with_names(caption, shown.class_names, labels.tolist())
        points = PicturePoints(xy.contiguous(), names, small_images(images, THUMBNAIL))
        return Picture("feature-map", point_map(xy, images, labels, drawn), caption, points)


def why_no_map(features: Tensor) -> str:
    """A reason where ``[N, D]`` cannot be laid out."""
    if len(features) < FEWEST:
        return f"there are {len(features)} test images; a map needs {FEWEST}"
    return why_not_finite("test", features) or why_all_equal("test", features)


def principal_components(features: Tensor) -> tuple[Tensor, float]:
    """float32 ``[N, 2]``, and the share of the variance along both."""
    from sklearn.decomposition import PCA

    made: Any = PCA(min(2, features.shape[1]), svd_solver="full")
    xy = torch.from_numpy(made.fit_transform(features.double().numpy())).float()
    return torch.nn.functional.pad(xy, (0, 2 - xy.shape[1])), min(1.0, float(made.explained_variance_ratio_.sum()))


def trustworthiness_of(features: Tensor, xy: Tensor) -> float:
    """0..1, of the map ``[N, 2]``."""
    from sklearn.manifold import trustworthiness

    return float(trustworthiness(features.double().numpy(), xy.double().numpy(), n_neighbors=NEAR))


@hookimpl
def sslbench_evaluators() -> list[EvaluatorSpec]:
    return [
        EvaluatorSpec(
            name="feature-map",
            params=FeatureMapParams,
            presets={"pca": {"method": "pca"}},
            build=lambda params, context: FeatureMap(params),
            needs=frozenset(),
            headline=TRUSTWORTHINESS,
            citation="van der Maaten and Hinton 2008, Visualizing Data using t-SNE; Venna and Kaski 2001, Neighborhood"
            " preservation in nonlinear projection methods (trustworthiness)",
        )
    ]
