"""Claims and simulations on a page: kept in a folder, shown with verdicts, evidence and the command."""

from __future__ import annotations

import base64
import json

import pytest

from sslbench import Claim, SimulationResult
from sslbench.claims.chapter import of_claims, of_simulations
from sslbench.claims.claim_row import ClaimRow
from sslbench.claims.kept import claims_document, read_claims, read_simulation, simulation_document
from sslbench.claims.simulate import Simulation
from sslbench.cli.main import call
from sslbench.report.charts.drawing import javascript
from sslbench.report.html.folder import Folder
from sslbench.report.html.model import Gallery, Lines, Table
from sslbench.report.html.page import html, page_of
from sslbench.results.chapters import KINDS
from sslbench.store.found import Found, keep

ROWS = (
    ClaimRow("the sky is <blue>", "a poem", "blue", "460 nm; true on 2 of 2 seeds", "holds", (1, 2), "look up"),
    ClaimRow("it rains", "a poem", "rain", "no finished run of rain", "not measured yet", (), "wait"),
)
CLAIM = Claim("it is green", "a poem", "green", "460 nm; true on 0 of 2 seeds", "fails", (1, 2))
TABLES = {"animals": [{"name": f"ant {n}", "share": 0.5, "reason": "no bees" if n else ""} for n in range(3)]}


def figure():
    from matplotlib.figure import Figure

    return Figure(figsize=(1, 1))


def simulation():
    result = SimulationResult(TABLES, [CLAIM], {"of_ants": figure}, "Look up.")
    return Simulation("sky", "What is above.", 1, {"claim_seeds": 2}, result)


def keep_it(folder, kind, name, document):
    keep(folder, Found(kind, name, f"sslbench {kind} <x>", json.loads(json.dumps(document)), {"python": "3.12"}))
    return Folder.read(folder)


def parts_of(chapter, kind):
    return [part for section in chapter.sections for part in section.parts if isinstance(part, kind)]


def cells_of(table):
    return [[cell.text for cell in row] for row in table.rows]


def text_of(folder):
    return html(page_of([folder], KINDS)).replace(javascript(), "")


def test_claims_are_read_as_they_were():
    assert read_claims(json.loads(json.dumps(claims_document(ROWS))), "here") == ROWS


def test_each_claim_has_its_verdict_evidence_seeds_and_command(tmp_path):
    folder = keep_it(tmp_path, "claims", "", claims_document(ROWS))
    chapter = of_claims(folder)
    assert chapter.lead == ["2 claims: 1 holds, 1 not measured yet."]
    first, second = cells_of(parts_of(chapter, Table)[0])
    measured = "Tested: blue. Measured: 460 nm; true on 2 of 2 seeds (seeds 1, 2)."
    assert first == ["holds", "the sky is <blue> (a poem)", measured, "look up"]
    assert second[0] == "not measured yet"
    assert second[2:] == ["Tested: rain. Measured: no finished run of rain.", "wait"]
    text = text_of(folder)
    assert "the sky is &lt;blue&gt;" in text
    assert "sslbench claims &lt;x&gt;" in text
    assert "<blue>" not in text
    assert "There are no results" not in text


def test_a_simulation_has_claims_figures_tables_and_what_follows(tmp_path):
    folder = keep_it(tmp_path, "simulation", "sky", simulation_document(simulation(), tmp_path))
    chapter = of_simulations(folder)
    assert (chapter.lead, chapter.subject) == (["1 claim: 1 fails."], "sky")
    claims, animals, _ = parts_of(chapter, Table)
    assert cells_of(claims)[0][:2] == ["fails", "it is green (a poem)"]
    assert cells_of(animals)[0] == ["ant 0", "0.5"]
    assert animals.notes == ["no bees"]
    [gallery] = parts_of(chapter, Gallery)
    png = base64.b64decode(gallery.pictures[0].source.partition(",")[2])
    assert png == (tmp_path / "found" / "sky-of_ants.png").read_bytes()
    assert gallery.pictures[0].caption == "sky: of ants"
    assert (tmp_path / "found" / "sky-of_ants.svg").is_file()
    lines = [line for part in parts_of(chapter, Lines) for line in part.lines]
    assert lines == ["1 claim: 1 fails.", "Look up.", "seed 1, claim_seeds=2"]


def test_figures_that_could_not_be_drawn_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr("sslbench.claims.kept.find_spec", lambda name: None)
    folder = keep_it(tmp_path, "simulation", "sky", simulation_document(simulation(), tmp_path))
    words = [line for lines in parts_of(of_simulations(folder), Lines) for line in lines.lines]
    assert "of_ants: not drawn, for matplotlib was not installed (pip install 'sslbench[plots]')" in words
    assert not parts_of(of_simulations(folder), Gallery)


def test_a_long_table_is_cut_and_says_so(tmp_path):
    result = SimulationResult({"many": [{"n": n} for n in range(300)]})
    document = simulation_document(Simulation("sky", "", 1, {}, result), tmp_path)
    chapter = of_simulations(keep_it(tmp_path, "simulation", "sky", document))
    table = parts_of(chapter, Table)[0]
    assert (len(table.rows), table.folded) == (200, True)
    assert table.notes == ["the first 200 of 300 rows; the file has all"]


@pytest.mark.parametrize(("damage", "words"), [(b"x", "damaged: its bytes do not match"), (None, "cannot be read: No")])
def test_a_figure_that_is_damaged_or_gone_is_named(tmp_path, damage, words):
    folder = keep_it(tmp_path, "simulation", "sky", simulation_document(simulation(), tmp_path))
    path = tmp_path / "found" / "sky-of_ants.png"
    path.unlink() if damage is None else path.write_bytes(damage)
    text = text_of(folder)
    assert f"{path}: {words}" in text
    assert "it is green" in text


def test_a_document_of_another_shape_is_named_and_hides_nothing_else(tmp_path):
    keep_it(tmp_path, "claims", "", {"claims": [{"verdict": "perhaps"}]})
    folder = keep_it(tmp_path, "simulation", "sky", simulation_document(simulation(), tmp_path))
    text = text_of(folder)
    assert f"{tmp_path}/found/claims.json: claims: damaged: " in text
    assert "it is green" in text


def test_both_commands_keep_what_they_found_and_report_shows_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sslbench.claims.all_claims.all_claims", lambda *_, **__: list(ROWS))
    assert call(["claims", "--out", "kept"]) == 0
    assert call(["simulate", "label-bottleneck", "--set", "claim_seeds=1", "--out", "kept"]) == 0
    assert call(["report", "kept", "-o", "page.html"]) == 0
    kept = Folder.read(tmp_path / "kept")
    assert [found.place for found in kept.found] == ["found/claims.json", "found/simulation-label-bottleneck.json"]
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "sslbench simulate label-bottleneck --set claim_seeds=1 --out kept" in text
    assert "sslbench claims --out kept" in text
    document = read_simulation(kept.found[1].document, "here")
    assert document.simulator == "label-bottleneck"
    assert document.tables
    assert capsys.readouterr().err.count("kept in kept") == 2


@pytest.mark.parametrize("command", [["claims"], ["simulate", "label-bottleneck"]])
def test_a_folder_that_cannot_be_made_is_one_line(tmp_path, monkeypatch, command, capsys):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr("sslbench.claims.all_claims.all_claims", lambda *_, **__: list(ROWS))
    assert call([*command, "--out", str(tmp_path / "file")]) == 2
    assert "file" in capsys.readouterr().err
