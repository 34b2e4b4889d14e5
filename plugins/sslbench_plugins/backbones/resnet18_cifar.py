"""ResNet-18 with the stem for small images: 3x3 convolution at stride 1, no max-pooling."""

from __future__ import annotations

from sslbench import BackboneSpec, hookimpl
from sslbench_plugins.backbones.resnet import ResNet, ResNetParams


@hookimpl
def sslbench_backbones() -> list[BackboneSpec]:
    return [
        BackboneSpec(
            name="resnet18-cifar",
            build=lambda params, context: ResNet(ResNetParams(depth=18, stem="cifar")),
            citation="He et al. 2016; stem: Chen et al. 2020, appendix B.9",
        )
    ]
