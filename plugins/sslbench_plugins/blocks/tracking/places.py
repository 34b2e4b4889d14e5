"""Files and folders that observers write to, made before anything runs, so that a mistake is found then."""

from __future__ import annotations

from pathlib import Path

from sslbench import UserError


def made_folder(observer: str, key: str, path: str) -> str:
    """The folder, which is there now; empty text stays empty. Raises UserError where it cannot be made."""
    try:
        if path:
            Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"observer {observer!r}: {key}={path}: cannot be made: {error.strerror}") from None
    return path


def made_file(observer: str, key: str, path: str) -> str:
    """The file, which is there now and can be appended to; the same otherwise."""
    try:
        if path:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            with open(path, "ab"):
                pass
    except OSError as error:
        raise UserError(f"observer {observer!r}: {key}={path}: cannot be written: {error.strerror}") from None
    return path
