"""Assets: files in a project's storage, and what the CDN serves of them."""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from pathlib import Path
from typing import Any

from run402_cli.errors import ValidationError
from run402_cli.mcp import _text
from run402_cli.mcp._tool import (
    DESTRUCTIVE,
    LOCAL_WRITE,
    OVERWRITE,
    PROJECT,
    READ,
    WRITE,
    Call,
    Reply,
    exclusive,
    may,
    need,
    tool,
)
from run402_cli.services import assets, cdn
from run402_cli.uploads import TYPED, Bounds

_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_KEY = need("key", about="Name of the asset, such as img/logo.png.")
_FILTER = (
    "{uploaded_by?: string, tag?: string, format?: string, is_image?: bool, min_width?: int, max_width?: int, "
    "min_height?: int, max_height?: int}"
)


def _put(call: Call) -> Any:
    exclusive(call, "local_path", "content", exactly=True)
    if call["content"] is None:
        call.files.folder(call["local_path"])
        return _upload(call, call["local_path"], call.files.bounds)
    with tempfile.TemporaryDirectory(prefix="run402-asset-") as folder:
        file = Path(folder) / "content"
        file.write_bytes(_utf8("content", call["content"]))
        return _upload(call, str(file), TYPED)


def _upload(call: Call, file: str, bounds: Bounds) -> Any:
    from run402_cli.deploy import assets as engine

    key = call["key"]
    assets.check_key(key)
    engine.require_file(file)
    call.client.profile.keys.require(call.project)
    properties = engine.Properties(
        private=call["visibility"] == "private",
        immutable=call["immutable"],
        metadata=assets.checked_metadata(call["metadata"] or {}),
        exif_policy="strip" if call["exif_policy"] == "strip" else None,
    )
    upload = engine.Upload(file, key, call["content_type"] or assets.content_type_of(key))
    return engine.put(
        call.client,
        call.project,
        [upload],
        properties,
        command="run402 assets put",
        report=lambda _event, _fields: None,
        bounds=bounds,
    )[0]


def _utf8(name: str, text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as exc:
        raise ValidationError(f"{name} is not valid Unicode text.", details={"field": name}) from exc


def _get(call: Call) -> dict[str, Any]:
    from run402_cli.services.download import download

    path = call.files.target(call["output_path"], overwrite=call["overwrite"])
    done = download(call.client, call.project, call["key"], str(path), overwrite=call["overwrite"] is True)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {**done, "output": call["output_path"], "size_bytes": path.stat().st_size, "sha256": digest}


def _list(call: Call) -> Any:
    filters = {
        key: json.dumps(value) if isinstance(value, bool) else str(value)
        for key, value in (call["filter"] or {}).items()
    }
    given = call.given("prefix", "limit", "cursor", "sort")
    return assets.ls(call.client, call.project, filters=filters, **given)


def _diagnose(call: Call) -> Reply:
    found = assets.diagnose(call.client, call.project, call["url"])
    fresh = "serves what it should" if assets.is_fresh(found) else "does not serve what it should"
    summary = f"{call['url']} {fresh}, as seen from {found['vantage']} (one place, not a global view)."
    return Reply(found, text="\n\n".join([_text.heading("public URL check"), summary, _text.fence(found)]))


def _wait_fresh(call: Call) -> Any:
    if not _SHA256.fullmatch(call["sha256"]):
        raise ValidationError("sha256 takes 64 hex digits.", details={"field": "sha256"})
    seconds = max(1, round(call["timeout_ms"] / 1000))
    return cdn.wait_fresh(call.client, call.project, call["url"], sha256=call["sha256"].lower(), timeout_s=seconds)


TOOLS = (
    tool(
        "assets_put",
        "Store one asset, from a local file or from text.",
        WRITE,
        _put,
        PROJECT,
        _KEY,
        may("local_path", about="File below the server's root to upload; or content."),
        may("content", about="The text itself; or local_path."),
        may("content_type", about="Media type. Default: by the extension of the key."),
        may("visibility", "public|private", default="public"),
        may("immutable", "bool", "Also serve it at an address with its digest.", default=True),
        may("metadata", "{*: string|number|bool|[string]}"),
        may("exif_policy", "keep|strip", default="keep"),
        cli="assets put",
    ),
    tool(
        "assets_get",
        "Save an asset to a local file. The SHA-256 is checked.",
        LOCAL_WRITE,
        _get,
        PROJECT,
        _KEY,
        need("output_path"),
        OVERWRITE,
        cli="assets get",
        annotations={"openWorldHint": True},
    ),
    tool(
        "assets_ls",
        "List the assets of a project, with sizes and addresses.",
        READ,
        _list,
        PROJECT,
        may("prefix", about="Only keys that begin with this."),
        may("limit", "int", default=100, low=1, high=1000),
        may("cursor"),
        may("sort", "key:asc|createdAt:asc|createdAt:desc"),
        may("filter", _FILTER),
        cli="assets ls",
    ),
    tool(
        "assets_rm",
        "Delete an asset; addresses that hold its digest keep working.",
        DESTRUCTIVE,
        lambda c: assets.rm(c.client, c.project, c["key"]),
        PROJECT,
        _KEY,
        cli="assets rm",
    ),
    tool(
        "assets_sign",
        "Make an address that reads one asset for a limited time, private or not.",
        READ,
        lambda c: assets.sign(c.client, c.project, c["key"], ttl_seconds=c["ttl_seconds"]),
        PROJECT,
        _KEY,
        may("ttl_seconds", "int", default=3600, low=60, high=604_800),
        cli="assets sign",
    ),
    tool(
        "diagnose_public_url",
        "Compare what the CDN serves at an asset's address with what it should.",
        READ,
        _diagnose,
        PROJECT,
        need("url"),
        cli="assets diagnose",
    ),
    tool(
        "wait_for_cdn_freshness",
        "Look until a mutable asset address serves the content with this SHA-256; running out of time is a result.",
        READ,
        _wait_fresh,
        PROJECT,
        need("url"),
        need("sha256", about="64 hex digits."),
        may("timeout_ms", "int", default=60_000, low=1000, high=600_000),
        cli="cdn wait-fresh",
    ),
)
