"""One rank of a pretraining on several devices: ``python -m sslbench.execute.rank FOLDER``, as the launcher starts it.

It finds its work in the folder, and leaves its process id there, what it prints, and how it failed, if it did.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from sslbench.execute.exits import end_with_parent


def main() -> None:
    """Do this rank's part of the work and end, whatever threads plugins have left."""
    folder, rank = Path(sys.argv[1]), int(os.environ["RANK"])
    log = os.open(folder / f"{rank}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    job = json.loads((folder / "job.json").read_text())
    end_with_parent(job["parent"])
    (folder / f"{rank}.pid").write_text(str(os.getpid()))
    sys.path[:] = job["path"]
    try:
        do_part(folder, rank, int(os.environ["WORLD_SIZE"]))
        code = 0
    except BaseException as error:
        (folder / f"{rank}.failure").write_text(json.dumps(failure(error)))
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    # A process group that lost a rank cannot be left in an orderly way.
    os._exit(code)


def failure(error: BaseException) -> dict[str, Any]:
    """How this rank failed, JSON-able: as the record of a cell has it, and when."""
    from sslbench.execute.outcome import reason_of, status_of

    trace = "".join(traceback.format_exception(error))
    return {"status": status_of(error), "reason": reason_of(error), "trace": trace, "time": time.time()}


def do_part(folder: Path, rank: int, ranks: int) -> None:
    """Train and extract together with the other ranks; rank 0 keeps the result and reports. Raises whatever keeps that
    from being done."""
    from dataclasses import replace

    import torch

    from sslbench.contracts.executor import Work
    from sslbench.execute.event_file import EventFile
    from sslbench.execute.pretraining import PretrainingJob
    from sslbench.execute.wire import from_line
    from sslbench.hooks.registry import default_registry
    from sslbench.train.ranks import process_group

    work = from_line((folder / "work.json").read_text())
    assert isinstance(work, Work)
    device = torch.device(work.training.device)
    if device.type == "cuda":
        device = torch.device("cuda", rank)
        torch.cuda.set_device(device)
        work = replace(work, training=work.training.model_copy(update={"device": str(device)}))
    elif "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, cores() // ranks))
    events, registry = EventFile(folder / "events.jsonl"), default_registry()
    registry.say_nothing()
    with process_group(device):
        PretrainingJob(work, (lambda event: None) if rank else events.append, registry).prepare()


def cores() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


if __name__ == "__main__":
    main()
