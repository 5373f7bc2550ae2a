"""What a configuration directory holds, written without running a command for it."""

from __future__ import annotations

import json
from pathlib import Path

ADDRESS = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
# A key that everybody knows; it owns nothing.
PRIVATE_KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"


def write(path: Path, value: object) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.write_text(json.dumps(value))
    path.chmod(0o600)


def keep_keys(config: Path, **projects: dict[str, str]) -> None:
    """The cached keys of projects, {anon_key?, service_key?} each."""
    write(config / "credentials" / "project-keys.v1.json", {"version": 1, "projects": projects})


def keep_wallet(config: Path) -> None:
    """A default wallet with a key."""
    write(config / "allowance.json", {"address": ADDRESS, "privateKey": PRIVATE_KEY})
