"""What a CI session may not deploy. See docs/protocol/releases.md, "In CI"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from run402_cli.release.errors import ReleaseError, invalid_spec

FORBIDDEN: Final = "forbidden_spec_field"
ALLOWED_KEYS: Final = ("project", "database", "functions", "site", "base", "routes", "assets")


def check_ci_spec(spec: Mapping[str, Any]) -> None:
    """Refuse a ReleaseSpec that a CI session may not send.

    Raises ReleaseError forbidden_spec_field (phase validate) with the field as resource.
    """
    for key in spec:
        if key not in ALLOWED_KEYS:
            raise _forbidden(
                key, f"{key} cannot be deployed from CI. Remove it, or deploy it from a signed-in machine."
            )
    if "base" in spec and spec["base"] != {"release": "current"}:
        raise _forbidden(
            "base", 'From CI a release builds on the current one. Remove base, or use {"release": "current"}.'
        )


def oversized_in_ci() -> ReleaseError:
    """The refusal of a spec that is too large to be sent inline from CI."""
    return _forbidden(
        "manifest_ref", "The spec is larger than 5 MiB, which CI cannot deploy. Deploy fewer files at once."
    )


def _forbidden(resource: str, message: str) -> ReleaseError:
    return invalid_spec(message, resource, code=FORBIDDEN)
