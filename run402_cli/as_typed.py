"""The command as typed, for advice that repeats it; and more words for a command that stands in an action.

Here and not in advice.py, which only makes commands: what was typed may hold a secret, and `secrecy` itself gives advice.
See docs/protocol/errors.md, "Next actions".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from run402_cli import advice, global_options, secrecy
from run402_cli.secrecy import CommandLine


def words() -> tuple[str, ...]:
    """The words after `run402` of the command that is running, as typed; empty where none was typed (Python, MCP).

    A word that may be a secret is `Blank("secret")`.
    """
    typed = global_options.typed()
    return tuple(secrecy.repeatable(typed)) if typed else ()


def again(*more: str, project: str | None = None, without: Sequence[str] = ()) -> tuple[str, ...]:
    """The words of the running command with `more` at the end, for an action that repeats it with what was missing.

    `project`: the project that was acted on, added as --project unless it was typed. `without`: words to leave out.
    """
    typed = [word for word in words() if word not in without]
    more = tuple(_new(more, typed))
    if project and project not in typed and f"--project={project}" not in typed:
        more = ("--project", project, *more)
    return _inserted(typed, more)


def less(*flags: str) -> tuple[str, ...]:
    """The words of the running command without these flags and their values."""
    line = CommandLine(words())
    for flag in flags:
        line = CommandLine(line.without_flag(flag))
    return line.words


def changed(*more: str) -> tuple[str, ...]:
    """The words of the running command with these flags and values in place of those that were typed."""
    return _inserted(less(*(word for word in more if word.startswith("--"))), more)


def line_of(entry: Any) -> CommandLine | None:
    """The command of an action of any origin, `<name>` as Blank; None where it runs no command of ours."""
    argv = entry.get("argv") if isinstance(entry, dict) else None
    if not isinstance(argv, list) or argv[:1] != ["run402"]:
        return None
    return CommandLine([advice.blank_of(str(word)) for word in argv[1:]])


def foreign(entry: Any) -> Any:
    """An action that somebody else wrote: its command made anew from its words, or left out where it is none of run402.

    `confirms` where the command is more than a read, and not the one that was typed.
    """
    if not isinstance(entry, dict) or not {"command", "argv"} & entry.keys():
        return entry
    kept = {key: value for key, value in entry.items() if key not in ("command", "argv")}
    found = _known(entry.get("argv")) or _known(entry.get("command"))
    if found is None:
        return kept
    kept |= advice.shown(advice.command(*found.words))
    harmless = "--help" in found.given or _effect(found.path) == "read" or found.words == words()
    return kept if harmless else {**kept, "confirms": True}


def foreign_advice(body: dict[str, Any]) -> dict[str, Any]:
    """The members of an answer with every action in it as `foreign` has it."""
    made = dict(body)
    if isinstance(body.get("next_actions"), list):
        made["next_actions"] = [foreign(entry) for entry in body["next_actions"]]
    if "next_action" in body:
        made["next_action"] = foreign(body["next_action"])
    if isinstance(body.get("details"), dict):
        made["details"] = foreign_advice(body["details"])
    return made


def _known(said: Any) -> CommandLine | None:
    """The command of this program that words or a line name; None for anything else, and where a shell would run more."""
    if isinstance(said, str):
        try:
            said = advice.parsed(said).argv
        except ValueError:
            return None
    if not isinstance(said, list) or said[:1] != ["run402"] or not all(isinstance(word, str) for word in said):
        return None
    found = CommandLine([advice.blank_of(word) for word in said[1:]])
    known = _effect(found.path) is not None or ("--help" in found.given and bool(found.path))
    return found if known and found.words[: len(found.path)] == tuple(found.path) else None


def _effect(path: list[str]) -> str | None:
    from run402_cli.effects import effect_of

    return effect_of(" ".join(path))


def extended(entry: dict[str, Any], found: CommandLine, more: Sequence[str]) -> dict[str, Any]:
    """The action whose command is `found` (see line_of), with more words in it."""
    return {**entry, **advice.shown(advice.command(*_inserted(found.words, more)))} if more else entry


def _inserted(words: Sequence[str], more: Sequence[str]) -> tuple[str, ...]:
    """Words at the end, before a `--`."""
    at = words.index("--") if "--" in words else len(words)
    return (*words[:at], *more, *words[at:])


def _new(more: Sequence[str], words: Sequence[str]) -> Iterator[str]:
    """The words that are not there yet; a flag that is there already comes again with another value."""
    rest = list(more)
    while rest:
        word = rest.pop(0)
        valued = word.startswith("--") and bool(rest) and not rest[0].startswith("--")
        if not (word.startswith("--") and word in words) or (valued and rest[0] not in words):
            yield word
        elif valued:
            rest.pop(0)
