"""From a ReleaseSpec to what is sent: content hashed and replaced by refs, in the Cloud or the Core dialect.

See docs/protocol/releases.md, "On the wire".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Literal

from run402_cli.release.canonical import compact_json, sha256_hex
from run402_cli.release.content import ContentObject, Writer
from run402_cli.release.content_types import PLAN_MANIFEST, SQL
from run402_cli.release.errors import ReleaseError, invalid_spec
from run402_cli.release.sections import SECTIONS
from run402_cli.release.sources import BytesSource
from run402_cli.release.spec import validate_spec
from run402_cli.uploads import TYPED, Bounds

INLINE_PLAN_BYTES: Final = 5 * 1024 * 1024


class Dialect(StrEnum):
    """Whom the spec is for: Cloud (project_id, snake_case, SQL by ref) or a Core gateway (project, camelCase, SQL inline)."""

    CLOUD = "cloud"
    CORE = "core"


@dataclass(frozen=True, slots=True)
class WireRelease:
    """A spec as sent, the content it refers to by sha256 (in order of first use), and its slice kinds, sorted."""

    spec: dict[str, Any]
    objects: dict[str, ContentObject]
    slice_kinds: list[str]


def to_wire(
    spec: Mapping[str, Any], dialect: Dialect = Dialect.CLOUD, *, own: Path | None = None, bounds: Bounds = TYPED
) -> WireRelease:
    """Validate a ReleaseSpec, read and hash everything it names, and write it in `dialect`.

    `own` is the manifest's file, which is part of no directory that the spec names; `bounds` are the files that may be read.
    Reads every file once. Raises ReleaseError: the spec layer's codes, BINARY_CONTENT_REQUIRES_BYTES,
    ASSET_DUPLICATE_KEY_IN_PUT, ASSET_KEY_IN_PUT_AND_DELETE, INVALID_ASSET_METADATA, INVALID_EXIF_POLICY,
    CONTENT_CHANGED, or the operating system's error name for a file; CommandError of uploads.py for one that is not read.
    """
    validate_spec(spec)
    core = dialect is Dialect.CORE
    writer = Writer(core=core, own=own, bounds=bounds)
    for section in SECTIONS:
        if spec.get(section.name):
            section.collect(spec[section.name], writer)
    writer.hash()
    wire: dict[str, Any] = {"project" if core else "project_id": spec["project"]}
    if "base" in spec:
        wire["base"] = spec["base"]
    for section in SECTIONS:
        if section.name in spec:
            written = section.to_wire(spec[section.name], writer)
            if written or section.sent_empty:
                wire[section.name] = written
    kinds = {section.slice_kind for section in SECTIONS if spec.get(section.name) is not None}
    return WireRelease(wire, writer.objects(), [kind for kind in ("release", "asset") if kind in kinds])


def plan_bytes(body: Mapping[str, Any]) -> bytes:
    """A plan request's body as the bytes to send: compact JSON, UTF-8."""
    return compact_json(body).encode()


def is_oversized(body: Mapping[str, Any]) -> bool:
    """Whether a plan body is too large to be sent inline (more than 5 MiB) and needs a manifest object."""
    return len(plan_bytes(body)) > INLINE_PLAN_BYTES


def manifest_object(wire_spec: Mapping[str, Any]) -> ContentObject:
    """The stored manifest that stands in for an oversized spec: its compact JSON as a content object."""
    data = plan_bytes(wire_spec)
    sha256 = sha256_hex(data)
    return ContentObject(sha256, len(data), sha256, PLAN_MANIFEST, BytesSource(data), "release")


def sql_by_ref(release: WireRelease) -> WireRelease:
    """The release with SQL that stood in its spec as content of its own, which then has to be uploaded before the plan."""
    spec, objects = dict(release.spec), dict(release.objects)
    migrations = []
    for entry in (spec.get("database") or {}).get("migrations") or []:
        if "sql" in entry:
            data = entry["sql"].encode()
            sha256 = sha256_hex(data)
            objects[sha256] = ContentObject(sha256, len(data), entry["id"], SQL, BytesSource(data), "release")
            entry = {key: value for key, value in entry.items() if key != "sql"}
            entry["sql_ref"] = {"sha256": sha256, "size": len(data), "contentType": SQL}
        migrations.append(entry)
    if migrations:
        spec["database"] = {**spec["database"], "migrations": migrations}
    return WireRelease(spec, objects, release.slice_kinds)


def oversized_error(code: Literal["PLAN_REQUIRES_INLINE_SPEC", "DRY_RUN_REQUIRES_INLINE_SPEC"]) -> ReleaseError:
    """The refusal of an oversized spec where a stored manifest is not possible."""
    return invalid_spec(
        f"The spec is larger than {INLINE_PLAN_BYTES} bytes, which this kind of plan takes only inline. "
        "Deploy fewer files at once, or run a plain apply.",
        "manifest_ref",
        code=code,
    )
