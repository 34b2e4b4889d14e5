"""ResNet-18 with the stem for small images: 3x3 convolution at stride 1, no max-pooling."""

from __future__ import annotations

from torch import Tensor, nn

from sslbench import Backbone, BackboneSpec, hookimpl


class ResNet18Cifar(Backbone):
    """torchvision's ResNet-18 with the stem of SimCLR's appendix B.9; 512 features after global average pooling."""

    def __init__(self) -> None:
        super().__init__()
        # torchvision takes seconds to import; only a run with this backbone pays for it.
        from torchvision.models import resnet18

        self.feature_dim = 512
        net = resnet18(weights=None)
        net.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
        nn.init.kaiming_normal_(net.conv1.weight, mode="fan_out", nonlinearity="relu")
        net.maxpool = nn.Identity()
        net.fc = nn.Identity()
        self.net = net

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.net(images)
        return features


@hookimpl
def sslbench_backbones() -> list[BackboneSpec]:
    return [
        BackboneSpec(
            name="resnet18-cifar",
            build=lambda params, context: ResNet18Cifar(),
            citation="He et al. 2016; stem: Chen et al. 2020, appendix B.9",
        )
    ]
