"""What each kind of plugin must be: shapes, dtypes, ranges and units, said once.

Nothing here imports torch; the tensors in the signatures are ``torch.Tensor``.
Methods and backbones are torch modules: their base classes are in ``sslbench.train.models``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from sslbench.errors import UserError

if TYPE_CHECKING:
    from torch import Generator, Tensor, device, nn

    from sslbench.train.models import Method

ViewKind = Literal["global", "local"]
Verdict = Literal["holds", "fails", "undecided"]
BatchTransform = Callable[["Tensor", "Generator"], "Tensor"]


@dataclass(frozen=True)
class ViewRequest:
    """One view a method wants. Its place in the method's tuple is the index that the augmentation is asked for."""

    kind: ViewKind
    size: int
    """side of the square view, pixels"""


@dataclass(frozen=True)
class Progress:
    """Where training stands. ``step`` counts optimizer steps from 0, over all epochs."""

    step: int
    total_steps: int
    epoch: int
    epochs: int

    @property
    def fraction(self) -> float:
        """0 before the first step, approaching 1 at the last."""
        return self.step / max(1, self.total_steps)


@runtime_checkable
class Augmentation(Protocol):
    """A distribution over single views."""

    def view(self, index: int, kind: ViewKind, size: int) -> BatchTransform:
        """The transform for view number ``index``.

        It maps uint8 ``[B, 3, H, W]`` on any device, and a generator of that device, to float32
        ``[B, 3, size, size]`` in 0..1 on the same device. Every sample gets its own random parameters, all of
        them drawn from the generator; the input is not changed. Normalisation is not the augmentation's: the
        harness subtracts the data set's mean and divides by its deviation afterwards, for training and judging alike.
        """
        ...


@runtime_checkable
class Masking(Protocol):
    """Which patches of a grid are hidden."""

    def sample(self, batch: int, grid: tuple[int, int], ratio: float, generator: Generator) -> Tensor:
        """bool ``[batch, rows * cols]`` on the generator's device, row-major, True = hidden.

        Exactly ``hidden_count(rows * cols, ratio)`` are True in every row, drawn from the generator.
        """
        ...


def hidden_count(patches: int, ratio: float) -> int:
    """How many of ``patches`` a ratio in (0, 1) hides: all but ``int(patches * (1 - ratio))``, MAE's rule.

    Raises UserError where that leaves no visible or no hidden patch.
    """
    # 1e-9 undoes binary rounding: 100 * (1 - 0.9) is 9.999999999999998.
    visible = int(patches * (1 - ratio) + 1e-9)
    if not 0 < visible < patches:
        raise UserError(
            f"mask ratio = {ratio:g} leaves {visible} of {patches} patches visible; at least one must be visible and"
            f" one hidden: allowed is a ratio above 0 and up to {(patches - 1) * 1000 // patches / 1000:g}"
        )
    return patches - visible


class ImageReader(Protocol):
    """Images by index. A uint8 tensor ``[N, 3, H, W]`` is one; a reader that decodes on demand is another."""

    def __len__(self) -> int: ...

    def __getitem__(self, indices: Tensor) -> Tensor:
        """int64 ``[B]`` -> uint8 ``[B, 3, H, W]``, all of one size.

        Called from a thread of its own, which reads the next batches while the model trains; one call at a time.
        """
        ...


class MapReader(Protocol):
    """Maps by index, one for each image: a tensor ``[N, H, W]``, or a reader that makes them on demand."""

    def __len__(self) -> int: ...

    def __getitem__(self, indices: Tensor) -> Tensor:
        """int64 ``[B]`` -> ``[B, H, W]``, of the images' height and width, always of one dtype."""
        ...


@dataclass(frozen=True)
class Split:
    """One split of a data set."""

    images: ImageReader | Tensor
    labels: Tensor | None = None
    """int64 ``[N]``, 0..classes-1"""
    factors: Mapping[str, Tensor] = field(default_factory=dict)
    """what is known of each image beside its label, each ``[N]``: int64 0..K-1 for a kind of thing, float32 for a
    quantity, which is not circular"""
    paths: Sequence[str] = ()
    """where each image comes from, or empty"""
    skipped: int = 0
    """images that could not be read and were left out, because the user said so"""
    maps: Mapping[str, MapReader | Tensor] = field(default_factory=dict)
    """what is known of each pixel, in the order of the images: ``mask``, uint8, 0 for the ground, 1, 2... for objects
    (1 being the one that the label is about) or for classes of things, 255 where nobody knows; ``depth``, float32,
    0..1, greater is farther, NaN where nobody knows"""
    unlabelled: ImageReader | Tensor | None = None
    """of a training split: other images, without labels, which methods are trained on in the place of these"""

    def __len__(self) -> int:
        return len(self.images)


@runtime_checkable
class Dataset(Protocol):
    """Splits of images with labels. Every data set has ``train`` and ``test``."""

    classes: Sequence[str]
    """names of the classes, in the order of the labels; empty without labels"""
    image_size: int
    """side of its images after reading, pixels"""
    mean: tuple[float, float, float]
    """per channel, of values in 0..1, over the training split"""
    std: tuple[float, float, float]

    def split(self, name: Literal["train", "test"]) -> Split: ...


@dataclass(frozen=True)
class JudgedInput:
    """What an encoder that somebody else trained wants to be given, where that is not the data set's."""

    size: int
    """side of the images, pixels"""
    mean: tuple[float, float, float]
    """per channel, of values in 0..1"""
    std: tuple[float, float, float]
    crop: float = 1.0
    """share of the shorter side that the centre crop keeps, in (0, 1]"""
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"


@dataclass(frozen=True)
class FeatureSet:
    """Frozen features of one split."""

    features: Tensor
    """float32 ``[N, D]``, not normalised"""
    labels: Tensor | None = None
    """int64 ``[N]``"""
    factors: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class LinearHead:
    """A classifier on features as they are: the class of row x is the largest of ``weight @ x + bias``."""

    weight: Tensor
    """float32 ``[C, D]``"""
    bias: Tensor
    """float32 ``[C]``"""

    def logits(self, features: Tensor) -> Tensor:
        """float ``[N, D]`` -> ``[N, C]``, whose softmax are probabilities."""
        return features @ self.weight.T + self.bias


@dataclass(frozen=True)
class TimmModel:
    """A network as plain timm builds it: ``timm.create_model(architecture, num_classes=0, **arguments)``."""

    architecture: str
    arguments: Mapping[str, Any]
    """JSON-able"""
    weights: Mapping[str, Tensor]
    """by timm's names, all of them"""


SplitName = Literal["train", "test"]


class JudgedModel(Protocol):
    """A trained model and its images, for an evaluator that frozen features are not enough for.

    Images, maps and rows of the ``FeatureSet`` of a split have the same order. Nothing here may be changed: the
    model is shared by all evaluators, and the harness checks that it is as it was.
    """

    device: device
    mask_ratio: float | None
    method: Method
    """as trained, in eval mode"""

    @property
    def image_size(self) -> int:
        """Side of the images that the encoder is given, pixels."""
        ...

    def encoder(self) -> nn.Module:
        """A copy of what was trained, to be trained on: normalised float ``[B, 3, S, S]`` -> ``[B, D]``. In training
        mode; every parameter has a gradient, also those that the training before kept as they were."""
        ...

    def scratch(self, seed: int) -> nn.Module:
        """The same architecture as ``seed`` initialises it, untrained; as ``encoder`` in all else."""
        ...

    def pixels(self, split: SplitName, indices: Tensor) -> Tensor:
        """uint8 ``[B, 3, H, W]`` on the device, as the data set has them; ``indices`` int64 ``[B]``."""
        ...

    def normalise(self, images: Tensor) -> Tensor:
        """float ``[B, 3, S, S]`` in 0..1, such as an augmentation answers -> what the encoder is given."""
        ...

    def images(self, split: SplitName, indices: Tensor) -> Tensor:
        """The view for judging, normalised float ``[B, 3, S, S]``; ``indices`` int64 ``[B]``."""
        ...

    def maps(self, split: SplitName, name: str, indices: Tensor) -> Tensor:
        """``[B, S, S]`` of the data set's map ``name`` in the same view, by the nearest pixel, of the map's dtype."""
        ...

    def autocast(self) -> Any:
        """A context in which the encoder runs in the precision of the run."""
        ...


@dataclass(frozen=True)
class EvaluationData:
    """What an evaluator judges. Fit on ``train``, report on ``test``; choose nothing by ``test``."""

    train: FeatureSet
    test: FeatureSet
    classes: int
    """above every label of both splits; 0 without labels"""
    seed: int
    model: JudgedModel | None = None
    """for an evaluator whose spec says ``uses_model``"""


@dataclass(frozen=True)
class Metric:
    """One measured quantity. ``value`` is None where it could not be measured, never 0 or NaN instead."""

    name: str
    value: float | None
    unit: str = ""
    higher_is_better: bool | None = True
    """None where neither is: no row is then the best one"""
    std: float | None = None
    """standard deviation over repeated draws inside the evaluator (ddof 1), or None"""
    n: int | None = None
    """number of those draws"""
    reason: str = ""
    """why ``value`` is None"""
    per_image: Tensor | None = field(default=None, compare=False, repr=False)
    """the metric of each test image, in order, float ``[N]`` (right or wrong as 1 or 0), whose mean is ``value``:
    lets two methods be compared image by image"""


@runtime_checkable
class Evaluator(Protocol):
    """Says what features are good for."""

    def evaluate(self, data: EvaluationData) -> Iterable[Metric]: ...


@runtime_checkable
class FitsHead(Protocol):
    """An evaluator that can also hand over the linear layer that it judges."""

    def fit(self, data: EvaluationData) -> LinearHead:
        """Fitted on ``data.train`` alone. Raises UserError where there is nothing to fit."""
        ...


@dataclass(frozen=True)
class Claim:
    """A sentence of the literature that a run confirms or refutes, with the measured figure.

    ``judge_claim`` makes one from what each seed says.
    """

    statement: str
    source: str
    expected: str
    measured: str
    verdict: Verdict
    seeds: tuple[int, ...] = ()
    """the seeds that the verdict rests on"""


@dataclass(frozen=True)
class SimulationResult:
    """What a simulator answers: named tables, claims, figures by name, and what follows."""

    tables: Mapping[str, list[dict[str, Any]]]
    """name -> rows, each with the same keys. A value that is undefined is None, never NaN, and the row's ``reason``
    says why."""
    claims: Sequence[Claim] = ()
    figures: Mapping[str, Callable[[], Any]] = field(default_factory=dict)
    """name -> a function that draws it and answers a matplotlib figure; only there is matplotlib imported"""
    advice: str = ""
    """what follows for a practitioner, one sentence"""


@runtime_checkable
class Simulator(Protocol):
    """A small study without training."""

    def run(self, seed: int) -> SimulationResult:
        """Tables and figures are of ``seed``; claims rest on ``seed`` and those after it. Raises UserError for
        what the user gave and can mend."""
        ...
