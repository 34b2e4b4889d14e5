from __future__ import annotations

import numpy as np
import pytest
import torchvision.datasets

from sslbench import UserError
from sslbench.hooks.registry import Registry
from sslbench.testing.conformance import problems

SPEC = Registry().get("dataset", "cifar10")


def test_without_the_files_it_says_how_to_get_them(tmp_path):
    with pytest.raises(UserError, match=r"cifar10: not found in .*; --download fetches it, or .* cifar10:root=FOLDER"):
        SPEC.build(SPEC.params(root=str(tmp_path)), download=False)


def test_the_folder_can_come_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("SSLBENCH_DATA", str(tmp_path / "data"))
    with pytest.raises(UserError, match=str(tmp_path / "data")):
        SPEC.build(SPEC.params(), download=False)


class Fake:
    """What torchvision's class has once the files are there."""

    asked: list[bool] = []  # noqa: RUF012

    def __init__(self, root, train, download):
        self.asked.append(download)
        count = 20 if train else 10
        self.data = np.arange(count, dtype=np.uint8)[:, None, None, None] * np.ones((1, 32, 32, 3), dtype=np.uint8)
        self.targets = [place % 10 for place in range(count)]
        self.classes = [f"class{number}" for number in range(10)]


@pytest.mark.parametrize("download", [False, True])
def test_torchvisions_splits_are_taken_over_and_fetched_only_when_asked(monkeypatch, download):
    Fake.asked.clear()
    monkeypatch.setattr(torchvision.datasets, "CIFAR10", Fake)
    data = SPEC.build(SPEC.params(), download=download)
    assert Fake.asked == [download, download]
    assert (len(data.split("train")), len(data.split("test"))) == (20, 10)
    assert data.split("train").images[7].unique().tolist() == [7]
    assert data.split("test").labels.tolist() == list(range(10))
    assert problems(SPEC) == []
