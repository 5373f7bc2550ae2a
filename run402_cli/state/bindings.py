"""Which directory bindings count: those that nobody else put there, and of those in a repository the confirmed ones.

See docs/protocol/local-state.md, "Wallet binding".
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

from run402_cli import advice, output
from run402_cli.errors import CommandError
from run402_cli.state.catalogue import CONFIG, LOCAL_BINDING
from run402_cli.state.files import read_state

# In config.json: the real path of a binding file, and the wallet that it was confirmed for.
CONFIRMED = "confirmed_bindings"
_told: set[str] = set()


class Binding(NamedTuple):
    """A `.run402.json` or `.run402.local.json` that ties a directory tree to a wallet."""

    wallet: str
    file: str


def counts(path: Path) -> bool:
    """Whether a binding file is this user's own; of one that another user could have put there stderr tells once."""
    if not os.path.lexists(path):
        return True
    from run402_cli.ownership import stranger

    try:
        why = stranger(path)
    except OSError:
        return True  # reading it says what is wrong
    if why is not None and str(path) not in _told:
        _told.add(str(path))
        output.notice(f"warning: {path} chooses no wallet: {why}. To choose one here: --wallet NAME")
    return why is None


def require_confirmed(binding: Binding, base: Path) -> None:
    """CommandError BINDING_NOT_CONFIRMED for a binding of a repository that chooses another wallet than the configured one."""
    file = Path(binding.file)
    if not came_along(file):
        return
    config = read_state(base / "config.json", CONFIG) or {}
    if binding.wallet in ((config.get("active_wallet") or "default"), confirmed(config).get(os.path.realpath(file))):
        return
    again = advice.command("wallets", "bind", binding.wallet, "--confirm")
    raise CommandError(
        f"{file} is part of a git repository and chooses the wallet {binding.wallet!r}; nobody has confirmed that yet. "
        "Neither its key nor its project keys were used.",
        code="BINDING_NOT_CONFIRMED",
        hint=f"If that is what you want, confirm it once: {again}. For one command --wallet {binding.wallet} decides alone.",
        details={"binding_file": str(file), "wallet": binding.wallet},
        next_actions=[
            advice.run("wallets", "bind", binding.wallet, "--confirm", why="Its money and keys are used from then on.")
        ],
    )


def confirmed(config: dict[str, Any]) -> dict[str, Any]:
    """The confirmed bindings of config.json, wallet by file."""
    found = config.get(CONFIRMED)
    return found if isinstance(found, dict) else {}


def came_along(file: Path) -> bool:
    """Whether a binding came with a repository: it lies in a git work tree, and git has it when it is the personal one."""
    real = Path(os.path.realpath(file))
    root = next((folder for folder in real.parents if os.path.lexists(folder / ".git")), None)
    if root is None:
        return False
    return real.name.lower() != LOCAL_BINDING.name or _is_tracked(root, real)


def _is_tracked(root: Path, file: Path) -> bool:
    """Whether the index of a work tree has the file. One that cannot be told apart counts as tracked."""
    git = root / ".git"
    try:
        if git.is_file():
            git = root / git.read_text(encoding="utf-8").removeprefix("gitdir:").strip()
        index = (git / "index").read_bytes()
    except FileNotFoundError:
        return False
    except (OSError, ValueError):
        return True
    # Version 4 shortens paths by what the one before has.
    return index[4:8] == b"\0\0\0\4" or file.relative_to(root).as_posix().encode().lower() + b"\0" in index.lower()
