"""credentials/project-keys.v1.json: cached project keys, per wallet. A cache, not an inventory."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from run402_cli import advice
from run402_cli.errors import CommandError
from run402_cli.state.active import record_migration
from run402_cli.state.catalogue import KEYS, LEGACY_KEYS
from run402_cli.state.files import locked, now_iso, read_state, read_state_or_array, write_json
from run402_cli.state.ids import require_id

_DROPPED = ("tier", "lease_expires_at", "expires_at")
Entry = dict[str, Any]


class KeyCache:
    """The key cache of one wallet. A damaged file is DamagedState for readers and writers alike.

    Writers raise CommandError BAD_PROJECT_ID for a new entry under what is no id.
    """

    def __init__(self, folder: Path, *, wallet: str) -> None:
        self.folder = folder
        self.wallet = wallet
        self.path = folder / "credentials" / "project-keys.v1.json"

    @property
    def identity(self) -> dict[str, str]:
        """Where answers of the key commands come from."""
        return {"source": "local_cache", "cache_path": str(self.path), "wallet": self.wallet, "profile": self.wallet}

    def all(self) -> dict[str, Entry]:
        """Every entry by project id, after migrating a legacy projects.json once."""
        self._migrate()
        return _entries(read_state(self.path, KEYS))

    def get(self, project_id: str) -> Entry | None:
        return self.all().get(project_id)

    def require(self, project_id: str) -> Entry:
        """The entry, or CommandError PROJECT_CREDENTIAL_NOT_FOUND."""
        entry = self.get(project_id)
        if entry is None:
            raise self.not_found(project_id)
        return entry

    def cached_key(self, project_id: str, name: str) -> str:
        """The cached `anon_key` or `service_key`, or CommandError PROJECT_CREDENTIAL_NOT_FOUND."""
        key = self.require(project_id).get(name)
        if not isinstance(key, str) or not key:
            raise self.not_found(project_id)
        return key

    def ensure_writable(self) -> None:
        """Fail before a request whose answer must be saved, when saving would be refused."""
        self.all()

    def upsert(self, project_id: str, entry: Entry) -> None:
        """Replace the whole entry; `cached_at` is now unless given."""
        self._write(project_id, lambda _old: {**entry, "cached_at": entry.get("cached_at") or now_iso()})

    def update(self, project_id: str, fields: Entry) -> None:
        """Merge fields into an existing entry; nothing happens without one."""
        if self.get(project_id) is not None:
            self._write(project_id, lambda old: {"cached_at": now_iso(), **old, **fields} if old is not None else None)

    def rewrite(self, project_id: str, change: Callable[[Entry | None], Entry]) -> None:
        """Replace the entry by `change(old entry or None)` in one locked step."""
        self._write(project_id, change)

    def remove(self, project_id: str) -> bool:
        """Delete the entry; True when it existed."""
        if self.get(project_id) is None:
            return False
        self._write(project_id, lambda _old: None)
        return True

    def _write(self, project_id: str, change: Callable[[Entry | None], Entry | None]) -> None:
        self._migrate()
        with locked(self.path):
            store = read_state(self.path, KEYS) or {}
            projects = _entries(store)
            if project_id not in projects:
                require_id(project_id)
            entry = change(projects.get(project_id))
            if entry is None:
                projects.pop(project_id, None)
            else:
                projects[project_id] = {key: value for key, value in entry.items() if value is not None}
            kept = {key: value for key, value in store.items() if key not in ("version", "source", "projects")}
            write_json(
                self.path,
                {"version": 1, "source": "local_cache", **kept, "projects": projects},
                temp=".project-keys",
            )

    def _migrate(self) -> None:
        """Import a legacy projects.json the first time any command looks; the old file stays as it is."""
        legacy = self.folder / "projects.json"
        if os.path.lexists(self.path) or not os.path.lexists(legacy):
            return
        value = read_state_or_array(legacy, LEGACY_KEYS)
        entries, active = _legacy_entries(value)
        stamp = now_iso()
        with locked(self.path):
            if os.path.lexists(self.path):
                return
            store = {
                "version": 1,
                "source": "local_cache",
                "migrated_from": str(legacy.absolute()),
                "migrated_at": stamp,
                "projects": entries,
            }
            write_json(self.path, store, temp=".project-keys", housekeeping=True)
        marker = {
            "legacy_path": str(legacy.absolute()),
            "cache_path": str(self.path.absolute()),
            "project_count": len(entries),
            "imported_at": stamp,
        }
        record_migration(self.folder, active, marker)

    def redacted(self, project_id: str) -> dict[str, Any]:
        """What may be shown of an entry: prefixes and fingerprints, never a key."""
        return self._redact(project_id, self.get(project_id))

    def all_redacted(self) -> list[dict[str, Any]]:
        return [self._redact(project_id, entry) for project_id, entry in sorted(self.all().items())]

    def _redact(self, project_id: str, entry: Entry | None) -> dict[str, Any]:
        found = entry or {}
        anon, service = _text(found.get("anon_key")), _text(found.get("service_key"))
        return {
            "project_id": project_id,
            "configured": entry is not None,
            "has_anon_key": bool(anon),
            "has_service_key": bool(service),
            "anon_key_prefix": _prefix(anon),
            "service_key_prefix": _prefix(service),
            "anon_key_fingerprint": _fingerprint(anon),
            "service_key_fingerprint": _fingerprint(service),
            "site_url": found.get("site_url"),
            "cached_at": found.get("cached_at"),
            **self.identity,
        }

    def _no_id(self, word: str) -> CommandError:
        """A name in place of an id, which is the usual slip; the code is the one of any id without keys."""
        return CommandError(
            f"{word!r} is not a project id: they start with prj_. No keys are cached under it.",
            code="PROJECT_CREDENTIAL_NOT_FOUND",
            hint="The ids with their names: run402 projects list",
            details={"project_id": word, **self.identity},
            next_actions=[advice.action("run_command", "projects", "list")],
        )

    def not_found(self, project_id: str) -> CommandError:
        if not project_id.startswith("prj_"):
            return self._no_id(project_id)
        words = ("credentials", "project-keys", "import", "--project", project_id, "--service-key-stdin")
        make = advice.issue_key(project_id)
        return CommandError(
            f"No keys for {project_id} are cached on this machine.",
            code="PROJECT_CREDENTIAL_NOT_FOUND",
            hint=(
                "This is a miss of the local cache, not proof that the project does not exist. Import its key: "
                f"{advice.command(*words)}; or, as its owner, make one: {make}"
            ),
            details={"project_id": project_id, **self.identity},
            next_actions=[
                advice.entry("issue_credential", make, why="Makes a key and keeps it here; then repeat the command."),
                advice.action("run_command", *words, why="It reads a key that you have from stdin."),
                advice.action("run_command", "credentials", "project-keys", "status", "--project", project_id),
            ],
        )


@contextlib.contextmanager
def saving(project_id: str, done: str, *, hint: str, what: str = "its keys") -> Iterator[None]:
    """A failure to write inside says what is `done` all the same."""
    try:
        yield
    except CommandError as exc:
        raise CommandError(
            f"{done}, but this machine could not save {what}: {exc.message}",
            code=exc.code,
            hint=hint,
            details={"project_id": project_id, **(exc.details if isinstance(exc.details, dict) else {})},
        ) from exc


def _entries(store: Any) -> dict[str, Entry]:
    projects = store.get("projects") if isinstance(store, dict) else None
    if not isinstance(projects, dict):
        return {}
    return {
        project_id: {key: value for key, value in entry.items() if key not in _DROPPED}
        for project_id, entry in projects.items()
        if isinstance(entry, dict)
    }


def _legacy_entries(value: Any) -> tuple[dict[str, Entry], str | None]:
    if isinstance(value, list):
        stamp = now_iso()
        rows = [row for row in value if isinstance(row, dict) and isinstance(row.get("project_id"), str)]
        fields = ("anon_key", "service_key", "site_url", "deployed_at")
        return {
            row["project_id"]: {
                **{key: row[key] for key in fields if key in row},
                "cached_at": stamp,
                "source": "legacy_projects_json",
            }
            for row in rows
        }, None
    active = value.get("active_project_id") if isinstance(value, dict) else None
    return _entries(value), active if isinstance(active, str) and active else None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _prefix(key: str) -> str | None:
    if not key:
        return None
    return key if len(key) <= 8 else key[:8] + "..."


def _fingerprint(key: str) -> str | None:
    return hashlib.sha256(key.encode()).hexdigest()[:16] if key else None
