"""Shell completion without importing a command module: `run402 __complete <words before the cursor> <current word>`.

Commands come from the static registry, options and arguments from completion.json, project ids and wallet names from the
local files. Prints one candidate a line, its meaning after a tab; `:files` or `:dirs` alone stand for what the shell
completes itself. `own_flags` adds what no help shows, from unlisted_flags.json. `make docs` makes both. See
docs/reference/completion.md.
"""

from __future__ import annotations

import functools
import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

OPTIONS_FILE = Path(__file__).with_name("completion.json")
# The flags that a command understands and no help shows, by command, older names too; whether each takes a value.
UNLISTED_FILE = Path(__file__).with_name("unlisted_flags.json")
FILES, DIRS = ":files", ":dirs"
# A word of a local file that a shell would read as more than text, or a command as a flag, is offered to nobody.
_PLAIN = re.compile("[A-Za-z0-9_][A-Za-z0-9_.-]*")
_WALLET = {"--wallet": ["@wallet", "Use this wallet."], "--profile": ["@wallet", "The same as --wallet."]}
_META = {"--help": [None, "Show help."], "-h": [None, "Show help."]}


def candidates(words: list[str]) -> list[str]:
    """Lines for what may stand in the place of the last word. Never fails: what cannot be completed is empty."""
    *before, current = _rejoined(words)
    place = _Place(before)
    if place.pending is not None:
        return _lines(_values(place.pending), current)
    flag, equals, value = current.partition("=")
    if equals and flag in place.flags():
        return [
            line if line in (FILES, DIRS) else f"{flag}={line}" for line in _lines(_values(place.kind(flag)), value)
        ]
    if not current.startswith("-") or place.ended:
        words_here = place.words()
        if words_here is not None:
            return _lines(words_here, current)
    return [] if place.ended else _lines({name: what for name, (_, what) in place.flags().items()}, current)


def every_flag() -> frozenset[str]:
    """The flags of all commands."""
    known = _packaged(OPTIONS_FILE)
    entries = known.values() if isinstance(known, dict) else ()
    return frozenset(flag for entry in entries for flag in entry.get("flags", {}))


def own_flags(command: str) -> dict[str, bool]:
    """Every flag of a command ("projects sql", or an older name of it), listed or not: whether it takes a value."""
    listed: dict[str, list[Any]] = _entry(OPTIONS_FILE, command).get("flags", {})
    unlisted: dict[str, bool] = _entry(UNLISTED_FILE, command)
    return {flag: kind is not None for flag, (kind, _) in listed.items()} | unlisted


def _entry(file: Path, command: str) -> dict[str, Any]:
    known = _packaged(file)
    entry = known.get(command) if isinstance(known, dict) else None
    return entry if isinstance(entry, dict) else {}


def _rejoined(words: list[str]) -> list[str]:
    """bash hands `--flag=value` over in three words; PowerShell cannot pass an empty word and sends a blank."""
    out: list[str] = []
    for word in words or [""]:
        if word == "=" and out and out[-1].startswith("--"):
            continue
        out.append(word)
    if words and words[-1] == "=" and len(words) > 1:
        out.append("")
    return [*out[:-1], out[-1].strip()]


class _Place:
    """Where the cursor is: the command that the words before it name, and what may follow."""

    def __init__(self, before: list[str]) -> None:
        from run402_cli.registry import GROUPS

        self.group = ""
        self.path: list[str] = []  # words of the subcommand so far
        self.positionals = 0
        self.ended = False  # after `--` nothing is a flag
        self.pending: Any = None  # the kind of value that the flag before the cursor waits for
        self._groups = GROUPS
        self._known = _packaged(OPTIONS_FILE)
        for word in before:
            self._read(word)

    def _read(self, word: str) -> None:
        if self.pending is not None:
            self.pending = None
        elif word == "--" and not self.ended:
            self.ended = True
        elif word.startswith("-") and not self.ended:
            self.pending = None if "=" in word else self.kind(word)
        elif not self.group:
            self.group = word
        elif self._continues(word):
            self.path.append(word)
        else:
            self.positionals += 1

    def _continues(self, word: str) -> bool:
        return not self.positionals and word in self._next_words()

    def _next_words(self) -> dict[str, str]:
        """The words that go on with the subcommand's name, and what they do."""
        group = self._groups.get(self.group)
        if group is None:
            return {}
        depth = len(self.path)
        found: dict[str, str] = {}
        for name, summary in (group.commands or group.words).items():
            parts = name.split()
            if parts[:depth] == self.path and len(parts) > depth:
                found.setdefault(parts[depth], summary if len(parts) == depth + 1 else "")
        return found

    @property
    def command(self) -> Mapping[str, Any]:
        """The entry of completion.json: {args: [[kind, repeatable]], flags: {flag: [kind, meaning]}}."""
        entry = self._known.get(" ".join((self.group, *self.path))) if isinstance(self._known, dict) else None
        return entry if isinstance(entry, dict) else {}

    def flags(self) -> dict[str, list[Any]]:
        """Every flag that may stand here, with the kind of its value (None without one) and its meaning."""
        from run402_cli.global_options import FORMATS, OPTIONS

        if self.group and self.group not in self._groups:
            return {}
        shared: dict[str, list[Any]] = {name: [value and "@text", text] for name, (value, text) in OPTIONS.items()}
        shared["--format"][0] = list(FORMATS)
        top = {"--version": [None, "Print the version."]} if not self.group else {}
        # A command's own option of the same name comes first.
        return {**shared, **_WALLET, **_META, **top, **self.command.get("flags", {})}

    def kind(self, flag: str) -> Any:
        return self.flags().get(flag, [None])[0]

    def words(self) -> Mapping[str, str] | None:
        """What may stand here other than a flag; None when only flags can be offered."""
        if not self.group:
            return {name: group.summary for name, group in self._groups.items()}
        following = {} if self.positionals else self._next_words()
        arguments = self.command.get("args", [])
        kind = None
        if arguments:
            kind, repeatable = arguments[min(self.positionals, len(arguments) - 1)]
            kind = kind if self.positionals < len(arguments) or repeatable else None
        found = {**following, **({} if kind is None else _values(kind))}
        return found or None


def _values(kind: Any) -> Mapping[str, str]:
    """What a value of this kind may be: one of a list, a local name, or a path that the shell completes."""
    if isinstance(kind, list):
        return dict.fromkeys(map(str, kind), "")
    match kind:
        case "@file":
            return {FILES: ""}
        case "@dir":
            return {DIRS: ""}
        case "@project":
            return _plain(project_ids())
        case "@wallet":
            return _plain(wallet_names())
        case "@group":
            from run402_cli.registry import GROUPS

            return {name: group.summary for name, group in GROUPS.items()}
    return {}


def _plain(words: Iterable[str]) -> dict[str, str]:
    return {word: "" for word in words if _PLAIN.fullmatch(word)}


def _lines(found: Mapping[str, str], current: str) -> list[str]:
    return [
        f"{word}\t{what}" if what else word
        for word, what in sorted(found.items())
        if word in (FILES, DIRS) or word.startswith(current)
    ]


def _config_dir() -> Path:
    # Without any home the path stays as it is, and nothing is found: a Tab is no place for an error.
    return Path(os.environ.get("RUN402_CONFIG_DIR") or os.path.expanduser("~/.config/run402"))  # noqa: PTH111


def project_ids() -> list[str]:
    """Projects with cached keys, of every wallet."""
    base = _config_dir()
    found: list[str] = []
    for folder in (base, *_folders(base / "profiles")):
        store = _json(folder / "credentials" / "project-keys.v1.json")
        projects = store.get("projects") if isinstance(store, dict) else None
        found += list(projects) if isinstance(projects, dict) else []
    return found


def wallet_names() -> list[str]:
    return ["default", *(folder.name for folder in _folders(_config_dir() / "profiles"))]


def _folders(parent: Path) -> Iterable[Path]:
    try:
        return [entry for entry in parent.iterdir() if entry.is_dir()]
    except OSError:
        return []


@functools.cache
def _packaged(file: Path) -> Any:
    return _json(file)


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
