from __future__ import annotations

import pytest

from sslbench import PluginError, UserError, build_installed, build_plugin
from sslbench.hooks.registry import Registry
from sslbench.plan import build

MASKING = """
    from sslbench import MaskingParams, MaskingSpec, hookimpl, param

    class Wanting(MaskingParams):
        angle: float = param(..., "needed")

    @hookimpl
    def sslbench_maskings():
        def build(params):
            return "slanted", params.angle

        return [MaskingSpec(name="slanted", summary="s", params=Wanting, build=build)]
"""


@pytest.fixture
def fresh(monkeypatch):
    """Let the module see distributions that a test has just written."""

    def look():
        registry = Registry()
        monkeypatch.setattr(build, "default_registry", lambda: registry)

    return look


def test_a_plugin_is_built_with_its_parameters():
    augmentation = build_plugin("augmentation", "simclr:strength=0.5,blur=0")
    assert augmentation.pipeline.strengths == (0.4, 0.4, 0.4, 0.1)
    assert augmentation.pipeline.blur == 0


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


def test_all_that_are_installed_are_built(distribution, fresh):
    distribution("slanted-masks", {"masking.slanted": "slanted"}, {"slanted": MASKING.replace("...", "45.0")})
    fresh()
    found = build_installed("masking")
    assert found["slanted"] == ("slanted", 45.0)
    assert {"random", "block", "grid"} <= set(found)


def test_what_cannot_be_built_is_left_out_with_a_line(distribution, fresh, capsys):
    distribution("slanted-masks", {"masking.slanted": "slanted"}, {"slanted": MASKING})
    distribution("broken-masks", {"masking.broken": "broken_masks"}, {"broken_masks": "raise RuntimeError('ouch')"})
    fresh()
    found = build_installed("masking")
    assert "slanted" not in found
    assert "broken" not in found
    assert {"random", "block", "grid"} <= set(found)
    err = capsys.readouterr().err
    assert "masking 'slanted' is left out: masking 'slanted': angle is required" in err
    assert "ouch" in err
    with pytest.raises(PluginError, match="is broken: RuntimeError: ouch"):
        build_plugin("masking", "broken")
