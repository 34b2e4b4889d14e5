from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import sslbench
from sslbench.hooks.catalogue import Catalogue
from sslbench.plan import identity
from sslbench.plan.identity import HARNESS, digest_of, harness_identity, imports_of, plugin_identity, sources_of


@pytest.fixture(autouse=True)
def unread():
    """Sources are read once a process; tests change them."""
    forget()
    yield
    forget()


def forget():
    identity.digest_of.cache_clear()
    identity.source_of.cache_clear()


def write(folder, **modules):
    for name, source in modules.items():
        path = folder.joinpath(*name.split("__")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)


def digest(module):
    forget()
    return digest_of((module,))


def test_a_digest_follows_the_imports_of_the_own_package_and_no_others(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    write(
        tmp_path,
        idpkg__plugin="import json\nfrom idpkg.part import f\nfrom . import third\n",
        idpkg__part="f = 1\n",
        idpkg__third="x = 1\n",
        idpkg__other="y = 1\n",
    )
    before = digest("idpkg.plugin")
    write(tmp_path, idpkg__other="y = 2\n")
    assert digest("idpkg.plugin") == before
    write(tmp_path, idpkg__third="x = 2\n")
    after_third = digest("idpkg.plugin")
    assert after_third != before
    write(tmp_path, idpkg__part="f = 2\n")
    assert digest("idpkg.plugin") not in (before, after_third)


def test_the_init_of_a_package_is_code_of_its_modules(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "idinit").mkdir()
    (tmp_path / "idinit/__init__.py").write_text("")
    write(tmp_path, idinit__plugin="x = 1\n")
    before = digest("idinit.plugin")
    (tmp_path / "idinit/__init__.py").write_text("import torch\n")
    assert digest("idinit.plugin") != before


def test_relative_imports_are_resolved():
    source = b"from ..b import c\nfrom . import d\nimport e.f\n"
    assert list(imports_of("top.a.m", False, source)) == ["top.b", "top.b.c", "top.a", "top.a.d", "e.f"]
    assert list(imports_of("top.a", True, b"from .b import c\n")) == ["top.a.b", "top.a.b.c"]
    assert list(imports_of("top.a", False, b"def f(:\n")) == []


def test_a_distribution_is_known_by_version_and_sources_however_it_is_installed(distribution):
    folder = distribution("idone", {"masking.idone": "idone_plugin"}, {"idone_plugin": "x = 1\n"}, version="2.5")
    (entry,) = Catalogue.installed().owners("masking", "idone")
    before = plugin_identity(entry)
    assert before.startswith("idone 2.5+")
    info = next(folder.glob("*.dist-info"))
    (info / "direct_url.json").write_text('{"url": "file:///x", "dir_info": {"editable": true}}')
    forget()
    assert plugin_identity(entry) == before
    (folder / "idone_plugin.py").write_text("x = 2\n")
    forget()
    assert plugin_identity(entry) != before
    (folder / "idone_plugin.py").unlink()
    forget()
    assert plugin_identity(entry) == "idone 2.5"


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """A copy of sslbench that a test may edit, read in the place of sslbench itself."""
    root, copy = Path(sslbench.__file__).parent, tmp_path / "sslbench"
    shutil.copytree(root, copy, ignore=shutil.ignore_patterns("__pycache__"))
    original = identity.module_path

    def module_path(module):
        path = original(module)
        return copy / path.relative_to(root) if path and path.is_relative_to(root) else path

    monkeypatch.setattr(identity, "module_path", module_path)
    return copy


COMPUTING = (
    "contracts/backbone.py",
    "contracts/masking.py",
    "contracts/method.py",
    "contracts/params.py",
    "evaluate/features.py",
    "evaluate/run.py",
    "execute/pretraining.py",
    "execute/worker.py",
    "measure/flops.py",
    "train/data.py",
    "train/optimizers.py",
    "train/step.py",
    "train/trainer.py",
)


@pytest.mark.parametrize("name", COMPUTING)
def test_an_edit_of_code_that_computes_changes_the_harness(copied, name):
    before = harness_identity()
    with (copied / name).open("a") as file:
        file.write("# edited\n")
    forget()
    assert harness_identity() != before


ROOMS = (
    "advise",
    "claims",
    "cli",
    "hooks",
    "look",
    "measure",
    "plan",
    "report",
    "speed",
    "statistics",
    "store",
    "testing",
)
DRAWING = "train/view_pictures.py"
OTHERS = (
    "contracts/observer.py",
    "contracts/simulator.py",
    "errors.py",
    "execute/scheduler.py",
    "execute/session.py",
    "execute/events.py",
)


@pytest.mark.parametrize("room", [*ROOMS, *OTHERS, DRAWING])
def test_an_edit_of_code_that_only_times_describes_stores_or_shows_does_not(copied, room):
    before = harness_identity()
    computing = {copied / f"measure/{name}.py" for name in ("flops", "precision", "__init__")}
    others = {copied / room} if room.endswith(".py") else set((copied / room).rglob("*.py")) - computing
    assert others
    for path in others:
        with path.open("a") as file:
            file.write("# edited\n")
    forget()
    assert harness_identity() == before


def test_what_the_harness_computes_with_is_all_of_training_and_evaluation():
    root = Path(sslbench.__file__).parent
    modules = set(sources_of(HARNESS))
    for room in ("train", "evaluate"):
        files = set((root / room).glob("[a-z]*.py")) - {root / DRAWING}
        assert {f"sslbench.{room}.{path.stem}" for path in files} <= modules


def identity_of(name):
    forget()
    (entry,) = Catalogue.installed().owners("masking", name)
    return plugin_identity(entry)


def test_a_reinstall_under_the_same_version_with_other_code_is_noticed(distribution):
    sources = {"idsame/__init__": "", "idsame/plugin": "from idsame.part import x\n", "idsame/part": "x = 1\n"}
    folder = distribution("idsame", {"masking.idsame": "idsame.plugin"}, sources, version="1.0")
    before = identity_of("idsame")
    (folder / "idsame/part.py").write_text("x = 2\n")
    assert identity_of("idsame") != before
    (folder / "idsame/part.py").write_text("x = 1\n")
    assert identity_of("idsame") == before


def test_another_top_level_module_of_the_distribution_counts(distribution):
    sources = {"idtwo_plugin": "import idtwo_core\nimport json\n", "idtwo_core": "x = 1\n", "idtwo_unused": "x = 1\n"}
    folder = distribution("idtwo", {"masking.idtwo": "idtwo_plugin"}, sources, version="1.0")
    (next(folder.glob("*.dist-info")) / "top_level.txt").write_text("idtwo_plugin\nidtwo_core\nidtwo_unused\n")
    before = identity_of("idtwo")
    (folder / "idtwo_unused.py").write_text("x = 2\n")
    assert identity_of("idtwo") == before
    (folder / "idtwo_core.py").write_text("x = 2\n")
    assert identity_of("idtwo") != before


@pytest.mark.parametrize("name", ["table.json", "fast.cpython-311-x86_64-linux-gnu.so"])
def test_tables_and_compiled_modules_beside_a_plugin_count(distribution, name):
    sources = {"idbin/__init__": "", "idbin/plugin": "x = 1\n"}
    folder = distribution("idbin", {"masking.idbin": "idbin.plugin"}, sources, version="1.0")
    before = identity_of("idbin")
    (folder / "idbin" / name).write_bytes(b"1")
    after = identity_of("idbin")
    (folder / "idbin" / name).write_bytes(b"2")
    assert len({before, after, identity_of("idbin")}) == 3


def test_a_compiled_plugin_is_known_by_its_file(distribution):
    folder = distribution("idso", {"masking.idso": "idso.plugin"}, {"idso/__init__": ""}, version="1.0")
    (folder / "idso/plugin.abi3.so").write_bytes(b"1")
    before = identity_of("idso")
    (folder / "idso/plugin.abi3.so").write_bytes(b"2")
    assert before != identity_of("idso")


def test_what_is_found_on_pythonpath_is_known_by_its_files(tmp_path, monkeypatch):
    info = tmp_path / "idpath-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: idpath\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[sslbench]\nmasking.idpath = idpath_plugin\n")
    write(tmp_path, idpath_plugin="x = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    before = identity_of("idpath")
    assert before.startswith("idpath 1.0+")
    write(tmp_path, idpath_plugin="x = 2\n")
    assert identity_of("idpath") != before
