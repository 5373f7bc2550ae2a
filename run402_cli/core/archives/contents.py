"""The documents of a verified archive, checked for everything that an import relies on. See docs/archives.md."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from run402_cli.archive.format import DEFAULT_LIMITS
from run402_cli.archive.source import Archive, Entry
from run402_cli.archive.strict_json import JsonFault, parse
from run402_cli.archive.verify import Verification
from run402_cli.core.errors import GatewayError

_BIGINT: Final = 2**63


def refused(code: str, message: str, **details: Any) -> GatewayError:
    """422 with an archive code: this archive cannot become a project here."""
    return GatewayError(422, code, message, details=details, retryable=False)


@dataclass(frozen=True, slots=True)
class TableData:
    """Rows of one table: COPY text at `entry`. `columns` is empty when the archive does not name them."""

    name: str
    entry: Entry
    row_count: int
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sequence:
    name: str
    value: int
    is_called: bool


@dataclass(frozen=True, slots=True)
class Contents:
    """What an archive brings. Documents that it lacks are empty."""

    archive: Archive
    pre_data: str
    post_data: str
    tables: tuple[TableData, ...]
    sequences: tuple[Sequence, ...]
    subjects: tuple[tuple[str, list[str]], ...]
    storage: tuple[Mapping[str, Any], ...]
    functions: tuple[Mapping[str, Any], ...]
    secrets: tuple[Mapping[str, Any], ...]
    state: Mapping[str, Any] | None
    expose: Any
    release_id: str | None

    def blob(self, sha256: str, size: int) -> Entry:
        """The file that holds some content. 422 ARCHIVE_BLOB_MISSING when the archive does not have it."""
        entry = self.archive.entries.get(f"blobs/sha256/{sha256}")
        if entry is None or entry.size != size:
            raise refused(
                "ARCHIVE_BLOB_MISSING",
                f"The archive refers to content {sha256} of {size} bytes and does not hold it. Export it again.",
                sha256=sha256,
            )
        return entry


def read_contents(verification: Verification) -> Contents:
    """Read the documents again, compared with their digests. GatewayError 422 with an archive code."""
    reader = _Reader(verification)
    consistency = (verification.index or {}).get("consistency")
    release_id = consistency.get("pinned_release_id") if isinstance(consistency, dict) else None
    if release_id is not None and not (isinstance(release_id, str) and 0 < len(release_id) <= 128):
        raise _unusable("index.json", "consistency.pinned_release_id is no release id")
    return Contents(
        archive=reader.archive,
        pre_data=reader.text("database.pre_data_sql"),
        post_data=reader.text("database.post_data_sql"),
        tables=tuple(reader.table(item) for item in reader.items("database.tables", "tables")),
        sequences=tuple(_sequence(item) for item in reader.items("database.sequences", "sequences")),
        subjects=reader.subjects(),
        storage=tuple(reader.items("storage.index", "objects")),
        functions=tuple(reader.items("runtime.index", "functions")),
        secrets=tuple(verification.required_secrets),
        state=reader.document("portable_release_state"),
        expose=((reader.document("release_spec") or {}).get("database") or {}).get("expose"),
        release_id=release_id,
    )


class _Reader:
    def __init__(self, verification: Verification) -> None:
        assert verification.archive is not None
        self.found, self.archive = verification, verification.archive
        described = ((verification.index or {}).get("descriptors") or {}).values()
        self.described = {item.get("path") for item in described if isinstance(item, dict)}

    def bytes(self, name: str) -> bytes | None:
        entry, descriptor = self.found.entry(name), self.found.descriptor(name)
        if entry is None or descriptor is None:
            return None
        if entry.size > DEFAULT_LIMITS.file_bytes:
            raise refused("ARCHIVE_SIZE_LIMIT_EXCEEDED", f"{entry.path} is too large.", path=entry.path)
        data = self.archive.read(entry)
        if f"sha256:{hashlib.sha256(data).hexdigest()}" != descriptor["digest"]:
            message = f"{entry.path} changed after it was verified. Nothing was imported."
            raise refused("ARCHIVE_DIGEST_MISMATCH", message, path=entry.path)
        return data

    def text(self, name: str) -> str:
        try:
            return (self.bytes(name) or b"").decode("utf-8")
        except UnicodeDecodeError as exc:
            raise _unusable(name, f"it is not UTF-8 (byte {exc.start})") from exc

    def document(self, name: str) -> dict[str, Any] | None:
        data = self.bytes(name)
        if data is None:
            return None
        try:
            value = parse(data, DEFAULT_LIMITS.json_depth)
        except JsonFault as exc:
            raise _unusable(name, exc.message) from exc
        if not isinstance(value, dict):
            raise _unusable(name, "it is not a JSON object")
        return value

    def items(self, name: str, key: str) -> list[dict[str, Any]]:
        values = (self.document(name) or {}).get(key) or []
        if not isinstance(values, list) or not all(isinstance(item, dict) for item in values):
            raise _unusable(name, f"{key} is not a list of objects")
        return values

    def table(self, item: Mapping[str, Any]) -> TableData:
        where = "database.tables"
        name = _text(item, "name", where)
        if item.get("schema", "public") != "public":
            raise refused(
                "DATABASE_SCHEMA_UNSAFE",
                f"The table {name} belongs to the schema {item.get('schema')!r}. Only public can be imported.",
                table=name,
                schema=item.get("schema"),
            )
        entry = self.archive.entries.get(_text(item, "copy_path", where))
        if entry is None or entry.path not in self.described:
            message = f"The rows of {name} are not in the archive, or not described by its index."
            raise refused("ARCHIVE_DESCRIPTOR_MISSING", message, path=item["copy_path"])
        columns = item.get("columns") or []
        if not isinstance(columns, list) or not all(isinstance(column, dict) for column in columns):
            raise _unusable(where, f"the columns of {name} are not a list of objects")
        names = tuple(_text(column, "name", where) for column in columns)
        return TableData(name, entry, _count(item, "row_count", where), names)

    def subjects(self) -> tuple[tuple[str, list[str]], ...]:
        config = self.document("auth.config") or {}
        mode = config.get("auth_export", "none")
        if mode not in ("none", "stubs"):
            raise _credentials(f"auth/config.json says auth_export {mode!r}", mode)
        found = []
        for line in self.text("auth.subjects").split("\n"):
            if line.strip():
                found.append(_subject(_line(line)))
        return tuple(found)


def _line(line: str) -> Any:
    try:
        return parse(line.encode(), DEFAULT_LIMITS.json_depth)
    except JsonFault as exc:
        raise _unusable("auth.subjects", exc.message) from exc


def _subject(value: Any) -> tuple[str, list[str]]:
    if not isinstance(value, dict) or not isinstance(value.get("subject_id"), str) or not value["subject_id"]:
        raise _unusable("auth.subjects", "a line has no subject_id")
    extra = sorted(value.keys() - {"subject_id", "disabled", "references"})
    if value.get("disabled") is not True or extra:
        raise _credentials(f"the subject {value['subject_id']!r} is not a disabled stub", ", ".join(extra))
    references = value.get("references") or []
    if not isinstance(references, list) or not all(isinstance(item, str) for item in references):
        raise _unusable("auth.subjects", "references are not a list of names")
    _refuse_nul(value["subject_id"], "auth.subjects")
    return value["subject_id"], references


def _sequence(item: Mapping[str, Any]) -> Sequence:
    where = "database.sequences"
    name, value = _text(item, "name", where), item.get("value")
    if item.get("schema", "public") != "public":
        raise refused("DATABASE_SCHEMA_UNSAFE", f"The sequence {name} is not in the schema public.", sequence=name)
    digits = value.removeprefix("-") if isinstance(value, str) else ""
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 19 or not -_BIGINT <= int(str(value)) < _BIGINT:
        raise refused(
            "DATABASE_SEQUENCE_RESTORE_FAILED", f"The value of the sequence {name} is no 64-bit number.", sequence=name
        )
    return Sequence(name, int(str(value)), item.get("is_called") is True)


def _text(item: Mapping[str, Any], key: str, where: str) -> str:
    value = item.get(key)
    if not isinstance(value, str) or not value:
        raise _unusable(where, f"an entry has no {key}")
    _refuse_nul(value, where)
    return value


def _refuse_nul(text: str, where: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as exc:
        raise _unusable(where, "a name is not valid Unicode") from exc
    if "\0" in text:
        raise _unusable(where, "a name has a NUL character in it")


def _count(item: Mapping[str, Any], key: str, where: str) -> int:
    value = item.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise _unusable(where, f"an entry has no {key}")
    return value


def _unusable(name: str, why: str) -> GatewayError:
    return refused("IMPORT_CONFORMANCE_FAILED", f"{name} of the archive cannot be used: {why}.", document=name)


def _credentials(what: str, detail: Any) -> GatewayError:
    return refused(
        "AUTH_CREDENTIALS_NOT_EXPORTED",
        f"The archive is refused: {what}. Accounts are imported only as disabled stubs; credentials never travel. "
        "Export again with --auth stubs or --auth none.",
        found=json.dumps(detail),
    )
