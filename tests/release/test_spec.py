from __future__ import annotations

import json
from typing import Any

import pytest

from run402_cli.release.ci_rules import check_ci_spec, oversized_in_ci
from run402_cli.release.errors import ReleaseError
from run402_cli.release.spec import DEPLOYABLE_FIELDS, validate_spec

SITE = {"replace": {"index.html": "<h1>hi</h1>"}}
RUN = {"event_type": "e"}
SCHEDULE = {"id": "s", "type": "schedule", "cron": "0 * * * *", "run": RUN}
EMAIL = {"id": "e", "type": "email", "mailbox": "m", "events": ["delivery"], "run": RUN}


def _spec(**sections: Any) -> dict[str, Any]:
    return {"project": "prj_demo", "site": SITE, **sections}


def _trigger(**fields: Any) -> dict[str, Any]:
    trigger = {key: value for key, value in fields.items() if value is not ...}
    return _spec(functions={"replace": {"f": {"source": "x", "triggers": [trigger]}}})


def _config(**config: Any) -> dict[str, Any]:
    return _spec(functions={"replace": {"f": {"source": "x", "config": config}}})


def _i18n(**fields: Any) -> dict[str, Any]:
    return _spec(i18n={"defaultLocale": "en", "locales": ["en"], **fields})


def _refused(spec: Any) -> ReleaseError:
    with pytest.raises(ReleaseError) as caught:
        validate_spec(spec)
    assert caught.value.phase == "validate"
    return caught.value


@pytest.mark.parametrize(
    ("spec", "resource"),
    [
        (_spec(project_id="p"), "project_id"),
        (_spec(idempotency_key="k"), "idempotency_key"),
        ({"site": SITE}, "project"),
        (_spec(project=" "), "project"),
        (_spec(base="current"), "base"),
        (_spec(base={"id": 1}), "base.id"),
        (_spec(base={"release": "current", "release_id": "rel_1"}), "base"),
        (_spec(database={"extra": 1}), "database.extra"),
        (_spec(database={"expose": []}), "database.expose"),
        (_spec(database={"migrations": [{"sql": "x"}]}), "database.migrations.0"),
        (
            _spec(database={"migrations": [{"name": "a", "sql": "x"}, {"name": "a", "sql": "y"}]}),
            "database.migrations.1.name",
        ),
        (_config(timeoutSeconds=0), "functions.replace.f.config.timeoutSeconds"),
        (_config(memoryMb=1.5), "functions.replace.f.config.memoryMb"),
        (_config(memoryMb=2**53), "functions.replace.f.config.memoryMb"),
        (_config(timeoutSeconds=True), "functions.replace.f.config.timeoutSeconds"),
        (_config(timeout_seconds=5), "functions.replace.f.config.timeout_seconds"),
        (_spec(functions={"replace": {"f": {"require_auth": True}}}), "functions.replace.f.require_auth"),
        (_spec(functions={"patch": {"delete": [5]}}), "functions.patch.delete[0]"),
        (_spec(functions={"replace": {"f": {"deps": "x"}}}), "functions.replace.f.deps"),
        (_spec(functions={"replace": {"f": {"files": {"../x.js": "y"}}}}), "functions.replace.f.files.../x.js"),
        (_trigger(**{**SCHEDULE, "id": ""}), "functions.replace.f.triggers.0.id"),
        (_trigger(**{**SCHEDULE, "id": "x" * 201}), "functions.replace.f.triggers.0.id"),
        (_trigger(**{**SCHEDULE, "id": "a\x1bb"}), "functions.replace.f.triggers.0.id"),
        (_trigger(**{**EMAIL, "run": {"event_type": "x" * 513}}), "functions.replace.f.triggers.0.run.event_type"),
        (_trigger(**{**SCHEDULE, "type": "cron"}), "functions.replace.f.triggers.0.type"),
        (_trigger(**{**SCHEDULE, "cron": "* * * *"}), "functions.replace.f.triggers.0.cron"),
        (_trigger(**{**SCHEDULE, "misfire_policy": "run"}), "functions.replace.f.triggers.0.misfire_policy"),
        (_trigger(**{**SCHEDULE, "overlap_policy": "skip"}), "functions.replace.f.triggers.0.overlap_policy"),
        (_trigger(**SCHEDULE, mailbox="m"), "functions.replace.f.triggers.0"),
        (_trigger(**{**SCHEDULE, "run": {}}), "functions.replace.f.triggers.0.run.event_type"),
        (_trigger(**{**SCHEDULE, "run": {**RUN, "payload": []}}), "functions.replace.f.triggers.0.run.payload"),
        (_trigger(**{**SCHEDULE, "run": {**RUN, "x": 1}}), "functions.replace.f.triggers.0.run.x"),
        (
            _trigger(**{**SCHEDULE, "run": {**RUN, "expires_after_seconds": 0}}),
            "functions.replace.f.triggers.0.run.expires_after_seconds",
        ),
        (_trigger(**{**EMAIL, "mailbox": ""}), "functions.replace.f.triggers.0.mailbox"),
        (_trigger(**{**EMAIL, "events": []}), "functions.replace.f.triggers.0.events"),
        (_trigger(**{**EMAIL, "events": ["opened"]}), "functions.replace.f.triggers.0.events"),
        (_trigger(**EMAIL, cron="0 * * * *"), "functions.replace.f.triggers.0"),
        (_trigger(**EMAIL, delivery={}), "functions.replace.f.triggers.0.delivery"),
        (_spec(site={"replace": {}, "patch": {}}), "site"),
        (_spec(site={"replace": {"../x": "y"}}), "site.replace.../x"),
        (_spec(site={"replace": {"a/../../x": "y"}}), "site.replace.a/../../x"),
        (_spec(site={"replace": {"/etc/passwd": "y"}}), "site.replace./etc/passwd"),
        (_spec(site={"patch": {"put": {"a\\b": "y"}}}), "site.patch.put.a\\b"),
        (_spec(site={"patch": {"put": {"a\0b": "y"}}}), "site.patch.put.a\0b"),
        (_spec(site={"replace": {"": "y"}}), "site.replace."),
        (_spec(subdomains={"set": "a"}), "subdomains.set"),
        (_spec(subdomains={"name": "a"}), "subdomains.name"),
        (_spec(routes={"replace": [{"pattern": ""}]}), "routes.replace[0].pattern"),
        (_spec(checks={}), "checks"),
        (_spec(secrets={"require": ["lower"]}), "secrets.require"),
        (_spec(secrets={"require": ["K\n"]}), "secrets.require"),
        (_spec(secrets={"delete": ["K" * 129]}), "secrets.delete"),
        (_spec(secrets={"require": ["K", "K"]}), "secrets.require"),
        (_spec(secrets={"require": ["K"], "delete": ["K"]}), "secrets"),
        (_spec(secrets={"set": {}}), "secrets.set"),
        (_i18n(defaultLocale="de"), "i18n.defaultLocale"),
        (_i18n(locales=[]), "i18n.locales"),
        (_i18n(locales=["en", "en"]), "i18n.locales"),
        (_i18n(locales=["en", "-x"]), "i18n.locales"),
        (_i18n(locales=["en", *(f"l{index}" for index in range(50))]), "i18n.locales"),
        (_i18n(detect=["header"]), "i18n.detect"),
        (_i18n(detect=["cookie:"]), "i18n.detect"),
        (_i18n(detect=["cookie:a b"]), "i18n.detect"),
        (_i18n(detect=["accept-language"] * 11), "i18n.detect"),
        (_spec(assets={"put": [{"key": "k"}]}), "assets.put[0]"),
    ],
    ids=lambda value: json.dumps(value)[:60],
)
def test_invalid_specs_name_the_field(spec: Any, resource: str) -> None:
    error = _refused(spec)
    assert (error.code, error.resource) == ("INVALID_SPEC", resource)


def test_a_hint_says_what_replaces_the_delivery_field() -> None:
    assert "Remove delivery" in (_refused(_trigger(**EMAIL, delivery={})).hint or "")


@pytest.mark.parametrize(
    "spec",
    [
        _spec(base={"release_id": "anything"}),
        _spec(base={"release": "unchecked"}),
        _trigger(**SCHEDULE, timezone="Europe/Vienna", misfire_policy="skip", overlap_policy="allow"),
        _trigger(**{**EMAIL, "events": ["mailbox_suspended"]}),
        _config(timeoutSeconds=1, memoryMb=5.0),
        _i18n(detect=[]),
        _i18n(detect=["cookie:lang", "accept-language"], unknownLocalePolicy="unchecked"),
        _spec(functions={"replace": {"f": {"runtime": "unchecked", "class": "unchecked", "requireAuth": "unchecked"}}}),
        _spec(site={"replace": {"a..b/..c": "x", "...": "y"}}),
        {"$schema": "x", **_spec()},
    ],
    ids=lambda value: json.dumps(value)[:60],
)
def test_valid_specs(spec: Any) -> None:
    validate_spec(spec)


def test_sections_are_checked_in_their_documented_order() -> None:
    broken = {
        "base": [],
        "database": [],
        "functions": [],
        "site": [],
        "subdomains": [],
        "routes": [],
        "checks": {},
        "secrets": [],
        "i18n": [],
    }
    spec: dict[str, Any] = {**broken, "project": 5, "unknown": 1}
    for expected in ["unknown", "project", *broken]:
        error = _refused(spec)
        assert error.resource == expected
        if expected == "project":
            spec["project"] = "prj_demo"
        else:
            del spec[expected]


def test_only_one_subdomain() -> None:
    error = _refused(_spec(subdomains={"set": ["a", "b"]}))
    assert (error.code, error.resource) == ("SUBDOMAIN_MULTI_NOT_SUPPORTED", "subdomains.set")


@pytest.mark.parametrize("path", ["run402/adapter.json", "run402/server/entry.mjs"])
def test_the_server_side_of_an_astro_build_is_not_a_site(path: str) -> None:
    error = _refused(_spec(site={"patch": {"put": {path: "x"}}}))
    assert (error.code, error.resource) == ("ASTRO_ADAPTER_TREE_IN_SITE", "site.patch.put")
    assert error.fix == {
        "action": "reroot_site_to_astro_client_dir",
        "path": path,
        "expected_dir": "dist/run402/client",
    }


@pytest.mark.parametrize(
    "sections",
    [
        {},
        {"routes": None},
        {"routes": {}},
        {"site": {"replace": {}}},
        {"site": {"patch": {"put": {}, "delete": []}}},
        {"functions": {"replace": {}, "patch": {}}},
        {"database": {"migrations": [], "expose": {}, "zero_downtime": True}},
        {"secrets": {"require": []}},
        {"subdomains": {}},
        {"checks": []},
        {"assets": {"put": [], "delete": []}},
        {"base": {"release": "empty"}},
    ],
    ids=repr,
)
def test_a_release_must_deploy_something(sections: dict[str, Any]) -> None:
    if sections == {"routes": {}}:
        assert _refused({"project": "p", **sections}).code == "INVALID_SPEC"
        return
    error = _refused({"project": "p", **sections})
    assert error.code == "MANIFEST_EMPTY"
    assert error.body == {"deployable_fields": list(DEPLOYABLE_FIELDS)}


@pytest.mark.parametrize(
    "sections",
    [
        {"routes": {"replace": []}},
        {"site": {"public_paths": {"mode": "implicit"}}},
        {"site": {"patch": {"delete": ["a"]}}},
        {"functions": {"patch": {"delete": ["a"]}}},
        {"assets": {"sync": {"prefix": "p", "prune": True}}},
        {"assets": {"delete": ["a"]}},
        {"i18n": None},
        {"checks": [{}]},
        {"subdomains": {"remove": ["a"]}},
    ],
    ids=repr,
)
def test_what_counts_as_content(sections: dict[str, Any]) -> None:
    validate_spec({"project": "p", **sections})


@pytest.mark.parametrize(
    ("spec", "resource"),
    [
        ({"project": "p", "secrets": {}}, "secrets"),
        ({"project": "p", "subdomains": {}}, "subdomains"),
        ({"project": "p", "checks": []}, "checks"),
        ({"project": "p", "i18n": None}, "i18n"),
        ({"project": "p", "base": {"release": "empty"}}, "base"),
        ({"project": "p", "base": {}}, "base"),
    ],
)
def test_ci_may_not_touch_everything(spec: Any, resource: str) -> None:
    with pytest.raises(ReleaseError) as caught:
        check_ci_spec(spec)
    error = caught.value
    assert (error.code, error.phase, error.resource) == ("forbidden_spec_field", "validate", resource)


def test_ci_may_deploy_the_rest() -> None:
    keys = ("database", "functions", "site", "routes", "assets")
    check_ci_spec({"project": "p", "base": {"release": "current"}, **{key: {} for key in keys}})
    assert oversized_in_ci().code == "forbidden_spec_field"
