"""Evaluators: what features are good for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

from sslbench.contracts.dataset import SplitName
from sslbench.contracts.params import Params
from sslbench.contracts.plugin import BuildContext, Spec, Words

if TYPE_CHECKING:
    from torch import Tensor, device, nn

    from sslbench.contracts.method import Method


@dataclass(frozen=True)
class FeatureSet:
    """Frozen features of one split."""

    features: Tensor  # float32 ``[N, D]``, not normalised
    labels: Tensor | None = None  # int64 ``[N]``, 0..classes-1
    factors: Mapping[str, Tensor] = field(default_factory=dict)  # as in ``Split``, each ``[N]``


@dataclass(frozen=True)
class LinearHead:
    """A classifier on features as they are: the class of row x is the largest of ``weight @ x + bias``."""

    weight: Tensor  # float32 ``[C, D]``
    bias: Tensor  # float32 ``[C]``

    def logits(self, features: Tensor) -> Tensor:
        """float ``[N, D]`` -> ``[N, C]``, whose softmax are probabilities."""
        return features @ self.weight.T + self.bias


class EvaluatedModel(Protocol):
    """A trained model and its images, for an evaluator that frozen features are not enough for.

    Images, maps and rows of the ``FeatureSet`` of a split have the same order. Nothing here may be changed: the
    model is shared by all evaluators, and the harness checks that it is as it was.
    """

    @property
    def device(self) -> device:
        """Where the model is."""

    @property
    def mask_ratio(self) -> float | None:
        """Share of the patches that were masked in training, in (0, 1); None without masking."""

    @property
    def method(self) -> Method:
        """As trained, in eval mode."""

    @property
    def image_size(self) -> int:
        """Side of the images that the encoder is given, pixels."""

    def encoder(self) -> nn.Module:
        """A copy of what was trained, in training mode, every parameter with a gradient, also those that the training
        before kept as they were: normalised float ``[B, 3, S, S]`` -> ``[B, D]``."""

    def scratch(self, seed: int) -> nn.Module:
        """The same architecture as ``seed`` initialises it, untrained; as ``encoder`` in all else."""

    def pixels(self, split: SplitName, indices: Tensor) -> Tensor:
        """uint8 ``[B, 3, H, W]`` on the device, as the data set has them; ``indices`` int64 ``[B]``."""

    def normalise(self, images: Tensor) -> Tensor:
        """float ``[B, 3, S, S]`` in 0..1, such as an augmentation returns -> what the encoder is given."""

    def images(self, split: SplitName, indices: Tensor) -> Tensor:
        """The view for evaluation, normalised float ``[B, 3, S, S]``; ``indices`` int64 ``[B]``."""

    def maps(self, split: SplitName, name: str, indices: Tensor) -> Tensor:
        """``[B, S, S]`` of the data set's map ``name`` in the same view, by the nearest pixel, of the map's dtype."""

    def autocast(self) -> AbstractContextManager[Any]:
        """A context in which the encoder runs in the precision of the run; outside of it float32 is IEEE's."""


class ShownImages(Protocol):
    """The images behind the features, for pictures alone: no metric may depend on them. They are read when they are
    first asked for; where they cannot be read, what the evaluator yielded before counts, and nothing after it."""

    @property
    def class_names(self) -> Sequence[str]:
        """In the order of the labels; empty without labels."""

    def pixels(self, split: SplitName, indices: Tensor) -> Tensor:
        """uint8 ``[B, 3, H, W]`` on the CPU, as the data set has them; ``indices`` int64 ``[B]``, rows of the
        ``FeatureSet`` of that split."""


@dataclass(frozen=True)
class EvaluationData:
    """What an evaluator works on. Fit on ``train``, report on ``test``; choose nothing by ``test``."""

    train: FeatureSet
    test: FeatureSet  # the validation split where the suite asks for it
    classes: int  # above every label of both splits; 0 without labels
    seed: int  # of the run, for draws inside the evaluator
    model: EvaluatedModel | None = None  # for an evaluator whose spec says ``uses_model``
    shown: ShownImages | None = None  # None where nobody looks at pictures, as during a training: yield none then


@dataclass(frozen=True)
class Metric:
    """One measured quantity. ``value`` is None where it could not be measured, never 0 or NaN instead."""

    name: str  # lower case, such as ``top1``
    value: float | None
    unit: str = ""  # such as ``nats``; empty for a share or a plain number
    higher_is_better: bool | None = True  # None where neither is: no row is then the best one
    std: float | None = None  # standard deviation over repeated draws inside the evaluator (ddof 1), or None
    n: int | None = None  # number of those draws
    reason: str = ""  # why ``value`` is None
    per_image: Tensor | None = field(default=None, compare=False, repr=False)
    """the metric of each test image, in order, float ``[N]`` (right or wrong as 1 or 0), whose mean is ``value``"""


@dataclass(frozen=True)
class PicturePoints:
    """What a map of images is made of, so that a report can show the image that a point stands for."""

    xy: Tensor  # float32 ``[N, 2]``, finite; y upwards
    labels: Sequence[str]  # a word for each point, such as its class
    thumbnails: Tensor  # uint8 ``[N, 3, t, t]``, t <= 32


@dataclass(frozen=True)
class Picture:
    """Something to look at, which an evaluator yields beside its metrics. Kept, shown and exported; never compared."""

    name: str  # lower-case words with hyphens, such as ``neighbours``; names its file
    image: Tensor  # uint8 ``[3, H, W]``, at most 2048 pixels a side
    caption: str  # one sentence: what is seen, enough for a reader who cannot see it
    points: PicturePoints | None = None


@runtime_checkable
class Evaluator(Protocol):
    """Measures what features are good for."""

    def evaluate(self, data: EvaluationData) -> Iterable[Metric | Picture]:
        """The metrics, each name once, then pictures, if any. What cannot be measured is a metric whose value is None,
        with the reason."""


@runtime_checkable
class FitsHead(Protocol):
    """An evaluator that can also hand over the linear layer that it evaluates."""

    def fit(self, data: EvaluationData) -> LinearHead:
        """Fitted on ``data.train`` alone. Raises UserError where there is nothing to fit."""


@dataclass(frozen=True, kw_only=True)
class EvaluatorSpec(Spec):
    """The spec of an evaluator."""

    kind: ClassVar[str] = "evaluator"
    build: Callable[[Any, BuildContext], Evaluator]
    needs: Words = frozenset({"labels"})
    """what the data set, the backbone or the method must provide: ``labels``, ``factors``, ``mask``, ``depth``;
    ``encoder``, ``tokens``, ``attention``; ``reconstruction``"""
    uses_model: bool = False  # True: it is also given ``EvaluationData.model``
    headline: str | Callable[[Any], str] = ""
    """the metric to rank by; a function of the parameters where its name depends on them"""

    def ranked_by(self, params: Params) -> str:
        """Name of the metric to rank by with these parameters; empty for none."""
        return self.headline(params) if callable(self.headline) else self.headline
