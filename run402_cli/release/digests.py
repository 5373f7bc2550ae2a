"""Digests of what is sent: every section of a release counts. See docs/protocol/releases.md, "Digests"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from run402_cli.release.canonical import canonical_json, canonical_object, sha256_hex
from run402_cli.release.sections import SECTIONS

APPLY_REQUEST: Final = "run402-apply-request-v1"
PORTABLE_MANIFEST: Final = "run402-portable-manifest-v1"

_REQUEST_KEYS: Final = ("project", "idempotency_key", "base")


def spec_digests(spec: Mapping[str, Any]) -> tuple[str, str]:
    """The request digest of a Core wire spec reduced to its known top-level keys, and the portable digest.

    The portable one is without project, idempotency_key and base: the same on every gateway.
    """
    sections = {name: canonical_json(value) for name, value in _sections(spec).items()}
    more = {key: canonical_json(spec[key]) for key in _REQUEST_KEYS if key in spec}
    texts = (canonical_object({**more, **sections}), canonical_object(sections))
    request, manifest = (sha256_hex(text.encode()) for text in texts)
    return f"{APPLY_REQUEST}:{request}", f"{PORTABLE_MANIFEST}:{manifest}"


def _sections(spec: Mapping[str, Any]) -> dict[str, Any]:
    return {section.name: spec[section.name] for section in SECTIONS if section.name in spec}
