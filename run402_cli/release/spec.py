"""The spec layer: what a ReleaseSpec must satisfy before a plan is asked for.

Errors are INVALID_SPEC with phase validate unless said otherwise. See docs/protocol/releases.md, "Two layers".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from run402_cli.release.entries import is_directory_marker
from run402_cli.release.errors import invalid_spec
from run402_cli.release.fields import SPEC
from run402_cli.release.manifest import MIGRATION_NAME
from run402_cli.release.paths import check_path
from run402_cli.release.routes import check_routes
from run402_cli.release.sections import check_assets, check_i18n_keys, check_site

SPEC_KEYS: Final = (
    *("$schema", "project", "base", "database", "secrets", "functions", "site", "assets", "subdomains"),
    *("routes", "checks", "i18n"),
)
DEPLOYABLE_FIELDS: Final = (
    *("assets", "database", "site", "functions", "secrets", "subdomains", "routes", "checks", "i18n"),
)
EMAIL_EVENTS: Final = ("reply_received", "delivery", "bounced", "complained", "mailbox_suspended")

_MIGRATION_KEYS: Final = ("id", "name", "checksum", "sql", "sql_ref", "transaction")
_FUNCTION_KEYS: Final = (
    *("runtime", "source", "files", "entrypoint", "config", "deps", "triggers", "schedule"),
    *("requireAuth", "requireRole", "class", "capabilities"),
)
_TRIGGER_KEYS: Final = (
    *("id", "type", "cron", "timezone", "misfire_policy", "overlap_policy", "mailbox", "events", "run"),
)
_SCHEDULE_KEYS: Final = ("cron", "timezone", "misfire_policy", "overlap_policy")
_EMAIL_KEYS: Final = ("mailbox", "events")
_RUN_KEYS: Final = ("event_type", "payload", "retry", "expires_after_seconds")
_TRIGGER_HINTS: Final = {"delivery": "Remove delivery: runs are delivered by the gateway's own rules."}
_SECRET_KEY: Final = re.compile("[A-Z_][A-Z0-9_]{0,127}")
_LOCALE: Final = re.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_DETECTOR: Final = re.compile(r"accept-language|cookie:[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


def validate_spec(spec: Mapping[str, Any]) -> None:
    """Check a ReleaseSpec, section by section in the documented order.

    Raises ReleaseError: INVALID_SPEC with the field as resource, ASTRO_ADAPTER_TREE_IN_SITE,
    SUBDOMAIN_MULTI_NOT_SUPPORTED, or MANIFEST_EMPTY with `deployable_fields`.
    """
    for key in spec:
        if key not in SPEC_KEYS:
            raise SPEC.error(f"The release spec has the unknown field {key!r}. Use: {', '.join(SPEC_KEYS)}.", key)
    SPEC.text(spec.get("project"), "project")
    if "base" in spec:
        _check_base(spec["base"])
    if "database" in spec:
        _check_database(spec["database"])
    if "functions" in spec:
        _check_functions(spec["functions"])
    if "site" in spec:
        _check_site(spec["site"])
    if "subdomains" in spec:
        _check_string_lists(spec["subdomains"], ("set", "add", "remove"), "subdomains")
    check_routes(spec.get("routes"), SPEC, pricing=True)
    if "checks" in spec:
        SPEC.array(spec["checks"], "checks")
    if "secrets" in spec:
        _check_secrets(spec["secrets"])
    if spec.get("i18n") is not None:
        _check_i18n(spec["i18n"])
    if "assets" in spec:
        check_assets(spec["assets"], SPEC, ("metadata", "exif_policy"))
    _check_one_subdomain(spec.get("subdomains") or {})
    _require_content(spec)


def _check_base(value: Any) -> None:
    base = SPEC.known(value, ("release", "release_id"), "base")
    if len(base) > 1:
        raise SPEC.error("base has both release and release_id. Keep one of them.", "base")


def _check_database(value: Any) -> None:
    database = SPEC.known(value, ("migrations", "expose", "zero_downtime"), "database")
    if "expose" in database:
        SPEC.mapping(database["expose"], "database.expose")
    names: set[str] = set()
    for index, migration in enumerate(SPEC.array(database.get("migrations", []), "database.migrations")):
        where = f"database.migrations.{index}"
        entry = SPEC.known(migration, _MIGRATION_KEYS, where)
        if ("id" in entry) == ("name" in entry):
            raise SPEC.error(f"{where} needs exactly one of id and name.", where)
        if "id" in entry:
            SPEC.text(entry["id"], f"{where}.id")
        elif not isinstance(entry["name"], str) or not MIGRATION_NAME.fullmatch(entry["name"]):
            raise SPEC.error(f"{where}.name must be 1 to 64 letters, digits, _ or -.", f"{where}.name")
        elif entry["name"] in names:
            raise SPEC.error(f"{where}.name {entry['name']!r} is used twice. Rename one.", f"{where}.name")
        else:
            names.add(entry["name"])
        if "sql" in entry and not isinstance(entry["sql"], str):
            raise SPEC.error(f"{where}.sql must be a string.", f"{where}.sql")
        if "checksum" in entry:
            SPEC.text(entry["checksum"], f"{where}.checksum")


def _check_functions(value: Any) -> None:
    functions = SPEC.known(value, ("replace", "patch"), "functions")
    if "replace" in functions:
        SPEC.each(functions["replace"], "functions.replace", _check_function)
    if "patch" in functions:
        patch = SPEC.known(functions["patch"], ("set", "delete"), "functions.patch")
        if "set" in patch:
            SPEC.each(patch["set"], "functions.patch.set", _check_function)
        if "delete" in patch:
            SPEC.strings(patch["delete"], "functions.patch.delete")


def _check_function(value: Any, where: str) -> None:
    function = SPEC.known(value, _FUNCTION_KEYS, where)
    for path in SPEC.mapping(function.get("files") or {}, f"{where}.files"):
        check_path(path, f"{where}.files", SPEC)
    config = SPEC.known(function.get("config") or {}, ("timeoutSeconds", "memoryMb"), f"{where}.config")
    for key, number in config.items():
        if number is not None:
            SPEC.positive_integer(number, f"{where}.config.{key}")
    if function.get("deps") is not None:
        SPEC.strings(function["deps"], f"{where}.deps")
    if function.get("schedule") is not None:
        SPEC.text(function["schedule"], f"{where}.schedule")
    if function.get("triggers") is not None:
        _check_triggers(function["triggers"], f"{where}.triggers")


def _check_triggers(value: Any, where: str) -> None:
    ids: set[str] = set()
    for index, item in enumerate(SPEC.array(value, where)):
        place = f"{where}.{index}"
        trigger = SPEC.known(item, _TRIGGER_KEYS, place, _TRIGGER_HINTS)
        identifier = SPEC.text(trigger.get("id"), f"{place}.id")
        if identifier in ids:
            raise SPEC.error(f"{place}.id {identifier!r} is used twice. Give every trigger its own id.", f"{place}.id")
        ids.add(identifier)
        SPEC.one_of(trigger.get("type"), ("schedule", "email"), f"{place}.type")
        schedule = trigger["type"] == "schedule"
        foreign = [key for key in (_EMAIL_KEYS if schedule else _SCHEDULE_KEYS) if key in trigger]
        if foreign:
            raise SPEC.error(f"{place}.{foreign[0]} does not belong to a {trigger['type']} trigger. Remove it.", place)
        (_check_schedule if schedule else _check_email)(trigger, place)
        _check_run(trigger.get("run"), f"{place}.run")


def _check_schedule(trigger: Mapping[str, Any], where: str) -> None:
    cron = SPEC.text(trigger.get("cron"), f"{where}.cron")
    if len(cron.split()) != 5:
        raise SPEC.error(f"{where}.cron {cron!r} needs five fields, like */15 * * * *.", f"{where}.cron")
    if "timezone" in trigger:
        SPEC.text(trigger["timezone"], f"{where}.timezone")
    SPEC.one_of(trigger.get("misfire_policy", "skip"), ("skip",), f"{where}.misfire_policy")
    SPEC.one_of(trigger.get("overlap_policy", "allow"), ("allow",), f"{where}.overlap_policy")


def _check_email(trigger: Mapping[str, Any], where: str) -> None:
    SPEC.text(trigger.get("mailbox"), f"{where}.mailbox")
    events = SPEC.strings(trigger.get("events"), f"{where}.events")
    if not events:
        raise SPEC.error(f"{where}.events is empty. Use: {', '.join(EMAIL_EVENTS)}.", f"{where}.events")
    for event in events:
        SPEC.one_of(event, EMAIL_EVENTS, f"{where}.events")


def _check_run(value: Any, where: str) -> None:
    run = SPEC.known(value, _RUN_KEYS, where)
    SPEC.text(run.get("event_type"), f"{where}.event_type")
    for key in ("payload", "retry"):
        if key in run:
            SPEC.mapping(run[key], f"{where}.{key}")
    if "expires_after_seconds" in run:
        SPEC.positive_integer(run["expires_after_seconds"], f"{where}.expires_after_seconds")


def _check_site(value: Any) -> None:
    site = check_site(value, SPEC)
    maps = {"site.replace": site.get("replace"), "site.patch.put": (site.get("patch") or {}).get("put")}
    for where, files in maps.items():
        if files is not None and not is_directory_marker(files):
            for path in files:
                check_path(path, where, SPEC)


def _check_string_lists(value: Any, keys: Sequence[str], where: str) -> Mapping[str, Any]:
    section = SPEC.known(value, keys, where)
    for key in keys:
        if key in section:
            SPEC.strings(section[key], f"{where}.{key}")
    return section


def _check_secrets(value: Any) -> None:
    secrets = _check_string_lists(value, ("require", "delete"), "secrets")
    for key, names in secrets.items():
        for name in names:
            if not _SECRET_KEY.fullmatch(name):
                raise SPEC.error(
                    f"secrets.{key} has {name!r}. A key is upper-case letters, digits and _, at most 128.",
                    f"secrets.{key}",
                )
        if len(set(names)) != len(names):
            raise SPEC.error(f"secrets.{key} lists a key twice. List each once.", f"secrets.{key}")
    both = sorted(set(secrets.get("require", ())) & set(secrets.get("delete", ())))
    if both:
        raise SPEC.error(f"secrets both requires and deletes {both[0]}. Keep one of them.", "secrets")


def _check_i18n(value: Any) -> None:
    i18n = check_i18n_keys(value, SPEC)
    default = SPEC.text(i18n.get("defaultLocale", i18n.get("default_locale")), "i18n.defaultLocale")
    locales = SPEC.strings(i18n.get("locales"), "i18n.locales")
    if not 1 <= len(locales) <= 50 or len(set(locales)) != len(locales):
        raise SPEC.error("i18n.locales must list 1 to 50 locales, each once.", "i18n.locales")
    for where, locale in [("i18n.defaultLocale", default), *(("i18n.locales", locale) for locale in locales)]:
        if not _LOCALE.fullmatch(locale):
            raise SPEC.error(f"{where} has {locale!r}. A locale looks like en or pt-BR.", where)
    if default not in locales:
        raise SPEC.error(
            f"i18n.defaultLocale {default!r} is not in i18n.locales. Add it, or choose one of {', '.join(locales)}.",
            "i18n.defaultLocale",
        )
    detect = SPEC.strings(i18n.get("detect") or [], "i18n.detect")
    if len(detect) > 10:
        raise SPEC.error("i18n.detect may have at most 10 entries.", "i18n.detect")
    for detector in detect:
        if not _DETECTOR.fullmatch(detector):
            raise SPEC.error(
                f"i18n.detect has {detector!r}. Use accept-language or cookie:<name>.",
                "i18n.detect",
            )


def _check_one_subdomain(subdomains: Mapping[str, Any]) -> None:
    if len(subdomains.get("set") or ()) > 1:
        raise invalid_spec(
            f"subdomains.set names {len(subdomains['set'])} subdomains; a project has one. Keep one of them.",
            "subdomains.set",
            code="SUBDOMAIN_MULTI_NOT_SUPPORTED",
        )


def _require_content(spec: Mapping[str, Any]) -> None:
    if not any(_has_content(key, spec[key]) for key in DEPLOYABLE_FIELDS if key in spec):
        raise invalid_spec(
            f"The release deploys nothing. Fill at least one of {', '.join(DEPLOYABLE_FIELDS)}.",
            "spec",
            code="MANIFEST_EMPTY",
            body={"deployable_fields": list(DEPLOYABLE_FIELDS)},
        )


def _has_content(key: str, value: Any) -> bool:
    if key == "i18n":
        return True
    if not value:
        return False
    patch = value.get("patch") or {} if isinstance(value, Mapping) else {}
    if key == "database":
        return bool(value.get("migrations") or value.get("expose"))
    if key == "site":
        return bool(value.get("replace") or patch.get("put") or patch.get("delete") or "public_paths" in value)
    if key == "functions":
        return bool(value.get("replace") or patch.get("set") or patch.get("delete"))
    if key in ("secrets", "subdomains"):
        return any(value.values())
    if key == "assets":
        return bool(value.get("put") or value.get("delete") or "sync" in value)
    return True
