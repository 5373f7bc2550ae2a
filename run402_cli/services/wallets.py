"""Named wallets: key generation and import, and the label that the server shows for an address. See docs/wallets.md.

Everything but the label is local. Nothing of the HTTP client or the signing libraries is imported until a key is used.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from run402_cli import advice
from run402_cli.errors import CommandError, Run402Error
from run402_cli.state import wallets
from run402_cli.state.allowance import Allowance, own_allowance_path, parse_private_key, read_allowance
from run402_cli.state.files import DamagedState
from run402_cli.state.profile import Profile, current, profile_dir
from run402_cli.state.selection import Selection

if TYPE_CHECKING:
    from run402_cli.client import Client

_LABEL_TIMEOUT_S = 5.0


def list_wallets(selection: Selection) -> list[dict[str, Any]]:
    """Local wallets: [{local_label, server_label, address, address_short, rail, active, problems?}]; default first.

    `problems` are the wallet's files that cannot be read: [{code, message, hint}]. `active` is null for all of them when the
    file that names the active one cannot be read. Sends nothing.
    """
    active = None if selection.fault is not None else selection.name
    return [_row(wallets.describe(name), active) for name in wallets.names()]


def _problem(fault: DamagedState) -> dict[str, str]:
    return {"code": fault.code, "message": fault.message, "hint": fault.hint or ""}


def _row(wallet: wallets.Wallet, active: str | None) -> dict[str, Any]:
    address = wallet.address
    return {
        "local_label": wallet.name,
        "server_label": wallet.label,
        "address": address,
        "address_short": f"{address[:6]}…{address[-4:]}" if address else None,
        "rail": wallet.rail,
        "active": None if active is None else wallet.name == active,
        **({"problems": [_problem(fault) for fault in wallet.faults]} if wallet.faults else {}),
    }


def current_wallet(profile: Profile) -> dict[str, Any]:
    """The resolved wallet: {local_label, source, source_detail, address, server_label, warnings: [{code, message, hint}]}."""
    wallet = wallets.describe(profile.name)
    selection = profile.selection
    return {
        "local_label": profile.name,
        "source": selection.source,
        "source_detail": selection.detail,
        "address": wallet.address,
        "server_label": wallet.label,
        "warnings": _warnings(profile, wallet),
    }


def _warnings(profile: Profile, wallet: wallets.Wallet) -> list[dict[str, str]]:
    found = [_problem(fault) for fault in wallet.faults]
    selection = profile.selection
    if selection.diverged and selection.binding is not None:
        found.append(
            {
                "code": "WALLET_SELECTION_CONFLICT",
                "message": (
                    f"RUN402_WALLET names {selection.env_name}, {selection.binding.file} binds {selection.binding.wallet}."
                ),
                "hint": "Other commands stop here. Unset RUN402_WALLET, or add --wallet NAME.",
            }
        )
    if wallet.label is not None and wallet.label != wallet.name:
        found.append(
            {
                "code": "WALLET_LABEL_DRIFT",
                "message": f"The server was last told the label {wallet.label!r} for the wallet {wallet.name!r}.",
                "hint": f"Send the local name again: {advice.command('wallets', 'rename', wallet.name, '--to', wallet.name)}",
            }
        )
    return found


def new(name: str, *, mpp: bool = False) -> dict[str, Any]:
    """Create a wallet with a fresh key: {local_label, address, rail, created, next}. Pushes the label, best effort.

    Raises CommandError WALLET_EXISTS, EnvironmentFault when the directory cannot be written.
    """
    from run402_cli.client import signing

    if wallets.exists(name):
        raise wallets.already_exists(name)
    key = signing.new_private_key()
    allowance = wallets.create(name, address=signing.address_of(key), private_key=key, rail="mpp" if mpp else "x402")
    _push_label(allowance, name)
    return {
        "local_label": name,
        "address": allowance.address,
        "rail": allowance.rail,
        "created": True,
        "next": f"Select it with `{advice.command('wallets', 'use', name)}`, or for one command with --wallet {name}.",
    }


def adopt(name: str, text: str) -> dict[str, Any]:
    """Store an existing private key, given as text: {local_label, address, imported}. Pushes the label, best effort.

    Raises CommandError WALLET_EXISTS or BAD_PRIVATE_KEY; no error repeats the key.
    """
    from run402_cli.client import signing

    key = parse_private_key(text)
    if key is None or not signing.is_valid_key(key):
        raise CommandError(
            "The input is not a private key: it must be 0x and 64 hex digits, and a valid secp256k1 scalar.",
            code="BAD_PRIVATE_KEY",
            hint="Put the key alone into a file readable by you only, and pass its path to --key.",
            details={"name": name},
        )
    allowance = wallets.create(name, address=signing.address_of(key), private_key=key, rail="x402")
    _push_label(allowance, name)
    return {"local_label": name, "address": allowance.address, "imported": True}


def use(name: str) -> dict[str, Any]:
    """Set the configured wallet: {local_label, active: true}. CommandError WALLET_NOT_FOUND."""
    wallets.select_default(name)
    return {"local_label": name, "active": True}


def rename(old: str, to: str) -> dict[str, Any]:
    """Rename a wallet and push its label: {from, to, renamed}. CommandError WALLET_NOT_FOUND or WALLET_RENAME_FAILED."""
    with contextlib.suppress(Run402Error):
        _ = current().target  # read before the directory of the active wallet moves
    wallets.rename(old, to)
    with contextlib.suppress(CommandError):
        allowance = read_allowance(own_allowance_path(profile_dir(to)))
        if allowance is not None:
            _push_label(allowance, to)
    return {"from": old, "to": to, "renamed": True}


def remove(name: str) -> dict[str, Any]:
    """Delete a wallet: {local_label, removed}. CommandError WALLET_NOT_FOUND."""
    wallets.remove(name)
    return {"local_label": name, "removed": True}


def bind(profile: Profile, name: str | None = None) -> dict[str, Any]:
    """Bind the current directory, to the active wallet unless one is named; the wallet need not exist.

    {wallet, file, bound, safe_to_commit, note, warning?}. CommandError BINDING_NOT_CONFIRMED when a file chose the wallet.
    """
    if not name:
        profile.require_confirmed()
        name = profile.name
    wallets.bind(Path.cwd(), name)
    result: dict[str, Any] = {
        "wallet": name,
        "file": wallets.BINDING_FILE,
        "bound": True,
        "safe_to_commit": True,
        "note": "It holds the wallet's name and no secret. A personal override goes into .run402.local.json.",
    }
    if not wallets.exists(name):
        result["warning"] = (
            f"There is no wallet named {name!r} on this machine. Create it: {advice.command('wallets', 'new', name)}"
        )
    return result


def confirm_binding(profile: Profile, name: str | None = None) -> dict[str, Any]:
    """Agree once to the binding that holds here, which may have come with a repository: {wallet, file, bound, ...}.

    CommandError BINDING_NOT_FOUND without a binding, or when it is for another wallet than `name`.
    """
    found = profile.selection.binding
    if found is None or (name is not None and found.wallet != name):
        what = (
            "No binding holds here"
            if found is None
            else f"{found.file} is for the wallet {found.wallet!r}, not {name!r}"
        )
        raise CommandError(
            f"{what}. Nothing was confirmed.",
            code="BINDING_NOT_FOUND",
            hint=f"Bind the directory: {advice.command('wallets', 'bind', name or profile.name)}",
            details={"wallet": name, "binding_file": found.file if found else None},
        )
    wallets.confirm(Path(found.file), found.wallet)
    note = "The file may choose this wallet from now on."
    return {"wallet": found.wallet, "file": found.file, "bound": True, "safe_to_commit": True, "note": note}


def unbind() -> dict[str, Any]:
    """Remove ./.run402.json: {file, unbound}."""
    return {"file": wallets.BINDING_FILE, "unbound": wallets.unbind(Path.cwd())}


def _push_label(allowance: Allowance, label: str) -> None:
    """POST /wallets/v1/{address}/label, signed by that wallet. Best effort: at most 5 s, and no failure is reported."""
    if os.environ.get("RUN402_WALLET_LABEL_SYNC") == "0":
        return
    from run402_cli.client import Client

    with contextlib.suppress(Run402Error, OSError, ValueError), Client() as client:
        client.http.timeout = _LABEL_TIMEOUT_S
        set_label(client, allowance, label)


def set_label(client: Client, allowance: Allowance, label: str) -> None:
    """POST /wallets/v1/{address}/label {label}: the display label of an address. Signed by the wallet itself."""
    from run402_cli.client import credentials, segment

    client.request(
        "POST",
        f"/wallets/v1/{segment(allowance.address)}/label",
        context="setting the wallet label",
        auth=credentials.Siwx(allowance),
        body={"label": label},
    )
