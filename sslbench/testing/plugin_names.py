"""What a new plugin is called wherever it has a name: its module, its classes, the package and distribution around."""

from __future__ import annotations

import keyword
import re
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from sslbench.contracts.names import name_mistake
from sslbench.errors import UserError, quoted
from sslbench.hooks.catalogue import Catalogue, check_kind

NAME = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")


@dataclass(frozen=True)
class PluginNames:
    """The names of one plugin; ``package`` is the import package that it is or will be in."""

    kind: str
    name: str
    package: str

    @property
    def label(self) -> str:
        """``kind.name``, as entry points have it."""
        return f"{self.kind}.{self.name}"

    @property
    def module(self) -> str:
        """An identifier: ``my-method`` -> ``my_method``, ``lambda`` -> ``my_lambda``."""
        text = underscored(self.name)
        return text if is_free(text) else f"my_{text}"

    @property
    def stem(self) -> str:
        """The class, and what the classes beside it begin with: ``my-method`` -> ``MyMethod``."""
        text = "".join(word[:1].upper() + word[1:] for word in re.split("[.-]", self.name))
        return text if is_free(text) else f"My{text}"

    @property
    def title(self) -> str:
        """Begins the summary: ``my-method`` -> ``My method``."""
        return self.name.replace("-", " ").capitalize()


def is_free(text: str) -> bool:
    """Whether Python can call something so."""
    return text.isidentifier() and not keyword.iskeyword(text)


def underscored(name: str) -> str:
    """With an underscore in the place of each hyphen and dot."""
    return re.sub("[.-]", "_", name)


def checked_kind_and_name(kind: str, name: str) -> tuple[str, str]:
    """Raises UserError for an unknown kind, and for a name that no plugin can have or that another one has."""
    kind = check_kind(kind)
    bare = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    if bare != name:
        raise UserError(f"NAME {quoted(name)} is a path; give a name alone{suggested(bare)}")
    if mistake := name_mistake(name):
        raise UserError(f"NAME {mistake}")
    if not NAME.fullmatch(name):
        allowed = "lower-case letters, digits, hyphens and dots, with a letter or digit at both ends"
        raise UserError(f"NAME {quoted(name)}: a plugin is named by {allowed}{suggested(name)}")
    for owner in Catalogue.installed().owners(kind, name):
        both = f"{owner.distribution} {owner.version}"
        raise UserError(f"{kind} {name!r} is brought by {both} already, and a name has one owner: choose another")
    return kind, name


def suggested(text: str) -> str:
    """A hint with the nearest name that a plugin can have, if there is one."""
    if not text.isascii():
        return ""
    apart = re.sub("(?<=[a-z0-9])(?=[A-Z])", "-", text).lower()
    name = re.sub("[^a-z0-9.-]+", "-", apart).strip("-.")
    return f"; did you mean {name!r}?" if NAME.fullmatch(name) and not name_mistake(name) else ""


def installed_version(distribution: str) -> str | None:
    """None where it is not installed."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
