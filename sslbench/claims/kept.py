"""Claims and simulations as they are kept in a results folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sslbench.claims.claim_row import ClaimRow
from sslbench.claims.simulate import Simulation, save_figures
from sslbench.contracts.simulator import Claim
from sslbench.store.found import FOLDER, typed_as

CLAIMS, SIMULATION = "claims", "simulation"
"""kinds of what is found out"""


@dataclass(frozen=True)
class KeptSimulation:
    """What one simulator returned, without what draws its figures."""

    simulator: str
    summary: str
    seed: int
    parameters: dict[str, Any]
    tables: dict[str, list[dict[str, Any]]]
    claims: tuple[Claim, ...]
    advice: str
    figures: dict[str, str]
    """name -> digest of its PNG"""
    undrawn: tuple[str, ...] = ()
    """names of figures that were not drawn, since matplotlib was not installed"""


def claims_document(rows: Sequence[ClaimRow]) -> dict[str, Any]:
    """As ``claims --format json`` prints them."""
    return {"schema": 2, "claims": [asdict(row) for row in rows]}


def read_claims(document: Mapping[str, Any], where: str) -> tuple[ClaimRow, ...]:
    """What ``claims_document`` made. Raises DamagedRecord, whose words begin with ``where``."""
    rows: tuple[ClaimRow, ...] = typed_as(tuple[ClaimRow, ...], document.get("claims"), f"{where}: claims")
    return rows


def simulation_document(simulation: Simulation, folder: Path) -> dict[str, Any]:
    """All of it; its figures are saved below ``folder`` where matplotlib is installed. Raises UserError where they
    cannot be."""
    result, figures = simulation.result, dict[str, str]()
    undrawn = tuple(result.figures) if find_spec("matplotlib") is None else ()
    if result.figures and not undrawn:
        (folder / FOLDER).mkdir(parents=True, exist_ok=True)
        save_figures(simulation.name, result.figures, folder / FOLDER)
        figures = {name: digest_of(figure_path(folder, simulation.name, name)) for name in result.figures}
    kept = KeptSimulation(
        simulation.name,
        simulation.summary,
        simulation.seed,
        simulation.parameters,
        dict(result.tables),
        tuple(result.claims),
        result.advice,
        figures,
        undrawn,
    )
    return asdict(kept)


def read_simulation(document: Mapping[str, Any], where: str) -> KeptSimulation:
    """What ``simulation_document`` made. Raises DamagedRecord, whose words begin with ``where``."""
    simulation: KeptSimulation = typed_as(KeptSimulation, dict(document), where)
    return simulation


def figure_path(folder: Path, simulator: str, name: str) -> Path:
    """Of a figure that was saved in a results folder."""
    return folder / FOLDER / f"{simulator}-{name}.png"


def digest_of(path: Path) -> str:
    """Of a file's bytes. Raises OSError."""
    return blake2b(path.read_bytes(), digest_size=16).hexdigest()
