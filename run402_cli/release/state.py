"""The state that a release leaves a project in, and how a spec turns one state into the next.

See docs/protocol/releases.md, "Release state".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from run402_cli.release.canonical import MATERIALIZED_RELEASE, digest
from run402_cli.release.sections import LIVE
from run402_cli.release.sections.routes import check_targets
from run402_cli.release.static_manifest import build_static_manifest

STATE_VERSION: Final = "run402.portable_release_state.v1"


def empty_state() -> dict[str, Any]:
    """The state of a project that has no release."""
    state: dict[str, Any] = {"state_version": STATE_VERSION}
    for section in LIVE:
        state |= section.empty()
    return state


def materialize(base_state: Mapping[str, Any] | None, spec: Mapping[str, Any]) -> dict[str, Any]:
    """The state after applying a valid wire spec (either dialect) to `base_state` (None: the empty state).

    Raises ReleaseError: INVALID_SPEC for routes or public paths that name what is not there (resource routes or
    site.public_paths), STATIC_IMMUTABLE_PATH_CHANGED.
    """
    base = empty_state() if base_state is None else base_state
    state = empty_state()
    for section in LIVE:
        part = section.of(base)
        state[section.state_key] = section.after(part, spec[section.name]) if section.name in spec else part
    routes, paths = state["routes"]["entries"], state["site"]["paths"]
    check_targets(routes, state["functions"], paths)
    state["static_manifest"] = build_static_manifest(
        paths,
        public_paths=(spec.get("site") or {}).get("public_paths"),
        base=base["static_manifest"],
        routes=routes,
    )
    return normalize_state(state)


def normalize_state(state: Mapping[str, Any]) -> dict[str, Any]:
    """`state` with every list in its one order; route entries keep theirs, which is the order of matching."""
    return {**state, **{section.state_key: section.normal(section.of(state)) for section in LIVE}}


def state_digest(state: Mapping[str, Any]) -> str:
    """`run402-materialized-release-v1:<hex>` of the normalized state."""
    return materialized_digest(normalize_state(state))


def materialized_digest(state: Mapping[str, Any]) -> str:
    """As `state_digest`, of a state that `materialize` made."""
    return digest(MATERIALIZED_RELEASE, state)
