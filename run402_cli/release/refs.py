"""References to content on the wire: `{sha256, size, contentType?}`, as a gateway reads them."""

from __future__ import annotations

import re
from typing import Any, Final

from run402_cli.release.fields import WIRE, is_integer

SHA256: Final = re.compile(r"[0-9a-f]{64}")
_MIME: Final = re.compile(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+(?:\s*;\s*[\w!#$&^.+-]+=(?:[\w!#$&^.+-]+|\"[^\"\r\n]*\"))*")


def check_ref(value: Any, where: str) -> None:
    """ReleaseError INVALID_SPEC, phase plan, unless `value` is a reference."""
    ref = WIRE.mapping(value, where)
    if not isinstance(ref.get("sha256"), str) or not SHA256.fullmatch(ref["sha256"]):
        raise WIRE.error(f"{where}.sha256 must be 64 lower-case hex digits.", f"{where}.sha256")
    if not is_integer(ref.get("size")) or ref["size"] < 0:
        raise WIRE.error(f"{where}.size must be the length in bytes.", f"{where}.size")
    for key in ("contentType", "content_type"):
        given = ref.get(key)
        if given is not None and (not isinstance(given, str) or not _MIME.fullmatch(given.strip())):
            raise WIRE.error(f"{where}.{key} must be a media type such as text/html; charset=utf-8.", f"{where}.{key}")
