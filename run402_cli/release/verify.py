"""The `verify` section: HTTP checks that `up` runs after a deploy. Never sent. See docs/protocol/releases.md, "verify"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from run402_cli.release.errors import ReleaseError
from run402_cli.release.fields import MANIFEST, is_integer, shown

_CHECK_KEYS: Final = ("id", "path", "url", "expect", "expected_status", "retries")
_CHECK_HINTS: Final = {
    "method": "Checks are always GET.",
    "status": 'Write "expect": {"status": 200}.',
}


def normalize_verify(value: Any) -> dict[str, Any]:
    """`verify` with its checks as `{id, path?, url?, expect: {status}, retries?}`.

    Raises ReleaseError: INVALID_VERIFY_SPEC with details `{field, hint}`, or LOCAL_ERROR for an unknown field.
    """
    if not isinstance(value, Mapping):
        raise _invalid("verify", "It must be an object with http, an array of checks.")
    MANIFEST.known(value, ("http",), "verify", {"checks": "The checks go under verify.http."})
    if "http" not in value:
        return {}
    if not isinstance(value["http"], list):
        raise _invalid("verify.http", "It must be an array of checks.")
    checks = [_check(check, f"verify.http[{index}]") for index, check in enumerate(value["http"])]
    seen: set[str] = set()
    for index, check in enumerate(checks):
        if check["id"] in seen:
            raise _invalid(f"verify.http[{index}].id", f"{check['id']!r} is used twice. Give every check its own id.")
        seen.add(check["id"])
    return {"http": checks}


def _check(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise _invalid(where, 'It must be an object like {"id": "home", "path": "/", "expect": {"status": 200}}.')
    MANIFEST.known(value, _CHECK_KEYS, where, _CHECK_HINTS)
    check: dict[str, Any] = {"id": _text(value.get("id"), f"{where}.id")}
    for key in ("path", "url"):
        if key in value:
            check[key] = _text(value[key], f"{where}.{key}")
    if "path" not in check and "url" not in check:
        raise _invalid(f"{where}.path", "Give the path on the site, or a full url.")
    check["expect"] = {"status": _status(value, where)}
    if "retries" in value:
        if not is_integer(value["retries"]) or value["retries"] < 1:
            raise _invalid(f"{where}.retries", "Use a whole number of 1 or more.")
        check["retries"] = value["retries"]
    return check


def _status(check: Mapping[str, Any], where: str) -> int:
    given = [("expected_status", check["expected_status"])] if "expected_status" in check else []
    if "expect" in check:
        if not isinstance(check["expect"], Mapping):
            raise _invalid(f"{where}.expect", 'It must be an object like {"status": 200}.')
        MANIFEST.known(check["expect"], ("status",), f"{where}.expect")
        given.insert(0, ("expect.status", check["expect"].get("status")))
    if not given:
        raise _invalid(f"{where}.expect", 'Say which status is right: "expect": {"status": 200}.')
    for key, status in given:
        if not is_integer(status) or not 100 <= status <= 599:
            raise _invalid(f"{where}.{key}", f"{shown(status)} is no HTTP status. Use 100 to 599.")
    if len({status for _, status in given}) > 1:
        raise _invalid(f"{where}.expected_status", "It differs from expect.status. Keep one of them.")
    return int(given[0][1])


def _text(value: Any, field: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise _invalid(field, "It must be a string that is not empty.")
    return value


def _invalid(field: str, hint: str) -> ReleaseError:
    return ReleaseError(
        f"{field} is not valid. {hint}", code="INVALID_VERIFY_SPEC", details={"field": field, "hint": hint}
    )
