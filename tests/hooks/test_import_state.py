"""What a plugin changes at import is put back, and named."""

from __future__ import annotations

import os
import random
import signal
import sys
import warnings

import numpy as np
import pytest
import torch

from sslbench.hooks.import_state import is_broad, parts, put_back
from sslbench.hooks.registry import Registry

GOOD = """
from sslbench import MaskingSpec, hookimpl

@hookimpl
def sslbench_maskings():
    return [MaskingSpec(name="mine", summary="A masking.", build=lambda params, context: None)]
"""
CHANGES = [
    ("import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)", "signal handlers"),
    ("import signal; signal.signal(signal.SIGTERM, lambda *event: None)", "signal handlers"),
    ("import warnings; warnings.simplefilter('ignore')", "filters of warnings"),
    ("import warnings; warnings.filterwarnings('ignore', category=UserWarning)", "filters of warnings"),
    ("import warnings; warnings.resetwarnings()", "filters of warnings"),
    ("import random; random.seed(0)", "Python's random state"),
    ("import os; os.chdir('/')", "the current folder"),
    ("import sys, io; sys.stdout = io.StringIO()", "sys.stdout"),
    ("import sys, io; sys.stderr = io.StringIO()", "sys.stderr"),
    ("import sys; sys.excepthook = print", "sys.excepthook"),
    ("import numpy; numpy.random.seed(0)", "NumPy's random state"),
    ("import numpy; numpy.seterr(all='raise')", "numpy.seterr"),
    ("import torch; torch.manual_seed(1)", "torch's random state"),
    ("import torch; torch.set_default_dtype(torch.float64)", "torch's default dtype"),
    ("import torch; torch.set_default_device('meta')", "torch's default device"),
    ("import torch; torch.set_grad_enabled(False)", "torch's gradient mode"),
    ("import torch; torch.set_num_threads(torch.get_num_threads() + 1)", "torch's number of threads"),
    ("import torch; torch.use_deterministic_algorithms(True)", "deterministic algorithms"),
]


def state():
    """Everything that a plugin may not change, as it can be compared."""
    return {
        "handlers": [signal.getsignal(number) for number in signal.valid_signals()],
        "filters": list(filter(is_broad, warnings.filters)),
        "random": (random.getstate(), np.random.get_state()[1].tobytes(), torch.get_rng_state().tolist()),
        "process": (os.getcwd(), sys.stdin, sys.stdout, sys.stderr, sys.excepthook, np.geterr()),
        "torch": (torch.get_default_dtype(), torch.get_default_device(), torch.is_grad_enabled()),
        "speed": (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()),
    }


@pytest.fixture(autouse=True)
def other_seeds():
    """Whatever ran before, the generators do not stand where a plugin's seed would put them."""
    random.seed(12345)
    np.random.seed(12345)
    torch.manual_seed(12345)


@pytest.mark.parametrize(("source", "name"), CHANGES)
def test_what_a_plugin_changes_at_import_is_put_back_and_named(distribution, capsys, source, name):
    distribution("odd", {"masking.mine": "odd_plugin"}, {"odd_plugin": f"{source}\n{GOOD}"})
    before, registry = state(), Registry()
    assert registry.get("masking", "mine").name == "mine"
    assert state() == before
    assert capsys.readouterr().err == f"sslbench: plugin masking.mine of odd 1.0 changed {name} at import, put back\n"


def test_so_is_what_one_that_fails_or_a_hook_of_it_changes(distribution, capsys):
    late = GOOD.replace("    return", "    import random; random.seed(0)\n    return")
    failing = "import os; os.chdir('/')\n1 / 0\n"
    distribution(
        "odd", {"masking.mine": "odd_hook", "masking.bad": "odd_failure"}, {"odd_hook": late, "odd_failure": failing}
    )
    before, registry = state(), Registry()
    loaded = {plugin.entry.name: plugin for plugin in registry.load_all()}
    assert state() == before
    assert (loaded["masking.mine"].changed, loaded["masking.mine"].failure) == (("Python's random state",), "")
    assert loaded["masking.bad"].changed == ("the current folder",)
    assert loaded["masking.bad"].failure == "ZeroDivisionError: division by zero"


def test_built_ins_change_nothing():
    assert {plugin.changed for plugin in Registry().load_all() if plugin.entry.distribution == "sslbench"} == {()}


def test_a_filter_for_the_warnings_of_one_library_stays():
    with warnings.catch_warnings():
        with put_back() as changed:
            warnings.filterwarnings("ignore", message="numpy.dtype size changed")
            warnings.filterwarnings("always", category=DeprecationWarning, module="^mine")
        kept = warnings.filters[:2]
        with put_back() as broad:
            warnings.filterwarnings("ignore", message="another")
            warnings.simplefilter("ignore")
        assert (changed, broad) == ([], ["filters of warnings"])
        assert kept == warnings.filters[1:3]
        with pytest.warns(UserWarning, match="is heard"):
            warnings.warn("is heard", UserWarning, stacklevel=1)


def test_of_a_library_that_came_with_the_plugin_the_defaults_are_known():
    known = {part.name: part.initial for part in parts() if part.initial is not None}
    assert known["torch's default dtype"] == torch.float32
    assert {name: part.get() for name, part in ((p.name, p) for p in parts()) if name in known} == known


def test_a_plugin_that_imports_torch_first_is_put_back_and_listed(sslbench, distribution):
    source = f"print('loud')\nimport torch; torch.set_default_dtype(torch.float64)\n{GOOD}"
    folder = distribution("odd", {"masking.mine": "odd_plugin"}, {"odd_plugin": source})
    done = sslbench("show", "masking", "mine", path=folder, SSLBENCH_PLUGINS="odd")
    assert done.returncode == 0
    assert "loud" not in done.stdout
    assert done.stderr.splitlines() == [
        "loud",
        "sslbench: plugin masking.mine of odd 1.0 changed torch's default dtype at import, put back",
    ]
    listed = sslbench("plugins", path=folder, SSLBENCH_PLUGINS="odd").stdout
    assert "masking.mine of odd changed torch's default dtype at import, put back" in listed
