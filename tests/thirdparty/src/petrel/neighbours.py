"""Neighbours: how often the nearest of earlier images is of the same class, by how many are kept."""

import torch

from sslbench import (
    BuildContext,
    SimulationResult,
    SimulatorParams,
    SimulatorSpec,
    across_seeds,
    check_claim,
    hookimpl,
    param,
)

SIZES = (16, 64, 256, 1024)


class NeighboursParams(SimulatorParams):
    classes: int = param(10, "classes, each a cloud around its own centre", ge=2)
    spread: float = param(0.3, "deviation of a cloud; the centres' is 1", gt=0)


class Neighbours:
    def __init__(self, params: NeighboursParams) -> None:
        self.params = params

    def draw(self, count, centres, generator):
        labels = torch.randint(len(centres), (count,), generator=generator)
        points = centres[labels] + self.params.spread * torch.randn(count, centres.shape[1], generator=generator)
        return points, labels

    def shares(self, seed: int) -> list[float]:
        generator = torch.Generator().manual_seed(seed)
        centres = torch.randn(self.params.classes, 4, generator=generator)
        queries, wanted = self.draw(500, centres, generator)
        kept, labels = self.draw(max(SIZES), centres, generator)
        distances = torch.cdist(queries, kept)
        return [(labels[distances[:, :n].argmin(dim=1)] == wanted).float().mean().item() for n in SIZES]

    def run(self, seed: int) -> SimulationResult:
        shares = {s: self.shares(s) for s in range(seed, seed + self.params.claim_seeds)}
        claim = check_claim(
            "a larger support set gives neighbours of the same class more often",
            "Dwibedi et al. 2021, section 4.3",
            f"the share at {SIZES[-1]} is above that at {SIZES[0]}",
            {s: of_seed[-1] > of_seed[0] for s, of_seed in shares.items()},
            f"gain: {across_seeds([of_seed[-1] - of_seed[0] for of_seed in shares.values()])}",
        )
        table = [{"kept": size, "share": share} for size, share in zip(SIZES, shares[seed], strict=True)]
        return SimulationResult({"same class": table}, [claim], advice="Keep many.")


def build(params: NeighboursParams, context: BuildContext) -> Neighbours:
    return Neighbours(params)


@hookimpl
def sslbench_simulators():
    return [SimulatorSpec(name="neighbours", params=NeighboursParams, build=build)]
