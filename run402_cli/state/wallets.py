"""Named wallets on disk: list, create, rename, remove, select, bind. See docs/protocol/local-state.md, "Wallets".

These functions work on a wallet's own directory and never on RUN402_ALLOWANCE_PATH, which belongs to the active wallet only:
creating or renaming another wallet must not replace that key.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from run402_cli import advice
from run402_cli.errors import CommandError, EnvironmentFault
from run402_cli.global_options import about_to_write
from run402_cli.state import bindings
from run402_cli.state.active import read_active
from run402_cli.state.allowance import Allowance, Payer, new_allowance_fields, own_allowance_path, read_allowance
from run402_cli.state.catalogue import BINDING, CONFIG, META
from run402_cli.state.files import DamagedState, locked, make_private_dir, read_state, rewritten, write_json
from run402_cli.state.profile import DEFAULT, bad_wallet_name, base_dir, is_wallet_name, profile_dir, wallet_not_found

BINDING_FILE = ".run402.json"
_LOOKS_LIKE_KEY = re.compile(r"(0[xX])?[0-9a-fA-F]{64}")
# What belongs to the default wallet alone. The rest of the base directory is shared by all wallets: config.json, the
# session files, profiles/. The allowance comes last, so that a rename that was cut off can be run again.
_OWN_FILES = (
    "credentials",
    "payment-attempts",
    "payment-limits.json",
    "gitvault",
    "state.json",
    "target.json",
    "projects.json",
    "cli-update-check.json",
    "diagnostic-events-v1.json",
    "meta.json",
    "allowance.json",
)


@dataclass(frozen=True, slots=True)
class Wallet:
    """What is known of a wallet without its key. `rail` is x402, mpp or None; `label` the label last sent to the server.

    `faults` are its files that are there and cannot be read.
    """

    name: str
    address: str | None
    label: str | None
    rail: str | None
    faults: tuple[DamagedState, ...] = ()


def checked_name(name: str) -> str:
    """The name, or CommandError BAD_WALLET_NAME. A private key given as a name is not repeated in the error."""
    if not is_wallet_name(name):
        raise bad_wallet_name("<a private key>" if looks_like_key(name) else name)
    return name


def looks_like_key(text: str) -> bool:
    return _LOOKS_LIKE_KEY.fullmatch(text.strip()) is not None


def exists(name: str) -> bool:
    """A wallet exists when its directory holds an allowance.json."""
    return os.path.lexists(own_allowance_path(profile_dir(name)))


def require(name: str) -> None:
    """CommandError WALLET_NOT_FOUND unless the wallet exists."""
    if not exists(name):
        raise wallet_not_found(name)


def already_exists(name: str) -> CommandError:
    return CommandError(
        f"There is already a wallet named {name!r}.",
        code="WALLET_EXISTS",
        hint=f"Choose another name, or select it: {advice.command('wallets', 'use', name)}",
        details={"name": name},
    )


def names() -> list[str]:
    """Names of the wallets here: default first when it has a key, then every profile directory, sorted."""
    found = [DEFAULT] if exists(DEFAULT) else []
    folder = base_dir() / "profiles"
    try:
        folders = sorted(folder.iterdir())
    except FileNotFoundError:
        return found
    except OSError as exc:
        raise DamagedState(folder, f"it cannot be listed ({exc.strerror or exc})", kind="unreadable") from exc
    return found + [f.name for f in folders if is_wallet_name(f.name) and f.name != DEFAULT and f.is_dir()]


def describe(name: str) -> Wallet:
    """A wallet from its meta.json, completed from its allowance.json. What cannot be read is in `faults`, never an error."""
    faults: list[DamagedState] = []
    meta: dict[str, Any] = {}
    allowance: Allowance | None = None
    try:
        meta = _meta(name)
    except DamagedState as exc:
        faults.append(exc)
    try:
        allowance = _allowance(name)
    except DamagedState as exc:
        faults.append(exc)
    address, rail = _text(meta.get("address")), _text(meta.get("rail"))
    if allowance is not None:
        address = address or allowance.address
        rail = rail or _text(allowance.fields.get("rail"))
    return Wallet(name, address, _text(meta.get("label")), rail, tuple(faults))


def _meta(name: str) -> dict[str, Any]:
    return read_state(profile_dir(name) / "meta.json", META) or {}


def _allowance(name: str) -> Allowance | None:
    return read_allowance(own_allowance_path(profile_dir(name)))


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def create(name: str, *, address: str, private_key: str, rail: str) -> Allowance:
    """Store a new wallet: profiles/<name>/ with allowance.json and meta.json. CommandError WALLET_EXISTS when there is one."""
    folder = profile_dir(name)
    path = folder / "allowance.json"
    about_to_write(path)
    with _disk_errors(folder):
        _private_profile_dir(folder)
        # Locked, so that of two processes creating the same name one gets WALLET_EXISTS and no key is ever replaced.
        with locked(path):
            if exists(name):
                raise already_exists(name)
            fields = new_allowance_fields(address=address, private_key=private_key, rail=rail)
            write_json(path, fields, temp=".allowance")
    meta = {"name": name, "address": address, "label": name, "rail": rail, "created": fields["created"]}
    write_json(folder / "meta.json", meta, temp="")
    return Allowance(address, private_key, path, rail, fields)


def _private_profile_dir(folder: Path) -> None:
    for directory in (folder.parent, folder):
        make_private_dir(directory)
        with contextlib.suppress(OSError):
            directory.chmod(0o700)


def select_default(name: str) -> None:
    """Make the wallet the configured one (config.json). CommandError WALLET_NOT_FOUND for a named wallet without a key."""
    if name != DEFAULT:
        require(name)
    with _config() as config:
        config["active_wallet"] = name


@contextlib.contextmanager
def _config() -> Iterator[dict[str, Any]]:
    """config.json for a read-modify-write; written only when it changed."""
    path = base_dir() / "config.json"
    with _disk_errors(path), locked(path):
        config = read_state(path, CONFIG) or {}
        before = dict(config)
        yield config
        if config != before:
            write_json(path, config, temp="")


def rename(old: str, new: str) -> None:
    """Move a wallet with all of its files. The configured wallet follows; directory bindings do not.

    Raises CommandError WALLET_NOT_FOUND, or WALLET_RENAME_FAILED when `new` is taken or a file cannot be moved; then
    everything is back where it was.
    """
    require(old)
    _require_readable(old)
    if old != new:
        source, target = profile_dir(old), profile_dir(new)
        about_to_write(source, target)
        try:
            with _writers_paused(source, target):
                if old == DEFAULT:
                    _move_default(source, target)
                else:
                    _move_named(source, target)
        except OSError as exc:
            raise _rename_failed(old, new, exc.strerror or str(exc)) from exc
        _rescope_state(target, old, new)
    folder = profile_dir(new)
    meta = {**_meta(new), "name": new, "label": new}
    allowance = _allowance(new)
    if allowance is not None:
        meta["address"] = allowance.address
    write_json(folder / "meta.json", meta, temp="")
    with _config() as config:
        if config.get("active_wallet", DEFAULT) == old:
            config["active_wallet"] = new


def _require_readable(name: str) -> None:
    """Before a rename: DamagedState when a file that it has to change cannot be read."""
    folder = profile_dir(name)
    read_state(base_dir() / "config.json", CONFIG)
    read_active(folder)
    _meta(name)
    _allowance(name)


def _rename_failed(old: str, new: str, reason: str) -> CommandError:
    return CommandError(
        f"Wallet {old!r} was not renamed to {new!r}: {reason}.",
        code="WALLET_RENAME_FAILED",
        hint="Nothing was moved. Choose a free name (run402 wallets list) and check the permissions of the directory.",
        details={"from": old, "to": new},
    )


@contextlib.contextmanager
def _writers_paused(source: Path, target: Path) -> Iterator[None]:
    """Hold the locks of the wallet's own files while it moves, so that no write lands at the old place."""
    files = [
        file for file in (Path("credentials", "project-keys.v1.json"), Path("state.json")) if (source / file).exists()
    ]
    with contextlib.ExitStack() as stack:
        for file in files:
            stack.enter_context(locked(source / file))
        yield
        for file in files:  # a lock inside a directory that moved has moved along
            with contextlib.suppress(OSError):
                (target / f"{file}.lock").rmdir()


def _move_named(source: Path, target: Path) -> None:
    if target.exists() or target.is_symlink():
        raise FileExistsError(0, f"{target} exists already")
    _private_profile_dir(source)
    source.rename(target)


def _move_default(source: Path, target: Path) -> None:
    """Move the default wallet's files one by one. A target without a key is what a rename that was cut off left behind."""
    waiting = [name for name in _OWN_FILES if (source / name).exists() or (source / name).is_symlink()]
    if (target / "allowance.json").exists():
        raise FileExistsError(0, f"{target} exists already")
    for name in waiting:
        if (target / name).exists():
            raise FileExistsError(0, f"{target / name} exists already")
    existed = target.is_dir()
    _private_profile_dir(target)
    moved: list[str] = []
    try:
        for name in waiting:
            (source / name).rename(target / name)
            moved.append(name)
    except OSError:
        for name in reversed(moved):
            (target / name).rename(source / name)
        if not existed:
            target.rmdir()
        raise


def _rescope_state(folder: Path, old: str, new: str) -> None:
    """Active-project entries name their wallet in the key: without this the renamed wallet would not see them."""
    path = folder / "state.json"
    if not read_active(folder).get("active_projects"):
        return
    with locked(path):
        state = read_active(folder)
        scoped: dict[str, Any] = {}
        for scope, entry in state["active_projects"].items():
            key = _parsed_scope(scope)
            if key is not None and key.get("profile") == old:
                scope = json.dumps({**key, "profile": new}, separators=(",", ":"), ensure_ascii=False)
                entry = {**entry, "profile": new}
            scoped[scope] = entry
        write_json(path, {**state, "active_projects": scoped}, temp=".state")


def _parsed_scope(scope: str) -> dict[str, Any] | None:
    try:
        key = json.loads(scope)
    except (ValueError, RecursionError):
        return None
    return key if isinstance(key, dict) else None


def remove(name: str) -> None:
    """Delete a named wallet with its key and caches; config.json falls back to default. Records of payments stay.

    The key file goes last: a removal that was cut off leaves a wallet that can be removed again.
    """
    require(name)
    about_to_write(profile_dir(name))
    with _config() as config:
        if config.get("active_wallet") == name:
            config["active_wallet"] = DEFAULT
    folder = profile_dir(name)
    with _disk_errors(folder):
        if folder.is_symlink():
            folder.unlink()
            return
        _keep_payments(name)
        for entry in sorted(folder.iterdir(), key=lambda path: path.name == "allowance.json"):
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        folder.rmdir()


def _keep_payments(name: str) -> None:
    """What was paid from a key, and what it may spend, is of its address, which may have another name now or later."""
    from run402_cli.state.attempts import keep_records
    from run402_cli.state.limits import keep_limits

    try:
        wallet = _allowance(name)
    except DamagedState:
        wallet = None
    payer = Payer(base_dir(), profile_dir(name), None if wallet is None else wallet.address)
    keep_limits(payer)
    keep_records(payer)


def bind(folder: Path, name: str) -> None:
    """Write `.run402.json` in a directory: commands below it use the wallet. Holds no secret and may be committed."""
    from run402_cli import work_tree

    path = folder / BINDING_FILE
    about_to_write(path)
    with _disk_errors(path):
        document = rewritten(path, BINDING, {"wallet": name})
        text = json.dumps(document, indent=2) + "\n"
        work_tree.write(folder, path, text.encode("utf-8", "surrogatepass"))
    if bindings.came_along(path):
        confirm(path, name)


def confirm(binding: Path, name: str) -> None:
    """Remember that the user wants this file to choose this wallet, or project: it may have come along, or seem so one day."""
    with _config() as config:
        config[bindings.CONFIRMED] = {**bindings.confirmed(config), bindings.key(binding): name}


def unbind(folder: Path) -> bool:
    """Remove `.run402.json` from a directory; False when there was none. Parent directories are not looked at."""
    path = folder / BINDING_FILE
    about_to_write(path)
    with _disk_errors(path):
        try:
            path.unlink()
        except FileNotFoundError:
            return False
    return True


@contextlib.contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise EnvironmentFault(
            f"Cannot change {exc.filename or path}: {exc.strerror or exc}.",
            hint="Check the permissions and free space of that directory, then run the command again.",
            details={"path": str(exc.filename or path)},
        ) from exc
