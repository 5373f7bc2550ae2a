"""allowance.json: the wallet's address and private key. Secret: the key leaves this module only towards the signer."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from run402_cli.errors import CommandError
from run402_cli.state.files import now_iso, read_json, tighten_mode, write_json

_ADDRESS = re.compile(r"0x[a-fA-F0-9]{40}")
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
    """allowance.json in the profile directory; a legacy wallet.json is renamed first."""
    path = folder / "allowance.json"
    legacy = folder / "wallet.json"
    if not path.exists() and legacy.exists():
        legacy.rename(path)
        path.chmod(0o600)
    return path


def load_allowance(folder: Path) -> Allowance | None:
    """The wallet of the active profile's directory, or of RUN402_ALLOWANCE_PATH. See `read_allowance`."""
    return read_allowance(allowance_path(folder))


def read_allowance(path: Path) -> Allowance | None:
    """The wallet in a file; None when the file is missing or not JSON.

    Raises CommandError BAD_ALLOWANCE_FILE when it is JSON of the wrong shape.
    """
    if not path.exists():
        return None
    tighten_mode(path)
    value = read_json(path)
    if value is None and not _is_json_null(path):
        return None
    if (
        not isinstance(value, dict)
        or not _matches(_ADDRESS, value.get("address"))
        or not _matches(_KEY, value.get("privateKey"))
    ):
        raise CommandError(
            f"{path} is not a wallet file: it needs `address` (0x, 40 hex digits) and `privateKey` (0x, 64 hex digits).",
            code="BAD_ALLOWANCE_FILE",
            hint="The file was left as it is. Restore it from a backup, or move it away and run: run402 init",
            details={"path": str(path)},
        )
    rail = value.get("rail")
    return Allowance(value["address"], value["privateKey"], path, rail if rail in ("x402", "mpp") else "x402", value)


def _is_json_null(path: Path) -> bool:
    try:
        return json.loads(path.read_bytes()) is None
    except (OSError, ValueError, RecursionError):
        return False


def _matches(pattern: re.Pattern[str], value: Any) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


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
