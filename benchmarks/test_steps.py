"""A training step of each method: ours in its loop beside lightly's modules in a lean one (the extra `peers`), bf16
beside fp32.

Both sides get the same views, made before, and have the same backbone, batch, optimizer and memory layout.
"""

from __future__ import annotations

import copy
import warnings

import pytest
import torch
from torch import nn

from sslbench import BuildContext, Progress
from sslbench.hooks.registry import Registry
from sslbench.train.step import TrainingStep
from sslbench.train.task import LoopSettings, StepTask

REGISTRY = Registry()
BATCH, SIZE = 32, 32
SGD = {"optimizer": "sgd", "lr": 0.06, "lr_batch": 0, "weight_decay": 5e-4, "decay_all": True, "warmup_epochs": 0}
PARAMS = {
    "simclr": {**SGD, "temperature": 0.5},
    "moco": {**SGD, "queue_size": 4096, "temperature": 0.1},
    "byol": {**SGD, "hidden_dim": 1024},
    "simsiam": SGD,
    "dino": {**SGD, "prototypes": 2048, "head_norm": True, "local_crops": 2, "weight_decay_end": None, "clip": 0},
    "mae": {
        "lr": 1e-4,
        "lr_batch": 0,
        "warmup_epochs": 0,
        "norm_pix": False,
        "decoder_dim": 96,
        "decoder_depth": 2,
        "decoder_heads": 3,
    },
}


def backbone_for(name):
    torch.manual_seed(0)
    plugin, params = ("vit", {"size": "tiny", "patch_size": 4}) if name == "mae" else ("resnet18-cifar", {})
    spec = REGISTRY.get("backbone", plugin)
    network = spec.build(spec.params(**params), BuildContext(image_size=SIZE))
    return network if name == "mae" else network.to(memory_format=torch.channels_last)


def ours(name, backbone, precision="fp32"):
    """The views, and one step of the loop on them: rates, masks, forward, backward, optimizer, moving averages."""
    spec = REGISTRY.get("method", name)
    params = spec.params(**PARAMS[name])
    ratio = 0.75 if "masking" in spec.uses else None
    method = spec.build(params, BuildContext(backbone=backbone, image_size=SIZE, mask_ratio=ratio))
    masking = REGISTRY.get("masking", "random")
    settings = LoopSettings(10, BATCH, 0, torch.device("cpu"), precision=precision)
    task = StepTask(
        method=method.train(),
        params=params,
        masking=masking.build(masking.params(), BuildContext()),
        mask_ratio=ratio,
    )
    step = TrainingStep(task, settings, BATCH, 100)
    generator = torch.Generator().manual_seed(1)
    views = [torch.randn(BATCH, 3, view.size, view.size, generator=generator) for view in method.views]
    return views, lambda: step(views, None, Progress(100, 1000, 1, 10))


class Lean:
    """lightly's modules as its documentation puts them together, and nothing else in the loop."""

    def __init__(self, backbone, views):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pytest.importorskip("lightly")
            from lightly import loss
            from lightly.models import modules, utils
        self.loss, self.modules, self.utils = loss, modules, utils
        self.backbone, self.views = backbone.train(), views

    def step_of(self, parts, loss, averaged=()):
        """A step: ``loss()`` of trained ``parts``, after the EMA update of each (network, copy) in ``averaged``."""
        trained = [p for part in parts for p in part.parameters() if p.requires_grad]
        if parts[0] is self.backbone:
            optimizer = torch.optim.SGD(trained, lr=0.06, momentum=0.9, weight_decay=5e-4)
        else:
            optimizer = torch.optim.AdamW(trained, lr=1e-4, betas=(0.9, 0.95), weight_decay=0.05)

        def step():
            for network, ema_copy in averaged:
                self.utils.update_momentum(network, ema_copy, 0.99)
            optimizer.zero_grad()
            loss().backward()
            optimizer.step()

        return step

    def ema_copies(self, *networks):
        copies = [copy.deepcopy(network) for network in networks]
        for network in copies:
            self.utils.deactivate_requires_grad(network)
        return copies

    def simclr(self):
        head, criterion = self.modules.SimCLRProjectionHead(512, 512, 128), self.loss.NTXentLoss(0.5)
        return self.step_of(
            (self.backbone, head), lambda: criterion(*(head(self.backbone(view)) for view in self.views))
        )

    def moco(self):
        head = self.modules.MoCoProjectionHead(512, 512, 128)
        keys, key_head = self.ema_copies(self.backbone, head)
        criterion = self.loss.NTXentLoss(0.1, memory_bank_size=(4096, 128))
        first, second = self.views

        def loss():
            return criterion(head(self.backbone(first)), key_head(keys(second)).detach())

        return self.step_of((self.backbone, head), loss, [(self.backbone, keys), (head, key_head)])

    def byol(self):
        head, predict = self.modules.BYOLProjectionHead(512, 1024, 256), self.modules.BYOLPredictionHead(256, 1024, 256)
        target, target_head = self.ema_copies(self.backbone, head)
        criterion = self.loss.NegativeCosineSimilarity()

        def loss():
            predicted = [predict(head(self.backbone(view))) for view in self.views]
            targets = [target_head(target(view)).detach() for view in self.views]
            return (criterion(predicted[0], targets[1]) + criterion(predicted[1], targets[0])) / 2

        return self.step_of((self.backbone, head, predict), loss, [(self.backbone, target), (head, target_head)])

    def simsiam(self):
        head = self.modules.SimSiamProjectionHead(512, 2048, 2048)
        predict = self.modules.SimSiamPredictionHead(2048, 512, 2048)
        criterion = self.loss.NegativeCosineSimilarity()

        def loss():
            z = [head(self.backbone(view)) for view in self.views]
            p = [predict(embedding) for embedding in z]
            return (criterion(p[0], z[1].detach()) + criterion(p[1], z[0].detach())) / 2

        return self.step_of((self.backbone, head, predict), loss)

    def dino(self):
        head = self.modules.DINOProjectionHead(512, 2048, 256, 2048, batch_norm=True)
        # A normed weight cannot be copied: the teacher has a head of its own.
        teacher_head = self.modules.DINOProjectionHead(512, 2048, 256, 2048, batch_norm=True)
        (teacher,) = self.ema_copies(self.backbone)
        self.utils.deactivate_requires_grad(teacher_head)
        criterion = self.loss.DINOLoss(2048, warmup_teacher_temp_epochs=0, teacher_temp=0.04)

        def loss():
            with torch.no_grad():
                targets = [teacher_head(teacher(view)) for view in self.views[:2]]
            return criterion(targets, [head(self.backbone(view)) for view in self.views], epoch=1)

        return self.step_of((self.backbone, head), loss, [(self.backbone, teacher), (head, teacher_head)])

    def mae(self):
        utils, vit = self.utils, self.backbone.net
        encoder = self.modules.MaskedVisionTransformerTIMM(vit=vit)
        length = encoder.sequence_length
        decoder = self.modules.MAEDecoderTIMM(
            num_patches=length - 1,
            patch_size=4,
            embed_dim=192,
            decoder_embed_dim=96,
            decoder_depth=2,
            decoder_num_heads=3,
        )
        criterion = nn.MSELoss()
        images = self.views[0]

        def loss():
            kept, masked = utils.random_token_mask(size=(BATCH, length), mask_ratio=0.75)
            encoded = decoder.embed(encoder.encode(images=images, idx_keep=kept))
            tokens = utils.repeat_token(decoder.mask_token, (BATCH, length))
            tokens = utils.set_at_index(tokens, kept, encoded.type_as(tokens))
            predicted = decoder.predict(utils.get_at_index(decoder.decode(tokens), masked))
            return criterion(predicted, utils.get_at_index(utils.patchify(images, 4), masked - 1))

        return self.step_of((encoder, decoder), loss)


@pytest.mark.parametrize("name", PARAMS)
def test_a_step(beside, name):
    backbone = backbone_for(name)
    views, step = ours(name, copy.deepcopy(backbone))
    with warnings.catch_warnings():
        # lightly norms weights in a way that torch deprecates.
        warnings.simplefilter("ignore", FutureWarning)
        theirs = getattr(Lean(backbone, views), name)()
    beside(f"step {name}", step, "lightly", theirs, rounds=3)


@pytest.mark.parametrize("name", ["simclr", "mae"])
def test_a_step_in_bf16(beside, name):
    backbone = backbone_for(name)
    _, step = ours(name, copy.deepcopy(backbone), "bf16")
    _, plain = ours(name, backbone)
    beside(f"step {name} in bf16", step, "fp32", plain, rounds=3)
