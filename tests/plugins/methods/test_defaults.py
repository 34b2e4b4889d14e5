"""Defaults and presets against the papers and the authors' codes, read a second time into one table."""

from __future__ import annotations

import pytest

from sslbench.hooks.registry import Registry

REGISTRY = Registry()
LIGHTLY = {"optimizer": "sgd", "lr": 0.06, "lr_batch": 128, "momentum": 0.9, "weight_decay": 5e-4, "warmup_epochs": 0}
PUBLISHED = {
    # run.py, model_util.py: LARS, rate inside the buffer, 0.3 x batch / 256, ten epochs of warm-up, cosine per step
    ("simclr", "default"): {
        "optimizer": "lars",
        "lars_momentum": "inside",
        "lr": 0.3,
        "lr_batch": 256,
        "momentum": 0.9,
        "weight_decay": 1e-6,
        "decay_all": False,
        "warmup_epochs": 10,
        "schedule": "step",
        "lr_end": 0,
        "temperature": 0.1,
        "projector_layers": 2,
        "projector_dim": 128,
    },
    ("simclr", "cifar"): {**LIGHTLY, "temperature": 0.5, "decay_all": True, "schedule": "epoch"},
    # main_moco.py with --mlp --moco-t 0.2 --cos
    ("moco", "default"): {
        "optimizer": "sgd",
        "lr": 0.03,
        "lr_batch": 256,
        "momentum": 0.9,
        "weight_decay": 1e-4,
        "decay_all": True,
        "warmup_epochs": 0,
        "schedule": "epoch",
        "temperature": 0.2,
        "queue_size": 65536,
        "key_momentum": 0.999,
        "head_layers": 2,
        "dim": 128,
        "symmetric": False,
    },
    ("moco", "v1"): {"temperature": 0.07, "head_layers": 1, "queue_size": 65536, "key_momentum": 0.999},
    # colab/moco_cifar10_demo.ipynb
    ("moco", "cifar"): {
        "optimizer": "sgd",
        "lr": 0.06,
        "lr_batch": 512,
        "weight_decay": 5e-4,
        "warmup_epochs": 0,
        "schedule": "epoch",
        "temperature": 0.1,
        "queue_size": 4096,
        "key_momentum": 0.99,
        "dim": 128,
        "head_layers": 1,
        "split_bn": 8,
        "symmetric": False,
    },
    # CONFIG.md: ResNet-50 for 300 epochs; ViT
    ("moco-v3", "default"): {
        "optimizer": "lars",
        "lars_momentum": "outside",
        "lr": 0.3,
        "lr_batch": 256,
        "weight_decay": 1e-6,
        "decay_all": False,
        "warmup_epochs": 10,
        "temperature": 1.0,
        "key_momentum": 0.99,
        "key_momentum_end": 1.0,
        "hidden_dim": 4096,
        "dim": 256,
        "projector_layers": 2,
    },
    ("moco-v3", "vit"): {
        "optimizer": "adamw",
        "lr": 1.5e-4,
        "lr_batch": 256,
        "weight_decay": 0.1,
        "decay_all": True,
        "warmup_epochs": 40,
        "temperature": 0.2,
        "projector_layers": 3,
        "freeze_patch_embedding": True,
    },
    # byol/configs/byol.py for 300 epochs
    ("byol", "default"): {
        "optimizer": "lars",
        "lars_momentum": "outside",
        "lr": 0.3,
        "lr_batch": 256,
        "weight_decay": 1e-6,
        "decay_all": False,
        "warmup_epochs": 10,
        "schedule": "step",
        "target_momentum": 0.99,
        "target_momentum_end": 1.0,
        "hidden_dim": 4096,
        "dim": 256,
    },
    # A loss four times lightly's, so a quarter of its rate and four times its decay.
    ("byol", "cifar"): {
        **LIGHTLY,
        "lr": 0.06 / 4,
        "weight_decay": 5e-4 * 4,
        "decay_all": True,
        "schedule": "epoch",
        "target_momentum": 0.99,
        "target_momentum_end": 0.99,
        "hidden_dim": 1024,
        "dim": 256,
    },
    # main_simsiam.py; appendix D for CIFAR-10
    ("simsiam", "default"): {
        "optimizer": "sgd",
        "lr": 0.05,
        "lr_batch": 256,
        "weight_decay": 1e-4,
        "decay_all": True,
        "projector_dim": 2048,
        "predictor_dim": 512,
        "projector_layers": 3,
        "constant_predictor_lr": True,
    },
    ("simsiam", "cifar"): {"lr": 0.03, "weight_decay": 5e-4, "projector_layers": 2},
    # main_dino.py
    ("dino", "default"): {
        "optimizer": "adamw",
        "lr": 5e-4,
        "lr_batch": 256,
        "lr_end": 1e-6,
        "weight_decay": 0.04,
        "weight_decay_end": 0.4,
        "decay_all": False,
        "warmup_epochs": 10,
        "teacher_momentum": 0.996,
        "teacher_momentum_end": 1.0,
        "student_temperature": 0.1,
        "teacher_temperature": 0.04,
        "teacher_temperature_start": 0.04,
        "centre_momentum": 0.9,
        "prototypes": 65536,
        "head_layers": 3,
        "hidden_dim": 2048,
        "bottleneck_dim": 256,
        "head_norm": False,
        "clip": 3.0,
        "freeze_prototypes": 1,
        "drop_path": 0.1,
        "local_crops": 8,
    },
    ("dino", "boosted"): {
        "teacher_temperature_start": 0.04,
        "teacher_temperature": 0.07,
        "teacher_warmup_epochs": 30,
    },
    ("dino", "resnet"): {"optimizer": "sgd", "lr": 0.03, "weight_decay": 1e-4, "weight_decay_end": None},
    ("dino", "cifar"): {
        **LIGHTLY,
        "decay_all": True,
        "schedule": "epoch",
        "prototypes": 2048,
        "head_layers": 2,
        "hidden_dim": 2048,
        "bottleneck_dim": 256,
        "head_norm": True,
        "local_crops": 0,
        "teacher_momentum": 0.99,
        "teacher_momentum_end": 0.99,
        "clip": 0,
        "freeze_prototypes": 0,
        "weight_decay_end": None,
    },
    # PRETRAIN.md
    ("mae", "default"): {
        "optimizer": "adamw",
        "lr": 1.5e-4,
        "lr_batch": 256,
        "beta1": 0.9,
        "beta2": 0.95,
        "weight_decay": 0.05,
        "decay_all": False,
        "warmup_epochs": 40,
        "schedule": "step",
        "lr_end": 0,
        "decoder_dim": 512,
        "decoder_depth": 8,
        "decoder_heads": 16,
        "norm_pix": True,
    },
    # main_vicreg.py: 8192-8192-8192, 25/25/1, LARS 0.2 x batch / 256 to 0.002, ten epochs of warm-up
    ("vicreg", "default"): {
        "optimizer": "lars",
        "lars_momentum": "outside",
        "lr": 0.2,
        "lr_batch": 256,
        "lr_end": 0.002,
        "weight_decay": 1e-6,
        "decay_all": False,
        "warmup_epochs": 10,
        "invariance_weight": 25,
        "variance_weight": 25,
        "covariance_weight": 1,
        "gamma": 1,
        "epsilon": 1e-4,
        "expander_layers": 3,
        "hidden_dim": 8192,
        "dim": 8192,
    },
    # solo-learn's vicreg.yaml for CIFAR, but for its optimizer
    ("vicreg", "cifar"): {"hidden_dim": 2048, "dim": 2048, "invariance_weight": 25, "expander_layers": 3},
    # lightly's imagenette_benchmark.py
    ("vicreg", "imagenette"): {"optimizer": "lars", "lr": 0.3, "weight_decay": 1e-4, "warmup_epochs": 20, "dim": 2048},
    # main.py of Barlow Twins
    ("barlow-twins", "default"): {
        "optimizer": "lars",
        "lars_momentum": "outside",
        "lr": 0.2,
        "bias_lr": 0.0048,
        "lr_batch": 256,
        "weight_decay": 1e-6,
        "decay_all": False,
        "warmup_epochs": 10,
        "redundancy_weight": 0.0051,
        "invariance_weight": 1,
        "projector_layers": 3,
        "hidden_dim": 8192,
        "dim": 8192,
        "predictor": False,
        "stop_gradient": False,
    },
    ("barlow-twins", "cifar"): {
        **LIGHTLY,
        "bias_lr": 0,
        "decay_all": True,
        "schedule": "epoch",
        "redundancy_weight": 0.005,
        "projector_layers": 2,
        "dim": 2048,
    },
    ("barlow-twins", "imagenette"): {**LIGHTLY, "lr_batch": 256, "projector_layers": 3, "dim": 2048},
    # Appendix A.1: 400 and 800 epochs at 4096; scripts/swav_200ep_bs256_pretrain.sh
    ("swav", "default"): {
        "optimizer": "lars",
        "lars_momentum": "outside",
        "lr": 4.8,
        "lr_batch": 4096,
        "lr_end": 0.0048,
        "weight_decay": 1e-6,
        "decay_all": True,
        "warmup_epochs": 10,
        "prototypes": 3000,
        "hidden_dim": 2048,
        "dim": 128,
        "temperature": 0.1,
        "epsilon": 0.05,
        "sinkhorn_iterations": 3,
        "local_crops": 6,
        "queue_size": 0,
        "freeze_prototypes": 313,
    },
    ("swav", "small-batch"): {
        "lr": 0.6,
        "lr_batch": 256,
        "lr_end": 0.0006,
        "warmup_epochs": 0,
        "queue_size": 3840,
        "queue_start": 15,
        "freeze_prototypes": 5005,
    },
    ("swav", "cifar"): {
        "optimizer": "adamw",
        "lr": 1e-3,
        "lr_batch": 128,
        "weight_decay": 1e-6,
        "warmup_epochs": 0,
        "schedule": "epoch",
        "prototypes": 512,
        "hidden_dim": 512,
        "dim": 128,
        "local_crops": 0,
        "freeze_prototypes": 0,
    },
    ("swav", "imagenette"): {"lr": 1e-3, "lr_batch": 256, "prototypes": 3000, "local_crops": 6, "local_size": 64},
    # section 4 of the paper; configs/vit_base__800ep: AdamW, 1e-4 x batch / 512, gradients clipped at 5
    ("simmim", "default"): {
        "optimizer": "adamw",
        "lr": 1e-4,
        "lr_batch": 512,
        "beta1": 0.9,
        "beta2": 0.999,
        "weight_decay": 0.05,
        "decay_all": False,
        "warmup_epochs": 10,
        "schedule": "step",
        "loss": "l1",
        "loss_on": "masked",
        "head_layers": 1,
        "clip": 5,
    },
    # appendix A.1: AdamW 1e-3 for a batch of 2048, predictor of ViT-L and ViT-H
    ("ijepa", "default"): {
        "optimizer": "adamw",
        "lr": 1e-3,
        "lr_batch": 2048,
        "lr_end": 1e-6,
        "weight_decay": 0.04,
        "weight_decay_end": 0.4,
        "decay_all": False,
        "warmup_epochs": 15,
        "schedule": "step",
        "target_momentum": 0.996,
        "target_momentum_end": 1.0,
        "predictor_dim": 384,
        "predictor_depth": 12,
        "target": "representations",
    },
    # He et al. 2016, sections 3.4 and 4.2
    ("supervised", "default"): {"optimizer": "sgd", "lr": 0.1, "lr_batch": 256, "momentum": 0.9, "weight_decay": 1e-4},
    ("supervised", "cifar"): {"optimizer": "sgd", "lr": 0.1, "lr_batch": 128, "momentum": 0.9, "weight_decay": 1e-4},
}
VIEWS = {
    ("simclr", "default"): {"crop_scale_min": 0.08, "strength": 1.0, "jitter": 0.8, "grey": 0.2, "blur": 0.5},
    ("simclr", "cifar"): {"crop_scale_min": 0.08, "strength": 0.5, "blur": 0},
    ("moco-v2", "default"): {"crop_scale_min": 0.2, "jitter": 0.8, "grey": 0.2, "blur": 0.5},
    ("moco-v2", "cifar"): {"crop_scale_min": 0.08, "jitter": 0.8, "grey": 0.2, "blur": 0},
    ("byol", "default"): {"crop_scale_min": 0.08, "blur_first": 1, "blur_second": 0.1, "solarize_second": 0.2},
    ("dino", "default"): {
        "global_scale_min": 0.4,
        "local_scale_min": 0.05,
        "local_scale_max": 0.4,
        "blur_first": 1,
        "blur_second": 0.1,
        "blur_local": 0.5,
        "solarize_second": 0.2,
    },
    ("dino", "resnet"): {"global_scale_min": 0.14, "local_scale_min": 0.05, "local_scale_max": 0.14},
    ("mae", "default"): {"crop_scale_min": 0.2, "flip": 0.5},
    ("swav", "default"): {
        "global_scale_min": 0.14,
        "local_scale_min": 0.05,
        "local_scale_max": 0.14,
        "jitter": 0.8,
        "strength": 1.0,
        "grey": 0.2,
        "blur": 0.5,
    },
    ("swav", "cifar"): {"global_scale_min": 0.14, "strength": 0.5, "blur": 0},
}


MASKS = {
    "random": {"ratio": 0.75, "unit": 1},
    "multi-block": {
        "targets": 4,
        "target_scale_min": 0.15,
        "target_scale_max": 0.2,
        "target_aspect_min": 0.75,
        "target_aspect_max": 1.5,
        "context_scale_min": 0.85,
        "context_scale_max": 1.0,
    },
}


def resolved(kind, name, preset):
    spec = REGISTRY.get(kind, name)
    return spec.params(**({} if preset == "default" else spec.presets[preset])).model_dump()


@pytest.mark.parametrize(("name", "preset"), PUBLISHED)
def test_a_method_is_set_as_it_was_published(name, preset):
    values, published = resolved("method", name, preset), PUBLISHED[name, preset]
    assert {key: values[key] for key in published} == published


@pytest.mark.parametrize(("name", "preset"), VIEWS)
def test_views_are_set_as_they_were_published(name, preset):
    values, published = resolved("augmentation", name, preset), VIEWS[name, preset]
    assert {key: values[key] for key in published} == published


@pytest.mark.parametrize("name", MASKS)
def test_masks_are_as_they_were_published(name):
    values = resolved("masking", name, "default")
    assert {key: values[key] for key in MASKS[name]} == MASKS[name]


@pytest.mark.parametrize("name", [name for name in REGISTRY.names("method") if REGISTRY.get("method", name).trains])
def test_every_method_has_a_preset_for_small_images_and_a_quick_one(name):
    assert {"cifar", "quick"} <= set(REGISTRY.get("method", name).presets)
