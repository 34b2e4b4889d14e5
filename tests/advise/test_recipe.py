"""The whole path on small folders: numbers, choice, head, and notes on the folder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from sslbench import BuildContext
from sslbench.advise import recipe as module
from sslbench.advise.frozen import Session, Settings
from sslbench.advise.head import read_head
from sslbench.advise.predict import predict
from sslbench.advise.recipe import recipe
from sslbench.advise.rows import Row, choose
from sslbench.errors import UserError
from sslbench.hooks.registry import Registry
from sslbench.plan.choose import model_reference
from sslbench.store.results import ResultsStore

REGISTRY = Registry()


@pytest.fixture(autouse=True)
def quick(monkeypatch, tmp_path):
    """Few epochs from scratch, and nothing that lies about on this machine."""
    monkeypatch.setattr(module, "SCRATCH_EPOCHS", (1, 1))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.chdir(tmp_path)


def recipe_of(folder, out, *models, **options):
    session = Session(Settings("cpu", "fp32", Path(out)), REGISTRY, lambda event: None)
    return recipe(Path(folder), session, models=[model_reference(str(one)) for one in models], **options)


def test_models_and_baselines_are_evaluated_on_a_held_out_fifth(photos, exported, tmp_path):
    result = recipe_of(photos, tmp_path / "out", exported)
    assert (result.folder.classes, result.folder.held_out) == (("blue", "green", "red"), True)
    assert (result.folder.train, result.folder.test, result.folder.fewest) == (30, 6, 10)
    labels = [row.label for row in result.rows]
    scratch = "from scratch (convnet-small, 1 epoch)"
    twin = f"{exported}, untrained"
    assert labels == [str(exported), "raw-pixels", "random-init", twin, scratch, "always answering 'blue'"]
    assert [row.linear for row in result.rows[-3:]] == [1.0, result.rows[4].linear, pytest.approx(1 / 3)]
    assert all(row.right.mean() == row.linear for row in result.rows)
    model = result.rows[0]
    assert (model.kind, model.knn, model.linear, model.dim) == ("model", 1.0, 1.0, 24)
    assert list(model.curve) == [1, 2, 5, 10]
    assert model.curve[10] == (1.0, 0.0)
    assert model.images_per_second > 0
    assert result.rows[1].curve == {}
    assert result.best == 0
    assert result.advice.verdict == "stop"
    assert result.command == ("sslbench", "predict", str(tmp_path / "out/head"), "NEW_IMAGES")
    with ResultsStore.open_for_reading(tmp_path / "out") as store:
        stored = {record.method: record for record in store.records() if record.evaluator == "linear-probe"}
    assert stored["pretrained"].metrics["linear_top1"].value == model.linear
    assert stored["pretrained"].params["dataset"]["size"] == 20
    assert set(stored) == {"pretrained", "raw-pixels", "random-init", "supervised"}


def test_the_head_labels_the_test_images_as_the_probe_did(photos, exported, tmp_path):
    # Noise in the place of some images, so that the probe makes mistakes.
    for name in ("blue", "red"):
        for number in range(0, 12, 2):
            Image.effect_noise((24, 24), 90).convert("RGB").save(photos / name / f"{number:02}.png")
    result = recipe_of(photos, tmp_path / "out", exported, scratch=False)
    head = read_head(result.head)
    assert head.classes == ["blue", "green", "red"]
    settings = Settings("cpu", "fp32")
    test = set(evaluated_paths(photos))
    predictions, skipped, _ = predict(head, [photos], settings, REGISTRY)
    assert skipped == []
    assert len(predictions) == 36
    right = [
        head.classes[max(range(3), key=one.probabilities.__getitem__)] == Path(one.path).parent.name
        for one in predictions
        if one.path in test
    ]
    assert sum(right) / len(right) == pytest.approx(result.rows[0].linear)
    assert result.rows[0].linear < 1
    assert all(sum(one.probabilities) == pytest.approx(1) for one in predictions)
    # One at a time, in any order and from another folder, the result is the same.
    some = [predictions[20], predictions[3]]
    again, *_ = predict(head, [Path(one.path) for one in some], settings, REGISTRY)
    for one, other in zip(some, again, strict=True):
        assert one.path == other.path
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-5)


def evaluated_paths(photos):
    spec = REGISTRY.get("dataset", "imagefolder")
    return spec.build(spec.params(root=str(photos), size=20), BuildContext()).split("test").paths


def test_a_head_whose_model_changed_is_refused(photos, exported, tmp_path):
    shutil.copytree(exported, tmp_path / "mine")
    result = recipe_of(photos, tmp_path / "out", tmp_path / "mine", scratch=False)
    config = tmp_path / "mine/config.json"
    config.write_text(config.read_text().replace("0.25", "0.5"))
    with pytest.raises(UserError, match="the model's weights have changed since the head was fitted"):
        predict(read_head(result.head), [photos], Settings("cpu"), REGISTRY)
    with pytest.raises(UserError, match="holds no head that `sslbench recipe` wrote .No such file"):
        read_head(tmp_path / "mine")


def test_a_head_of_schema_1_is_read_and_one_of_a_later_schema_is_refused(photos, exported, tmp_path):
    result = recipe_of(photos, tmp_path / "out", exported, scratch=False)
    head, path = read_head(result.head), result.head / "head.json"
    facts = json.loads(path.read_text())
    assert facts["schema"] == 2
    numbers = {"linear_top1": result.rows[0].linear, "images": 6, "folder": str(photos)}
    assert facts.pop("numbers") == numbers
    path.write_text(json.dumps({**facts, "schema": 1, "figures": numbers}))
    old = read_head(result.head)
    assert old.note.startswith("a head of schema 1 has no digest: damage to it would not be seen")
    assert (old.numbers, old.plugins, old.input_spec) == (head.numbers, head.plugins, head.input_spec)
    assert predict(old, [photos], Settings("cpu"), REGISTRY) == predict(head, [photos], Settings("cpu"), REGISTRY)
    path.write_text(json.dumps({**facts, "schema": 3, "numbers": numbers}))
    with pytest.raises(UserError, match="holds no head .* schema 3; this version reads 1 and 2"):
        read_head(result.head)


def test_images_that_cannot_be_read_are_named_and_the_others_labelled(photos, exported, tmp_path):
    result = recipe_of(photos, tmp_path / "out", exported, scratch=False)
    (tmp_path / "bad.png").write_text("no image")
    good = photos / "red/00.png"
    predictions, skipped, _ = predict(read_head(result.head), [tmp_path / "bad.png", good], Settings("cpu"), REGISTRY)
    assert [one.path for one in predictions] == [str(good)]
    assert skipped == [str(tmp_path / "bad.png")]
    only_bad = predict(read_head(result.head), [tmp_path / "bad.png"], Settings("cpu"), REGISTRY)
    assert only_bad == ([], [str(tmp_path / "bad.png")], [])
    with pytest.raises(UserError, match="nowhere.png does not exist"):
        predict(read_head(result.head), [tmp_path / "nowhere.png"], Settings("cpu"), REGISTRY)


def test_labels_from_a_table_and_its_own_test_split(photos, exported, tmp_path):
    flat = tmp_path / "flat"
    flat.mkdir()
    rows = ["path,label,split"]
    for index, path in enumerate(sorted(photos.rglob("*.png"))):
        name = f"{path.parent.name}-{path.name}"
        shutil.copy(path, flat / name)
        rows.append(f"{name},{path.parent.name},{'test' if index % 3 == 0 else 'train'}")
    (flat / "labels.csv").write_text("\n".join(rows))
    result = recipe_of(flat, tmp_path / "out", exported, labels=flat / "labels.csv", scratch=False)
    assert (result.folder.train, result.folder.test, result.folder.held_out) == (24, 12, False)
    assert result.rows[0].linear == 1.0
    assert result.folder.notes == ()


def test_without_a_model_it_says_so_and_shows_the_baselines(photos, tmp_path):
    result = recipe_of(photos, tmp_path / "out", scratch=False)
    assert [row.kind for row in result.rows] == ["baseline", "baseline", "constant"]
    assert "No pretrained model can be had here" in result.note
    assert result.rows[result.best].label == "raw-pixels"
    assert read_head(result.head).plugins["method"].name == "raw-pixels"


def test_what_a_user_should_know_about_a_folder_is_noted(photos, exported, tmp_path):
    (photos / "red/notes.txt").write_text("not an image")
    (photos / "blue/broken.png").write_bytes(b"nothing")
    test_image = Path(red_test_image(photos))
    shutil.copy(test_image, test_image.parent / "copy-to-train-on.png")
    (photos / "grey").mkdir()
    shutil.copy(test_image, photos / "grey/alone.png")
    result = recipe_of(photos, tmp_path / "out", exported, scratch=False)
    assert set(result.folder.notes[:2]) == {"1 file left out: cannot be read", "1 file left out: not read: .txt"}
    assert result.folder.notes[2] == "no image to evaluate on of grey"
    assert "to evaluate on are training images as well, byte for byte" in result.folder.notes[3]
    assert result.folder.fewest == 1


def red_test_image(photos):
    spec = REGISTRY.get("dataset", "imagefolder")
    dataset = spec.build(spec.params(root=str(photos), size=20, on_error="skip"), BuildContext())
    return next(path for path in dataset.split("test").paths if "red" in path)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda photos: [shutil.rmtree(photos / name) for name in ("red", "blue")], "has one class, 'green'; at least"),
        (
            lambda photos: [path.unlink() for path in photos.rglob("*.png") if path.stem != "00"],
            "no class has a second",
        ),
        (lambda photos: [path.unlink() for path in (photos / "red").iterdir()], "class folder .*red holds no image"),
        (lambda photos: (shutil.rmtree(photos), photos.mkdir()), "has no folder with images in it; expected"),
    ],
)
def test_a_folder_that_holds_nothing_to_learn_is_refused(photos, exported, tmp_path, make, words):
    make(photos)
    with pytest.raises(UserError, match=words):
        recipe_of(photos, tmp_path / "out", exported)


def test_the_model_is_chosen_by_training_images_alone():
    rows = [
        Row("a", "model", linear=0.99, chosen_by=0.7),
        Row("b", "model", linear=0.80, chosen_by=0.8),
        Row("c", "model", linear=0.85, chosen_by=0.8),
        Row("raw-pixels", "baseline", linear=1.0, chosen_by=1.0),
    ]
    assert choose(rows) == 1
    assert choose(rows[3:]) == 0
    assert choose([Row("a", "model")]) is None


def test_a_model_that_is_not_there_is_reported_before_the_folder_is_read(photos, tmp_path):
    with pytest.raises(UserError, match="is not on this machine; --download fetches it"):
        recipe_of(photos, tmp_path / "out", "pretrained:preset=dinov2-vits14")
    assert not (tmp_path / "out").exists()


def test_where_the_head_cannot_be_written_the_advice_is_given_all_the_same(photos, exported, tmp_path, monkeypatch):
    def full(head, folder):
        raise OSError(28, "No space left on device", str(folder))

    monkeypatch.setattr(module, "write_head", full)
    result = recipe_of(photos, tmp_path / "out", exported, scratch=False)
    assert result.rows[result.best].linear is not None
    assert "No space left on device" in result.not_stored


def test_which_images_are_right_is_never_taken_from_a_damaged_file(photos, exported, tmp_path):
    first = recipe_of(photos, tmp_path / "out", exported, scratch=False)
    for path in (tmp_path / "out/artifacts").glob("*/per_image/*.safetensors"):
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
    again = recipe_of(photos, tmp_path / "out", exported, scratch=False)
    assert again.rows[0].linear == first.rows[0].linear
    assert again.rows[0].right is None
    assert "its share is compared as if it were of other images" in again.rows[0].reason
    assert {one.test for one in again.evidence.baselines} == {"two shares, not paired"}


def test_an_untrained_twin_is_another_draw_of_the_same_network_and_kept(photos, exported, tmp_path, monkeypatch):
    first = recipe_of(photos, tmp_path / "out", exported, scratch=False)
    twin = next(row for row in first.rows if row.kind == "untrained")
    assert (twin.of, twin.dim) == (str(exported), first.rows[0].dim)
    monkeypatch.setattr("sslbench.advise.frozen.extract_all", None)
    again = recipe_of(photos, tmp_path / "out", exported, scratch=False)
    assert next(row for row in again.rows if row.kind == "untrained") == twin


def test_where_there_is_no_untrained_twin_the_reason_is_given_and_the_others_serve(photos, tmp_path):
    result = recipe_of(photos, tmp_path / "out", "raw-pixels", scratch=False)
    twin = next(row for row in result.rows if row.kind == "untrained")
    assert (twin.linear, twin.reason) == (
        None,
        "it cannot be built untrained: it has no weights, or takes them from where they lie",
    )
    assert [one.name for one in result.evidence.baselines] == ["a small untrained network"]


def test_random_weights_given_as_a_model_are_held_against_other_random_weights(photos, tmp_path):
    result = recipe_of(photos, tmp_path / "out", "random-init", scratch=False)
    assert [row.label for row in result.rows] == [
        "random-init",
        "raw-pixels",
        "random-init, untrained",
        "always answering 'blue'",
    ]


def test_of_images_that_were_trained_on_nothing_is_said(photos, exported, tmp_path):
    """Every figure is 1.000."""
    shutil.copytree(photos, tmp_path / "both/train")
    shutil.copytree(photos, tmp_path / "both/test")
    result = recipe_of(tmp_path / "both", tmp_path / "out", exported, scratch=False)
    assert result.rows[0].linear == 1.0
    assert (result.advice.verdict, result.command[:2]) == ("no test", ("sslbench", "recipe"))
    assert "100% of the images to evaluate on equal an image to train on" in result.advice.headline
