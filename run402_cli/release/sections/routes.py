"""`routes`: which requests of the web a function or a file answers. The rules of a table are in `release/routes.py`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from run402_cli.release.content import Writer
from run402_cli.release.entries import Base
from run402_cli.release.errors import invalid_spec
from run402_cli.release.fields import MANIFEST, SPEC, WIRE
from run402_cli.release.routes import STATIC_METHODS, check_routes, route_table
from run402_cli.release.section import Section

_COMPARED: Final = ("target", "methods", "pricing")


class RoutesSection(Section):
    name = state_key = "routes"
    noun = "route"
    null_clears = True

    def normalize(self, value: Any, base: Base) -> Any:
        check_routes(value, MANIFEST, pricing=False)
        return value

    def says_something(self, value: Any) -> bool:
        """An empty table removes what is there."""
        if isinstance(value, Mapping) and isinstance(value.get("replace"), list):
            return True
        return super().says_something(value)

    def check_spec(self, value: Any) -> None:
        check_routes(value, SPEC, pricing=True)

    def to_wire(self, value: Any, writer: Writer) -> Any:
        if not value:
            return None if value is None else dict(value)
        # A static route without methods means GET and HEAD; every gateway understands it spelled out.
        return {
            "replace": [
                {"pattern": route["pattern"], "methods": list(STATIC_METHODS), **route}
                if route["target"]["type"] == "static" and "methods" not in route
                else route
                for route in value["replace"]
            ]
        }

    def check_wire(self, value: Any) -> None:
        """The shape alone: `after` checks each route."""
        if value is not None:
            WIRE.array(WIRE.known(value, ("replace",), "routes").get("replace"), "routes.replace")

    def empty(self) -> dict[str, Any]:
        return {"routes": {"manifest_sha256": None, "entries": []}}

    def after(self, base: Any, value: Any) -> Any:
        return base if value is None else route_table(value["replace"])

    def diff(self, old: Any, new: Any) -> dict[str, Any]:
        before = {_key(entry): entry for entry in old["entries"]}
        after = {_key(entry): entry for entry in new["entries"]}
        bucket: dict[str, Any] = {
            "added": [entry for key, entry in after.items() if key not in before],
            "removed": [entry["pattern"] for key, entry in before.items() if key not in after],
            "changed": [
                {
                    "pattern": entry["pattern"],
                    "before": before[key],
                    "after": entry,
                    "fields_changed": [field for field in _COMPARED if before[key].get(field) != entry.get(field)],
                }
                for key, entry in after.items()
                if key in before and before[key] != entry
            ],
        }
        if old["manifest_sha256"] != new["manifest_sha256"]:
            bucket |= {"manifest_sha256_old": old["manifest_sha256"], "manifest_sha256_new": new["manifest_sha256"]}
        return bucket


def _key(entry: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    # A pattern may stand for several routes (by method); then the methods tell them apart.
    return entry["pattern"], tuple(entry["methods"] or ())


def check_targets(
    entries: Iterable[Mapping[str, Any]], functions: Iterable[Mapping[str, Any]], paths: Iterable[Mapping[str, Any]]
) -> None:
    """Refuse a route of a state to a function or a site file that the state does not have."""
    names = {entry["name"] for entry in functions}
    files = {entry["path"] for entry in paths}
    for entry in entries:
        target = entry["target"]
        there = target["name"] in names if target["type"] == "function" else target["file"] in files
        if not there:
            kind, wanted = (
                ("function", target["name"]) if target["type"] == "function" else ("site file", target["file"])
            )
            raise invalid_spec(
                f"The route {entry['pattern']!r} needs the {kind} {wanted!r}, which the release does not have. "
                f"Deploy it in the same release, or remove the route.",
                "routes",
            )


SECTION: Final = RoutesSection()
