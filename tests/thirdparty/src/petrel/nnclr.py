"""NNCLR: contrastive, the positive of an image is its nearest neighbour among earlier ones."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from sslbench import (
    Backbone,
    BuildContext,
    Method,
    MethodParams,
    MethodSpec,
    Progress,
    UserError,
    ViewRequest,
    gathered,
    hookimpl,
    param,
    rank,
)


class NNCLRParams(MethodParams):
    temperature: float = param(0.1, "of the softmax over the batch", gt=0)
    support: int = param(98304, "embeddings of earlier images that are kept (Q)", ge=2)
    hidden: int = param(2048, "width of the projection head", ge=1)
    dim: int = param(256, "length of an embedding", ge=2)


class NNCLR(Method):
    """Dwibedi et al. 2021, With a little help from my friends: nearest-neighbor contrastive learning of visual
    representations. f: backbone and projection, g: predictor, Q: support set; section 3 and Algorithm 1."""

    queue: Tensor  # unit vectors, float32 [Q, dim]
    oldest: Tensor  # int64 scalar

    def __init__(self, params: NNCLRParams, backbone: Backbone, image_size: int) -> None:
        super().__init__()
        self.temperature, self.image_size = params.temperature, image_size
        self.backbone = backbone
        self.projection = nn.Sequential(
            *layer(backbone.feature_dim, params.hidden),
            *layer(params.hidden, params.hidden),
            nn.Linear(params.hidden, params.dim, bias=False),
            nn.BatchNorm1d(params.dim),
        )
        self.predictor = nn.Sequential(*layer(params.dim, 2 * params.hidden), nn.Linear(2 * params.hidden, params.dim))
        self.register_buffer("queue", functional.normalize(torch.randn(params.support, params.dim), dim=1))
        self.register_buffer("oldest", torch.zeros((), dtype=torch.int64))
        self._latest: list[Tensor] = []

    @property
    def views(self) -> tuple[ViewRequest, ...]:
        return (ViewRequest("global", self.image_size),) * 2

    @property
    def encoder(self) -> nn.Module:
        return self.backbone

    def check_batch(self, batch_size: int) -> None:
        super().check_batch(batch_size)
        if batch_size > len(self.queue):
            raise UserError(f"method 'nnclr': support = {len(self.queue)} holds no batch of {batch_size}")

    def forward(
        self, views: Sequence[Tensor], *, masks: Sequence[Tensor], progress: Progress
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        projections = [self.projection(self.backbone(view)) for view in views]
        first, second = (functional.normalize(z.float(), dim=1) for z in projections)
        predictions = [functional.normalize(self.predictor(z).float(), dim=1) for z in projections]
        with torch.autocast(first.device.type, enabled=False):  # what is near is decided in full precision
            loss = (self.one_way(first, predictions[1]) + self.one_way(second, predictions[0])) / 2
            same = (self.nearest(first) == self.nearest(second)).float().mean()
        self._latest.append(first.detach())
        return loss, {"same_neighbour": same}

    @torch.no_grad()
    def nearest(self, embeddings: Tensor) -> Tensor:
        """Unit [B, dim] -> int64 [B], rows of the support set."""
        return (embeddings @ self.queue.T).argmax(dim=1)

    def one_way(self, embeddings: Tensor, predictions: Tensor) -> Tensor:
        """Neighbours of one view against predictions of the other, of which those of other images are negatives."""
        logits = self.queue[self.nearest(embeddings)] @ gathered(predictions).T / self.temperature
        own = torch.arange(len(logits), device=logits.device) + rank() * len(logits)
        return functional.cross_entropy(logits, own)

    @torch.no_grad()
    def after_step(self, progress: Progress) -> None:
        """The embeddings of the first view replace the oldest ones."""
        for embeddings in map(gathered, self._latest):
            rows = (self.oldest + torch.arange(len(embeddings), device=embeddings.device)) % len(self.queue)
            self.queue.index_copy_(0, rows, embeddings)
            self.oldest.copy_((self.oldest + len(embeddings)) % len(self.queue))
        self._latest.clear()


def layer(before: int, after: int) -> tuple[nn.Module, ...]:
    return nn.Linear(before, after, bias=False), nn.BatchNorm1d(after), nn.ReLU()


def build(params: NNCLRParams, context: BuildContext) -> NNCLR:
    return NNCLR(params, context.backbone, context.image_size)


@hookimpl
def sslbench_methods() -> list[MethodSpec]:
    quick = {"support": 1024, "hidden": 128, "dim": 64}
    return [
        MethodSpec(
            name="nnclr",
            params=NNCLRParams,
            build=build,
            presets={"quick": quick},
            augmentation="simclr",
            citation="Dwibedi, Aytar, Tompson, Sermanet, Zisserman 2021, ICCV",
        )
    ]
