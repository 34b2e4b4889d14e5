"""Every tensor of a file is used or named with its reason, and a network is not given another one's weights."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import nn

from sslbench import UserError
from sslbench_plugins.blocks.networks.likely import likely_architecture
from sslbench_plugins.blocks.networks.weights_fit import account, account_in_words, load

SMALL = {"img_size": 32, "patch_size": 8, "embed_dim": 48, "depth": 2, "num_heads": 2}
DINO = {"img_size": 28, "depth": 1}


def vit(seed=0, name="vit_tiny_patch16_224", **arguments):
    torch.manual_seed(seed)
    net = timm.create_model(name, **{"num_classes": 0, **SMALL, **arguments})
    for p in net.parameters():
        nn.init.normal_(p, std=0.1)
    return net.eval()


def prefixed(prefix, tensors):
    return {f"{prefix}{name}": value for name, value in tensors.items()}


def accounted(fit, tensors):
    facts = account(fit, tensors)
    assert facts["used"] + sum(sum(names.values()) for names in facts["dropped"].values()) == facts["tensors"]
    return facts


@pytest.mark.parametrize(("theirs", "ours"), [("resnet34", "resnet18"), ("resnet101", "resnet50")])
def test_weights_of_a_deeper_network_are_refused_with_its_name(theirs, ours):
    with torch.device("meta"):
        tensors = timm.create_model(theirs, num_classes=0).state_dict()
        net = timm.create_model(ours, num_classes=0)
    with pytest.raises(UserError, match=rf"own kind .*; these weights fit {theirs}; allow_unused=true"):
        load(net, tensors, "file.pth", likely=lambda: likely_architecture(ours, {}, tensors))


def test_weights_of_a_network_without_registers_are_refused_with_its_name():
    with_registers, without = "vit_small_patch14_reg4_dinov2", "vit_small_patch14_dinov2"
    with torch.device("meta"):
        tensors = timm.create_model(without, num_classes=0, **DINO).state_dict()
        net = timm.create_model(with_registers, num_classes=0, **DINO)
    with pytest.raises(UserError, match=rf"missing: reg_token; .*; these weights fit {without}$"):
        load(net, tensors, "file.pth", likely=lambda: likely_architecture(with_registers, DINO, tensors))


@pytest.mark.parametrize("theirs", [True, False], ids=["their names", "timm's names"])
def test_registers_are_not_dropped(theirs):
    with_registers, without = "vit_small_patch14_reg4_dinov2", "vit_small_patch14_dinov2"
    tensors = timm.create_model(with_registers, num_classes=0, **DINO).state_dict()
    if theirs:
        tensors = {name.replace("reg_token", "register_tokens"): value for name, value in tensors.items()}
        tensors["pos_embed"] = torch.cat([torch.zeros(1, 1, 384), tensors["pos_embed"]], dim=1)
        tensors["mask_token"] = torch.zeros(1, 384)
    net = timm.create_model(without, num_classes=0, **DINO)
    with pytest.raises(UserError) as caught:
        load(net, tensors, "file.pth", likely=lambda: likely_architecture(without, DINO, tensors))
    (line,) = caught.value.messages
    assert "; these weights fit vit_small_patch14_reg4_dinov2" in line
    assert ("register_tokens" in line) == theirs
    net = timm.create_model(with_registers, num_classes=0, **DINO)
    facts = accounted(load(net, tensors, "file.pth"), tensors)
    if theirs:
        changed = {"renamed": {"reg_token": 1}, "merged": {"cls_token": 1}, "resampled": {"pos_embed": 1}}
        assert facts["changed"] == changed
        assert facts["dropped"] == {"a part that only the pretraining needs": {"mask_token": 1}}


def test_layer_scale_and_further_blocks_are_of_the_networks_own_kind():
    tensors = vit(depth=3, init_values=0.1).state_dict()
    with pytest.raises(UserError, match=r"of the network's own kind .*ls1\.gamma \(3\)"):
        load(vit(), tensors, "file.pth")
    net = vit(seed=1)
    fit = load(net, tensors, "file.pth", allow_unused=True)
    own = accounted(fit, tensors)["dropped"]["of the network's own kind"]
    assert own["blocks.*.ls1.gamma"] == 3
    assert own["blocks.*.attn.qkv.weight"] == 1
    assert torch.equal(net.blocks[1].attn.qkv.weight, tensors["blocks.1.attn.qkv.weight"])


def test_what_is_left_out_has_its_reason_and_is_said_once():
    net, bad = vit(), vit(seed=3)
    tensors = {
        **prefixed("model.", vit(seed=1, num_classes=5).state_dict()),
        **prefixed("model_ema.", vit(seed=2, num_classes=5).state_dict()),
        **prefixed("student.", bad.state_dict()),
        "optimizer.state.0.exp_avg": torch.zeros(3),
        "model.decoder_blocks.0.mlp.weight": torch.zeros(3),
        "model.mask_token": torch.zeros(3),
        "something.weight": torch.zeros(3),
    }
    fit = load(net, tensors, "file.pth")
    facts = accounted(fit, tensors)
    assert (facts["prefix"], facts["chosen"], facts["used"]) == ("model_ema.", "ema", len(net.state_dict()))
    dropped = {reason: sum(names.values()) for reason, names in facts["dropped"].items()}
    count = len(net.state_dict())
    assert dropped == {
        "another copy of the weights (model)": count + 4,
        "another copy of the weights (student)": count,
        "the classifier, or a head in its place": 2,
        "state of the optimizer": 1,
        "the network has no such part": 1,
    }
    (line,) = account_in_words(fit, tensors, expected=False)
    assert line.startswith(
        f"{count} of {len(tensors)} tensors are used; behind 'model_ema.'; weights = ema; left out: "
    )
    assert "something.weight: the network has no such part" in line
    assert account_in_words(load(net, vit(seed=1).state_dict(), "x"), net.state_dict(), expected=False) == []


@pytest.mark.parametrize(
    ("copies", "which", "chosen"),
    [
        (("state_dict.", "state_dict_ema."), "auto", "state_dict_ema."),
        (("state_dict.", "state_dict_ema."), "raw", "state_dict."),
        (("model.", "model_ema.module."), "ema", "model_ema.module."),
        (("student.backbone.", "teacher.backbone."), "auto", "teacher.backbone."),
        (("student.backbone.", "teacher.backbone."), "raw", "student.backbone."),
        (("module.encoder_q.", "module.encoder_k."), "auto", "module.encoder_q."),
        (("module.encoder_q.", "module.encoder_k."), "ema", "module.encoder_k."),
        (("target.", "online."), "auto", "online."),
        (("",), "raw", ""),
    ],
)
def test_the_moving_average_or_the_weights_are_taken_as_asked(copies, which, chosen):
    nets = {prefix: vit(seed=index + 1) for index, prefix in enumerate(copies)}
    tensors = {}
    for prefix, net in nets.items():
        tensors |= prefixed(prefix, net.state_dict())
    net = vit()
    fit = load(net, tensors, "file.pth", which)
    assert fit.prefix == chosen
    assert fit.chosen == ("ema" if any(word in chosen for word in ("ema", "teacher", "_k")) else "raw")
    assert torch.equal(net.pos_embed, nets[chosen].pos_embed)
    accounted(fit, tensors)


def test_a_copy_that_is_not_there_is_one_line():
    with pytest.raises(UserError, match=r"weights = ema: the file has no such copy; it has: model\. \(raw\)$"):
        load(vit(), prefixed("model.", vit().state_dict()), "file.pth", "ema")


def test_positions_and_patches_of_another_size_are_resampled_and_said():
    tensors = vit().state_dict()
    net = vit(seed=1, img_size=64, patch_size=16)
    fit = load(net, tensors, "file.pth")
    changed = {"resampled": {"patch_embed.proj.weight": 1}}
    assert accounted(fit, tensors)["changed"] == changed
    (line,) = account_in_words(fit, tensors, expected=True)
    assert line == f"{len(tensors)} of {len(tensors)} tensors are used; patch_embed.proj.weight resampled"
    net = vit(seed=1, img_size=64)
    assert accounted(load(net, tensors, "file.pth"), tensors)["changed"] == {"resampled": {"pos_embed": 1}}
    flat = {**tensors, "patch_embed.proj.weight": tensors["patch_embed.proj.weight"].flatten(1)}
    net = vit(seed=1)
    assert accounted(load(net, flat, "file.pth"), flat)["changed"] == {"reshaped": {"patch_embed.proj.weight": 1}}
    assert torch.equal(net.patch_embed.proj.weight, tensors["patch_embed.proj.weight"])


def test_broken_and_whole_numbers_are_refused():
    tensors = vit().state_dict()
    with pytest.raises(UserError, match="file.pth: 1 tensors are not finite: norm.bias"):
        load(vit(), {**tensors, "norm.bias": tensors["norm.bias"] * float("nan")}, "file.pth")
    with pytest.raises(UserError, match=r"29 of .* whole numbers: norm\.weight"):
        load(vit(), {**tensors, "norm.weight": tensors["norm.weight"].to(torch.int8)}, "file.pth")
