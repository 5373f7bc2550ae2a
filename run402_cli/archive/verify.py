"""The strict verifier: is this archive whole, safe and understood? See docs/protocol/archive-format.md, "Verification"."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from run402_cli.archive.diagnostics import ArchiveFault, Diagnostic, diagnostic, without_commands
from run402_cli.archive.format import (
    BLOB_FOLDER,
    BLOB_TYPE,
    CAPABILITIES,
    DEFAULT_LIMITS,
    INDEX_PATH,
    INDEX_SCHEMA,
    INDEX_TYPE,
    LAYOUT_PATH,
    LAYOUT_SCHEMA,
    LAYOUT_TYPE,
    MEDIA_TYPES,
    SUBJECTS_TYPE,
    VERSION,
    WELL_KNOWN,
    Limits,
)
from run402_cli.archive.logical import archive_digest
from run402_cli.archive.source import Archive, Entry, open_archive, unsafe_path
from run402_cli.archive.strict_json import JsonFault, parse
from run402_cli.release.errors import ReleaseError

_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_KEPT: Final = ("export_report", "portability_report", "secret_requirements", "database.tables")


@dataclass(slots=True)
class Verification:
    """The outcome. `archive` is None when the files could not even be listed."""

    archive: Archive | None = None
    index: dict[str, Any] | None = None
    digest: str | None = None
    documents: dict[str, Any] = field(default_factory=dict)
    stubs: int = 0
    diagnostics: list[Diagnostic] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return all(found.get("severity") != "blocking" for found in self.diagnostics)

    @property
    def required_secrets(self) -> list[dict[str, Any]]:
        """Entries of secrets/requirements.json that have a name: {name, required, targets?, description?}."""
        entries = _items(self.documents.get("secret_requirements"), "secrets")
        return [entry for entry in entries if isinstance(entry, dict) and isinstance(entry.get("name"), str)]

    def descriptor(self, name: str) -> dict[str, Any] | None:
        """A descriptor of the index that is an object."""
        found = _descriptors(self.index).get(name)
        return found if isinstance(found, dict) else None

    def entry(self, name: str) -> Entry | None:
        """The file of a descriptor; of a descriptor that the index does not have, the file in its usual place."""
        if self.archive is None:
            return None
        found = self.descriptor(name)
        path = found.get("path") if found is not None else WELL_KNOWN.get(name, (None,))[0]
        return self.archive.entries.get(path) if isinstance(path, str) else None

    def report(self) -> dict[str, Any]:
        """The printed object: {ok, archive_version, archive_digest, transport, file_count, total_bytes, ...}."""
        archive, index = self.archive, self.index or {}
        capabilities = index.get("required_capabilities")
        return {
            "ok": self.ok,
            "archive_version": VERSION if index.get("archive_version") == VERSION else None,
            "archive_digest": self.digest,
            "transport": archive.transport if archive else None,
            "file_count": len(archive.entries) if archive else 0,
            "total_bytes": archive.total_bytes if archive else 0,
            "descriptor_count": len(_descriptors(self.index)),
            "required_capabilities": capabilities if isinstance(capabilities, list) else [],
            "required_secrets": self.required_secrets,
            "auth_subject_stub_count": self.stubs,
            "export_report": without_commands(_object(self.documents.get("export_report"))),
            "portability_report": without_commands(_object(self.documents.get("portability_report"))),
            "diagnostics": self.diagnostics,
        }


def verify(location: str | Path, limits: Limits = DEFAULT_LIMITS) -> Verification:
    """Check a directory or tar without changing or unpacking anything; never raises for what an archive contains.

    Reads every referenced file once, in pieces. docs/archives.md
    """
    found = Verification()
    try:
        archive = open_archive(location, limits)
        found.archive = archive
        _Verifier(archive, found).run()
    except ArchiveFault as fault:
        return Verification(diagnostics=[fault.diagnostic])
    except OSError as exc:
        message = f"Cannot read the archive to its end: {exc.strerror or exc}."
        return Verification(diagnostics=[diagnostic("EIO", message, "archive")])
    return found


class _Verifier:
    def __init__(self, archive: Archive, found: Verification) -> None:
        self.archive, self.found = archive, found
        self._digests: dict[str, str] = {}
        self._parsed: set[str] = set()

    def run(self) -> None:
        layout = self._named_file(LAYOUT_PATH)
        index = self._named_file(INDEX_PATH)
        if layout is not None:
            self._check_layout(layout)
        if index is None:
            if LAYOUT_PATH not in self.archive.entries and INDEX_PATH not in self.archive.entries:
                self._say("ARCHIVE_DESCRIPTOR_MISSING", "The archive has no layout.", "descriptor", path=LAYOUT_PATH)
            if INDEX_PATH not in self.archive.entries:
                self._say("ARCHIVE_DESCRIPTOR_MISSING", f"There is no {INDEX_PATH}.", "descriptor", path=INDEX_PATH)
            message = f"Without {INDEX_PATH} this is no project archive. Is the path right?"
            self._say("ARCHIVE_DESCRIPTOR_MISSING", message, "archive", path=INDEX_PATH)
            return
        self.found.index = index
        whole = self._check_index(index)
        for name, descriptor in _descriptors(index).items():
            self._check_descriptor(name, descriptor)
        if whole:
            self._check_digest(index)
        self._read_documents()
        self._count_stubs()
        self._check_order(index)
        self._carry_over_report()

    # -- the two fixed files ------------------------------------------------------------------------------------------

    def _named_file(self, path: str) -> dict[str, Any] | None:
        entry = self.archive.entries.get(path)
        if entry is None:
            return None
        value = self._json(entry)
        if value is _BAD or isinstance(value, dict):
            return value if isinstance(value, dict) else None
        self._say("ARCHIVE_MALFORMED_JSON", f"{path} is not a JSON object.", "descriptor", path=path)
        return None

    def _check_layout(self, layout: dict[str, Any]) -> None:
        self._check_version(layout, LAYOUT_SCHEMA, LAYOUT_TYPE, "layout", LAYOUT_PATH)
        fixed = {"index": INDEX_PATH, "blobs": BLOB_FOLDER, "checksum_lists_authoritative": False}
        for key, wanted in fixed.items():
            if layout.get(key) != wanted or type(layout.get(key)) is not type(wanted):
                self._say(
                    "ARCHIVE_UNSUPPORTED_REQUIRED_CAPABILITY",
                    f"{LAYOUT_PATH} sets {key} to {_short(layout.get(key))}; this version reads only {wanted!r}.",
                    "layout",
                    resource_id=key,
                    path=LAYOUT_PATH,
                )

    def _check_version(self, document: dict[str, Any], schema: str, media_type: str, kind: str, path: str) -> None:
        version = document.get("archive_version")
        if document.get("schema_version") != schema or version != VERSION:
            self._say(
                "ARCHIVE_UNSUPPORTED_VERSION",
                f"{path} is of version {_short(version)}; this program reads {VERSION}.",
                kind,
                path=path,
                context={"archive_version": version, "schema_version": document.get("schema_version")},
            )
        if document.get("mediaType") != media_type:
            self._say(
                "ARCHIVE_MEDIA_TYPE_UNSUPPORTED",
                f"{path} has the media type {_short(document.get('mediaType'))}, not {media_type}.",
                kind,
                path=path,
            )

    def _check_index(self, index: dict[str, Any]) -> bool:
        """Whether a digest can be computed of it."""
        self._check_version(index, INDEX_SCHEMA, INDEX_TYPE, "index", INDEX_PATH)
        whole = True
        lists = [key for key in ("identity_descriptors", "required_capabilities") if not _is_names(index.get(key))]
        if not isinstance(index.get("descriptors"), dict):
            lists.append("descriptors")
        for key in lists:
            whole = False
            what = "an object" if key == "descriptors" else "a list of names"
            self._say("ARCHIVE_MALFORMED_JSON", f"{key} in {INDEX_PATH} is not {what}.", "index", path=INDEX_PATH)
        descriptors = _descriptors(index)
        for name in _names(index.get("identity_descriptors")):
            if name not in descriptors:
                self._say(
                    "ARCHIVE_DESCRIPTOR_MISSING",
                    f"{INDEX_PATH} counts {name!r} to the archive's identity and does not describe it.",
                    "descriptor",
                    resource_id=name,
                    path=INDEX_PATH,
                )
        for name in _names(index.get("required_capabilities")):
            if name not in CAPABILITIES:
                self._say(
                    "ARCHIVE_UNSUPPORTED_REQUIRED_CAPABILITY",
                    f"The archive needs {name}, which this version does not have. Update run402.",
                    "capability",
                    resource_id=name,
                    path=INDEX_PATH,
                    context={"capability": name},
                )
        return whole

    # -- descriptors --------------------------------------------------------------------------------------------------

    def _check_descriptor(self, name: str, descriptor: Any) -> None:
        problem = _shape_problem(descriptor)
        if problem:
            message = f"The descriptor {name!r} {problem}."
            self._say("ARCHIVE_MALFORMED_JSON", message, "descriptor", resource_id=name, path=INDEX_PATH)
            return
        path = descriptor.get("path")
        if descriptor["mediaType"] not in MEDIA_TYPES:
            self._say(
                "ARCHIVE_MEDIA_TYPE_UNSUPPORTED",
                f"{name!r} has the media type {_short(descriptor['mediaType'])}, which is none of this format.",
                "descriptor",
                resource_id=name,
                path=path,
            )
        if path is not None:
            self._check_file(name, descriptor, path)

    def _check_file(self, name: str, descriptor: dict[str, Any], path: str) -> None:
        if unsafe_path(path):
            self._say(
                "ARCHIVE_PATH_UNSAFE",
                f"The descriptor {name!r} points to {path!r}. Only plain relative paths are accepted.",
                "descriptor",
                resource_id=name,
                path=path,
                context={"path": path},
            )
            return
        entry = self.archive.entries.get(path)
        if entry is None:
            code = "ARCHIVE_BLOB_MISSING" if path.startswith(f"{BLOB_FOLDER}/") else "ARCHIVE_DESCRIPTOR_MISSING"
            message = f"{path} is missing. The archive is incomplete: get it again."
            self._say(code, message, "descriptor", resource_id=name, path=path)
            return
        actual = self._sha256(entry)
        for code, key, expected, real in (
            ("ARCHIVE_SIZE_MISMATCH", "size", descriptor["size"], entry.size),
            ("ARCHIVE_DIGEST_MISMATCH", "digest", descriptor["digest"], actual),
        ):
            if expected != real:
                self._say(
                    code,
                    f"{path} has the {key} {real}, not {expected} as described: it was changed or damaged.",
                    "descriptor",
                    resource_id=name,
                    path=path,
                    context={f"expected_{key}": expected, f"actual_{key}": real},
                )
        if path not in self._parsed:
            self._parsed.add(path)
            self._check_text(name, descriptor["mediaType"], entry)

    def _check_text(self, name: str, media_type: str, entry: Entry) -> None:
        if media_type.endswith("+json"):
            value = self._json(entry)
            if name in _KEPT and value is not _BAD:
                self.found.documents[name] = value
        elif media_type == SUBJECTS_TYPE:
            for _ in self._lines(entry):
                pass

    def _sha256(self, entry: Entry) -> str:
        known = self._digests.get(entry.path)
        if known is None:
            digest = hashlib.sha256()
            for chunk in self.archive.chunks(entry):
                digest.update(chunk)
            known = self._digests[entry.path] = f"sha256:{digest.hexdigest()}"
        return known

    # -- JSON ---------------------------------------------------------------------------------------------------------

    def _json(self, entry: Entry) -> Any:
        data = self._small(entry)
        return _BAD if data is None else self._value(entry, data)

    def _small(self, entry: Entry) -> bytes | None:
        limit = self.archive.limits.descriptor_bytes
        if entry.size <= limit:
            return self.archive.read(entry)
        self._say(
            "ARCHIVE_SIZE_LIMIT_EXCEEDED",
            f"{entry.path} has {entry.size} bytes, and a descriptor may have {limit}.",
            "descriptor",
            path=entry.path,
            context={"path": entry.path, "size": entry.size, "limit": limit},
        )
        return None

    def _value(self, entry: Entry, data: bytes, where: str = "") -> Any:
        try:
            return parse(data, self.archive.limits.json_depth)
        except JsonFault as fault:
            message = f"{entry.path}{where} is refused: {fault.message}."
            self._say(fault.code, message, "descriptor", path=entry.path, context=fault.context)
            return _BAD

    def _lines(self, entry: Entry) -> Iterator[Any]:
        """The values of an NDJSON file, up to the first bad line."""
        for number, line in enumerate((self._small(entry) or b"").split(b"\n"), 1):
            if line.strip():
                value = self._value(entry, line, f", line {number},")
                if value is _BAD:
                    return
                yield value

    # -- the rest -----------------------------------------------------------------------------------------------------

    def _check_digest(self, index: dict[str, Any]) -> None:
        try:
            self.found.digest = archive_digest(index)
        except ReleaseError as exc:
            message = f"{INDEX_PATH} has no digest: {exc.message}"
            self._say("ARCHIVE_MALFORMED_JSON", message, "index", path=INDEX_PATH)
            return
        stored = index.get("archive_digest")
        if stored is not None and stored != self.found.digest:
            self._say(
                "ARCHIVE_DIGEST_MISMATCH",
                f"The archive's digest is {self.found.digest}, not {_short(stored)} as its index says.",
                "archive",
                path=INDEX_PATH,
                context={"expected_digest": stored, "actual_digest": self.found.digest},
            )

    def _read_documents(self) -> None:
        for name in _KEPT:
            entry = self.found.entry(name)
            if entry is not None and entry.path not in self._parsed:
                self._parsed.add(entry.path)
                value = self._json(entry)
                if value is not _BAD:
                    self.found.documents[name] = value

    def _count_stubs(self) -> None:
        entry = self.found.entry("auth.subjects")
        if entry is not None and entry.size <= self.archive.limits.descriptor_bytes:
            self.found.stubs = sum(1 for line in self.archive.read(entry).split(b"\n") if line.strip())

    def _check_order(self, index: dict[str, Any]) -> None:
        annotations = index.get("annotations")
        required = isinstance(annotations, dict) and annotations.get("deterministic_identity") == "required"
        for table in _items(self.found.documents.get("database.tables"), "tables"):
            if isinstance(table, dict) and table.get("deterministic_order") is False:
                name = str(table.get("id") or table.get("name"))
                self._say(
                    "NON_DETERMINISTIC_TABLE_ORDER",
                    f"The rows of {name} have no fixed order, so a second export may have another digest.",
                    "table",
                    resource_id=name,
                    severity="blocking" if required else "warning",
                )

    def _carry_over_report(self) -> None:
        for entry in _items(self.found.documents.get("portability_report"), "entries"):
            if isinstance(entry, dict) and all(isinstance(entry.get(key), str) for key in ("code", "message")):
                self.found.diagnostics.append(without_commands(entry))

    def _say(self, code: str, message: str, resource_type: str, **more: Any) -> None:
        self.found.diagnostics.append(diagnostic(code, message, resource_type, **more))


_BAD: Final = object()  # what could not be parsed; None is a JSON value


def _descriptors(index: Mapping[str, Any] | None) -> dict[str, Any]:
    found = (index or {}).get("descriptors")
    return found if isinstance(found, dict) else {}


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _names(value: Any) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _items(document: Any, key: str) -> list[Any]:
    found = document.get(key) if isinstance(document, dict) else None
    return found if isinstance(found, list) else []


def _object(value: Any) -> dict[str, Any] | None:
    return value if isinstance(value, dict) else None


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:117]}..."


def _shape_problem(value: Any) -> str | None:
    """What a descriptor lacks, or None."""
    if not isinstance(value, dict):
        return "is not an object"
    if not isinstance(value.get("mediaType"), str):
        return "has no mediaType"
    if not isinstance(value.get("digest"), str) or not _DIGEST.fullmatch(value["digest"]):
        return "has no digest of the form sha256:<64 lower-case hex digits>"
    size = value.get("size")
    if isinstance(size, bool) or not isinstance(size, int) or size < 0:
        return "has no size in bytes"
    if "path" in value and not isinstance(value["path"], str):
        return "has a path that is not a string"
    if value["mediaType"] == BLOB_TYPE and "path" not in value:
        return "is a blob without a path"
    annotations = value.get("annotations", {})
    if not isinstance(annotations, dict) or not all(isinstance(item, str) for item in annotations.values()):
        return "has annotations that are not strings"
    return None
