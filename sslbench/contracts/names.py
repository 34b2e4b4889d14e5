"""Names that become part of a path: of suites, of their sizes and of plugins. A name is a name, not a path."""

from __future__ import annotations

import re

from sslbench.errors import quoted

LONGEST = 100  # characters
MOST_BYTES = 200  # in UTF-8; a file system's limit is 255, and endings come behind the name
DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE)
FORBIDDEN = '/\\:*?"<>|'
ALLOWED = (
    f"a name has 1 to {LONGEST} characters ({MOST_BYTES} bytes), all of them printable, none of {FORBIDDEN}, no blank"
    " or dot at an end, no hyphen in front, and is none of Windows' devices such as nul"
)


def name_mistake(name: str) -> str:
    """What is wrong with a name, in words, with what is allowed; empty for a good one."""
    good = (
        0 < len(name) <= LONGEST
        and name.isprintable()
        and len(name.encode()) <= MOST_BYTES
        and not set(FORBIDDEN) & set(name)
        and name == name.strip(" .")
        and not name.startswith("-")
        and not DEVICES.fullmatch(name)
    )
    return "" if good else f"{quoted(name)} is no name that a folder can have; {ALLOWED}"
