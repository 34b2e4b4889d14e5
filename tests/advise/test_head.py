"""The files of a head: what is damaged, half written or does not fit together is refused, in one line."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest
import torch

from sslbench.advise.head import Head, read_head, write_head
from sslbench.contracts.evaluator import LinearHead
from sslbench.contracts.executor import PluginChoice
from sslbench.contracts.method import InputSpec
from sslbench.errors import UserError

HEAD = Head(
    LinearHead(torch.arange(24.0).view(3, 8) / 7, torch.ones(3)),
    ["blue", "green", "red"],
    {"method": PluginChoice("pretrained", {"path": "/models/mine"})},
    0,
    "0123456789abcdef",
    20,
    InputSpec(16, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)),
    {"linear_top1": 0.9, "images": 6, "folder": "photos"},
)


@pytest.fixture
def folder(tmp_path):
    write_head(HEAD, tmp_path / "head")
    return tmp_path / "head"


def test_a_head_is_read_as_it_was_written(folder):
    head = read_head(folder)
    assert torch.equal(head.layer.weight, HEAD.layer.weight)
    assert torch.equal(head.layer.bias, HEAD.layer.bias)
    assert replace(head, layer=HEAD.layer) == HEAD


@pytest.mark.parametrize("name", ["head.json", "head.safetensors"])
def test_a_damaged_head_is_refused_in_one_line(folder, flipped, name):
    content = (folder / name).read_bytes()
    half = len(content) // 2
    halves = content[:half], bytes(half) + content[half:], content[:half] + bytes(len(content) - half)
    for damage in [*flipped(folder / name), *halves, b"", b"[]", b"{}"]:
        (folder / name).write_bytes(damage)
        with pytest.raises(UserError, match=str(folder)) as caught:
            read_head(folder)
        assert len(str(caught.value).splitlines()) == 1


def test_a_head_of_two_halves_is_refused(folder, tmp_path):
    """As a kill between its two files leaves it."""
    write_head(replace(HEAD, layer=LinearHead(-HEAD.layer.weight, HEAD.layer.bias)), tmp_path / "other")
    shutil.copy(tmp_path / "other/head.safetensors", folder)
    with pytest.raises(
        UserError, match=r"half written: head\.safetensors and head\.json are of two heads; run sslbench"
    ):
        read_head(folder)


@pytest.mark.parametrize("classes", [["blue"], None, 3])
def test_a_head_that_does_not_fit_together_is_refused(tmp_path, classes):
    write_head(replace(HEAD, classes=classes), tmp_path)
    with pytest.raises(UserError, match="holds no head that `sslbench recipe` wrote"):
        read_head(tmp_path)
