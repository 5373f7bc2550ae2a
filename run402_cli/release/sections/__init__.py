"""Every section of a release, in the order in which they are sent. A section more is a module here and a line in SECTIONS."""

from __future__ import annotations

from typing import Final

from run402_cli.release.section import Section
from run402_cli.release.sections import (
    assets,
    checks,
    database,
    functions,
    i18n,
    routes,
    secrets,
    site,
    subdomains,
)

SECTIONS: Final[tuple[Section, ...]] = (
    database.SECTION,
    secrets.SECTION,
    functions.SECTION,
    site.SECTION,
    subdomains.SECTION,
    routes.SECTION,
    checks.SECTION,
    assets.SECTION,
    i18n.SECTION,
)


def ordered(*first: str) -> tuple[Section, ...]:
    """SECTIONS with those named first in front, in the order of the names: for what is told in an order of its own."""
    by_name = {section.name: section for section in SECTIONS}
    return (*(by_name[name] for name in first), *(section for section in SECTIONS if section.name not in first))


# Those that leave something in the state of a release, in the order of the state.
LIVE: Final = tuple(
    section for section in ordered("site", "functions", "secrets", "subdomains", "routes") if section.state_key
)
# The fields that the Core dialect writes in camelCase, and their names in the Cloud dialect.
SNAKE: Final = {
    name: names[-1]
    for section in SECTIONS
    for table in section.spellings
    for name, names in table.items()
    if len(names) > 1
} | {"contentType": "content_type"}
