"""Work done ahead of need, on other threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")


def ahead(
    function: Callable[[Item], Answer], items: Iterable[Item], threads: int, waiting: int = 1
) -> Iterator[Answer]:
    """``function`` of every item, in the order of the items.

    ``threads`` threads work on the next items while the caller uses an answer; at most ``threads + waiting`` items are
    begun or done ahead of it. What ``function`` raises is raised where its answer would have come. However the caller
    ends, an interrupt included, items not yet begun are dropped and no thread is left.
    """
    pool = ThreadPoolExecutor(threads, thread_name_prefix="ahead")
    begun: deque[Future[Answer]] = deque()
    try:
        for item in items:
            begun.append(pool.submit(function, item))
            if len(begun) > threads + waiting:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
