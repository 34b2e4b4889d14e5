"""Pictures in a terminal: which terminals get them, and what they are sent."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
from base64 import b64decode
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from sslbench.cli.main import call
from sslbench.cli.terminal_pictures import in_terminal, named_protocol, protocol_of, sixels

QUESTION = b"\x1b[c"


def png_of(pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def pixels():
    """uint8 ``[40, 60, 3]`` of few colours, all exact percentages."""
    levels = np.array([0, 51, 102, 153, 204, 255], dtype=np.uint8)
    return levels[np.random.default_rng(0).integers(0, 6, (40, 60, 3)) // 3 * 3]


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"TERM": "xterm-kitty"}, "kitty"),
        ({"TERM": "xterm-256color", "KITTY_WINDOW_ID": "1"}, "kitty"),
        ({"TERM": "xterm-ghostty"}, "kitty"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, "iterm2"),
        ({"TERM": "xterm-256color", "LC_TERMINAL": "iTerm2"}, "iterm2"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}, "iterm2"),
        ({"TERM": "xterm-256color"}, None),
        # Within tmux the environment speaks of the terminal around it.
        ({"TERM": "screen-256color", "KITTY_WINDOW_ID": "1", "TMUX": "/tmp/tmux"}, None),
        ({"TERM": "tmux-256color", "TERM_PROGRAM": "iTerm.app"}, None),
    ],
)
def test_the_environment_names_a_terminal(environment, expected):
    assert named_protocol(environment) == expected


def test_a_stream_that_is_no_terminal_is_not_asked(monkeypatch):
    monkeypatch.setattr(os, "environ", {"TERM": "xterm"})
    stream = io.StringIO()
    assert protocol_of(stream) is None
    assert stream.getvalue() == ""


def test_kitty_gets_the_png_in_chunks(pixels):
    png = png_of(np.random.default_rng(0).integers(0, 255, (60, 60, 3), dtype=np.uint8))
    text = in_terminal(png, "kitty", 1000)
    chunks = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", text)
    assert "".join(f"\x1b_G{keys};{part}\x1b\\" for keys, part in chunks) == text
    assert [keys for keys, _ in chunks] == ["a=T,f=100,q=2,m=1", *["m=1"] * (len(chunks) - 2), "m=0"]
    assert max(len(part) for _, part in chunks) <= 4096
    assert b64decode("".join(part for _, part in chunks)) == png


def test_iterm2_gets_the_png_with_its_size(pixels):
    png = png_of(pixels)
    text = in_terminal(png, "iterm2", 1000)
    size, content = re.fullmatch(r"\x1b\]1337;File=inline=1;size=(\d+);preserveAspectRatio=1:(.*)\x07", text).groups()
    assert (int(size), b64decode(content)) == (len(png), png)


def test_a_picture_that_is_too_wide_is_made_smaller(pixels):
    text = in_terminal(png_of(pixels), "iterm2", 30)
    with Image.open(io.BytesIO(b64decode(text.partition(":")[2].removesuffix("\x07")))) as image:
        assert image.size == (30, 20)


def decoded(text):
    """uint8 ``[H, W, 3]`` of sixels, by the letter of the VT340's manual."""
    width, height, body = re.fullmatch(r'\x1bP0;1q"1;1;(\d+);(\d+)(.*)\x1b\\', text, re.DOTALL).groups()
    image, palette = np.zeros((int(height) + 6, int(width), 3), np.uint8), {}
    for number, *rgb in re.findall(r"#(\d+);2;(\d+);(\d+);(\d+)", body):
        palette[number] = [round(int(part) * 2.55) for part in rgb]
    body = re.sub(r"#\d+;2;\d+;\d+;\d+", "", body)
    column, top, colour = 0, 0, None
    for select_, count, character in re.findall(r"#(\d+)|(?:!(\d+))?([?-~$-])", body):
        if select_:
            colour = palette[select_]
        elif character == "$":
            column = 0
        elif character == "-":
            column, top = 0, top + 6
        else:
            end = column + int(count or 1)
            for row in range(6):
                if (ord(character) - 63) >> row & 1:
                    image[top + row, column:end] = colour
            column = end
    assert not image[int(height) :].any()
    return image[: int(height)]


def test_sixels_are_the_picture(pixels):
    assert np.array_equal(decoded(sixels(Image.fromarray(pixels))), pixels)


ASKED = """
import fcntl, sys, termios
from sslbench.cli.terminal_pictures import protocol_of

fcntl.ioctl(0, termios.TIOCSCTTY, 0)
print(protocol_of(sys.stdout))
"""


def asked(environment, answer=b""):
    """What a process with a terminal of its own, which gives this answer to the question for its attributes, writes."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", ASKED],
        stdin=theirs,
        stdout=theirs,
        env={**os.environ, "TERM_PROGRAM": "", **environment},
        start_new_session=True,
    )
    os.close(theirs)
    seen = b""
    for part in parts_of(ours):
        seen += part
        if part.endswith(QUESTION) and answer:
            os.write(ours, answer)
    assert process.wait(60) == 0
    return seen


def parts_of(terminal):
    """What is written to the other side until that is closed."""
    while True:
        try:
            yield os.read(terminal, 65536)
        except OSError:
            return os.close(terminal)


@pytest.mark.parametrize(
    ("environment", "answer", "expected"),
    [
        ({"TERM": "xterm-256color"}, b"\x1b[?62;4;22c", QUESTION + b"sixel\r\n"),
        ({"TERM": "screen-256color", "TMUX": "x", "KITTY_WINDOW_ID": "1"}, b"\x1b[?1;2;4c", QUESTION + b"sixel\r\n"),
        ({"TERM": "xterm-256color"}, b"\x1b[?62;22c", QUESTION + b"None\r\n"),
        # A terminal that does not know the question.
        ({"TERM": "xterm-256color"}, b"", QUESTION + b"None\r\n"),
        ({"TERM": "xterm-kitty"}, b"", b"kitty\r\n"),
        ({"TERM": "dumb"}, b"", b"None\r\n"),
    ],
    ids=["sixels", "tmux with sixels", "no sixels", "no answer", "kitty", "dumb"],
)
def test_a_terminal_is_asked_where_the_environment_says_nothing(environment, answer, expected):
    assert asked(environment, answer) == expected


@pytest.mark.parametrize(("term", "pictures"), [("xterm-kitty", 4), ("dumb", 0)])
def test_look_shows_its_pictures_in_a_terminal_that_can(tmp_path, monkeypatch, capfd, term, pictures):
    for name in ("TERM_PROGRAM", "LC_TERMINAL", "KITTY_WINDOW_ID", "TMUX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", term)
    ours, theirs = pty.openpty()
    with ThreadPoolExecutor(1) as pool, os.fdopen(theirs, "w") as stream:
        seen = pool.submit(lambda: b"".join(parts_of(ours)).decode())
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", stream)
            assert call(["look", "digits", "--images", "2"]) == 0
        stream.close()
    text = seen.result().replace("\r\n    ", " ")
    assert text.startswith("digits: 1,437 images to train on, 360 of the test split to evaluate on (10% are '3')")
    assert text.count("\x1b_Ga=T,f=100,q=2,") == pictures
    hint = "sslbench: the pictures: add -o look.png, or -o look.html\n"
    assert capfd.readouterr().err == "sslbench: reading images\n" + ("" if pictures else hint)
