"""One folder is one data set, however its path is spelled."""

from __future__ import annotations

import pytest

from sslbench import UserError
from sslbench.hooks.registry import Registry
from sslbench.plan.choose import chosen
from sslbench.plan.reference import Reference, parse_reference

REGISTRY = Registry()


@pytest.fixture
def folder(pictures, tmp_path, monkeypatch):
    for name in ("cat", "dog"):
        pictures(tmp_path / "work" / "photos" / name, 3)
    (tmp_path / "link").symlink_to(tmp_path / "work" / "photos")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work" / "photos"


@pytest.mark.parametrize("text", ["photos", "photos/", "./photos", "../work/photos", "~/work/photos", "../link", "{f}"])
def test_all_spellings_are_one_choice_with_one_fingerprint(folder, text):
    expected = chosen("dataset", Reference("imagefolder", {"root": str(folder)}), REGISTRY)
    text = text.format(f=folder)
    for reference in (Reference("imagefolder", {"root": text}), parse_reference(text)):
        choice = chosen("dataset", reference, REGISTRY)
        assert choice.description == expected.description
        assert choice.params.root == str(folder)
        assert choice.spec.fingerprint(choice.params) == expected.spec.fingerprint(expected.params)


def test_what_follows_a_path_are_parameters(folder):
    choice = chosen("dataset", parse_reference("../work/photos:size=32"), REGISTRY)
    assert (choice.name, choice.params.size, choice.params.root) == ("imagefolder", 32, str(folder))


@pytest.mark.parametrize(("dataset", "key"), [("images", "root"), ("imagefolder-maps", "root"), ("parquet", "path")])
def test_other_data_sets_resolve_their_paths_too(folder, dataset, key):
    params = [REGISTRY.get("dataset", dataset).params(**{key: text}) for text in ("photos", "../link/", str(folder))]
    assert params[0] == params[1] == params[2]
    assert getattr(params[0], key) == str(folder)


@pytest.mark.parametrize("text", ["x" * 5000, "a/" * 3000])
def test_a_path_of_thousands_of_letters_is_one_short_line(built, text):
    for dataset in ("imagefolder", "images", "imagefolder-maps", "parquet"):
        with pytest.raises(UserError, match="does not exist") as caught:
            built(dataset, **{"path" if dataset == "parquet" else "root": text})
        assert len(str(caught.value)) < 700
