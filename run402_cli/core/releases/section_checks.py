"""The spec's `checks`: their shape, and one of them as a value. Pure. See docs/local-gateway.md, "Checks"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from run402_cli.core.sites.lookup import ALL_METHODS
from run402_cli.release.errors import INVALID_SPEC
from run402_cli.release.fields import Fields, is_integer

MAX_CHECKS: Final = 50
_FIELDS: Final = Fields(INVALID_SPEC, "plan")


@dataclass(frozen=True, slots=True)
class Check:
    """One request and the statuses that pass; none listed means anything below 400."""

    name: str
    path: str
    method: str = "GET"
    expected: tuple[int, ...] = ()

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> Check:
        """A checked entry of the spec's `checks`."""
        http = entry["http"]
        status = (http.get("expect") or {}).get("status", [])
        expected = tuple(int(wanted) for wanted in (status if isinstance(status, list) else [status]))
        return cls(entry["name"], http["path"], http.get("method", "GET"), expected)

    def accepts(self, status: int) -> bool:
        return status in self.expected if self.expected else status < 400


def check_shape(value: Any) -> None:
    """ReleaseError INVALID_SPEC unless every entry is {name, http: {path, method?, expect?: {status?}}}."""
    entries = _FIELDS.array(value, "checks")
    if len(entries) > MAX_CHECKS:
        raise _FIELDS.error(f"There are {len(entries)} checks; at most {MAX_CHECKS} are run.", "checks")
    names: set[str] = set()
    for index, entry in enumerate(entries):
        where = f"checks.{index}"
        given = _FIELDS.known(entry, ("name", "http"), where)
        name = _FIELDS.text(given.get("name"), f"{where}.name")
        if name in names:
            raise _FIELDS.error(f"Two checks are called {name!r}. Names are unique.", f"{where}.name")
        names.add(name)
        _http_shape(given.get("http"), f"{where}.http")


def _http_shape(value: Any, where: str) -> None:
    http = _FIELDS.known(value, ("path", "method", "expect"), where)
    path = _FIELDS.text(http.get("path"), f"{where}.path")
    if not path.startswith("/") or not path.isprintable():
        raise _FIELDS.error(f"{where}.path must begin with /, such as /api/health.", f"{where}.path")
    if "method" in http:
        _FIELDS.one_of(http["method"], ALL_METHODS, f"{where}.method")
    expect = _FIELDS.known(http.get("expect") or {}, ("status",), f"{where}.expect")
    given = expect.get("status", [])
    statuses = given if isinstance(given, list) else [given]
    if not all(is_integer(status) and 100 <= status <= 599 for status in statuses):
        raise _FIELDS.error(f"{where}.expect.status must be a status from 100 to 599, or a list.", f"{where}.expect")
