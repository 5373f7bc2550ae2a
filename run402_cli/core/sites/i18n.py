"""Which language a request wants: the release's `i18n` section at work. See docs/local-gateway.md, "Locales"."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import Request

from run402_cli.release.sections.i18n import COOKIE, LOCALE, PASS_THROUGH, canonical_tag

_QUALITY: Final = re.compile(r"q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Locale:
    """What a request gets: `locale` is None when the release has no i18n; `source` says where it was found."""

    locale: str | None
    default: str | None
    source: str | None = None


def locale_of(state: Mapping[str, Any], request: Request) -> Locale:
    """The locale of a request to a release with this state; the first source of `detect` that yields one wins.

    A wanted locale that the release does not list is skipped (`reject`) or taken as it is (`pass-through`).
    """
    i18n = state.get("i18n")
    if not i18n:
        return Locale(None, None)
    known = {locale.lower(): locale for locale in i18n["locales"]}
    default = i18n["defaultLocale"]
    for source in i18n["detect"]:
        for wanted in _wanted(source, request):
            listed = _listed(wanted, known)
            if listed is not None:
                return Locale(listed, default, source)
            if i18n["unknownLocalePolicy"] == PASS_THROUGH and LOCALE.fullmatch(wanted):
                return Locale(canonical_tag(wanted), default, source)
    return Locale(default, default, "default")


def _wanted(source: str, request: Request) -> Iterator[str]:
    if source.startswith(COOKIE):
        value = request.cookies.get(source.removeprefix(COOKIE), "").strip()
        if value:
            yield value
        return
    ranges = []
    for entry in request.headers.get("accept-language", "").split(","):
        tag, _, parameter = entry.strip().partition(";")
        quality = _QUALITY.fullmatch(parameter.strip())
        weight = float(quality[1]) if quality else 1.0
        if tag and tag != "*" and weight > 0:
            ranges.append((weight, tag.strip()))
    # Python's sort is stable: equal weights stay in the order of the header.
    yield from (tag for _, tag in sorted(ranges, key=lambda entry: -entry[0]))


def _listed(wanted: str, known: Mapping[str, str]) -> str | None:
    """The listed locale that serves `wanted`: itself, else what remains when parts are cut from its end."""
    parts = wanted.lower().replace("_", "-").split("-")
    for length in range(len(parts), 0, -1):
        found = known.get("-".join(parts[:length]))
        if found is not None:
            return found
    return None
