"""`checks`: requests that a release must answer before it becomes active. See docs/local-gateway.md, "Checks"."""

from __future__ import annotations

from typing import Any, Final

from run402_cli.release.fields import SPEC, WIRE, is_integer
from run402_cli.release.routes import METHODS
from run402_cli.release.section import Section

MAX_CHECKS: Final = 50


class ChecksSection(Section):
    name = "checks"

    def check_spec(self, value: Any) -> None:
        SPEC.array(value, "checks")

    def check_wire(self, value: Any) -> None:
        """Every entry is {name, http: {path, method?, expect?: {status?}}}."""
        if value is None:
            return
        entries = WIRE.array(value, "checks")
        if len(entries) > MAX_CHECKS:
            raise WIRE.error(f"There are {len(entries)} checks; at most {MAX_CHECKS} are run.", "checks")
        names: set[str] = set()
        for index, entry in enumerate(entries):
            where = f"checks.{index}"
            given = WIRE.known(entry, ("name", "http"), where)
            name = WIRE.text(given.get("name"), f"{where}.name")
            if name in names:
                raise WIRE.error(f"Two checks are called {name!r}. Names are unique.", f"{where}.name")
            names.add(name)
            _read_http(given.get("http"), f"{where}.http")


def _read_http(value: Any, where: str) -> None:
    http = WIRE.known(value, ("path", "method", "expect"), where)
    path = WIRE.text(http.get("path"), f"{where}.path")
    if not path.startswith("/") or not path.isprintable():
        raise WIRE.error(f"{where}.path must begin with /, such as /api/health.", f"{where}.path")
    if "method" in http:
        WIRE.one_of(http["method"], sorted(METHODS), f"{where}.method")
    expect = WIRE.known(http.get("expect") or {}, ("status",), f"{where}.expect")
    given = expect.get("status", [])
    statuses = given if isinstance(given, list) else [given]
    if not all(is_integer(status) and 100 <= status <= 599 for status in statuses):
        raise WIRE.error(f"{where}.expect.status must be a status from 100 to 599, or a list.", f"{where}.expect")


SECTION: Final = ChecksSection()
