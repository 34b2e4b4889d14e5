from __future__ import annotations

import re

import pytest
import torch

from sslbench import PluginError, UserError, build_installed, build_plugin
from sslbench.hooks.catalogue import KINDS
from sslbench.hooks.registry import Registry
from sslbench.plan import choose

MASKING = """
    from sslbench import MaskingParams, MaskingSpec, hookimpl, param

    class Wanting(MaskingParams):
        angle: float = param(..., "needed")

    @hookimpl
    def sslbench_maskings():
        def build(params, context):
            return "slanted", params.angle

        return [MaskingSpec(name="slanted", summary="s", params=Wanting, build=build)]
"""


@pytest.fixture
def fresh(monkeypatch):
    """Let the module see distributions that a test has just written."""

    def refresh():
        registry = Registry()
        monkeypatch.setattr(choose, "default_registry", lambda: registry)

    return refresh


def test_a_plugin_is_built_with_its_parameters():
    augmentation = build_plugin("augmentation", "simclr:strength=0.5,blur=0")
    (pipeline,) = augmentation.pipelines
    assert pipeline.strengths == (0.4, 0.4, 0.4, 0.1)
    assert pipeline.blur == 0


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("simclrr", "augmentations: unknown augmentation 'simclrr'; did you mean 'simclr'?"),
        ("simclr:strength=9", "augmentations: augmentation 'simclr': strength = 9: input should be less than or equal"),
        ("simclr:x=1", "augmentations: augmentation 'simclr': unknown parameter 'x'"),
        ("simclr:x", "augmentations: 'simclr:x': 'x' is not key=value"),
    ],
)
def test_a_mistake_names_its_place(reference, words):
    with pytest.raises(UserError) as caught:
        build_plugin("augmentation", reference, "augmentations")
    assert caught.value.messages[0].startswith(words)
    assert len(caught.value.messages) == 1


def test_every_kind_can_be_built_from_the_public_door():
    dataset = build_plugin("dataset", "digits")
    assert (dataset.image_size, len(dataset.classes)) == (8, 10)
    backbone = build_plugin("backbone", "vit-tiny-small-image", image_size=8)
    method = build_plugin("method", "mae", backbone=backbone, image_size=8, mask_ratio=0.75)
    assert method.views[0].size == 8


def test_what_is_installed_can_be_built_for_every_kind(capsys):
    built = {kind: set(build_installed(kind)) for kind in KINDS}
    assert all(built.values())
    assert {"digits", "shapes"} <= built["dataset"]
    assert "imagefolder" not in built["dataset"]
    assert "dataset 'imagefolder' is left out: dataset 'imagefolder': root is required" in capsys.readouterr().err


def test_building_seeds_nothing():
    state = torch.get_rng_state()
    build_plugin("augmentation", "simclr")
    assert torch.equal(torch.get_rng_state(), state)


def test_all_that_are_installed_are_built(distribution, fresh):
    distribution("slanted-masks", {"masking.slanted": "slanted"}, {"slanted": MASKING.replace("...", "45.0")})
    fresh()
    built = build_installed("masking")
    assert built["slanted"] == ("slanted", 45.0)
    assert {"random", "block", "grid"} <= set(built)


def test_what_cannot_be_built_is_left_out_with_a_line(distribution, fresh, capsys):
    distribution("slanted-masks", {"masking.slanted": "slanted"}, {"slanted": MASKING})
    distribution("broken-masks", {"masking.broken": "broken_masks"}, {"broken_masks": "raise RuntimeError('ouch')"})
    fresh()
    built = build_installed("masking")
    assert "slanted" not in built
    assert "broken" not in built
    assert {"random", "block", "grid"} <= set(built)
    err = capsys.readouterr().err
    assert "masking 'slanted' is left out: masking 'slanted': angle is required" in err
    assert "ouch" in err
    with pytest.raises(PluginError, match="is broken: RuntimeError: ouch"):
        build_plugin("masking", "broken")


def test_a_method_without_its_backbone_is_refused_in_words():
    words = "method 'simclr' works on a backbone; give one: backbone=build_plugin"
    with pytest.raises(UserError, match=f"^{re.escape(words)}"):
        build_plugin("method", "simclr")
    assert build_plugin("method", "raw-pixels").views == ()


def test_every_data_set_that_needs_no_files_is_built_from_the_public_door():
    assert len(build_plugin("dataset", "digits").split("test")) == 360
