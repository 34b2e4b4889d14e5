"""Pictures of a row, which a notebook shows."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from html import escape
from pathlib import Path

from sslbench.errors import UserError
from sslbench.store.digests import DamagedFile
from sslbench.store.pictures import StoredPicture, pictures_of
from sslbench.store.record import Record


class Pictures(tuple[StoredPicture, ...]):
    """Pictures, each with ``name``, ``caption`` and ``png``, the bytes of a file."""

    def __repr__(self) -> str:
        return "\n".join(f"{picture.name}: {picture.caption}" for picture in self) or "no pictures are kept"

    def _repr_html_(self) -> str:
        return "\n".join(map(figure, self)) or "<p>no pictures are kept</p>"


def pictures(folder: Path, records: Sequence[Record]) -> Pictures:
    """Of the cells, then of the pretraining that they share, each once. Raises UserError where one is damaged."""
    try:
        found = [picture for record in records for picture in pictures_of(folder, record)]
    except DamagedFile as error:
        raise UserError(str(error)) from None
    return Pictures(dict.fromkeys(found))


def figure(picture: StoredPicture) -> str:
    """A picture with its caption, which is also what is read out."""
    source = f"data:image/png;base64,{b64encode(picture.png).decode()}"
    image = f'<img src="{source}" alt="{escape(picture.caption)}" style="max-width: 100%">'
    return f"<figure>{image}<figcaption>{escape(f'{picture.name}: {picture.caption}')}</figcaption></figure>"
