"""torchvision's ResNet-18, 34 and 50, with its own stem or the one for small images."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from sslbench import Backbone, BackboneSpec, BuildContext, Params, TimmModel, UserError, hookimpl, param

DEPTHS = (18, 34, 50)


class ResNetParams(Params):
    """Depth and stem of the network, and how its blocks start."""

    depth: int = param(50, "layers: 18, 34 or 50", ge=18, le=50)
    stem: Literal["imagenet", "cifar"] = param(
        "imagenet", "imagenet: 7x7 at stride 2 and max-pooling; cifar: 3x3 at stride 1 and none"
    )
    zero_init_residual: bool = param(False, "start each block as the identity (MoCo v3)")


class ResNet(Backbone):
    """Global average pooling of the last stage: 512 features (18, 34) or 2,048 (50). State dict: torchvision's under
    ``net.``; the small stem is that of SimCLR's appendix B.9."""

    def __init__(self, params: ResNetParams) -> None:
        super().__init__()
        # torchvision takes seconds to import; only a run with this backbone pays for it.
        from torchvision import models

        net = getattr(models, f"resnet{params.depth}")(weights=None, zero_init_residual=params.zero_init_residual)
        self.feature_dim = net.fc.in_features
        if params.stem == "cifar":
            net.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
            nn.init.kaiming_normal_(net.conv1.weight, mode="fan_out", nonlinearity="relu")
            net.maxpool = nn.Identity()
        net.fc = nn.Identity()
        self.net = net
        self.params = params

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.net(images)
        return features

    def as_timm(self) -> TimmModel | None:
        """timm's has the same names; it has no stem for small images without a pooling layer."""
        if self.params.stem != "imagenet":
            return None
        return TimmModel(f"resnet{self.params.depth}", {}, self.net.state_dict())


def build(params: ResNetParams, context: BuildContext) -> ResNet:
    """Raises UserError for a depth that torchvision's ResNet does not have."""
    if params.depth not in DEPTHS:
        raise UserError(f"backbone 'resnet': depth = {params.depth}; allowed: 18, 34, 50")
    return ResNet(params)


@hookimpl
def sslbench_backbones() -> list[BackboneSpec]:
    return [
        BackboneSpec(
            name="resnet",
            params=ResNetParams,
            build=build,
            citation="He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition, CVPR 2016; small stem: Chen"
            " et al. 2020, appendix B.9",
        )
    ]
