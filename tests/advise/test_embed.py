from __future__ import annotations

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors import safe_open

from sslbench import BuildContext
from sslbench.advise import embed as module
from sslbench.advise.embed import check_file, embed, write
from sslbench.advise.folder import dataset_reference, reading_size
from sslbench.advise.frozen import FrozenFeatures, Model, Settings
from sslbench.errors import UserError
from sslbench.execute.events import StageStarted
from sslbench.hooks.registry import Registry
from sslbench.plan.choose import chosen, model_reference
from sslbench.plan.reference import Reference, parse_reference

REGISTRY = Registry()


def make(tmp_path, model, dataset, emit=lambda event: None):
    settings = Settings("cpu", "fp32", tmp_path / "cache")
    encoder = Model.of(model_reference(str(model)), REGISTRY)
    reference = dataset_reference(str(dataset), lambda: reading_size(encoder, settings))
    return FrozenFeatures(encoder, chosen("dataset", reference, REGISTRY), settings, emit)


@pytest.fixture
def features(tmp_path, photos, exported):
    return embed(make(tmp_path, exported, photos))


def test_every_image_is_a_row_with_its_path_label_and_split(features, photos):
    assert len(features) == len(set(features.paths)) == 36
    assert [features.classes[label] for label in features.labels] == [path.split("/")[-2] for path in features.paths]
    assert features.split.tolist() == sorted(features.split.tolist())
    assert 0 < features.split.sum() < 12
    assert features.facts["input"]["size"] == 16
    assert features.facts["dataset"]["params"]["size"] == 20  # 16 / 0.8: not enlarged on the way to the model


def test_the_features_are_those_of_the_encoder_on_the_evaluation_view(features, exported):
    from PIL import Image

    from sslbench.contracts.method import InputSpec
    from sslbench.train.views import EvaluationView

    spec = REGISTRY.get("method", "pretrained")
    method = spec.build(spec.params(path=str(exported)), BuildContext(image_size=8)).eval()
    view = EvaluationView(InputSpec(16, (0.5,) * 3, (0.25,) * 3, 0.8, "bicubic"), "cpu")
    for row in (0, 35):
        image = Image.open(features.paths[row]).resize((20, 20), Image.Resampling.BILINEAR)
        pixels = torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1)[None]
        with torch.no_grad():
            assert torch.allclose(method.encoder(view(pixels))[0], features.features[row], atol=1e-5)


def test_the_second_time_features_come_from_the_cache_unless_the_model_changed(tmp_path, photos, exported):
    def stages(model):
        events = []
        frozen = make(tmp_path, model, photos, events.append)
        return frozen.extraction, events

    extracting = StageStarted("extracting features")
    first, events = stages(exported)
    assert extracting in events
    again, events = stages(exported)
    assert events == []
    assert torch.equal(first.train.features, again.train.features)
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("config.json", "model.safetensors"):
        (copy / name).write_bytes((exported / name).read_bytes())
    stages(copy)
    (copy / "config.json").write_text((copy / "config.json").read_text().replace("0.25", "0.5"))
    assert extracting in stages(copy)[1]


def test_parquet(features, tmp_path):
    write(features, tmp_path / "out.parquet")
    table = pq.read_table(tmp_path / "out.parquet")
    assert table.column_names == ["path", "split", "label", "label_name", "features"]
    rows = np.array(table["features"].to_pylist(), dtype=np.float32)
    assert np.array_equal(rows, features.features.numpy())
    assert table["path"].to_pylist() == features.paths
    assert table["label"].to_pylist() == features.labels.tolist()
    assert table["split"].to_pylist()[:1] == ["train"]
    assert set(table["split"].to_pylist()) == {"train", "test"}
    assert json.loads(table.schema.metadata[b"sslbench"])["model"]["method"]["name"] == "pretrained"


def test_npz(features, tmp_path):
    write(features, tmp_path / "out.npz")
    with np.load(tmp_path / "out.npz", allow_pickle=False) as arrays:
        assert np.array_equal(arrays["features"], features.features.numpy())
        assert arrays["labels"].tolist() == features.labels.tolist()
        assert arrays["paths"].tolist() == features.paths
        assert arrays["classes"].tolist() == ["blue", "green", "red"]
        assert arrays["split"].tolist().count("test") == int(features.split.sum())
        assert json.loads(str(arrays["facts"]))["precision"] == "fp32"


def test_safetensors(features, tmp_path):
    write(features, tmp_path / "out.safetensors")
    with safe_open(tmp_path / "out.safetensors", "pt") as file:
        assert torch.equal(file.get_tensor("features"), features.features)
        assert torch.equal(file.get_tensor("labels"), features.labels)
        assert torch.equal(file.get_tensor("split"), features.split)
        words = file.metadata()
    assert json.loads(words["paths"]) == features.paths
    assert json.loads(words["classes"]) == ["blue", "green", "red"]


@pytest.mark.parametrize("suffix", [".parquet", ".npz", ".safetensors"])
def test_images_without_labels_and_data_sets_without_paths(tmp_path, photos, exported, suffix):
    import shutil

    shutil.copytree(photos / "red", tmp_path / "loose")
    loose = embed(make(tmp_path, exported, tmp_path / "loose"))
    assert (loose.labels, loose.classes, len(loose.paths)) == (None, [], 12)
    write(loose, tmp_path / f"a{suffix}")
    scenes = embed(make(tmp_path, "raw-pixels", "shapes:train_images=4,test_images=3,image_size=16"))
    assert (scenes.paths, len(scenes), set(scenes.factors) >= {"hue", "objects"}) == ([], 7, True)
    write(scenes, tmp_path / f"b{suffix}")
    assert (tmp_path / f"b{suffix}").stat().st_size > 0
    if suffix == ".parquet":
        names = pq.read_schema(tmp_path / "b.parquet").names
        assert "factor.hue" in names
        assert "path" not in names
        assert "label" not in pq.read_schema(tmp_path / "a.parquet").names


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(features, tmp_path, monkeypatch):
    folder = tmp_path / "there"
    write(features, folder / "out.npz")
    before = (folder / "out.npz").read_bytes()

    def full(embeddings, path):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setitem(module.WRITERS, ".npz", full)
    with pytest.raises(UserError, match="out.npz: cannot be written: No space left on device"):
        write(features, folder / "out.npz")
    assert (folder / "out.npz").read_bytes() == before
    assert [path.name for path in folder.iterdir()] == ["out.npz"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a.csv", "a.csv: the ending says the format; allowed: .parquet, .npz, .safetensors"),
        ("a", "the ending says the format"),
    ],
)
def test_an_unknown_ending_is_refused_before_anything_is_extracted(tmp_path, name, words):
    with pytest.raises(UserError, match=words):
        check_file(tmp_path / name)


def test_a_folder_in_the_place_of_the_file_is_refused(tmp_path):
    (tmp_path / "x.npz").mkdir()
    with pytest.raises(UserError, match="x.npz: is a folder; name a file"):
        check_file(tmp_path / "x.npz")


def test_a_method_that_has_to_be_trained_says_how_to_get_there():
    with pytest.raises(UserError, match="simclr has to be trained first: .*sslbench export DIR .* give FOLDER as the"):
        Model.of(parse_reference("simclr", "--model"), REGISTRY)


def test_a_baseline_that_needs_a_network_gets_one(tmp_path):
    model = Model.of(Reference("random-init"), REGISTRY, Reference("convnet-small", {"width": 4}))
    frozen = FrozenFeatures(model, chosen("dataset", Reference("digits"), REGISTRY), Settings("cpu", "fp32", tmp_path))
    assert frozen.extraction.dim == 16
    assert Model.of(Reference("raw-pixels"), REGISTRY).backbone is None
