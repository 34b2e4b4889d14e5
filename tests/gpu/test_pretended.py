"""Tests that pretend a GPU, on a machine that has one: it is hidden from the process that runs them."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]


def modules():
    """Those with tests so marked; to collect all of them would take a minute."""
    return [str(path) for path in files() if "mark.pretended" in path.read_text() or "marked(" in path.read_text()]


def files():
    return sorted(path for path in TESTS.rglob("test_*.py") if path != Path(__file__))


def unmarked(path):
    """Tests of a module that pretend a GPU, by themselves or by a function or fixture of it, without the marker."""
    text = path.read_text()
    functions = {node.name: node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)}
    pretending, found = set(), {"PretendedGpu"}
    while found - pretending:
        pretending |= found
        calls = re.compile(rf"\b({'|'.join(pretending)})\b")
        found = {name for name, node in functions.items() if calls.search(ast.get_source_segment(text, node))}
    marks = {name: map(ast.unparse, node.decorator_list) for name, node in functions.items()}
    tests = {name for name in found if name.startswith("test_") and "mark.pretended" not in " ".join(marks[name])}
    return set() if "pytestmark = pytest.mark.pretended" in text else tests


def test_whatever_pretends_is_marked():
    pretending = {path for path in files() if "PretendedGpu()" in path.read_text()}
    assert pretending
    assert {str(path): found for path in pretending if (found := unmarked(path))} == {}


@pytest.mark.gpu
def test_with_the_gpu_hidden_none_is_skipped():
    command = [sys.executable, "-m", "pytest", "-m", "pretended", "-p", "no:cacheprovider", "-rs", *modules()]
    done = subprocess.run(
        command, env={**os.environ, "CUDA_VISIBLE_DEVICES": ""}, capture_output=True, text=True, timeout=500
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert " skipped" not in done.stdout
