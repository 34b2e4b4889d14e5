"""Work done ahead of need, on other threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def ahead(
    function: Callable[[Item], Result], items: Iterable[Item], threads: int, waiting: int = 1
) -> Iterator[Result]:
    """``function`` of every item, in the order of the items.

    ``threads`` threads work on the next items while the caller uses a result; at most ``threads + waiting`` items are
    started or done ahead of it. What ``function`` raises is raised where its result would have come. However the caller
    ends, an interrupt included, items not yet started are dropped and no thread is left.
    """
    pool = ThreadPoolExecutor(threads, thread_name_prefix="ahead")
    started: deque[Future[Result]] = deque()
    try:
        for item in items:
            started.append(pool.submit(function, item))
            if len(started) > threads + waiting:
                yield started.popleft().result()
        while started:
            yield started.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
