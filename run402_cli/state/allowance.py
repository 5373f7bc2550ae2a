"""allowance.json: the wallet's address and private key. Secret: the key leaves this module only towards the signer."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from run402_cli.state.catalogue import ALLOWANCE
from run402_cli.state.files import DamagedState, now_iso, read_state, write_json

_KEY = re.compile(r"0x[a-fA-F0-9]{64}")


@dataclass(frozen=True, slots=True)
class Allowance:
    """One wallet. `rail` is x402 or mpp; `fields` is the whole file, kept for writers."""

    address: str
    private_key: str = field(repr=False)
    path: Path
    rail: str = "x402"
    fields: dict[str, Any] = field(default_factory=dict, repr=False)


def allowance_path(folder: Path) -> Path:
    """RUN402_ALLOWANCE_PATH, else the allowance.json of the profile directory."""
    explicit = os.environ.get("RUN402_ALLOWANCE_PATH")
    return Path(explicit) if explicit else own_allowance_path(folder)


def own_allowance_path(folder: Path) -> Path:
    """allowance.json in the profile directory; a legacy wallet.json is renamed first, unless it is damaged."""
    path = folder / "allowance.json"
    legacy = folder / "wallet.json"
    if os.path.lexists(path) or not os.path.lexists(legacy):
        return path
    try:
        read_state(legacy, ALLOWANCE)
    except DamagedState:
        return legacy
    legacy.rename(path)
    path.chmod(0o600)
    return path


def load_allowance(folder: Path) -> Allowance | None:
    """The wallet of the active profile's directory, or of RUN402_ALLOWANCE_PATH. See `read_allowance`."""
    return read_allowance(allowance_path(folder))


def read_allowance(path: Path) -> Allowance | None:
    """The wallet in a file; None only when there is no file.

    Raises DamagedState: BAD_ALLOWANCE_FILE for JSON of another shape, BAD_ENV for everything else that cannot be read.
    """
    value = read_state(path, ALLOWANCE)
    if value is None:
        return None
    rail = value.get("rail")
    return Allowance(value["address"], value["privateKey"], path, rail if rail in ("x402", "mpp") else "x402", value)


def save_allowance(folder: Path, fields: dict[str, Any]) -> Path:
    """Write allowance.json (0600) atomically and return its path."""
    path = allowance_path(folder)
    write_json(path, fields, temp=".allowance")
    return path


def new_allowance_fields(*, address: str, private_key: str, rail: str) -> dict[str, Any]:
    """The content of a fresh wallet file."""
    return {"address": address, "privateKey": private_key, "created": now_iso(), "funded": False, "rail": rail}


def parse_private_key(text: str) -> str | None:
    """The trimmed key when it is 0x and 64 hex digits, else None."""
    text = text.strip()
    return text if _KEY.fullmatch(text) else None
