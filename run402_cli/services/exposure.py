"""What other users and machines reach of this user's files and local gateway; for `doctor`. Changes nothing.

A check is there only when something is wrong. See docs/diagnostics.md, "doctor".
"""

from __future__ import annotations

import json
import os
import socket
import stat
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from run402_cli import advice, ownership
from run402_cli.client import own_gateway
from run402_cli.proxies import is_loopback
from run402_cli.state import catalogue
from run402_cli.state.profile import Profile

Json = Any
Check = dict[str, Json]

_PATIENCE_S = 1
_HEALTH_BYTES = 64 * 1024
_READ_OR_WRITE = 0o066
_WRITE = 0o022
# PostgreSQL's, where the cluster lies below the data directory.
_SOCKETS = "postgres/.s.PGSQL.*"


class _Place(NamedTuple):
    """A file or directory of ours, below the directory `top` that should keep others out of all of it."""

    path: Path
    top: Path


def checks(profile: Profile) -> list[Check]:
    """`file_modes`, `root`, `exposed_port` and `database_tls`, each when there is something to say."""
    running = list(own_gateway.running(profile))
    return [*_file_modes(profile), *_root(running), *_exposed_port(running), *_database_tls(running)]


# -- files --------------------------------------------------------------------------------------------------------------


def _file_modes(profile: Profile) -> list[Check]:
    """An error when others reach something now, a warning when a directory above still keeps them out."""
    if not hasattr(os, "geteuid"):
        return []
    found = [row for place in _places(profile) if (row := _judged(place)) is not None]
    if not found:
        return []
    reached = [row for row in found if row["reachable"]]
    first = (reached or found)[0]
    message = f"{first['path']} is too open ({first['problem']})" + (
        f", and {len(found) - 1} more: see value.open." if len(found) > 1 else "."
    )
    why = "Other users of this machine can use it." if reached else "Only a directory above keeps other users out."
    hint = f"Close it: {first['next_actions'][0]['command']}"
    status = "error" if reached else "warning"
    fields = {"value": {"open": found}, "message": f"{message} {why}", "hint": hint}
    return [{"name": "file_modes", "status": status, **fields}]


def _judged(place: _Place) -> dict[str, Json] | None:
    try:
        real = place.path.resolve(strict=True)
        found, bits = real.lstat(), ownership.open_bits(real)
        arrive = ownership.others_arrive(real.parent)
        stranger = found.st_uid not in (os.geteuid(), 0) and not _is_of_postgres(place)
    except OSError:
        return None
    folder = stat.S_ISDIR(found.st_mode)
    if stranger:
        owner = f"{os.geteuid()}:{os.getegid()}"
        return _row(place.path, f"it belongs to another user, uid {found.st_uid}", True, "chown", owner)
    # Directories that others may only pass through, or only list behind a closed one, show nothing.
    if not bits & (_READ_OR_WRITE if not folder or arrive else _WRITE):
        return None
    problem = f"mode {stat.S_IMODE(found.st_mode):o}"
    return _row(place.path, problem, arrive, "chmod", "700" if folder or found.st_mode & 0o100 else "600")


def _row(path: Path, problem: str, reachable: bool, *words: str) -> dict[str, Json]:
    action = advice.entry("run_command", advice.line(*words, path))
    return {"path": str(path), "problem": problem, "reachable": reachable, "next_actions": [action]}


def _is_of_postgres(place: _Place) -> bool:
    """Whether it is the cluster, which belongs to a system user where the gateway runs as root."""
    return place.path.is_relative_to(place.top / "postgres")


def _places(profile: Profile) -> Iterator[_Place]:
    yield from dict.fromkeys((*_of_configuration(profile.base), *_of_environment(), *_of_gateways(profile)))


def _of_configuration(base: Path) -> Iterator[_Place]:
    """The files of all wallets, and the directories that they are in."""
    yield _Place(base, base)
    for folder in (base, *_listed(base, "profiles/*")):
        yield _Place(folder, base)
        for kind in catalogue.FILES:
            if kind.place == "wallet" or (kind.place == "base" and folder == base):
                fixed, some, _ = kind.name.partition("*")
                path = folder / fixed
                if path.parent != folder:
                    yield _Place(path.parent, base)
                if not some:
                    yield _Place(path, base)
        yield _Place(folder / "wallet.json", base)


def _of_environment() -> Iterator[_Place]:
    for kind in catalogue.FILES:
        if kind.variable and (named := os.environ.get(kind.variable)):
            yield _Place(Path(named), Path(named).parent)


def _of_gateways(profile: Profile) -> Iterator[_Place]:
    for folder in own_gateway.data_directories(profile):
        yield _Place(folder, folder)
        for pattern in ("*", "private/*", _SOCKETS):
            yield from (_Place(path, folder) for path in _listed(folder, pattern))


def _listed(folder: Path, pattern: str) -> list[Path]:
    try:
        return sorted(folder.glob(pattern))
    except OSError:
        return []


# -- the local gateway --------------------------------------------------------------------------------------------------


def _root(running: list[dict[str, Json]]) -> list[Check]:
    if not running or not _is_root():
        return []
    message = (
        f"The local gateway on {running[0]['url']} runs as root, and so do the functions of its projects: "
        "whatever code a project brings owns this machine."
    )
    hint = (
        f"Run it as an ordinary user: {advice.command('core', 'stop')}, then as that user "
        f"{advice.command('core', 'start')}. Projects move by projects export and core projects import."
    )
    return [{"name": "root", "status": "warning", "message": message, "hint": hint}]


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


def _exposed_port(running: list[dict[str, Json]]) -> list[Check]:
    """Whether the gateway answers at an address of this machine that is not loopback: by itself, or behind a forwarder."""
    for state in running:
        port = state.get("port")
        if not isinstance(port, int):
            continue
        reached = [address for address in _own_addresses() if _answers(address, port, state["pid"])]
        if reached:
            message = (
                f"The local gateway answers on {reached[0]} port {port}, which other machines may reach. It listens on "
                "loopback only, so something forwards to it."
            )
            hint = (
                f"See what listens there (lsof -nP -iTCP:{port} -sTCP:LISTEN) and end it, or move the gateway: "
                f"{advice.command('core', 'stop')}, then {advice.command('core', 'start', '--port', advice.Blank('port'))}"
            )
            value = {"port": port, "addresses": reached}
            return [{"name": "exposed_port", "status": "error", "value": value, "message": message, "hint": hint}]
    return []


def _own_addresses() -> list[str]:
    """The addresses of this machine's interfaces that are not loopback; none where the gateway's libraries are missing."""
    if find_spec("psutil") is None:
        return []
    import psutil

    found = [row.address for rows in psutil.net_if_addrs().values() for row in rows if row.family == socket.AF_INET]
    return [address for address in dict.fromkeys(found) if not is_loopback(address)]


def _answers(address: str, port: int, pid: int) -> bool:
    """Whether this gateway, and not another program, answers there."""
    from http.client import HTTPConnection, HTTPException

    connection = HTTPConnection(address, port, timeout=_PATIENCE_S)
    try:
        connection.request("GET", "/health", headers={"Host": f"127.0.0.1:{port}"})
        answer = json.loads(connection.getresponse().read(_HEALTH_BYTES))
    except (OSError, ValueError, RecursionError, HTTPException):
        return False
    finally:
        connection.close()
    return isinstance(answer, dict) and answer.get("pid") == pid


def _database_tls(running: list[dict[str, Json]]) -> list[Check]:
    if all(state.get("database_tls") is not False for state in running):
        return []
    message = (
        "The local gateway talks to a PostgreSQL on another machine without TLS: rows and keys can be read on the way."
    )
    hint = (
        f"Stop it: {advice.command('core', 'stop')}. Then start it with a --database-url that ends in "
        "?sslmode=verify-full"
    )
    return [{"name": "database_tls", "status": "warning", "message": message, "hint": hint}]
