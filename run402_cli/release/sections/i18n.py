"""`i18n`: the languages of a release. See docs/local-gateway.md, "Locales"."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from run402_cli.release.content import Writer
from run402_cli.release.entries import Base
from run402_cli.release.fields import MANIFEST, SPEC, WIRE, Fields, Spellings, aliased, spelled, spellings
from run402_cli.release.section import Section

ACCEPT_LANGUAGE: Final = "accept-language"
COOKIE: Final = "cookie:"
PASS_THROUGH: Final = "pass-through"
LOCALE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
NOT_CANONICAL: Final = "R402_LOCALE_NOT_CANONICAL"

_FIELDS: Final[Spellings] = {
    "defaultLocale": ("defaultLocale", "default_locale"),
    "locales": ("locales",),
    "detect": ("detect",),
    "unknownLocalePolicy": ("unknownLocalePolicy", "unknown_locale_policy"),
}
# As a user is told: the name that documents use stands first.
_WRITTEN: Final = tuple(spelling for names in _FIELDS.values() for spelling in reversed(names))
_HINTS: Final = {
    "default": "The field is called default_locale.",
    "locale": "The field is called locales and is an array.",
}
_POLICIES: Final = ("reject", PASS_THROUGH)
_DETECTOR: Final = re.compile(rf"{ACCEPT_LANGUAGE}|{COOKIE}[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
MAX_LOCALES, MAX_DETECTORS = 50, 10


class I18nSection(Section):
    name = state_key = "i18n"
    spellings = (_FIELDS,)
    null_clears = True

    def normalize(self, value: Any, base: Base) -> Any:
        return aliased(_known(value, MANIFEST), _FIELDS)

    def says_something(self, value: Any) -> bool:
        return value is None or super().says_something(value)

    def check_spec(self, value: Any) -> None:
        if value is None:
            return
        i18n = _known(value, SPEC)
        default = SPEC.text(i18n.get("defaultLocale", i18n.get("default_locale")), "i18n.defaultLocale")
        locales = SPEC.strings(i18n.get("locales"), "i18n.locales")
        if not 1 <= len(locales) <= MAX_LOCALES or len(set(locales)) != len(locales):
            raise SPEC.error(f"i18n.locales must list 1 to {MAX_LOCALES} locales, each once.", "i18n.locales")
        for where, locale in [("i18n.defaultLocale", default), *(("i18n.locales", locale) for locale in locales)]:
            if not LOCALE.fullmatch(locale):
                raise SPEC.error(f"{where} has {locale!r}. A locale looks like en or pt-BR.", where)
        if default not in locales:
            raise SPEC.error(
                f"i18n.defaultLocale {default!r} is not in i18n.locales. Add it, or choose one of {', '.join(locales)}.",
                "i18n.defaultLocale",
            )
        detect = SPEC.strings(i18n.get("detect") or [], "i18n.detect")
        if len(detect) > MAX_DETECTORS:
            raise SPEC.error(f"i18n.detect may have at most {MAX_DETECTORS} entries.", "i18n.detect")
        for detector in detect:
            if not _DETECTOR.fullmatch(detector):
                raise SPEC.error(
                    f"i18n.detect has {detector!r}. Use {ACCEPT_LANGUAGE} or {COOKIE}<name>.", "i18n.detect"
                )

    def deploys(self, value: Any) -> bool:
        return True

    def to_wire(self, value: Any, writer: Writer) -> Any:
        return writer.renamed(value, _FIELDS) if value else value

    def check_wire(self, value: Any) -> None:
        if value is None:
            return
        i18n = WIRE.known(value, spellings(_FIELDS), "i18n")
        locales = list(WIRE.strings(i18n.get("locales"), "i18n.locales"))
        if not 1 <= len(locales) <= MAX_LOCALES or len(set(locales)) != len(locales):
            raise WIRE.error(f"i18n.locales must list 1 to {MAX_LOCALES} different locales.", "i18n.locales")
        for index, locale in enumerate(locales):
            _read_locale(locale, f"i18n.locales.{index}")
        if spelled(i18n, "defaultLocale", "default_locale") not in locales:
            raise WIRE.error(
                "i18n.default_locale must be one of i18n.locales, letter by letter.", "i18n.default_locale"
            )
        if i18n.get("detect") is not None:
            _read_detect(i18n["detect"])
        policy = spelled(i18n, "unknownLocalePolicy", "unknown_locale_policy")
        if policy is not None:
            WIRE.one_of(policy, _POLICIES, "i18n.unknown_locale_policy")

    def empty(self) -> dict[str, Any]:
        return {"i18n": None}

    def after(self, base: Any, value: Any) -> Any:
        if value is None:
            return None
        detect = value.get("detect")
        return {
            "defaultLocale": spelled(value, "defaultLocale", "default_locale"),
            "locales": list(value["locales"]),
            "detect": [ACCEPT_LANGUAGE] if detect is None else list(detect),
            "unknownLocalePolicy": spelled(value, "unknownLocalePolicy", "unknown_locale_policy") or _POLICIES[0],
        }


def _known(value: Any, fields: Fields) -> Mapping[str, Any]:
    return fields.known(value, _WRITTEN, "i18n", _HINTS)


def _read_locale(locale: str, where: str) -> None:
    if not LOCALE.fullmatch(locale):
        raise WIRE.error(f"{where} is {locale!r}. Use a language tag such as en or pt-BR.", where)
    canonical = canonical_tag(locale)
    if locale != canonical:
        raise WIRE.error(
            f"{where} is {locale!r}; written as the standard does it is {canonical!r}. Use that.",
            where,
            code=NOT_CANONICAL,
            fix={"input": locale, "canonical": canonical},
        )


def _read_detect(value: Any) -> None:
    sources = WIRE.strings(value, "i18n.detect")
    if len(sources) > MAX_DETECTORS:
        raise WIRE.error(f"i18n.detect has {len(sources)} entries; at most {MAX_DETECTORS} are read.", "i18n.detect")
    for index, source in enumerate(sources):
        if not _DETECTOR.fullmatch(source):
            raise WIRE.error(
                f"i18n.detect.{index} is {source!r}. Use {ACCEPT_LANGUAGE} or {COOKIE}<name>.", f"i18n.detect.{index}"
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


SECTION: Final = I18nSection()
