"""Shell completion without importing a command module: `run402 __complete <words before the cursor> <current word>`.

Commands come from the static registry, options from completion.json (made by `make docs`), project ids and wallet
names from the local files. Prints one candidate per line. See docs/reference/completion.md.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

OPTIONS_FILE = Path(__file__).with_name("completion.json")
_WALLET_FLAGS = ("--wallet", "--profile")


def candidates(words: list[str]) -> list[str]:
    """What may stand in the place of the last word. Never fails: a completion that cannot be made is empty."""
    *before, current = words or [""]
    before = _without_values(before)
    previous = words[-2] if len(words) > 1 else ""
    if previous == "--project":
        found: Iterable[str] = project_ids()
    elif previous in _WALLET_FLAGS:
        found = wallet_names()
    else:
        found = _tree(before, current)
    return sorted(word for word in set(found) if word.startswith(current))


def _without_values(words: list[str]) -> list[str]:
    """Words without wallet flags and their values, which may stand before the command."""
    kept: list[str] = []
    skip = False
    for word in words:
        if skip:
            skip = False
        elif word in _WALLET_FLAGS:
            skip = True
        else:
            kept.append(word)
    return kept


def _tree(before: list[str], current: str) -> Iterable[str]:
    from run402_cli.registry import GROUPS

    if not before:
        return [*GROUPS, "--help", "--version"]
    group = GROUPS.get(before[0])
    if group is None:
        return []
    rest = [word for word in before[1:] if not word.startswith("-")]
    paths = list(group.commands or group.words)
    for length in (2, 1):
        path = " ".join(rest[:length])
        if path and path in paths:
            return [*_flags(f"{before[0]} {path}"), *_values(current)]
    depth = len(rest)
    words = {path.split()[depth] for path in paths if path.split()[:depth] == rest and len(path.split()) > depth}
    if group.commands:
        return [*words, "--help"]
    return [*words, *_flags(before[0]), *_values(current)]


def _values(current: str) -> list[str]:
    return project_ids() if current.startswith("prj") else []


def _flags(command: str) -> list[str]:
    from run402_cli.invocation import OPTIONS

    known = _json(OPTIONS_FILE)
    own = known.get(command) if isinstance(known, dict) else None
    return [*(own or ()), *OPTIONS, "--wallet", "--help"]


def _config_dir() -> Path:
    return Path(os.environ.get("RUN402_CONFIG_DIR") or Path.home() / ".config" / "run402")


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


def _folders(parent: Path) -> list[Path]:
    try:
        return [entry for entry in parent.iterdir() if entry.is_dir()]
    except OSError:
        return []


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
