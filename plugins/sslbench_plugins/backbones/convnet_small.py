"""Small residual network (ResNet) for small images: seconds on a CPU."""

from __future__ import annotations

from math import ceil

from torch import Tensor, nn
from torch.nn import functional

from sslbench import Backbone, BackboneSpec, Params, hookimpl, param

LARGEST = 16
"""side of the largest maps in the first stage, pixels"""


class ConvNetParams(Params):
    """The network's one size."""

    width: int = param(32, "channels of the first stage; the features have four times as many", ge=1)


class Residual(nn.Module):
    """Two 3x3 convolutions and a shortcut (He et al. 2016, figure 5 left), stride s in the first."""

    def __init__(self, dim_in: int, dim_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(dim_in, dim_out, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(dim_out)
        self.conv2 = nn.Conv2d(dim_out, dim_out, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(dim_out)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or dim_in != dim_out:
            self.shortcut = nn.Sequential(nn.Conv2d(dim_in, dim_out, 1, stride, bias=False), nn.BatchNorm2d(dim_out))

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C, H, W]`` -> ``[B, C', H/s, W/s]``."""
        out = functional.relu(self.norm1(self.conv1(x)))
        return functional.relu(self.norm2(self.conv2(out)) + self.shortcut(x))


class ConvNetSmall(Backbone):
    """A stem and three residual stages (strides 1, 2, 2), then the mean over positions. The stem's stride brings larger
    images to 16 pixels or fewer, so that the cost does not grow with them."""

    def __init__(self, width: int, image_size: int) -> None:
        super().__init__()
        self.feature_dim = 4 * width
        stride = ceil(image_size / LARGEST)
        kernel = max(3, 2 * stride - 1)
        self.stem = nn.Sequential(
            nn.Conv2d(3, width, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)
        )
        self.stages = nn.Sequential(
            Residual(width, width, 1), Residual(width, 2 * width, 2), Residual(2 * width, 4 * width, 2)
        )

    def forward(self, images: Tensor) -> Tensor:
        maps: Tensor = self.stages(self.stem(images))
        return maps.mean(dim=(2, 3))


@hookimpl
def sslbench_backbones() -> list[BackboneSpec]:
    return [
        BackboneSpec(
            name="convnet-small",
            params=ConvNetParams,
            build=lambda params, context: ConvNetSmall(params.width, context.image_size),
            citation="blocks of He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition, CVPR 2016",
        )
    ]
