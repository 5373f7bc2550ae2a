"""The spec layer: what a ReleaseSpec must satisfy before a plan is asked for.

Errors are INVALID_SPEC with phase validate unless said otherwise. See docs/protocol/releases.md, "Two layers".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from run402_cli.release.errors import invalid_spec
from run402_cli.release.fields import SPEC
from run402_cli.release.sections import SECTIONS, ordered

SPEC_KEYS: Final = (
    *("$schema", "project", "base"),
    *(section.name for section in ordered("database", "secrets", "functions", "site", "assets")),
)
DEPLOYABLE_FIELDS: Final = tuple(section.name for section in ordered("assets", "database", "site", "functions"))
# In the documented order.
_CHECKED: Final = ordered("database", "functions", "site", "subdomains", "routes", "checks", "secrets", "i18n")


def validate_spec(spec: Mapping[str, Any]) -> None:
    """Check a ReleaseSpec, section by section in the documented order.

    Raises ReleaseError: INVALID_SPEC with the field as resource, ASTRO_ADAPTER_TREE_IN_SITE,
    SUBDOMAIN_MULTI_NOT_SUPPORTED, or MANIFEST_EMPTY with `deployable_fields`.
    """
    for key in spec:
        if key not in SPEC_KEYS:
            raise SPEC.error(f"The release spec has the unknown field {key!r}. Use: {', '.join(SPEC_KEYS)}.", key)
    SPEC.text(spec.get("project"), "project")
    if "base" in spec:
        _check_base(spec["base"])
    for section in _CHECKED:
        if section.name in spec:
            section.check_spec(spec[section.name])
    _check_one_subdomain(spec.get("subdomains") or {})
    if not any(section.deploys(spec[section.name]) for section in SECTIONS if section.name in spec):
        raise invalid_spec(
            f"The release deploys nothing. Fill at least one of {', '.join(DEPLOYABLE_FIELDS)}.",
            "spec",
            code="MANIFEST_EMPTY",
            body={"deployable_fields": list(DEPLOYABLE_FIELDS)},
        )


def _check_base(value: Any) -> None:
    base = SPEC.known(value, ("release", "release_id"), "base")
    if len(base) > 1:
        raise SPEC.error("base has both release and release_id. Keep one of them.", "base")


def _check_one_subdomain(subdomains: Mapping[str, Any]) -> None:
    if len(subdomains.get("set") or ()) > 1:
        raise invalid_spec(
            f"subdomains.set names {len(subdomains['set'])} subdomains; a project has one. Keep one of them.",
            "subdomains.set",
            code="SUBDOMAIN_MULTI_NOT_SUPPORTED",
        )
