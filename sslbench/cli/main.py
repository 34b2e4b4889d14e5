"""Entry point of ``sslbench``. Imports nothing heavy, so that Ctrl-C is heeded from the start."""

from __future__ import annotations

import io
import os
import sys
from contextlib import redirect_stdout

from sslbench.cli.interrupts import INTERRUPTED, Interrupts, interrupted, received
from sslbench.cli.streams import complain, open_missing_descriptors, own_streams, show, stdout_apart
from sslbench.errors import SslbenchError


def main() -> None:
    """Run the command line and exit: 0 done, 1 a cell did not get done or a limit was crossed, 2 wrong usage, 3 not
    stored or not printed, 130 interrupted (143 by SIGTERM, 129 by SIGHUP), 141 the reader of the result went away."""
    # Threads that spin while they wait stall each other wherever another program takes a core (docs/log.md).
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    open_missing_descriptors()
    with stdout_apart(), Interrupts():
        try:
            code = call(sys.argv[1:])
        except Exception:
            # An import that is interrupted may end in any error.
            if received() is None:
                raise
            complain(interrupted())
    number = received()
    sys.exit(code if number is None else 128 + number)


def call(arguments: list[str]) -> int:
    """Exit code of one command; errors are printed, a user's mistakes as one line each."""
    with own_streams():
        try:
            return result_of(arguments)
        except SslbenchError as error:
            for message in error.messages:
                complain(message)
            return error.exit_code
        except KeyboardInterrupt:
            complain(interrupted())
            return INTERRUPTED
        except SystemExit as error:
            complain(f"a plugin or a library ended the program: SystemExit({error.code!r}); the command was not done")
            return 1


def result_of(arguments: list[str]) -> int:
    """Exit code of one command. Raises what goes wrong, but for wrong usage."""
    import click

    from sslbench.cli.group import invoke
    from sslbench.cli.shells import VARIABLE, answered

    if asked := os.environ.get(VARIABLE):  # a shell, after TAB
        answer = answered(asked)
        show(answer or "", "toml")
        return 0 if answer is not None else 1

    words = io.StringIO()  # click's own: help and version
    try:
        with redirect_stdout(words):
            code = invoke(arguments)
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        path = context.command_path if context else "sslbench"
        complain(f"{error.format_message().rstrip('.')} (see: {path} --help)")
        return error.exit_code
    except click.Abort:
        raise KeyboardInterrupt from None
    if words.getvalue():
        show(words.getvalue().rstrip("\n"))
    return code
