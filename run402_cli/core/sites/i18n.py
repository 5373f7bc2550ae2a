"""Which language a request wants: the release's `i18n` section at work. See docs/local-gateway.md, "Locales"."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import Request

from run402_cli.core.errors import GatewayError
from run402_cli.release.errors import INVALID_SPEC
from run402_cli.release.fields import Fields
from run402_cli.release.state import spelled

ACCEPT_LANGUAGE: Final = "accept-language"
COOKIE: Final = "cookie:"
POLICIES: Final = ("reject", "pass-through")
MAX_LOCALES, MAX_SOURCES = 50, 10
_FIELDS: Final = Fields(INVALID_SPEC, "plan")
_KEYS: Final = (
    "defaultLocale",
    "default_locale",
    "locales",
    "detect",
    "unknownLocalePolicy",
    "unknown_locale_policy",
)
_LOCALE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_COOKIE_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_QUALITY: Final = re.compile(r"q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Locale:
    """What a request gets: `locale` is None when the release has no i18n; `source` says where it was found."""

    locale: str | None
    default: str | None
    source: str | None = None


def check_shape(value: Any) -> None:
    """ReleaseError INVALID_SPEC for a wrong `i18n`; GatewayError 400 R402_LOCALE_NOT_CANONICAL for `en-us`."""
    if value is None:
        return
    i18n = _FIELDS.known(value, _KEYS, "i18n")
    locales = list(_FIELDS.strings(i18n.get("locales"), "i18n.locales"))
    if not 1 <= len(locales) <= MAX_LOCALES or len(set(locales)) != len(locales):
        raise _FIELDS.error(f"i18n.locales must list 1 to {MAX_LOCALES} different locales.", "i18n.locales")
    for index, locale in enumerate(locales):
        _check_locale(locale, f"i18n.locales.{index}")
    default = spelled(i18n, "defaultLocale", "default_locale")
    if default not in locales:
        raise _FIELDS.error("i18n.default_locale must be one of i18n.locales, letter by letter.", "i18n.default_locale")
    _check_detect(i18n.get("detect"))
    policy = spelled(i18n, "unknownLocalePolicy", "unknown_locale_policy")
    if policy is not None:
        _FIELDS.one_of(policy, POLICIES, "i18n.unknown_locale_policy")


def _check_locale(locale: str, where: str) -> None:
    if not _LOCALE.fullmatch(locale):
        raise _FIELDS.error(f"{where} is {locale!r}. Use a language tag such as en or pt-BR.", where)
    canonical = canonical_tag(locale)
    if locale != canonical:
        raise GatewayError(
            400,
            "locale_not_canonical",
            f"{where} is {locale!r}; written as the standard does it is {canonical!r}. Use that.",
            code="R402_LOCALE_NOT_CANONICAL",
            phase="plan",
            resource=where,
            fix={"input": locale, "canonical": canonical},
            retryable=False,
        )


def _check_detect(value: Any) -> None:
    if value is None:
        return
    sources = _FIELDS.strings(value, "i18n.detect")
    if len(sources) > MAX_SOURCES:
        raise _FIELDS.error(f"i18n.detect has {len(sources)} entries; at most {MAX_SOURCES} are read.", "i18n.detect")
    for index, source in enumerate(sources):
        cookie = source.removeprefix(COOKIE) if source.startswith(COOKIE) else None
        if source != ACCEPT_LANGUAGE and (cookie is None or not _COOKIE_NAME.fullmatch(cookie)):
            raise _FIELDS.error(
                f"i18n.detect.{index} is {source!r}. Use {ACCEPT_LANGUAGE} or cookie:<name>.", f"i18n.detect.{index}"
            )


def canonical_tag(tag: str) -> str:
    """A language tag in the letter case of RFC 5646: en, pt-BR, zh-Hant-TW."""
    parts = tag.replace("_", "-").split("-")
    private = False
    done = [parts[0].lower()]
    for part in parts[1:]:
        # After a single letter (an extension, or x for private use) everything is lower case.
        private = private or len(part) == 1
        if not private and len(part) == 4 and part.isalpha():
            done.append(part.capitalize())
        elif not private and len(part) == 2 and part.isalpha():
            done.append(part.upper())
        else:
            done.append(part.lower())
    return "-".join(done)


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
            if i18n["unknownLocalePolicy"] == "pass-through" and _LOCALE.fullmatch(wanted):
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
