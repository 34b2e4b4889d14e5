"""A guard around code of others: it may reach the network only where the user allowed that."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


class NetworkRefused(RuntimeError):
    """Something would have to be fetched, and that is not allowed."""


@contextmanager
def network(allowed: bool) -> Iterator[None]:
    """Inside, this thread's requests to other machines raise NetworkRefused unless they are allowed. What has sockets
    of its own, such as another process, is not held back."""
    if allowed:
        yield
        return
    thread = threading.get_ident()
    connect, look_up = socket.socket.connect, socket.getaddrinfo

    def refuse_file(url: str, *args: Any, **kwargs: Any) -> None:
        raise NetworkRefused(f"wants to fetch {url}")

    def guarded_look_up(host: Any, *args: Any, **kwargs: Any) -> Any:
        if threading.get_ident() == thread:
            raise NetworkRefused(f"wants to reach {host}")
        return look_up(host, *args, **kwargs)

    def guarded_connect(self: socket.socket, address: Any) -> None:
        if threading.get_ident() == thread and self.family in (socket.AF_INET, socket.AF_INET6):
            raise NetworkRefused(f"wants to reach {address[0]}")
        connect(self, address)

    guards: tuple[tuple[Any, str, Any], ...] = (
        (torch.hub, "download_url_to_file", refuse_file),
        (socket, "getaddrinfo", guarded_look_up),
        (socket.socket, "connect", guarded_connect),
    )
    before = [getattr(home, name) for home, name, _ in guards]
    try:
        for home, name, guard in guards:
            setattr(home, name, guard)
        yield
    finally:
        for (home, name, _), value in zip(guards, before, strict=True):
            setattr(home, name, value)
