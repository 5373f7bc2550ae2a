"""The idempotency key that stands for a project's name: made by the client, understood by the gateway."""

from __future__ import annotations

from urllib.parse import quote

_PREFIX = "provision:"


def name_key(name: str) -> str:
    """`provision:<name>`. A header holds visible ASCII only: other names are percent-encoded, equal ones equally."""
    plain = name.isascii() and name.isprintable() and name == name.strip()
    return _PREFIX + (name if plain else quote(name.encode("utf-8", "surrogatepass"), safe=""))
