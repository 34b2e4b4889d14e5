"""Folders of images and a model, for what works on a user's own."""

from __future__ import annotations

import json

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

HUES = {"blue": (40, 60, 200), "green": (40, 190, 70), "red": (210, 50, 40)}


def save_image(path, colour, seed, size=24):
    """A noisy image of one colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(-40, 41, (size, size, 3))
    pixels = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def photos(tmp_path):
    """Three classes of twelve images that any features tell apart."""
    for name, colour in HUES.items():
        for number in range(12):
            save_image(tmp_path / "photos" / name / f"{number:02}.png", colour, hash_of(name, number))
    return tmp_path / "photos"


def hash_of(name, number):
    return sum(map(ord, name)) * 100 + number


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """A small vision transformer as ``sslbench export`` writes one."""
    folder = tmp_path_factory.mktemp("exported") / "model"
    folder.mkdir()
    arguments = {"img_size": 16, "patch_size": 8, "embed_dim": 24, "depth": 1, "num_heads": 2}
    torch.manual_seed(0)
    net = timm.create_model("vit_tiny_patch16_224", num_classes=0, **arguments)
    save_file(net.state_dict(), folder / "model.safetensors")
    cfg = {"input_size": [3, 16, 16], "mean": [0.5] * 3, "std": [0.25] * 3, "crop_pct": 0.8, "interpolation": "bicubic"}
    config = {"architecture": "vit_tiny_patch16_224", "model_args": arguments, "pretrained_cfg": cfg, "sslbench": {}}
    (folder / "config.json").write_text(json.dumps(config))
    return folder
