"""The functions section of a release request: its shape, in either dialect, and what this gateway allows of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from run402_cli.core.errors import GatewayError
from run402_cli.release.fields import ROLE_SPELLINGS, WIRE, is_integer, is_number, spelled, spellings
from run402_cli.release.paths import path_problem
from run402_cli.release.refs import check_ref
from run402_cli.release.sections.functions import CONFIG_FIELDS, FIELDS
from run402_cli.release.triggers import EMAIL_EVENTS, EMAIL_KEYS, RUN_KEYS, SCHEDULE_KEYS, check_bounds, normal_trigger

NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
RESERVED_NAMES: Final = ("runs", "invoke")
MAX_TIMEOUT_SECONDS: Final = 900
MAX_MEMORY_MB: Final = 4096
MAX_SCHEDULES: Final = 20
MAX_DEPS: Final = 30
MAX_ATTEMPTS: Final = 1000
MAX_DELAY_SECONDS: Final = 10**7
SCHEDULE_TRIGGER: Final = "schedule"

# As a caller is told: what has two names comes last.
_FUNCTION_KEYS: Final = tuple(name for names in sorted(FIELDS.values(), key=len) for name in names)
_TRIGGER_KEYS: Final = ("id", "type", "run", *SCHEDULE_KEYS, *EMAIL_KEYS)
_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_DEPENDENCY: Final = re.compile(r"((?:@[a-z0-9~-][a-z0-9._~-]*/)?[a-z0-9~-][a-z0-9._~-]*)(?:@[^\s/:@]+)?")
_NOT_INSTALLABLE: Final = ("@run402/functions", "run402-functions", "sharp", "canvas", "bcrypt")


def check_functions(value: Any) -> None:
    """The shape of `functions`; ReleaseError INVALID_SPEC otherwise. docs/local-gateway-functions.md"""
    section = WIRE.known(value, ("replace", "patch"), "functions")
    if "replace" in section and "patch" in section:
        raise WIRE.error("functions has both replace and patch. Use one: replace names all functions.", "functions")
    if "replace" in section:
        WIRE.each(section["replace"], "functions.replace", _check_named)
    if "patch" in section:
        patch = WIRE.known(section["patch"], ("set", "delete"), "functions.patch")
        WIRE.each(patch.get("set", {}), "functions.patch.set", _check_named)
        for name in WIRE.strings(patch.get("delete", []), "functions.patch.delete"):
            if name in patch.get("set", {}):
                raise WIRE.error(f"{name!r} is in both set and delete of functions.patch. Keep one.", "functions.patch")


def _check_named(spec: Any, where: str) -> None:
    _check_name(where.rpartition(".")[2])
    _check_function(spec, where)


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name) or name in RESERVED_NAMES:
        raise WIRE.error(
            f"{name!r} cannot be the name of a function: 1 to 128 of A-Z a-z 0-9 _ and -, and neither of "
            f"{', '.join(RESERVED_NAMES)}.",
            f"functions.{name}",
        )


def _check_function(value: Any, where: str) -> None:
    spec = WIRE.known(value, _FUNCTION_KEYS, where)
    WIRE.one_of(spec.get("runtime", "node22"), ("node22",), f"{where}.runtime")
    if spec.get("source") is not None:
        check_ref(spec["source"], f"{where}.source")
    for path, ref in WIRE.mapping(spec.get("files") or {}, f"{where}.files").items():
        problem = path_problem(path) or ("is kept for packages" if path.split("/")[0] == "node_modules" else None)
        if problem:
            raise WIRE.error(f"The file {path!r} of the function {problem}.", f"{where}.files.{path}")
        check_ref(ref, f"{where}.files.{path}")
    if spec.get("entrypoint") is not None:
        WIRE.text(spec["entrypoint"], f"{where}.entrypoint")
    _check_config(spec.get("config"), f"{where}.config")
    for index, dependency in enumerate(WIRE.strings(spec.get("deps") or [], f"{where}.deps")):
        _check_dependency(dependency, f"{where}.deps.{index}")
    if len(spec.get("deps") or ()) > MAX_DEPS:
        raise WIRE.error(f"{where}.deps has more than {MAX_DEPS} packages.", f"{where}.deps")
    _check_triggers(spec.get("triggers"), f"{where}.triggers")
    if spec.get("schedule") is not None:
        WIRE.text(spec["schedule"], f"{where}.schedule")
    for key in ("requireAuth", "require_auth"):
        if spec.get(key) is not None:
            WIRE.one_of(spec[key], (True, False), f"{where}.{key}")
    _check_role(spelled(spec, "requireRole", "require_role"), f"{where}.require_role")
    if spec.get("class") is not None:
        WIRE.one_of(spec["class"], ("standard", "ssr"), f"{where}.class")
    WIRE.strings(spec.get("capabilities") or [], f"{where}.capabilities")


def _check_config(value: Any, where: str) -> None:
    if value is None:
        return
    config = WIRE.known(value, spellings(CONFIG_FIELDS), where)
    for camel, snake, limit, unit in (
        ("timeoutSeconds", "timeout_seconds", MAX_TIMEOUT_SECONDS, "seconds"),
        ("memoryMb", "memory_mb", MAX_MEMORY_MB, "MB"),
    ):
        given = spelled(config, camel, snake)
        if given is not None and not (is_integer(given) and 1 <= given <= limit):
            raise WIRE.error(f"{where}.{snake} must be 1 to {limit} {unit}.", f"{where}.{camel}")


def _check_dependency(value: str, where: str) -> None:
    found = _DEPENDENCY.fullmatch(value)
    if found is None or len(value) > 200:
        raise WIRE.error(f"{where} is {value!r}. Use an npm package: name or name@version.", where)
    if found.group(1) in _NOT_INSTALLABLE:
        raise WIRE.error(
            f"{where} names {found.group(1)}, which cannot be installed: @run402/functions is there already, and "
            "packages with native code do not run.",
            where,
        )


def _check_triggers(value: Any, where: str) -> None:
    seen: set[str] = set()
    for index, entry in enumerate(WIRE.array(value or [], where)):
        place = f"{where}.{index}"
        trigger = WIRE.known(entry, _TRIGGER_KEYS, place)
        identity = WIRE.text(trigger.get("id"), f"{place}.id")
        if identity in seen:
            raise WIRE.error(f"Two triggers have the id {identity!r}. Ids are unique in a function.", f"{place}.id")
        seen.add(identity)
        WIRE.one_of(trigger.get("type"), ("schedule", "email"), f"{place}.type")
        own, other = (SCHEDULE_KEYS, EMAIL_KEYS) if trigger["type"] == "schedule" else (EMAIL_KEYS, SCHEDULE_KEYS)
        for key in other:
            if key in trigger:
                raise WIRE.error(f"{place}.{key} does not belong to type {trigger['type']}.", f"{place}.{key}")
        WIRE.text(trigger.get(own[0]), f"{place}.{own[0]}")
        if trigger["type"] == "email":
            _check_events(trigger.get("events"), f"{place}.events")
        else:
            WIRE.one_of(trigger.get("misfire_policy", "skip"), ("skip",), f"{place}.misfire_policy")
            WIRE.one_of(trigger.get("overlap_policy", "allow"), ("allow",), f"{place}.overlap_policy")
            WIRE.text(trigger.get("timezone", "UTC"), f"{place}.timezone")
        _check_trigger_run(trigger.get("run"), f"{place}.run")
        check_bounds(WIRE, trigger, place)


def _check_events(value: Any, where: str) -> None:
    events = WIRE.strings(value, where)
    if not events or any(event not in EMAIL_EVENTS for event in events):
        raise WIRE.error(f"{where} must list some of {', '.join(EMAIL_EVENTS)}.", where)


def _check_trigger_run(value: Any, where: str) -> None:
    run = WIRE.known(value, RUN_KEYS, where)
    WIRE.text(run.get("event_type"), f"{where}.event_type")
    for key in ("payload", "retry"):
        if key in run:
            WIRE.mapping(run[key], f"{where}.{key}")
    retry = run.get("retry", {})
    if "max_attempts" in retry:
        WIRE.positive_integer(retry["max_attempts"], f"{where}.retry.max_attempts")
        if retry["max_attempts"] > MAX_ATTEMPTS:
            raise WIRE.error(f"{where}.retry.max_attempts must be 1 to {MAX_ATTEMPTS}.", f"{where}.retry.max_attempts")
    if "preset" in retry:
        WIRE.text(retry["preset"], f"{where}.retry.preset")
    for key in ("min_delay_seconds", "max_delay_seconds"):
        if key in retry and not (is_number(retry[key]) and 0 <= retry[key] <= MAX_DELAY_SECONDS):
            raise WIRE.error(f"{where}.retry.{key} must be a number of seconds.", f"{where}.retry.{key}")
    if "expires_after_seconds" in run:
        WIRE.positive_integer(run["expires_after_seconds"], f"{where}.expires_after_seconds")


def _check_role(value: Any, where: str) -> None:
    if value is None:
        return
    role = WIRE.known(value, spellings(ROLE_SPELLINGS), where)
    WIRE.text(role.get("table"), f"{where}.table")
    for camel, snake in (("idColumn", "id_column"), ("roleColumn", "role_column")):
        WIRE.text(spelled(role, camel, snake), f"{where}.{snake}")
    if not WIRE.strings(role.get("allowed"), f"{where}.allowed"):
        raise WIRE.error(f"{where}.allowed is empty: nobody could call the function.", f"{where}.allowed")
    deny = spelled(role, "onDeny", "on_deny")
    if deny is not None:
        WIRE.one_of(deny, ("envelope", "redirect"), f"{where}.on_deny")
    path = spelled(role, "signInPath", "sign_in_path")
    if path is not None and not (WIRE.text(path, f"{where}.sign_in_path").startswith("/") and path[1:2] != "/"):
        raise WIRE.error(f"{where}.sign_in_path must be a path of this site, such as /login.", f"{where}.sign_in_path")
    ttl = spelled(role, "cacheTtl", "cache_ttl")
    if ttl is not None and not (is_integer(ttl) and 0 <= ttl <= 600):
        raise WIRE.error(f"{where}.cache_ttl must be 0 to 600 seconds.", f"{where}.cache_ttl")


def given_functions(section: Mapping[str, Any] | None) -> dict[str, Mapping[str, Any]]:
    """The functions that a checked section brings: replace, or patch.set."""
    section = section or {}
    return {**(section.get("replace") or {}), **((section.get("patch") or {}).get("set") or {})}


def code_of(spec: Mapping[str, Any]) -> dict[str, Any] | None:
    """Where a function's code is: `{source, files, entrypoint}` with refs `{sha256, size}`; None when it brings none."""
    files = spec.get("files") or {}
    if spec.get("source") is None and not files:
        return None
    return {
        "source": _ref(spec["source"]) if spec.get("source") is not None else None,
        "files": {path: _ref(ref) for path, ref in sorted(files.items())},
        "entrypoint": spec.get("entrypoint"),
    }


def _ref(ref: Mapping[str, Any]) -> dict[str, Any]:
    return {"sha256": ref["sha256"], "size": ref["size"]}


def code_content(code: Mapping[str, Any]) -> dict[str, int]:
    """Every object that a function's code needs: sha256 to size in bytes."""
    refs = [*code["files"].values(), *([code["source"]] if code["source"] else [])]
    return {ref["sha256"]: ref["size"] for ref in refs}


def schedules(entry: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The schedule triggers of a function of a release; the older `schedule` field counts as one named "schedule"."""
    found = [dict(trigger) for trigger in entry.get("triggers") or () if trigger["type"] == "schedule"]
    if entry.get("schedule"):
        run = {"event_type": SCHEDULE_TRIGGER}
        older = {"id": SCHEDULE_TRIGGER, "type": "schedule", "cron": entry["schedule"], "run": run}
        found.append(normal_trigger(older))
    return found


def check_release_functions(entries: list[Mapping[str, Any]]) -> None:
    """What only all functions of a release together can break. GatewayError 422 says which."""
    for entry in entries:
        _check_class(entry)
        _check_gate(entry)
        for trigger in schedules(entry):
            next_tick(trigger, datetime.now(UTC), entry["name"])
    total = sum(len(schedules(entry)) for entry in entries)
    if total > MAX_SCHEDULES:
        raise refused(
            "schedule_limit_exceeded",
            f"The release has {total} schedules; this gateway runs at most {MAX_SCHEDULES} per project.",
            scheduled_count=total,
            max_scheduled_functions_per_project=MAX_SCHEDULES,
        )
    gates = {
        tuple(entry["require_role"][key] for key in ("table", "idColumn", "roleColumn")): entry["name"]
        for entry in entries
        if entry["require_role"]
    }
    if len(gates) > 1:
        raise refused(
            "deploy_invalid_role_gate",
            f"All role gates of a release use one table and columns; these differ: {', '.join(sorted(gates.values()))}.",
            code="DEPLOY_INVALID_ROLE_GATE",
        )


def _check_class(entry: Mapping[str, Any]) -> None:
    if entry.get("class") == "ssr" or any(name.startswith("astro.") for name in entry.get("capabilities") or ()):
        raise refused(
            "unsupported_capability",
            f"The function {entry['name']} is server-side rendering (class ssr), which a local gateway does not do. "
            "Remove it, or deploy to a cloud project.",
            capability="astro.ssr",
            function_name=entry["name"],
        )


def _check_gate(entry: Mapping[str, Any]) -> None:
    gate = entry["require_role"]
    if gate is None:
        return
    for key in ("table", "idColumn", "roleColumn"):
        if not _IDENTIFIER.fullmatch(gate[key]):
            raise refused(
                "role_gate_invalid_identifier",
                f"require_role of {entry['name']} names {gate[key]!r}; use a plain SQL name such as members.",
                function_name=entry["name"],
            )


def next_tick(trigger: Mapping[str, Any], after: datetime, function_name: str) -> datetime | None:
    """When a schedule is due next, in UTC; None when never again. 422 invalid_function_schedule for a bad one."""
    from cronsim import CronSim, CronSimError

    try:
        if len(trigger["cron"].split()) != 5:
            raise CronSimError("it needs 5 fields: minute hour day month weekday")
        zone = ZoneInfo(trigger.get("timezone") or "UTC")
        due = next(CronSim(trigger["cron"], after.astimezone(zone)), None)
    except (CronSimError, ZoneInfoNotFoundError, ValueError, OSError) as exc:
        raise refused(
            "invalid_function_schedule",
            f"The schedule {trigger['cron']!r} ({trigger.get('timezone')}) of {function_name} cannot be used: {exc}. "
            "Example: */15 * * * *",
            function_name=function_name,
            triggers=[trigger["id"]],
        ) from exc
    return due.astimezone(UTC) if due else None


def refused(error: str, message: str, **fields: Any) -> GatewayError:
    """422 at plan."""
    details = {"phase": "plan", "resource": "functions", "retryable": False, **fields}
    return GatewayError(422, error, message, **details)
