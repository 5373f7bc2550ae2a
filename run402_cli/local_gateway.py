"""Where the local gateway of this user keeps its things: for the gateway, and for the commands that look for it."""

from __future__ import annotations

import os
from pathlib import Path

STATE = "gateway.json"
MARKER = "run402-core.json"
RUN_LOCK = "gateway.lock"
# Carries the control token of the data directory, which opens the control plane.
CONTROL_HEADER = "Run402-Control-Token"
# Below the gateway's own address: the pages for a person.
CONSOLE = "/_run402/"


def default_data_dir() -> Path:
    """RUN402_CORE_DATA_DIR, else `core` below the user's data directory."""
    override = os.environ.get("RUN402_CORE_DATA_DIR")
    if override:
        return Path(override)
    import platformdirs

    return Path(platformdirs.user_data_dir("run402", appauthor=False)) / "core"
