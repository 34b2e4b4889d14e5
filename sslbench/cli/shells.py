"""Completion in bash, zsh and fish. The scripts are click's, with three things more: words that hold ``:`` and ``=``,
words that go on without a blank (``part``), and commas."""

from __future__ import annotations

import os
import re
from typing import Any

from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    split_arg_string,
)

VARIABLE = "_SSLBENCH_COMPLETE"
"""of the environment: which shell asks, and for what, such as ``bash_complete`` or ``bash_source``"""


class Bash(BashComplete):
    """Bash breaks words at ``:`` and ``=`` and replaces only what follows the last of these."""

    source_template = r"""%(complete_func)s() {
    local IFS=$'\n' response completion type value
    COMPREPLY=()
    response=$(env COMP_LINE="$COMP_LINE" COMP_POINT="$COMP_POINT" %(complete_var)s=bash_complete "$1")
    for completion in $response; do
        IFS=',' read -r type value <<< "$completion"
        case $type in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            part) compopt -o nospace; COMPREPLY+=("$value") ;;
            plain) COMPREPLY+=("$value") ;;
        esac
    done
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""

    def source(self) -> str:
        """The script. What is older than bash 4.4 does not know ``nosort``, and says so itself."""
        return self.source_template % self.source_vars()

    def get_completion_args(self) -> tuple[list[str], str]:
        """The words before the cursor, and the one at it."""
        line = os.environ["COMP_LINE"][: int(os.environ["COMP_POINT"])]
        words = split_arg_string(line)
        while words and re.match(r"\w+=", words[0]):  # variables before the command
            words.pop(0)
        incomplete = words.pop() if len(words) > 1 and not line[-1:].isspace() else ""
        self._done = replaced_before(incomplete)
        return words[1:], incomplete

    def format_completion(self, item: CompletionItem[Any]) -> str:
        """``TYPE,VALUE``."""
        return f"{item.type},{str(item.value).removeprefix(self._done)}"


class Zsh(ZshComplete):
    """Zsh replaces the whole word."""

    source_template = r"""#compdef %(prog_name)s
%(complete_func)s() {
    local -a words_alone words_described parts response
    local type key descr
    response=("${(@f)$(env COMP_WORDS="${(j: :)words[1,CURRENT]}" COMP_CWORD=$((CURRENT-1)) \
        %(complete_var)s=zsh_complete ${words[1]})}")
    for type key descr in ${response}; do
        case $type in
            plain) if [[ "$descr" == _ ]]; then words_alone+=("$key"); else words_described+=("$key:$descr"); fi ;;
            part) parts+=("$key") ;;
            dir) compset -P '*[:=]'; _path_files -/ ;;
            file) compset -P '*[:=]'; _path_files -f ;;
        esac
    done
    [[ -n "$words_described" ]] && _describe -V unsorted words_described -U
    [[ -n "$words_alone" ]] && compadd -U -V unsorted -a words_alone
    [[ -n "$parts" ]] && compadd -U -S '' -V unsorted -a parts
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    %(complete_func)s "$@"
else
    compdef %(complete_func)s %(prog_name)s
fi
"""

    def get_completion_args(self) -> tuple[list[str], str]:
        """The words before the cursor, and the one at it."""
        args, incomplete = super().get_completion_args()
        self._option = option_of(incomplete)
        return args, incomplete

    def format_completion(self, item: CompletionItem[Any]) -> str:
        """``TYPE``, ``VALUE`` and help, each on a line; a colon ends the value where help follows."""
        value = f"{self._option}{item.value}"
        if item.type == "plain" and item.help:
            return f"plain\n{value.replace(':', chr(92) + ':')}\n{item.help}"
        return f"{item.type}\n{value}\n_"


class Fish(FishComplete):
    """Fish replaces the whole word."""

    source_template = r"""function %(complete_func)s
    set -l response (env %(complete_var)s=fish_complete COMP_WORDS=(commandline -cp | string collect) \
        COMP_CWORD=(commandline -ct | string collect) %(prog_name)s)
    set -l before (string match -r '^.*[:=]' -- (commandline -ct))
    for completion in $response
        set -l metadata (string split -m 1 "," -- $completion)
        switch $metadata[1]
            case dir
                printf "$before%%s\n" (__fish_complete_directories (string replace -r '^.*[:=]' '' -- $metadata[2]))
            case file
                printf "$before%%s\n" (__fish_complete_path (string replace -r '^.*[:=]' '' -- $metadata[2]))
            case '*'
                echo $metadata[2]
        end
    end
end
complete --no-files --command %(prog_name)s --arguments "(%(complete_func)s)"
"""

    def get_completion_args(self) -> tuple[list[str], str]:
        """The words before the cursor, and the one at it."""
        args, incomplete = super().get_completion_args()
        self._option = option_of(incomplete)
        return args, incomplete

    def format_completion(self, item: CompletionItem[Any]) -> str:
        """``TYPE,VALUE``, a tab and help."""
        return f"{item.type},{self._option}{item.value}" + (f"\t{item.help}" if item.help else "")


SHELLS: dict[str, type[ShellComplete]] = {"bash": Bash, "zsh": Zsh, "fish": Fish}


def option_of(word: str) -> str:
    """``--method=`` of ``--method=simclr:``, which click takes off; empty for any other word."""
    found = re.match(r"--[\w-]+=", word)
    return found.group() if found else ""


def replaced_before(word: str) -> str:
    """Of the value in a word, what bash has put before the part that it replaces: ``simclr:`` of ``simclr:te``."""
    value = word.removeprefix(option_of(word))
    return value[: max(value.rfind(":"), value.rfind("=")) + 1]


def script(shell: str) -> str:
    """The lines that a shell evaluates so that it completes ``sslbench``."""
    from sslbench.cli.group import cli

    return SHELLS[shell](cli, {}, "sslbench", VARIABLE).source().rstrip("\n")


def answered(instruction: str) -> str | None:
    """What a shell's function gets for ``bash_complete`` and the like, or the script for ``bash_source``; None for any
    other instruction."""
    from sslbench.cli.group import cli

    shell, _, what = instruction.partition("_")
    if shell not in SHELLS or what not in ("source", "complete"):
        return None
    return script(shell) if what == "source" else SHELLS[shell](cli, {}, "sslbench", VARIABLE).complete()
