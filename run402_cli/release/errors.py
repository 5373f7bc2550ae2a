"""The one exception of this package. See docs/protocol/releases.md.

Exception
  ReleaseError            a manifest, spec or source that cannot become a release
    ContentChangedError   a file that is not the one that was hashed
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from typing import Any

LOCAL_ERROR = "LOCAL_ERROR"
INVALID_SPEC = "INVALID_SPEC"


class ReleaseError(Exception):
    """A release document or its content is unusable.

    `code` is the envelope's code; `phase` is "validate" for everything found while a plan is being made;
    `resource` is the dotted path of the offending field; `details`, `fix`, `hint` and `body` go to the envelope
    when present (`body` holds further top-level envelope keys).
    """

    def __init__(
        self,
        message: str,
        *,
        code: str = LOCAL_ERROR,
        resource: str | None = None,
        phase: str | None = None,
        details: Mapping[str, Any] | None = None,
        fix: Mapping[str, Any] | None = None,
        hint: str | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.resource = resource
        self.phase = phase
        self.details = details
        self.fix = fix
        self.hint = hint
        self.body = body


class ContentChangedError(ReleaseError):
    """A file's bytes changed after it was hashed (code CONTENT_CHANGED, phase upload)."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(
            f"{path} changed while it was being deployed ({reason}). Nothing was committed; run the command again.",
            code="CONTENT_CHANGED",
            phase="upload",
            resource=path,
            details={"path": path, "reason": reason},
        )


def invalid_spec(message: str, resource: str, *, code: str = INVALID_SPEC, **extra: Any) -> ReleaseError:
    """A spec-layer error: INVALID_SPEC (or `code`), phase validate, naming the field."""
    return ReleaseError(message, code=code, phase="validate", resource=resource, **extra)


def os_failure(error: OSError, path: str, what: str) -> ReleaseError:
    """A file-system failure under the operating system's own error name (ENOENT, EACCES, ...)."""
    name = errno.errorcode.get(error.errno or 0, LOCAL_ERROR)
    reason = error.strerror or str(error)
    message = f"Cannot read {what} {path}: {reason}. Correct the path in the manifest or make the file readable."
    return ReleaseError(message, code=name, details={"path": path})
