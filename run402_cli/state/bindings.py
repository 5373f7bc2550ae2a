"""Which directory bindings count: those that nobody else put there, and of those that came with something the confirmed ones.

See docs/protocol/local-state.md, "Wallet binding".
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

from run402_cli import advice, output
from run402_cli.errors import CommandError
from run402_cli.state.catalogue import CONFIG
from run402_cli.state.files import read_state

# In config.json: where a binding file is (`key`), and the wallet, of a workspace link the project, that it was confirmed for.
CONFIRMED = "confirmed_bindings"
# What unpacks an archive gives a file the time that it had elsewhere; what writes one does both within a moment.
_MOMENT_S = 5.0
# What stands at the top of a work tree: git, Mercurial, Subversion, Jujutsu, Sapling, Bazaar, Fossil, Pijul, Darcs, CVS.
_MARKERS = (
    *(".git", ".hg", ".svn", ".jj", ".sl", ".bzr", ".fslckout", "_FOSSIL_", ".pijul", "_darcs"),
    "CVS/Root",
)
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


def may_choose(binding: Binding, base: Path) -> bool:
    """Whether a binding needs no word of the user's, or has it. DamagedState for a config.json that cannot be read."""
    file = Path(binding.file)
    if not came_along(file):
        return True
    config = read_state(base / "config.json", CONFIG) or {}
    return binding.wallet in (config.get("active_wallet") or "default", confirmed(config).get(key(file)))


def require_confirmed(binding: Binding, base: Path) -> None:
    """CommandError BINDING_NOT_CONFIRMED for a binding that came along and chooses another wallet than the configured one."""
    if may_choose(binding, base):
        return
    file = Path(binding.file)
    again = advice.command("wallets", "bind", binding.wallet, "--confirm")
    raise CommandError(
        f"{file} is in a repository or came out of an archive and chooses the wallet {binding.wallet!r}; nobody has "
        "confirmed that yet. "
        "Neither its key nor its project keys were used.",
        code="BINDING_NOT_CONFIRMED",
        hint=f"If that is what you want, confirm it once: {again}. For one command --wallet {binding.wallet} decides alone.",
        details={"binding_file": str(file), "wallet": binding.wallet},
        next_actions=[
            advice.run("wallets", "bind", binding.wallet, "--confirm", why="Its money and keys are used from then on.")
        ],
    )


def confirmed(config: dict[str, Any]) -> dict[str, Any]:
    """The confirmed bindings of config.json, wallet or project by file."""
    found = config.get(CONFIRMED)
    return found if isinstance(found, dict) else {}


def folder(file: Path) -> Path:
    """The directory that a binding, a manifest or a workspace link speaks for."""
    return file.parent.parent if file.parent.name == ".run402" else file.parent


def key(file: Path) -> str:
    """The name of a file in `confirmed_bindings`: where it is. A link is another file than the one that it leads to."""
    place = folder(file)
    return str(Path(os.path.realpath(place)) / file.relative_to(place))


def came_along(file: Path) -> bool:
    """Whether a file that chooses something may be another's: it is in a work tree of version control, or was unpacked.

    A work tree holds what its repository brought, a patch too, and nothing in it tells which of its files the user wrote:
    those that run402 wrote, or the user confirmed, are in `confirmed_bindings`.
    """
    return in_work_tree(file) or _was_unpacked(file)


def checked_out_by_ci() -> bool:
    """Whether a CI service runs this: what it checked out is the repository that its owner let it have the variables for."""
    return os.environ.get("CI", "").lower() in ("true", "1")


def in_work_tree(file: Path) -> bool:
    """Whether a file is in a work tree of version control, as it is written or where its links lead."""
    written, real = Path(os.path.abspath(file)), Path(os.path.realpath(file))  # noqa: PTH100 - a clone may hold the link
    places = {*written.parents, *real.parents}
    return any(_is_there(place / marker) for place in places for marker in _MARKERS)


def _is_there(marker: Path) -> bool:
    """What cannot be looked at counts as there."""
    try:
        marker.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def _was_unpacked(file: Path) -> bool:
    """Whether the time of a file's content is another one than that of its arrival here."""
    try:
        found = file.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    apart = found.st_ctime - found.st_mtime
    # Windows has no time of a change: there `st_ctime` is when the file was made, and later changes are its owner's.
    return apart > _MOMENT_S or (apart < -_MOMENT_S and os.name != "nt")
