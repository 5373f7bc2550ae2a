"""The release spec as it arrives: which dialect it speaks, whether its shape is sound, what this gateway can do of it."""

from __future__ import annotations

from typing import Any, Final

from run402_cli.core.errors import GatewayError
from run402_cli.core.releases import section_list
from run402_cli.core.releases.wire_spec import Dialect, WireSpec
from run402_cli.release.errors import INVALID_SPEC, ReleaseError
from run402_cli.release.fields import WIRE
from run402_cli.release.sections import ordered
from run402_cli.release.static_manifest import IMMUTABLE_CHANGED

TOP_KEYS: Final = (
    *("project", "project_id", "idempotency_key", "base"),
    *(section.name for section in ordered("database", "functions")),
)
_CHECKED: Final = ordered("database", "functions", "secrets", "site", "subdomains", "routes", "assets")


def read_spec(document: Any) -> WireSpec:
    """Check a spec's shape and tell its dialect. ReleaseError (INVALID_SPEC) or GatewayError 422/409 otherwise."""
    spec = dict(WIRE.known(document, TOP_KEYS, "spec"))
    names = [key for key in ("project", "project_id") if key in spec]
    if len(names) != 1:
        raise WIRE.error("The spec must name its project once: `project`, or `project_id`.", "project")
    project_id = WIRE.text(spec[names[0]], names[0])
    if "base" in spec:
        _check_base(spec["base"])
    for section in _CHECKED:
        if section.name in spec:
            section.check_wire(spec[section.name])
            for effects in section_list.SECTIONS:
                if effects.name == section.name:
                    effects.check(spec[section.name])
    return WireSpec("core" if names[0] == "project" else "cloud", project_id, spec)


def release_failure(exc: ReleaseError, dialect: Dialect) -> GatewayError:
    """A ReleaseError as an HTTP answer: 400, or 409 for a changed immutable path."""
    if exc.code != INVALID_SPEC:
        status, code = 409 if exc.code == IMMUTABLE_CHANGED else 400, exc.code
        error = code.lower().removeprefix("r402_")  # the gateway's own word has no prefix
    else:
        status, error = 400, "invalid_release_spec"
        code = "RUN402_CORE_INVALID_SPEC" if dialect == "core" else INVALID_SPEC
    extra = {"details": dict(exc.details) if exc.details else None, "fix": dict(exc.fix) if exc.fix else None}
    return GatewayError(
        status,
        error,
        exc.message,
        resource=exc.resource,
        code=code,
        phase="plan",
        retryable=False,
        **{key: value for key, value in extra.items() if value is not None},
    )


def _check_base(value: Any) -> None:
    base = WIRE.known(value, ("release", "release_id"), "base")
    if len(base) > 1:
        raise WIRE.error("base must have either release or release_id, not both.", "base")
    if "release" in base:
        WIRE.one_of(base["release"], ("current", "empty"), "base.release")
    if "release_id" in base:
        WIRE.text(base["release_id"], "base.release_id")
