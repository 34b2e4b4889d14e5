"""The documents say what is so: their pages, the README, the site and the log."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from sslbench.cli.group import COMMANDS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PAGES = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md", ROOT / "CHANGELOG.md"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_lines_are_short_but_for_rows_of_tables(page):
    text = re.sub(r"^```text\n.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    assert [line for line in text.splitlines() if len(line) > 110 and not line.startswith("|")] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_fields_words_are_used(page):
    assert re.findall(r"(?i)judg\w*|senseless|paint\w*|kitchen|\bsight\b", page.read_text()) == []


DOCS = [page for page in PAGES if page.parent.name == "docs"]


def anchor_of(title):
    """As GitHub makes it of a heading, and the site too."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def prose_of(page):
    """A page without its blocks of code."""
    return re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.name)
def test_a_page_begins_with_its_title(page):
    assert re.match(r"# \S", page.read_text())
    assert len(re.findall(r"^# ", prose_of(page), flags=re.MULTILINE)) == 1


def test_the_site_has_every_page_and_no_other():
    nav = re.findall(r": (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), flags=re.MULTILINE)
    assert sorted(nav) == sorted(page.name for page in DOCS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_pages_and_headings_that_are_there(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose_of(page)):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        other = page.parent / name if name else page
        assert other.is_file(), target
        if anchor:
            titles = re.findall(r"^#+ (.*)$", prose_of(other), flags=re.MULTILINE)
            assert anchor in map(anchor_of, titles), target


def test_the_picture_of_the_readme_is_there_and_small():
    (picture,) = re.findall(r"^!\[.{20,}\]\((\S+)\)$", README, flags=re.MULTILINE)
    assert (ROOT / picture).stat().st_size < 200_000


def test_the_site_asks_no_other_server():
    text = (ROOT / "mkdocs.yml").read_text()
    assert "font: false" in text
    assert re.findall(r"https?://", text) == []


def test_the_index_of_the_log_names_every_entry_in_order():
    log = (ROOT / "docs/log.md").read_text()
    titles = re.findall(r"^## (?!Index)(.*)$", log, flags=re.MULTILINE)
    anchors = [f"#{anchor_of(title)}" for title in titles]
    rows = re.findall(r"^\| (\d{4}-\d\d-\d\d) \| \[(.*)\]\((#.*)\) \|$", log, flags=re.MULTILINE)
    assert [(f"{date}: {title}", anchor) for date, title, anchor in rows] == list(zip(titles, anchors, strict=True))


def test_every_room_is_on_the_page_about_architecture():
    rows = set(re.findall(r"^\| `(\w+)` \|", (ROOT / "docs/architecture.md").read_text(), flags=re.MULTILINE))
    assert rows == {path.parent.name for path in (ROOT / "sslbench").glob("*/__init__.py")} | {"errors"}


def test_files_named_by_the_page_about_architecture_are_there():
    text = (ROOT / "docs/architecture.md").read_text()
    for name in re.findall(r"`([a-z_]+/[a-z_]+\.py)`", text):
        assert (ROOT / "sslbench" / name).is_file(), name


def test_the_readme_starts_with_the_two_commands(blocks):
    install, test = blocks(README, "sh")
    for command in (install, test):
        assert command.startswith("python3 -m venv .venv && .venv/bin/pip install ")
        assert command.count("\n") == 1
    assert install.endswith("sslbench run\n")
    assert test.endswith("pytest -n 2\n")


def test_the_commands_of_the_readme_are_there():
    used = set(re.findall(r"\.venv/bin/sslbench (\w+)", README))
    assert used <= set(COMMANDS)
    assert {"run", "plan", "results", "list", "show", "doctor"} <= used


def test_the_tree_of_the_readme_is_the_tree():
    tree = README.partition("## The tree")[2]
    core, plugins = tree.partition("    plugins/")[::2]
    assert set(re.findall(r"^      (\w+)/ ", core, flags=re.MULTILINE)) == rooms(ROOT / "sslbench")
    plugins = plugins.partition("    benchmarks/")[0]
    assert set(re.findall(r"(\w+)/(?:\s|$)", plugins)) - {"sslbench_plugins"} == rooms(
        ROOT / "plugins/sslbench_plugins"
    )


def rooms(package):
    """Folders of code."""
    return {folder.name for folder in package.iterdir() if any(folder.glob("*.py"))}


def test_nothing_of_the_package_is_left_out_of_the_wheel():
    code = (
        "import sslbench.plan.suite as suites, sslbench.store.memory as memory;"
        " memory.MemoryStore(); print(*suites.builtin_suites())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd="/", check=True)
    assert "quick" in done.stdout
