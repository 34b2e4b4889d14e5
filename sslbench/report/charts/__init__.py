"""Charts of results, made with altair: one chart, one file. Each takes a ``View``."""

import os
import tempfile
from pathlib import Path

try:
    Path.home()
except RuntimeError:
    # Where an account has no home folder, as in a container that runs as a bare user number, altair cannot be imported.
    os.environ["HOME"] = tempfile.gettempdir()
    import altair as altair

    del os.environ["HOME"]
