"""Digests of what is sent: every section of a release counts. See docs/protocol/releases.md, "Digests"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from run402_cli.release.canonical import digest
from run402_cli.release.sections import SECTIONS

APPLY_REQUEST: Final = "run402-apply-request-v1"
PORTABLE_MANIFEST: Final = "run402-portable-manifest-v1"

_REQUEST_KEYS: Final = ("project", "idempotency_key", "base")


def apply_request_digest(spec: Mapping[str, Any]) -> str:
    """Digest of a Core wire spec reduced to its known top-level keys."""
    return digest(APPLY_REQUEST, {key: spec[key] for key in _REQUEST_KEYS if key in spec} | _sections(spec))


def portable_manifest_digest(spec: Mapping[str, Any]) -> str:
    """As `apply_request_digest`, without project, idempotency_key and base: the same on every gateway."""
    return digest(PORTABLE_MANIFEST, _sections(spec))


def _sections(spec: Mapping[str, Any]) -> dict[str, Any]:
    return {section.name: spec[section.name] for section in SECTIONS if section.name in spec}
