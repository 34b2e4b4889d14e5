"""Data sets: splits of images, with what is known of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, runtime_checkable

from sslbench.contracts.plugin import BuildContext, ProvidingSpec, Words

if TYPE_CHECKING:
    import torch
    from torch import Tensor

SplitName = Literal["train", "test"]


class ImageReader(Protocol):
    """Images by index. A uint8 tensor ``[N, 3, H, W]`` is one; a reader that decodes on demand is another."""

    def __len__(self) -> int:
        """N, the number of images."""

    def __getitem__(self, indices: Tensor) -> Tensor:
        """int64 ``[B]`` -> uint8 ``[B, 3, H, W]``, all of one size. Called from a thread of its own, which reads the
        next batches while the model trains; one call at a time."""


@runtime_checkable
class DeviceReader(ImageReader, Protocol):
    """A reader that can make its images on a GPU. Training and feature extraction then use nothing else, so that all
    of a run's images are made alike; pictures of them are made by ``__getitem__``."""

    def read_on(self, indices: Tensor, device: torch.device) -> Tensor:
        """int64 ``[B]`` on the host -> uint8 ``[B, 3, H, W]`` on ``device``, with the thread and the sizes of
        ``__getitem__``. Work is queued on the thread's current stream. Raises UserError for a device that it cannot
        use, such as a CPU."""


class MapReader(Protocol):
    """Maps by index, one for each image: a tensor ``[N, H, W]``, or a reader that makes them on demand."""

    def __len__(self) -> int:
        """N, the number of images."""

    def __getitem__(self, indices: Tensor) -> Tensor:
        """int64 ``[B]`` -> ``[B, H, W]``, of the images' height and width, always of one dtype."""


@dataclass(frozen=True)
class Split:
    """One split of a data set."""

    images: ImageReader | Tensor  # uint8 ``[N, 3, H, W]``, or a reader of such images
    labels: Tensor | None = None  # int64 ``[N]``, 0..classes-1
    factors: Mapping[str, Tensor] = field(default_factory=dict)
    """what is known of each image beside its label, each ``[N]``: int64 0..K-1 for a kind of thing, float32 for a
    quantity, which is not circular"""
    paths: Sequence[str] = ()  # where each image comes from, or empty
    maps: Mapping[str, MapReader | Tensor] = field(default_factory=dict)
    """what is known of each pixel, in the order of the images: ``mask``, uint8, 0 for the ground, 1, 2... for objects
    (1 being the one that the label is about) or for classes of things, 255 for unknown; ``depth``, float32, 0..1,
    greater is farther, NaN for unknown"""
    unlabelled: ImageReader | Tensor | None = None
    """of a training split: other images, without labels, which methods are trained on in the place of these"""

    left_out: Mapping[str, int] = field(default_factory=dict)
    """reason, such as ``cannot be read`` -> files or rows that are no part of the split"""
    notes: Sequence[str] = ()
    """what the user should know of how its images are read, one line each"""
    unreadable: Sequence[str] = ()
    """of the images that cannot be read and were left out: name, colon, why"""
    digests: Sequence[bytes] = ()
    """of each image's encoded bytes, so that equal images are found without decoding; or empty"""
    sides: tuple[int, int] | None = None
    """smallest and largest side of the images before they were resized, pixels; None where unknown"""
    white: Mapping[str, float] = field(default_factory=dict)
    """value of deep grey that became 255, by its kind: ``integer`` (more than 8 bits), ``float``; of these and the
    other split together, and of the kinds that were met"""
    held_out: bool = False
    """of a test split: whether it was taken from the only images that there are"""

    def __len__(self) -> int:
        """N, the number of images, ``unlabelled`` ones not counted."""
        return len(self.images)


@runtime_checkable
class Dataset(Protocol):
    """Splits of images. Every data set has ``train`` and ``test``. A frozen dataclass with these fields is one."""

    @property
    def classes(self) -> Sequence[str]:
        """Names of the classes, in the order of the labels; empty without labels."""

    @property
    def image_size(self) -> int:
        """Side of its images after reading, pixels."""

    @property
    def mean(self) -> tuple[float, float, float]:
        """Mean of each channel over the training split, of values in 0..1."""

    @property
    def std(self) -> tuple[float, float, float]:
        """Standard deviation of each channel over the training split, of values in 0..1."""

    def split(self, name: SplitName) -> Split:
        """The images of one split, with what is known of them."""


@dataclass(frozen=True, kw_only=True)
class DatasetSpec(ProvidingSpec):
    """The spec of a data set."""

    kind: ClassVar[str] = "dataset"
    build: Callable[[Any, BuildContext], Dataset]  # uses ``context.download``
    fingerprint: Callable[[Any], str]
    """parameters -> a short text that changes when the data does; must not read every image"""
    provides: Words | Callable[[Any], Words] = frozenset({"labels"})
    """of ``labels``, ``factors``, and the names of its maps, such as ``mask`` and ``depth``"""
    recommends: Mapping[str, str] = field(default_factory=dict)
    """what ``auto`` means on this data set, by axis, such as ``{"augmentation": "affine"}``"""
