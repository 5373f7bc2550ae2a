"""`database`: migrations, what of it is exposed, and whether it must keep answering. See docs/protocol/releases.md."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from run402_cli import text_files, uploads
from run402_cli.release.content import Writer
from run402_cli.release.content_types import SQL
from run402_cli.release.entries import Base, absolute
from run402_cli.release.errors import invalid_spec, os_failure
from run402_cli.release.fields import MANIFEST, SPEC, WIRE, kind_of
from run402_cli.release.refs import SHA256, check_ref
from run402_cli.release.section import Section, in_order
from run402_cli.release.sources import is_content_ref, utf8
from run402_cli.text_files import FileText

MAX_MIGRATION_ID: Final = 256
_KEYS: Final = ("migrations", "expose", "zero_downtime")
_MIGRATION_KEYS: Final = ("id", "name", "checksum", "sql", "sql_ref", "transaction")
_WRITTEN_KEYS: Final = ("id", "name", "checksum", "sql", "sql_ref", "sql_path", "sql_file", "transaction")
_WIRE_KEYS: Final = ("id", "checksum", "sql", "sql_ref", "transaction")
_MIGRATION_NAME: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_-]{0,63}")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


class DatabaseSection(Section):
    name = "database"
    state_key = "migrations"
    slice_kind = "release"

    def normalize(self, value: Any, base: Base) -> Any:
        database = MANIFEST.known(value, _KEYS, "database")
        section: dict[str, Any] = {}
        # An empty object is a manifest that closes everything; null, false, 0 and "" say nothing.
        if database.get("expose") or isinstance(database.get("expose"), (Mapping, list)):
            section["expose"] = database["expose"]
        if isinstance(database.get("zero_downtime"), bool):
            section["zero_downtime"] = database["zero_downtime"]
        if database.get("migrations") is not None:
            migrations = MANIFEST.array(database["migrations"], "database.migrations")
            section["migrations"] = [
                _normalize(migration, f"database.migrations[{index}]", base)
                for index, migration in enumerate(migrations)
            ]
            _check_names(section["migrations"])
        return section

    def check_spec(self, value: Any) -> None:
        database = SPEC.known(value, _KEYS, "database")
        if "expose" in database:
            SPEC.mapping(database["expose"], "database.expose")
        names: set[str] = set()
        for index, migration in enumerate(SPEC.array(database.get("migrations", []), "database.migrations")):
            _check_migration(migration, f"database.migrations.{index}", names)

    def deploys(self, value: Any) -> bool:
        return bool(value) and bool(value.get("migrations") or value.get("expose"))

    def collect(self, value: Any, writer: Writer) -> None:
        ids: set[str] = set()
        for index, migration in enumerate(value.get("migrations") or ()):
            name = migration.get("id") or migration.get("name")
            place, at = f"database.migrations.{index}", ("database", str(index))
            ref = migration.get("sql_ref")
            if ref is not None:
                if not is_content_ref(ref):
                    raise invalid_spec(f"{place}.sql_ref must have sha256 and size.", f"database.migrations.{name}")
                writer.given(at, ref, f"migration:{name}", "release")
            elif migration.get("sql") is not None:
                sql = utf8(migration["sql"])
                writer.inline(at, sql, f"migration:{name}", "release", SQL, uploaded=not writer.core)
            else:
                raise invalid_spec(
                    f"The migration {name!r} has no SQL. Give sql, sql_path or sql_ref.", f"database.migrations.{name}"
                )
            migration_id = _id(index, migration, writer)
            if migration_id in ids:
                raise invalid_spec(f"The migration id {migration_id!r} is used twice. Rename one.", f"{place}.id")
            ids.add(migration_id)

    def to_wire(self, value: Any, writer: Writer) -> Any:
        wire = {key: value[key] for key in ("expose", "zero_downtime") if key in value}
        migrations = [_to_wire(index, entry, writer) for index, entry in enumerate(value.get("migrations") or ())]
        return {**wire, "migrations": migrations} if migrations else wire

    def check_wire(self, value: Any) -> None:
        database = WIRE.known(value, _KEYS, "database")
        seen: set[str] = set()
        for index, entry in enumerate(WIRE.array(database.get("migrations", []), "database.migrations")):
            where = f"database.migrations.{index}"
            _read_migration(entry, where)
            if entry["id"] in seen:
                raise WIRE.error(f"Two migrations have the id {entry['id']!r}. Ids are unique.", f"{where}.id")
            seen.add(entry["id"])
        if database.get("expose") is not None:
            WIRE.mapping(database["expose"], "database.expose")
        if "zero_downtime" in database:
            WIRE.one_of(database["zero_downtime"], (True, False), "database.zero_downtime")

    def empty(self) -> dict[str, Any]:
        return {"migrations": []}

    def after(self, base: Any, value: Any) -> Any:
        """Migrations are only added."""
        applied = [dict(entry) for entry in base]
        known = {(entry["migration_id"], entry["checksum_hex"]) for entry in applied}
        for migration in (value or {}).get("migrations") or ():
            if (migration["id"], migration["checksum"]) not in known:
                known.add((migration["id"], migration["checksum"]))
                applied.append(_entry(migration))
        return applied

    def normal(self, part: Any) -> Any:
        return in_order(part, "migration_id", "checksum_hex")

    def shown(self, state: Mapping[str, Any]) -> dict[str, Any]:
        keys = ("migration_id", "checksum_hex")
        return {"migrations_applied": [{key: entry[key] for key in keys} for entry in self.of(state)]}


def _normalize(value: Any, where: str, base: Base) -> dict[str, Any]:
    migration = MANIFEST.known(value, _WRITTEN_KEYS, where)
    has_id, has_name = (migration.get(key) is not None for key in ("id", "name"))
    if has_id == has_name:
        raise MANIFEST.error(f"{where} needs exactly one of id and name.", where)
    if has_id:
        MANIFEST.text(migration["id"], f"{where}.id")
    elif not isinstance(migration["name"], str) or not _MIGRATION_NAME.fullmatch(migration["name"]):
        raise MANIFEST.error(
            f"{where}.name must be 1 to 64 letters, digits, _ or -, and start with a letter or digit.", where
        )
    normal = {key: migration[key] for key in ("id", "name", "checksum") if migration.get(key) is not None}
    file = _sql_file(migration, where)
    if migration.get("sql_ref") is not None:
        normal["sql_ref"] = migration["sql_ref"]
    elif migration.get("sql") is not None:
        if not isinstance(migration["sql"], str):
            raise MANIFEST.error(f"{where}.sql must be a string, not {kind_of(migration['sql'])}.", where)
        normal["sql"] = migration["sql"]
    elif file is not None:
        normal["sql"] = _read_sql(file, where, base)
    if migration.get("transaction") is not None:
        normal["transaction"] = migration["transaction"]
    return normal


def _sql_file(migration: Mapping[str, Any], where: str) -> str | None:
    given = [
        MANIFEST.text(migration[key], f"{where}.{key}")
        for key in ("sql_path", "sql_file")
        if migration.get(key) is not None
    ]
    if len(set(given)) > 1:
        raise MANIFEST.error(f"{where} has sql_path {given[0]!r} and sql_file {given[1]!r}. Keep one of them.", where)
    return given[0] if given else None


def _read_sql(path: str, where: str, base: Base) -> str:
    file = absolute(path, where, base)
    try:
        data = uploads.read(Path(file), base.gate.bounds)
    except OSError as error:
        raise os_failure(error, file, f"the SQL file of {where},") from error
    # The checksum is that of the bytes: a mark stays until the gateway runs the text.
    return FileText(text_files.decoded(data, path, mark=True), path)


def _check_names(migrations: Iterable[Mapping[str, Any]]) -> None:
    seen: set[Any] = set()
    for index, migration in enumerate(migrations):
        name = migration.get("name")
        if name is not None and name in seen:
            where = f"database.migrations[{index}].name"
            raise MANIFEST.error(f"{where} {name!r} is used twice. Give every migration its own name.", where)
        seen.add(name)


def _check_migration(value: Any, where: str, names: set[str]) -> None:
    entry = SPEC.known(value, _MIGRATION_KEYS, where)
    if ("id" in entry) == ("name" in entry):
        raise SPEC.error(f"{where} needs exactly one of id and name.", where)
    if "id" in entry:
        SPEC.text(entry["id"], f"{where}.id")
    elif not isinstance(entry["name"], str) or not _MIGRATION_NAME.fullmatch(entry["name"]):
        raise SPEC.error(f"{where}.name must be 1 to 64 letters, digits, _ or -.", f"{where}.name")
    elif entry["name"] in names:
        raise SPEC.error(f"{where}.name {entry['name']!r} is used twice. Rename one.", f"{where}.name")
    else:
        names.add(entry["name"])
    if "sql" in entry and not isinstance(entry["sql"], str):
        raise SPEC.error(f"{where}.sql must be a string.", f"{where}.sql")
    if "checksum" in entry:
        SPEC.text(entry["checksum"], f"{where}.checksum")


def _id(index: int, migration: Mapping[str, Any], writer: Writer) -> str:
    given = migration.get("id")
    sha256 = writer.items["database", str(index)].sha256
    return str(given) if given is not None else f"{migration['name']}_{sha256[:16]}"


def _to_wire(index: int, migration: Mapping[str, Any], writer: Writer) -> dict[str, Any]:
    item = writer.items["database", str(index)]
    wire = {"id": _id(index, migration, writer), "checksum": migration.get("checksum") or item.sha256}
    if writer.core and item.source is not None:
        wire["sql"] = migration["sql"]
    else:
        wire["sql_ref"] = writer.ref("database", str(index))
    return wire | {key: migration[key] for key in ("transaction",) if key in migration}


def _read_migration(value: Any, where: str) -> None:
    entry = WIRE.known(value, _WIRE_KEYS, where)
    migration_id = WIRE.text(entry.get("id"), f"{where}.id")
    if len(migration_id) > MAX_MIGRATION_ID or _CONTROL.search(migration_id):
        raise WIRE.error(f"{where}.id must be at most {MAX_MIGRATION_ID} printable characters.", f"{where}.id")
    checksum = entry.get("checksum")
    if not isinstance(checksum, str) or not SHA256.fullmatch(checksum):
        raise WIRE.error(f"{where}.checksum must be the SHA-256 of the SQL in lower-case hex.", f"{where}.checksum")
    if ("sql" in entry) == ("sql_ref" in entry):
        raise WIRE.error(f"{where} needs exactly one of sql and sql_ref.", where)
    if "sql" in entry:
        WIRE.text(entry["sql"], f"{where}.sql")
    else:
        check_ref(entry["sql_ref"], f"{where}.sql_ref")
    if entry.get("transaction") is not None:
        WIRE.one_of(entry["transaction"], ("required", "none", "default"), f"{where}.transaction")


def _entry(migration: Mapping[str, Any]) -> dict[str, Any]:
    """A wire migration as the state records it."""
    return {
        "migration_id": migration["id"],
        "checksum_hex": migration["checksum"],
        "transaction": "none" if migration.get("transaction") == "none" else "default",
    }


SECTION: Final = DatabaseSection()
