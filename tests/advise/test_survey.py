"""A folder without labels: duplicates and an outlier that were put there are found."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from PIL import Image

from sslbench.advise.frozen import Session, Settings
from sslbench.advise.survey import survey
from sslbench.errors import UserError
from sslbench.hooks.registry import Registry
from sslbench.plan.choose import model_reference

REGISTRY = Registry()


def look(folder, out, *models, **options):
    references = [model_reference(str(one)) for one in models]
    session = Session(Settings("cpu", "fp32", out), REGISTRY, lambda event: None)
    return survey(folder, session, models=references, **options)


@pytest.fixture
def loose(photos):
    """Images at several depths: one twice, one saved again with other bytes, one like no other."""
    shutil.copy(photos / "red/03.png", photos / "copy.png")
    Image.open(photos / "blue/05.png").save(photos / "again.bmp")
    stripes = np.zeros((24, 24, 3), np.uint8)
    stripes[::2] = 255
    Image.fromarray(stripes).save(photos / "odd.png")
    (photos / "broken.jpg").write_bytes(b"")
    (photos / "readme.md").write_text("")
    return photos


def test_duplicates_outliers_and_neighbours(loose, exported, tmp_path):
    result = look(loose, tmp_path / "out", exported, threshold=0.99999)
    assert (result.images, result.features_of) == (39, str(exported))
    assert set(result.notes) == {"1 file left out: cannot be read", "1 file left out: not read: .md"}
    assert result.equal_files == (("copy.png", "red/03.png"),)
    assert {(pair.first, pair.second) for pair in result.near_duplicates} == {
        ("again.bmp", "blue/05.png"),
        ("copy.png", "red/03.png"),
    }
    assert result.near_duplicates[0].cosine == pytest.approx(1, abs=1e-5)
    assert result.outliers[0].path == "odd.png"
    assert result.outliers[0].deviations > 3
    for one in result.neighbours:
        assert one.path not in dict(one.nearest)
        kinds = {path.split("/")[0] for path, _ in one.nearest}
        if "/" in one.path:
            assert one.path.split("/")[0] in kinds
    assert 0 < result.models[0].metrics["spread"] <= 1
    assert result.models[0].dim == 24


def test_without_a_model_an_untrained_network_stands_in_and_a_note_says_so(loose, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.chdir(tmp_path)
    result = look(loose, tmp_path / "out")
    assert [model.label for model in result.models] == ["random-init"]
    assert "No pretrained model can be had here" in result.note


@pytest.mark.parametrize("count", [0, 2])
def test_too_few_images_are_refused(tmp_path, exported, count):
    folder = tmp_path / "few"
    folder.mkdir()
    for number in range(count):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(folder / f"{number}.png")
    words = "few: 2 images can be read; at least 3" if count else "few holds no image .endings"
    with pytest.raises(UserError, match=words):
        look(folder, tmp_path / "out", exported)
