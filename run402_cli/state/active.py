"""state.json: the active project of a wallet, per (API base, wallet, address)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from run402_cli.state.catalogue import ACTIVE
from run402_cli.state.files import locked, now_iso, read_state, write_json
from run402_cli.state.ids import require_id

_ENTRY = ("project_id", "previous_project_id", "api_base", "principal", "profile", "updated_at")


class ActiveProjects:
    """Pointers in state.json, read in this order: (base, wallet, address), principal "unknown", top level.

    `folder` and `wallet` are the wallet's directory and name. The others are asked when they are needed, since each may find
    a file that cannot be read: `api_base` and `principal` (its address, None without a key) for where the pointer stands,
    `migrate` before the first look, for a legacy projects.json holds the pointer too.
    """

    def __init__(
        self,
        folder: Path,
        wallet: str,
        *,
        api_base: Callable[[], str],
        principal: Callable[[], str | None],
        migrate: Callable[[], object],
    ) -> None:
        self.folder = folder
        self.wallet = wallet
        self.path = folder / "state.json"
        self._api_base = api_base
        self._principal = principal
        self._migrate = migrate
        # A flag or variable has named the project: what is wrong with the file stops nothing then.
        self.decided = False

    def _scope(self, principal: str) -> str:
        key = {"api_base": self._api_base(), "profile": self.wallet, "principal": principal}
        return json.dumps(key, separators=(",", ":"), ensure_ascii=False)

    def get(self) -> str | None:
        """The active project id, or None."""
        self._migrate()
        state = self.read()
        scoped = state.get("active_projects") or {}
        principal = self._principal() if scoped else None
        for scope in ([principal] if principal else []) + ["unknown"] if scoped else []:
            entry = scoped.get(self._scope(scope))
            if isinstance(entry, dict) and _id(entry.get("project_id")):
                return str(entry["project_id"])
        return _id(state.get("active_project_id"))

    def read(self) -> dict[str, Any]:
        """state.json; empty when there is none. Raises DamagedState."""
        return read_active(self.folder)

    def ensure_writable(self) -> None:
        """Fail before a request whose result must be stored, when storing would be refused."""
        self.read()

    def set(self, project_id: str) -> str | None:
        """Make the project active; returns the previous one when it was another. CommandError BAD_PROJECT_ID for no id."""
        require_id(project_id)
        previous: str | None = None

        def change(state: dict[str, Any]) -> None:
            nonlocal previous
            principal = self._principal()
            scope = self._scope(principal or "unknown")
            scoped = dict(state.get("active_projects") or {})
            old = scoped.get(scope)
            current = _id(old.get("project_id") if old else None) or _id(state.get("active_project_id"))
            previous = current if current != project_id else None
            entry: dict[str, Any] = {"project_id": project_id}
            if previous:
                entry["previous_project_id"] = previous
            others = {key: value for key, value in (old or {}).items() if key not in _ENTRY}
            scoped[scope] = {
                **others,
                **entry,
                "api_base": self._api_base(),
                "principal": principal,
                "profile": self.wallet,
                "updated_at": now_iso(),
            }
            state["active_projects"] = scoped
            top = _id(state.get("active_project_id"))
            state["active_project_id"] = project_id
            state.pop("previous_active_project_id", None)
            if top and top != project_id:
                state["previous_active_project_id"] = top

        _change(self.path, change)
        return previous

    def clear(self, project_id: str) -> None:
        """Forget a deleted project: pointers to it fall back to their previous project, or go; it is no fallback either."""

        def change(state: dict[str, Any]) -> None:
            scoped = state.get("active_projects")
            scoped = scoped if isinstance(scoped, dict) else {}
            for scope, entry in list(scoped.items()):
                if isinstance(entry, dict) and not _drop(entry, project_id, "project_id", "previous_project_id"):
                    del scoped[scope]
            _drop(state, project_id, "active_project_id", "previous_active_project_id")

        if project_id in _pointers(self.read()):
            _change(self.path, change)


def read_active(folder: Path) -> dict[str, Any]:
    """state.json of a wallet's directory; empty when there is none. Raises DamagedState."""
    return read_state(folder / "state.json", ACTIVE) or {}


def _drop(pointers: dict[str, Any], project_id: str, current: str, previous: str) -> bool:
    """Take a project out of a pair of pointers; False when no current project is left where it was the current one."""
    if pointers.get(previous) == project_id:
        del pointers[previous]
    if pointers.get(current) != project_id:
        return True
    del pointers[current]
    fallback = _id(pointers.pop(previous, None))
    if fallback is None:
        return False
    pointers[current] = fallback
    if "updated_at" in pointers:
        pointers["updated_at"] = now_iso()
    return True


def record_migration(folder: Path, active: str | None, marker: dict[str, Any]) -> None:
    """Note in state.json that a legacy projects.json was imported, and take over its active project."""

    def change(state: dict[str, Any]) -> None:
        if active and not _id(state.get("active_project_id")):
            state["active_project_id"] = active
        migrations = state.get("migrations")
        state["migrations"] = {**(migrations if isinstance(migrations, dict) else {}), "projects_json_import": marker}

    _change(folder / "state.json", change, housekeeping=True)


def _change(path: Path, change: Any, *, housekeeping: bool = False) -> None:
    with locked(path):
        state = read_active(path.parent)
        change(state)
        write_json(path, {**state, "version": 1}, temp=".state", housekeeping=housekeeping)


def _pointers(state: dict[str, Any]) -> set[str]:
    scoped = state.get("active_projects")
    entries = [entry for entry in scoped.values() if isinstance(entry, dict)] if isinstance(scoped, dict) else []
    named = [entry.get(key) for entry in entries for key in ("project_id", "previous_project_id")]
    named += [state.get(key) for key in ("active_project_id", "previous_active_project_id")]
    return {project for project in map(_id, named) if project is not None}


def _id(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
