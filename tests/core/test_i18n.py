"""Locales: which spellings a release may declare, and which one a request gets."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from deploy_kit import deploy, plan
from starlette.requests import Request

from run402_cli.core.sites.i18n import canonical_tag, locale_of

I18N = {"defaultLocale": "en", "locales": ["en", "pt-BR", "zh-Hant"], "detect": ["cookie:lang", "accept-language"]}


def asked(accept: str = "", cookie: str = "", **i18n: Any) -> tuple[str | None, str | None]:
    headers = [(b"accept-language", accept.encode()), (b"cookie", cookie.encode())]
    request = Request({"type": "http", "headers": headers})
    found = locale_of({"i18n": {**I18N, "unknownLocalePolicy": "reject", **i18n}}, request)
    return found.locale, found.source


@pytest.mark.parametrize(
    ("accept", "cookie", "locale", "source"),
    [
        ("", "", "en", "default"),
        ("pt-BR", "", "pt-BR", "accept-language"),
        ("PT-br", "", "pt-BR", "accept-language"),
        ("fr, pt-BR;q=0.5", "", "pt-BR", "accept-language"),
        ("pt-BR;q=0.1, en;q=0.9", "", "en", "accept-language"),
        ("pt-BR;q=0, *", "", "en", "default"),
        ("zh-Hant-TW", "", "zh-Hant", "accept-language"),
        ("zh", "", "en", "default"),
        ("pt-BR", "lang=zh-Hant", "zh-Hant", "cookie:lang"),
        ("pt-BR", "lang=fr", "pt-BR", "accept-language"),
        ("pt-BR", "other=zh-Hant", "pt-BR", "accept-language"),
        ("pt-BR;q=nonsense, en;q=0.2", "", "pt-BR", "accept-language"),
    ],
)
def test_the_first_source_with_a_known_locale_decides(accept: str, cookie: str, locale: str, source: str) -> None:
    assert asked(accept, cookie) == (locale, source)


def test_pass_through_hands_an_unknown_locale_on() -> None:
    assert asked("fr-ca", unknownLocalePolicy="pass-through") == ("fr-CA", "accept-language")
    assert asked("<script>", unknownLocalePolicy="pass-through") == ("en", "default")


def test_nothing_is_detected_when_nothing_is_to_be() -> None:
    assert asked("pt-BR", "lang=pt-BR", detect=[]) == ("en", "default")


def test_a_release_without_i18n_has_no_locale() -> None:
    assert locale_of({"i18n": None}, Request({"type": "http", "headers": []})).locale is None


@pytest.mark.parametrize(
    ("tag", "canonical"),
    [
        ("EN-us", "en-US"),
        ("zh-hant-tw", "zh-Hant-TW"),
        ("en_GB", "en-GB"),
        ("de-x-AB", "de-x-ab"),
        ("es-419", "es-419"),
    ],
)
def test_tags_are_written_as_the_standard_does(tag: str, canonical: str) -> None:
    assert canonical_tag(tag) == canonical


def test_locales_are_part_of_the_release(client: httpx.Client, project: dict[str, Any]) -> None:
    cloud = {"default_locale": "en", "locales": ["en", "pt-BR"], "unknown_locale_policy": "pass-through"}
    deploy(client, {"project_id": project["project_id"], "i18n": cloud})
    active = client.get("/apply/v1/releases/active", headers={"apikey": project["anon_key"]}).json()
    assert active["i18n"] == {
        "defaultLocale": "en",
        "locales": ["en", "pt-BR"],
        "detect": ["accept-language"],
        "unknownLocalePolicy": "pass-through",
    }
    deploy(client, {"project_id": project["project_id"], "i18n": None})
    active = client.get("/apply/v1/releases/active", headers={"apikey": project["anon_key"]}).json()
    assert active["i18n"] is None


def test_a_locale_in_another_case_is_refused_with_the_right_one(client: httpx.Client, project: dict[str, Any]) -> None:
    refused = plan(
        client, {"project_id": project["project_id"], "i18n": {"default_locale": "en-us", "locales": ["en-us"]}}
    )
    assert (refused.status_code, refused.json()["code"]) == (400, "R402_LOCALE_NOT_CANONICAL")
    assert refused.json()["fix"] == {"input": "en-us", "canonical": "en-US"}


@pytest.mark.parametrize(
    "change",
    [
        {"locales": []},
        {"locales": ["en", "en"]},
        {"defaultLocale": "de"},
        {"detect": ["query:lang"]},
        {"detect": ["cookie:"]},
        {"unknownLocalePolicy": "maybe"},
        {"locale": "en"},
        {"locales": ["-en"]},
    ],
)
def test_wrong_i18n_is_refused(change: dict[str, Any], client: httpx.Client, project: dict[str, Any]) -> None:
    refused = plan(client, {"project": project["project_id"], "i18n": {**I18N, **change}})
    assert refused.status_code == 400, refused.text
