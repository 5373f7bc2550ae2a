"""Which variables of the environment the user has allowed an app to take for its secrets: config.json, by app directory.

See docs/up.md, "Secrets".
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from run402_cli.state.catalogue import CONFIG
from run402_cli.state.files import locked, read_state, write_json

# In config.json: the real path of a directory, and the names.
ALLOWED = "allowed_variables"


def allowed(base: Path, folder: Path) -> frozenset[str]:
    """The variables that the app in a directory may take. DamagedState for a config.json that cannot be read."""
    return _names(read_state(base / "config.json", CONFIG) or {}, folder)


def allow(base: Path, folder: Path, names: Iterable[str]) -> None:
    """Remember that the app in a directory may take these, too."""
    wanted = frozenset(names)
    if wanted <= allowed(base, folder):
        return
    path = base / "config.json"
    with locked(path):
        config = read_state(path, CONFIG) or {}
        kept = sorted(wanted | _names(config, folder))
        write_json(path, {**config, ALLOWED: {**_entries(config), os.path.realpath(folder): kept}}, temp="")


def _names(config: dict[str, Any], folder: Path) -> frozenset[str]:
    names = _entries(config).get(os.path.realpath(folder))
    return frozenset(name for name in names if isinstance(name, str)) if isinstance(names, list) else frozenset()


def _entries(config: dict[str, Any]) -> dict[str, Any]:
    found = config.get(ALLOWED)
    return found if isinstance(found, dict) else {}
