"""Files as assets: each one a release of its own, many at once in releases of up to 250. See docs/assets.md."""

from __future__ import annotations

import base64
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from run402_cli import advice
from run402_cli.client import Client
from run402_cli.deploy import _apply
from run402_cli.deploy._options import ApplyOptions, silent
from run402_cli.errors import UsageError, ValidationError
from run402_cli.release.entries import FILE
from run402_cli.release.manifest import NormalizedManifest
from run402_cli.uploads import TYPED, Bounds, Gate

# A handful of files go one release each, as scripts that watch releases expect. Beyond that, round trips dominate.
SINGLES = 16
BATCH = 250

_URLS = ("url", "immutable_url")
_SIZED = (
    "width_px",
    "height_px",
    "blurhash",
    "variant_spec_version",
    "display_url",
    "display_immutable_url",
    "variants",
)
_IMAGE = ("metadata", "image_format", "image_info", "image_exif", "image_exif_policy")
_LATE = ("blurhash_data_url", "asset_schema")

Report = Callable[[str, Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Upload:
    """One file on its way: `file` is the path as the user wrote it."""

    file: str
    key: str
    content_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Properties:
    """What every asset of one call gets."""

    private: bool = False
    immutable: bool = False
    metadata: Mapping[str, Any] = field(default_factory=dict)
    exif_policy: str | None = None


def put(
    client: Client,
    project_id: str,
    uploads: Sequence[Upload],
    properties: Properties,
    *,
    command: str,
    report: Report,
    bounds: Bounds = TYPED,
) -> list[dict[str, Any]]:
    """Upload files and make them the project's assets; what is stored already is not sent again.

    Returns one asset reference per file, in order (sizes in bytes). `report("start" | "done", {...})` is called
    around each file. Stops at the first file that fails: UsageError for one that is no regular file, ValidationError
    for an answer without its asset, and whatever a deploy raises. Releases before it stay. A file that is not uploaded
    (uploads.py; `bounds` are where the files may be) is refused before the first. docs/assets.md
    """
    out: list[dict[str, Any]] = []
    gate = Gate(bounds)
    for upload in uploads:
        gate.check(Path(upload.file))
    for batch in batches(uploads):
        for upload in batch:
            report("start", {"key": upload.key, "size_bytes": require_file(upload.file)})
        for ref in _put_batch(client, project_id, batch, properties, command, bounds):
            report("done", ref)
            out.append(ref)
    return out


def batches(uploads: Sequence[Upload]) -> Iterator[list[Upload]]:
    """The releases to make; no key occurs twice in one, so that the last of equal keys wins."""
    limit = 1 if len(uploads) <= SINGLES else BATCH
    batch: dict[str, Upload] = {}
    for upload in uploads:
        if len(batch) == limit or upload.key in batch:
            yield list(batch.values())
            batch = {}
        batch[upload.key] = upload
    if batch:
        yield list(batch.values())


def require_file(file: str) -> int:
    """The size in bytes of a regular file; UsageError for anything else."""
    try:
        found = Path(file).stat()
    except (OSError, ValueError) as exc:
        raise UsageError(f"There is no file {file!r}: {getattr(exc, 'strerror', None) or exc}.") from exc
    if not stat.S_ISREG(found.st_mode):
        raise UsageError(f"{file!r} is not a regular file. Name the files; a shell glob such as {file}/* does it.")
    return found.st_size


def _put_batch(
    client: Client, project_id: str, batch: Sequence[Upload], properties: Properties, command: str, bounds: Bounds
) -> list[dict[str, Any]]:
    spec = {"project": project_id, "assets": {"put": [_entry(upload, properties) for upload in batch]}}
    options = ApplyOptions(cloud_dialect=True, command=command)
    state = _apply.start(client, NormalizedManifest(spec, None, None, bounds=bounds), options, silent)
    result = _apply.carry_out(state)
    entries = state.plan.get("asset_entries")
    planned = {
        entry.get("key"): entry
        for entry in (entries if isinstance(entries, list) else ())
        if isinstance(entry, dict) and isinstance(entry.get("asset_ref"), dict)
    }
    merged = (result.get("assets") or {}).get("byKey") or {}
    sent = {entry["key"]: entry for entry in state.release.spec["assets"]["put"]}
    return [_reference(sent[upload.key], planned.get(upload.key), merged.get(upload.key) or {}) for upload in batch]


def _entry(upload: Upload, properties: Properties) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "key": upload.key,
        "source": {"__source": FILE, "path": str(Path(upload.file).absolute())},
        "content_type": upload.content_type,
        "visibility": "private" if properties.private else "public",
        "immutable": properties.immutable,
    }
    if properties.metadata:
        entry["metadata"] = dict(properties.metadata)
    if properties.exif_policy is not None:
        entry["exif_policy"] = properties.exif_policy
    return entry


def _reference(sent: Mapping[str, Any], planned: Mapping[str, Any] | None, late: Mapping[str, Any]) -> dict[str, Any]:
    if planned is None:
        raise ValidationError(
            f"{sent['key']} was stored, but the gateway's plan has no asset entry for it, so its addresses are unknown. "
            f"Look it up: {advice.command('assets', 'ls', '--prefix', sent['key'])}",
            reason="ASSET_NOT_IN_PLAN",
        )
    ref: dict[str, Any] = {
        **planned["asset_ref"],
        **{key: late[key] for key in (*_SIZED, *_IMAGE, *_LATE) if key in late},
    }
    digest = base64.b64encode(bytes.fromhex(sent["sha256"])).decode()
    return {
        "key": sent["key"],
        "size_bytes": sent["size_bytes"],
        "sha256": sent["sha256"],
        "visibility": sent["visibility"],
        **{key: ref.get(key) for key in _URLS},
        "etag": f'"sha256-{sent["sha256"]}"',
        "sri": f"sha256-{digest}",
        **{key: ref[key] for key in _SIZED if key in ref},
        **{key: ref.get(key) for key in _IMAGE},
        **{key: ref[key] for key in _LATE if key in ref},
        "content_type": sent["content_type"],
        "cdn_url": ref.get("cdn_url"),
        "cdn_immutable_url": ref.get("cdn_immutable_url"),
        "content_digest": f"sha-256=:{digest}:",
        "immutable": ref.get("immutable_url") is not None,
    }
