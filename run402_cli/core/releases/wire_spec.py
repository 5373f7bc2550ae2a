"""A checked release spec as planning, commit and the sections with effects are handed it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from run402_cli.core.releases.migration_scripts import Migration

Dialect = Literal["core", "cloud"]


@dataclass(frozen=True, slots=True)
class WireSpec:
    """A checked spec. `document` is as sent; `dialect` follows from the key that names the project.

    `remembered` is what the sections kept with the plan; empty while a plan is being made.
    """

    dialect: Dialect
    project_id: str
    document: dict[str, Any]
    remembered: Mapping[str, Any] = field(default_factory=dict)

    @property
    def migrations(self) -> list[Migration]:
        entries = (self.document.get("database") or {}).get("migrations") or ()
        return [Migration.from_wire(entry) for entry in entries]

    @property
    def expose(self) -> dict[str, Any] | None:
        return (self.document.get("database") or {}).get("expose") or None

    @property
    def base(self) -> dict[str, Any]:
        return self.document.get("base") or {}

    @property
    def core_document(self) -> dict[str, Any]:
        """The spec with the project under its Core name, as the digests want it."""
        return {"project" if key == "project_id" else key: value for key, value in self.document.items()}

    def site_refs(self) -> dict[str, int]:
        """Content that the site section names: digest to size in bytes."""
        site = self.document.get("site") or {}
        refs = (site.get("replace") or (site.get("patch") or {}).get("put") or {}).values()
        return {ref["sha256"]: ref["size"] for ref in refs}


def content_refs(spec: WireSpec, migrations: list[Migration]) -> Iterator[tuple[str, int | None]]:
    """Digest and declared size of every object that a commit of this spec needs; `migrations` are those still to run."""
    yield from spec.site_refs().items()
    sizes = {
        entry["sql_ref"]["sha256"]: entry["sql_ref"]["size"]
        for entry in (spec.document.get("database") or {}).get("migrations") or ()
        if "sql_ref" in entry
    }
    for migration in migrations:
        if migration.sql_sha256 is not None:
            yield migration.sql_sha256, sizes[migration.sql_sha256]
