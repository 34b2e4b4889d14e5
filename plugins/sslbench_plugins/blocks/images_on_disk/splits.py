"""Words for the splits of a data set, as people name folders, files, columns and values; one list for all of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

from sslbench import UserError

Role = Literal["train", "test", "validation"]
TEST_ROLES: tuple[Role, Role] = ("test", "validation")
"""that a run may evaluate on, the first choice first"""
WORDS: Mapping[Role, str] = {
    "train": "train|training|trainval|trainvalid|trn|tng",
    "test": "test|tests|testing|tst|holdout|heldout",
    "validation": "validation|validating|validate|valid|vali|val|vld|development|devel|dev|evaluation|evaluate|eval",
}
SHORT: Mapping[str, Role] = {"tr": "train", "te": "test", "va": "validation"}
"""are splits only where nothing else stands beside them"""
NOISE = "(?:set|data|dataset|image|images|img|imgs|photos|pictures|split|part|folder|file|files|sample|samples|sub)"
PATTERNS = {
    role: re.compile(rf"\d{{0,2}}{NOISE}*(?:{words}){NOISE}*s?(?:(?:19|20)\d\d)?") for role, words in WORDS.items()
}
PARTS = re.compile(
    r"(?:k?folds?|parts?|partition|subset|set|split|phase|stage|batch|group|round|cv)\d*"
    r"|query|gallery|support|probe|labell?ed|unlabell?ed|source|target|(?:train|learn|test|valid)\w*"
)
"""names, without punctuation, of parts that nobody can say the split of"""
KNOWN = {word: role for role, words in WORDS.items() for word in words.split("|")}
ALLOWED = "train (training, trainset), test (testing, testset), val (valid, validation, dev, eval)"
TYPED, TYPO = ("train", "training", "test", "testing", "validation"), 0.8
"""words that are mistyped, and the similarity from which on a word may be one of them"""


def role_of(word: str, short: bool = False) -> Role | None:
    """The split that a word names, case and punctuation ignored; None for any other word. ``short``: two letters do."""
    compressed = re.sub(r"[\W_]+", "", word.casefold())
    if short and compressed in SHORT:
        return SHORT[compressed]
    return next((role for role, pattern in PATTERNS.items() if pattern.fullmatch(compressed)), None)


def roles_of(words: Iterable[str]) -> dict[str, Role]:
    """The words among these that name a split, and which; words of two letters where all of them do."""
    names = list(words)
    short = all(role_of(name, short=True) for name in names)
    roles = {name: role_of(name, short) for name in names}
    return {name: role for name, role in roles.items() if role is not None}


def resembled(word: str, typos: bool = True) -> Role | None:
    """The split that an unknown word may mean: one with a known word in it, or a mistyped one."""
    tokens = re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", word).casefold())
    inside = [KNOWN[token] for token in tokens if token in KNOWN]
    mistyped = [KNOWN[known] for token in tokens for known in TYPED if typos and is_typo(token, known)]
    return next(iter([*inside, *mistyped]), None)


def is_typo(word: str, known: str) -> bool:
    """Whether a word is a longer known one but for a letter, or with two letters swapped."""
    if len(known) < 4 or word[:1] != known[:1]:
        return False
    return sorted(word) == sorted(known) or (len(known) > 4 and SequenceMatcher(None, word, known).ratio() >= TYPO)


def is_part(word: str) -> bool:
    """Whether a folder has the name of a part of a data set that is no split: ``fold_1``, ``query``, ``train2``."""
    return resembled(word) is not None or PARTS.fullmatch(re.sub(r"[\W_]+", "", word.casefold())) is not None


def unknown_split(where: str, words: Sequence[str]) -> UserError:
    """What to raise for words that look like splits and are none that is known."""
    shown = ", ".join(repr(word) for word in words[:3]) + (", ..." if len(words) > 3 else "")
    verb = "looks like a split and is none" if len(words) == 1 else "look like splits and are none"
    return UserError(f"{where}: {shown} {verb} that is known; rename to {ALLOWED}")


@dataclass(frozen=True)
class SplitNames:
    """Names of folders beside each other: those of splits, and the others."""

    roles: Mapping[Role, str]
    others: list[str]
    near: list[str]
    """others that look like splits"""

    @property
    def tests(self) -> list[str]:
        """That a run may evaluate on, the first choice first."""
        return [self.roles[role] for role in TEST_ROLES if role in self.roles]


def split_names(where: str, names: Sequence[str]) -> SplitNames:
    """Raises UserError for two names of one split, for names that look like splits to train and to evaluate on and are
    not known, and for a split to evaluate on without one to train on."""
    roles = roles_of(names)
    others = [name for name in names if name not in roles]
    near = [name for name in others if resembled(name, typos=bool(roles))]
    for role in WORDS:
        same = [name for name, its in roles.items() if its == role]
        if len(same) > 1:
            raise UserError(f"{where}: {' and '.join(same)} both mean the split {role}; keep one")
    meant = {resembled(name) for name in near}
    pair = "train" in meant and meant & set(TEST_ROLES) and 2 * len(near) >= len(names)
    if pair or (near and roles and "train" not in roles.values()):
        raise unknown_split(where, near)
    return SplitNames({role: name for name, role in roles.items()}, others, near)
