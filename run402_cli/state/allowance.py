"""allowance.json: the wallet's address and private key. Secret: the key leaves this module only towards the signer.

And whose money it is: a key is one purse, under however many names a config directory has it.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

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


class Payer(NamedTuple):
    """Who pays: an address, and the directory of the name that it goes by now. Without a key, that directory alone."""

    base: Path
    folder: Path
    address: str | None = None

    @property
    def shared(self) -> Path:
        """What all names of the address have in common."""
        return self.folder if self.address is None else self.base / "payments" / self.address.lower()

    def folders(self) -> list[Path]:
        """Where records of the address may be, in the order in which they move: those of names, then `shared`.

        DamagedState when the wallets cannot be listed.
        """
        if self.address is None:
            return [self.folder]
        profiles = self.base / "profiles"
        try:
            named = sorted(folder for folder in profiles.iterdir() if folder.is_dir())
        except (FileNotFoundError, NotADirectoryError):
            named = []
        except OSError as exc:
            raise DamagedState(profiles, f"it cannot be listed ({exc.strerror or exc})", kind="unreadable") from exc
        return list(dict.fromkeys((self.base, *named, self.folder, self.shared)))

    def keeps(self, folder: Path) -> bool:
        """Whether what names no address there is of this one. A wallet that cannot be read may well have it."""
        if folder in (self.folder, self.shared):
            return True
        for name in ("allowance.json", "wallet.json"):
            try:
                wallet = read_allowance(folder / name)
            except DamagedState:
                return True
            if wallet is not None:
                return self.pays(wallet.address)
        return False

    def pays(self, address: str) -> bool:
        return address.lower() == (self.address or "").lower()


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
