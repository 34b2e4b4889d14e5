"""scikit-learn's real handwritten digits: 1,797 grey images of 8 x 8 pixels, offline."""

from __future__ import annotations

from hashlib import blake2b
from importlib.util import find_spec
from pathlib import Path

import torch

from sslbench import BuildContext, DatasetSpec, Params, Split, hookimpl
from sslbench_plugins.blocks.images_on_disk.two_splits import TwoSplits

TEST_SHARE, SPLIT_SEED = 0.2, 0


def build(params: Params, context: BuildContext) -> TwoSplits:
    """A fixed stratified split: 1,437 training and 360 test images; grey in three equal channels."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    # Values are 0..16: counts of black pixels in 4 x 4 blocks of the original scans.
    grey = torch.from_numpy(digits.images).mul(255 / 16).round().to(torch.uint8)
    images = grey.unsqueeze(1).repeat(1, 3, 1, 1)
    labels = torch.from_numpy(digits.target).long()
    indices = list(range(len(labels)))
    train, test = train_test_split(indices, test_size=TEST_SHARE, random_state=SPLIT_SEED, stratify=digits.target)

    def split(chosen: list[int]) -> Split:
        return Split(images[chosen], labels[chosen], paths=[f"digits/{index}" for index in chosen])

    return TwoSplits(split(sorted(train)), lambda: split(sorted(test)), [str(digit) for digit in range(10)])


def fingerprint(params: Params) -> str:
    """Digest of the images and labels that scikit-learn brings, read without its import, which takes half a second."""
    import numpy

    package = find_spec("sklearn")
    path = Path(package.origin if package and package.origin else "").parent / "datasets" / "data" / "digits.csv.gz"
    if path.is_file():
        table = numpy.loadtxt(path, delimiter=",")
        images, target = numpy.ascontiguousarray(table[:, :-1]), table[:, -1].astype(int)
    else:
        from sklearn.datasets import load_digits

        digits = load_digits()
        images, target = digits.images, digits.target
    return blake2b(images.tobytes() + target.tobytes(), digest_size=8).hexdigest()


@hookimpl
def sslbench_datasets() -> list[DatasetSpec]:
    return [
        DatasetSpec(
            name="digits",
            build=build,
            fingerprint=fingerprint,
            recommends={"augmentation": "affine"},
            citation="Alpaydin, Kaynak: Optical Recognition of Handwritten Digits, UCI repository, 1998 (test part)",
        )
    ]
