"""What to run next, as data: the one place that makes the text of a command from its words.

`command` is for the texts (hints, messages), `action` for an entry of `next_actions`. Both quote every word for a POSIX
shell, so that a value with blanks, quotes or `$( )` stays one word wherever the text is pasted; `argv` in an action is the
same without any quoting. A value that cannot be known is a `Blank` and shows as `<name>`; fill in everything else.
It knows nothing of the command that is running: as_typed.py does.
`commands_in` reads them back: in a text, a command stands in backticks or ends with its sentence.
See docs/protocol/errors.md, "Next actions".
"""

from __future__ import annotations

import os
import re
import shlex
from typing import Any


class Blank(str):
    """A word that only the reader knows, shown as `<name>`. Never for a value that stands elsewhere in the envelope."""

    __slots__ = ()

    def __str__(self) -> str:
        return f"<{super().__str__()}>"


class Command(str):
    """A command as a shell reads it; `argv` is the same as a list, without quoting."""

    argv: list[str]


def blank_of(word: str) -> str:
    """A word of a text: a Blank where it is written `<name>`."""
    return Blank(word[1:-1]) if re.fullmatch(r"<[^<>]+>", word) else word


def quoted(word: object) -> str:
    """One word as a POSIX shell reads it back; a Blank as it shows."""
    return str(word) if isinstance(word, Blank) else shlex.quote(str(word))


def line(*words: object) -> Command:
    """Words of any program as one shell line: `line("rm", "a b")` is `rm 'a b'`."""
    made = Command(" ".join(map(quoted, words)))
    made.argv = [str(word) for word in words]
    return made


def command(*words: object) -> Command:
    """`run402` and the words, each quoted for a shell: `command("projects", "use", "a b")` is `run402 projects use 'a b'`."""
    return line("run402", *words)


def parsed(text: str) -> Command:
    """A command line that stands in the source, with its argv; `<name>` stays one word. Never for a text with values."""
    made = Command(text)
    # A value that was quoted into it may hold `<` itself; only a blank with a space in it needs help to stay one word.
    made.argv = shlex.split(re.sub(r"(?<!\S)<[^<>'\"]* [^<>'\"]*>(?!\S)", lambda blank: shlex.quote(blank[0]), text))
    return made


def entry(kind: str, made: Command, **fields: Any) -> dict[str, Any]:
    """An entry of `next_actions` for a made command: {type, command, argv, ...}; `fields` such as `why` come after."""
    return {"type": kind, "command": str(made), "argv": made.argv, **fields}


def issue_key(project_id: str) -> Command:
    """The command that makes a service key for a project and keeps it on this machine; the project's owner may run it.

    Its name is new each time: a fresh machine for each run, as in CI, must not meet the credential of the run before.
    """
    name = f"cli-{os.urandom(3).hex()}"
    return command("credentials", "issue", "--kind", "service", "--name", name, "--project", project_id, "--save")


def shown(made: Command) -> dict[str, Any]:
    """{command, argv}, for an action whose other fields come first."""
    return {"command": str(made), "argv": made.argv}


def action(kind: str, *words: object, **fields: Any) -> dict[str, Any]:
    """An entry of `next_actions` for these words."""
    return entry(kind, command(*words), **fields)


def run(*words: object, **fields: Any) -> dict[str, Any]:
    """The action for a command that may be run as it stands, or edited first where it has a Blank."""
    return action("edit_request" if any(isinstance(word, Blank) for word in words) else "run_command", *words, **fields)


_WORD = re.compile(r"""(?:[^\s'"\\`]+|'[^']*'|"(?:[^"\\]|\\.)*"|\\.)+""", re.DOTALL)
_ENDS = ".,;:)"
_OPERATORS = ("|", "||", "&&", "&", ">", ">>", "<", "<<")


def commands_in(text: str) -> list[list[str]]:
    """The words of every `run402 ...` command that a text names, `<name>` as Blank.

    A command ends at its closing backtick, behind --help, at a shell operator, at the end of the text, or with a word
    before `. , ; : )`.
    """
    found = []
    for start in re.finditer(r"(?<![\w./@'\"-])run402 (?=[a-z-])", text):
        words, at = [], start.end()
        while (match := _WORD.match(text, at)) is not None:
            raw = match.group()
            if raw in _OPERATORS:
                break
            bare = raw.rstrip(_ENDS) if raw[-1] in _ENDS and not raw.endswith("...") else raw
            words += [_read(bare)] if bare else []
            at = match.end()
            if bare in ("--help", "-h") or bare != raw or text[at : at + 1] != " ":
                break
            at += 1
        found.append(words)
    return found


def _read(raw: str) -> str:
    if isinstance(word := blank_of(raw), Blank):
        return word
    try:
        return "".join(shlex.split(raw)) if raw not in ("''", '""') else ""
    except ValueError:
        return raw
