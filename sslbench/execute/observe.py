"""The process of one observer: takes calls as lines on stdin and does one after another.

Whatever the observer prints goes to stderr. When no more calls come, or the run that made them is gone, what is there
is done and the process ends.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from types import NoneType
from typing import IO, Any

from pydantic import TypeAdapter

from sslbench.contracts.executor import EpochEnded, PluginChoice
from sslbench.contracts.observer import ObservedPretraining, ObservedRun, Observer
from sslbench.contracts.plugin import BuildContext
from sslbench.errors import SslbenchError
from sslbench.hooks.registry import default_registry, one_line
from sslbench.plan.choose import sent

LEAVING = 30.0
"""seconds that an observer has once no more calls come"""
FACTS: dict[str, TypeAdapter[Any]] = {
    "run_started": TypeAdapter(ObservedRun),
    "pretraining_started": TypeAdapter(ObservedPretraining),
    "epoch_ended": TypeAdapter(EpochEnded),
}
"""what calls are about, of those that are not about plain values"""


def to_line(call: str, *arguments: Any) -> str:
    """A call, without the end of its line."""
    if call in FACTS:
        arguments = (FACTS[call].dump_python(arguments[0], mode="json"),)
    return json.dumps([call, *arguments])


def from_line(line: str) -> tuple[str, list[Any]]:
    """The call and its arguments."""
    call, *arguments = json.loads(line)
    return call, [FACTS[call].validate_python(arguments[0])] if call in FACTS else arguments


class Calls:
    """An observer and what it has had of each pretraining."""

    def __init__(self, observer: Observer) -> None:
        self.observer = observer
        self._last: dict[str, int] = {}
        """the last epoch by pretraining"""

    def do(self, call: str, arguments: list[Any]) -> None:
        """One call. Raises whatever the observer raises."""
        if call == "epoch_ended":
            return self._epoch(*arguments)
        returned = getattr(self.observer, call)(*arguments)
        if call == "pretraining_started":
            if not isinstance(returned, (int, NoneType)) or isinstance(returned, bool) or (returned or 0) < 0:
                raise TypeError(f"it must return the last epoch that it has, 0 or larger, not {returned!r}")
            self._last[arguments[0].key] = returned or 0
        return None

    def _epoch(self, epoch: EpochEnded) -> None:
        """A worker may report an epoch more than once."""
        if epoch.epoch > self._last.get(epoch.work, 0):
            self.observer.epoch_ended(epoch)
            self._last[epoch.work] = epoch.epoch


def main() -> None:
    """Build the observer that the first line names, say whether that went well, and do the calls."""
    lines, reply = own_streams()
    threading.excepthook = in_one_line
    try:
        choice = json.loads(lines.readline())
        calls = Calls(built(choice))
    except SslbenchError as error:
        reply("refused", error.messages)
        leave(1)
    except BaseException as error:
        reply("refused", [f"observer {choice['name']!r} cannot be built: {one_line(error)}"])
        leave(1)
    reply("ready")
    inbox: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    threading.Thread(target=read, args=(lines, inbox), daemon=True).start()
    call = "close"
    try:
        while (line := inbox.get()) is not None:
            call, arguments = from_line(line)
            calls.do(call, arguments)
            reply("done")
        call = "close"
        calls.observer.close()
    except BaseException as error:
        reply("failed", reason_of(call, error))
        leave(1)
    leave(0)


def in_one_line(raised: threading.ExceptHookArgs) -> None:
    """What a thread of the observer's library raised, which Python prints with a traceback."""
    if raised.exc_value is not None:
        print(f"a thread of the observer raised {one_line(raised.exc_value)}", flush=True)


def built(choice: dict[str, Any]) -> Observer:
    """Raises whatever keeps it from being built."""
    registry = default_registry()
    registry.say_nothing()
    observer: Observer = sent("observer", PluginChoice(**choice), registry).build(BuildContext())
    if not isinstance(observer, Observer):
        raise TypeError(f"build must return an Observer, not {type(observer).__name__}")
    return observer


def reason_of(call: str, error: BaseException) -> str:
    """Why an observer ends: a user's mistake in its own words, a bug with its type and where it was."""
    return "; ".join(error.messages) if isinstance(error, SslbenchError) else f"{call} raised {one_line(error)}"


def read(lines: IO[str], inbox: queue.SimpleQueue[str | None]) -> None:
    """Take what comes, however long the observer takes for it. Once nothing more comes its time is limited."""
    for line in lines:
        inbox.put(line)
    inbox.put(None)
    timer = threading.Timer(LEAVING, os._exit, (1,))
    timer.daemon = True
    timer.start()


def own_streams() -> tuple[IO[str], Callable[..., None]]:
    """Where calls come from, and what takes replies. From now on stdin is empty and stdout leads to stderr."""
    lines, replies = open(os.dup(0), encoding="utf-8"), open(os.dup(1), "w", encoding="utf-8")  # noqa: SIM115
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    sys.stdout = open(1, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)  # noqa: SIM115

    def reply(*words: Any) -> None:
        with suppress(OSError):  # the run may be gone; what it reported is still done
            print(json.dumps(words), file=replies, flush=True)

    return lines, reply


def leave(code: int) -> None:
    """End, whatever threads and handlers the observer's library has left."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
