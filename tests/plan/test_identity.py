from __future__ import annotations

import json

from sslbench.hooks.catalogue import Catalogue
from sslbench.plan.identity import digest_of, imports_of, is_editable, plugin_identity


def write(folder, **modules):
    for name, source in modules.items():
        path = folder.joinpath(*name.split("__")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)


def digest(module):
    digest_of.cache_clear()
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


def test_relative_imports_are_resolved(tmp_path):
    path = tmp_path / "m.py"
    path.write_text("from ..b import c\nfrom . import d\nimport e.f\n")
    assert imports_of("top.a.m", path) == ["top.b", "top.b.c", "top.a", "top.a.d", "e.f"]


def test_an_installed_distribution_is_known_by_version_an_editable_one_by_source(distribution):
    folder = distribution("idone", {"masking.idone": "idone_plugin"}, {"idone_plugin": "x = 1\n"}, version="2.5")
    is_editable.cache_clear()
    entry = Catalogue.installed().owner("masking", "idone")
    assert plugin_identity(entry) == "idone 2.5"
    info = next(folder.glob("*.dist-info"))
    (info / "direct_url.json").write_text(json.dumps({"url": "file:///x", "dir_info": {"editable": True}}))
    is_editable.cache_clear()
    digest_of.cache_clear()
    first = plugin_identity(entry)
    assert first.startswith("idone 2.5+")
    (folder / "idone_plugin.py").write_text("x = 2\n")
    digest_of.cache_clear()
    assert plugin_identity(entry) != first
    is_editable.cache_clear()
