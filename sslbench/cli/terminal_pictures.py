"""Pictures in the terminal, where it can show them: kitty's graphics, iTerm2's inline images, or sixels."""

from __future__ import annotations

import os
import re
import select
import sys
from base64 import b64encode
from collections.abc import Mapping
from contextlib import suppress
from io import BytesIO
from typing import TYPE_CHECKING, Literal, TextIO

if TYPE_CHECKING:
    from PIL.Image import Image

Protocol = Literal["kitty", "iterm2", "sixel"]
KITTY, ITERM2 = {"ghostty", "kitty"}, {"iTerm.app", "WezTerm", "mintty"}
"""TERM_PROGRAM of terminals that take these"""
CHUNK = 4096
"""bytes of base64 that kitty takes at a time"""
CELL = 8
"""pixels that a column has at least, where the terminal does not say how wide it is"""
PATIENCE = 1.0
"""seconds in which a terminal that knows the question has answered it"""
ANSWER = re.compile(rb"\x1b\[\?([\d;]*)c")
SIXEL = "4"
"""among the attributes that a terminal names: it shows sixels"""
COLOURS = 256


def protocol_of(stream: TextIO) -> Protocol | None:
    """How the terminal that ``stream`` writes to takes pictures; None where it takes none."""
    named = named_protocol(os.environ)
    if named is not None or os.environ.get("TERM", "dumb") == "dumb":
        return named
    return "sixel" if SIXEL in attributes_of(stream) else None


def named_protocol(environment: Mapping[str, str]) -> Protocol | None:
    """What the environment says. Within tmux or screen it speaks of another terminal, the one around these."""
    term, program = environment.get("TERM", ""), environment.get("TERM_PROGRAM", "")
    if "TMUX" in environment or term.startswith(("tmux", "screen")):
        return None
    if term in ("xterm-kitty", "xterm-ghostty") or program in KITTY or "KITTY_WINDOW_ID" in environment:
        return "kitty"
    return "iterm2" if program in ITERM2 or environment.get("LC_TERMINAL") == "iTerm2" else None


def attributes_of(stream: TextIO) -> list[str]:
    """What the terminal answers to the question for its attributes; nothing where it cannot be asked: where stdin is no
    terminal, or the process is in the background, where asking would stop it."""
    try:
        import termios
        import tty

        source, target = sys.stdin.fileno(), stream.fileno()
        if not (os.isatty(source) and os.isatty(target)) or os.tcgetpgrp(source) != os.getpgrp():
            return []
        before = termios.tcgetattr(source)
        tty.setcbreak(source)
        try:
            os.write(target, b"\x1b[c")
            answer = answer_from(source)
        finally:
            termios.tcsetattr(source, termios.TCSADRAIN, before)
    except (ImportError, AttributeError, OSError, ValueError):
        return []
    found = ANSWER.search(answer)
    return found[1].decode().split(";") if found else []


def answer_from(source: int) -> bytes:
    """What comes until the answer is complete, or nobody answers."""
    answer = b""
    while not ANSWER.search(answer) and select.select([source], [], [], PATIENCE)[0]:
        byte = os.read(source, 1)
        if not byte:
            break
        answer += byte
    return answer


def room_of(stream: TextIO) -> int:
    """Pixels that a picture may be wide."""
    with suppress(ImportError, OSError, ValueError):
        import struct
        from fcntl import ioctl
        from termios import TIOCGWINSZ

        _, columns, width, _ = struct.unpack("HHHH", ioctl(stream.fileno(), TIOCGWINSZ, bytes(8)))
        return int(width or columns * CELL) or 80 * CELL
    return 80 * CELL


def in_terminal(png: bytes, protocol: Protocol, room: int) -> str:
    """What shows a picture, made smaller where it is wider than ``room`` pixels."""
    from PIL import Image

    with Image.open(BytesIO(png)) as image:
        picture = image.convert("RGB")
    if picture.width > room:
        size = (room, max(1, round(picture.height * room / picture.width)))
        picture = picture.resize(size, Image.Resampling.LANCZOS)
        buffer = BytesIO()
        picture.save(buffer, "PNG")
        png = buffer.getvalue()
    if protocol == "sixel":
        return sixels(picture)
    return kitty(png) if protocol == "kitty" else iterm2(png)


def kitty(png: bytes) -> str:
    """Kitty's graphics protocol: transmit and display, no answer wanted."""
    text = b64encode(png).decode()
    parts = [text[start : start + CHUNK] for start in range(0, len(text), CHUNK)]
    first = "a=T,f=100,q=2,"
    chunks = [
        f"\x1b_G{first if not place else ''}m={int(place < len(parts) - 1)};{part}\x1b\\"
        for place, part in enumerate(parts)
    ]
    return "".join(chunks)


def iterm2(png: bytes) -> str:
    """iTerm2's inline images."""
    return f"\x1b]1337;File=inline=1;size={len(png)};preserveAspectRatio=1:{b64encode(png).decode()}\x07"


def sixels(picture: Image) -> str:
    """Bands of six rows; in each, for every colour that it has, which of the six pixels of each column have it."""
    import numpy as np

    few = picture.quantize(COLOURS)
    pixels = np.asarray(few)
    palette = np.asarray(few.getpalette() or [], dtype=float).reshape(-1, 3) * (100 / 255)
    colours = "".join(f"#{n};2;{r:.0f};{g:.0f};{b:.0f}" for n, (r, g, b) in enumerate(palette.tolist()))
    bands = []
    for top in range(0, len(pixels), 6):
        band = pixels[top : top + 6]
        weights = (1 << np.arange(len(band)))[:, None]
        lines = [(n, ((band == n) * weights).sum(axis=0) + 63) for n in np.unique(band).tolist()]
        bands.append("$".join(f"#{n}{run_lengths(bytes(bits.tolist()).decode())}" for n, bits in lines))
    return f'\x1bP0;1q"1;1;{picture.width};{picture.height}{colours}{"-".join(bands)}\x1b\\'


def run_lengths(text: str) -> str:
    """``!9~`` for nine of a character."""
    from itertools import groupby

    runs = ((character, sum(1 for _ in group)) for character, group in groupby(text))
    return "".join(f"!{count}{character}" if count > 3 else character * count for character, count in runs)
