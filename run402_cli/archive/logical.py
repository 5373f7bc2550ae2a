"""The digest of what an archive means, the same however it was packed. See docs/protocol/archive-format.md, "Digest"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from run402_cli.archive.format import LOGICAL_IDENTITY
from run402_cli.release.canonical import canonical_json, code_unit_sorted, sha256_hex


def archive_digest(index: Mapping[str, Any]) -> str:
    """`sha256:<hex>` over the identity descriptors of an index. ReleaseError for numbers that JSON cannot hold."""
    descriptors = index["descriptors"]
    named = [
        {"name": name, **_identity(descriptors.get(name))} for name in code_unit_sorted(index["identity_descriptors"])
    ]
    document = {
        "identity": LOGICAL_IDENTITY,
        "archive_version": index.get("archive_version"),
        "core_compatibility": index.get("core_compatibility"),
        "required_capabilities": code_unit_sorted(index["required_capabilities"]),
        "consistency": index.get("consistency"),
        "descriptors": named,
    }
    return f"sha256:{sha256_hex(canonical_json(document).encode())}"


def _identity(descriptor: Any) -> dict[str, Any]:
    if not isinstance(descriptor, Mapping):
        return {}
    return {key: descriptor[key] for key in ("mediaType", "digest", "size", "path") if key in descriptor}
