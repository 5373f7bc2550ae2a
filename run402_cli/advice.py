"""What to run next, as data: the one place that makes the text of a command from its words.

`command` is for the texts (hints, messages), `action` for an entry of `next_actions`. Both quote every word for a POSIX
shell, so that a value with blanks, quotes or `$( )` stays one word wherever the text is pasted; `argv` in an action is the
same without any quoting. A value that cannot be known is a `Blank` and shows as `<name>`; fill in everything else.
See docs/protocol/errors.md, "Next actions".
"""

from __future__ import annotations

import shlex
from typing import Any

from run402_cli import invocation


class Blank(str):
    """A word that only the reader knows, shown as `<name>`. Never for a value that stands elsewhere in the envelope."""

    __slots__ = ()

    def __str__(self) -> str:
        return f"<{super().__str__()}>"


def command(*words: str) -> str:
    """`run402` and the words, each quoted for a shell: `command("projects", "use", "a b")` is `run402 projects use 'a b'`."""
    return " ".join(("run402", *(str(word) if isinstance(word, Blank) else shlex.quote(word) for word in words)))


def action(kind: str, *words: str, **fields: Any) -> dict[str, Any]:
    """An entry of `next_actions`: {type, command, argv, ...}; `fields` such as `why` come after."""
    return {"type": kind, "command": command(*words), "argv": ["run402", *map(str, words)], **fields}


def typed() -> tuple[str, ...]:
    """The words after `run402` of the command that is running, as typed; empty where none was typed (Python, MCP)."""
    return invocation.typed()


def again(*more: str) -> tuple[str, ...]:
    """The words of the running command with `more` at the end, for an action that repeats it with what was missing."""
    return (*typed(), *more)
