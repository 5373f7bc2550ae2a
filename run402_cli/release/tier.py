"""What a project's tier allows its functions, checked before a plan is asked for.

Rules only: the caller fetches the tier status and, for a patch, the live release's inventory.
See docs/protocol/releases.md, "Tier limits".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from run402_cli.release.errors import ReleaseError
from run402_cli.release.fields import is_number

BAD_FIELD: Final = "BAD_FIELD"
DAY_MINUTES: Final = 24 * 60

LimitSource = Literal["tier_status", "local_static_fallback"]

_CONTAINERS: Final = (("function_limits",), ("limits", "functions"), ("limits", "function_limits"), ("pool_usage",), ())
_KEYS: Final = {
    "timeout": (
        *("max_function_timeout_seconds", "max_timeout_seconds"),
        *("timeout_seconds_max", "function_timeout_seconds_max"),
    ),
    "memory": ("max_function_memory_mb", "max_memory_mb", "memory_mb_max", "function_memory_mb_max"),
    "scheduled": (
        *("max_scheduled_functions", "scheduled_functions_limit"),
        *("scheduled_function_limit", "max_function_schedules"),
    ),
    "interval": (
        *("min_cron_interval_minutes", "minimum_cron_interval_minutes"),
        *("min_schedule_interval_minutes", "min_scheduled_function_interval_minutes"),
    ),
}
_FALLBACK: Final = {
    "prototype": {"timeout": 10, "memory": 128, "scheduled": 1, "interval": 15},
    "hobby": {"timeout": 30, "memory": 256, "scheduled": 3, "interval": 5},
    "team": {"timeout": 60, "memory": 512, "scheduled": 10, "interval": 1},
}


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit and who says so: the gateway's tier status, or the table built into this CLI."""

    value: float
    source: LimitSource


@dataclass(frozen=True, slots=True)
class TierLimits:
    """Limits of one tier: seconds, MB, a count, minutes. A limit that nobody states is None and not checked."""

    tier: str
    timeout: Limit | None
    memory: Limit | None
    scheduled: Limit | None
    interval: Limit | None


def needs_tier(spec: Mapping[str, Any]) -> bool:
    """Whether a ReleaseSpec has a function with a timeout, a memory size or a schedule."""
    return any(function.get("config") or list(_crons(name, function)) for _, name, function in _functions(spec))


def needs_inventory(spec: Mapping[str, Any]) -> bool:
    """Whether counting scheduled functions takes the live release: a patch on top of it."""
    functions = spec.get("functions") or {}
    return "patch" in functions and "replace" not in functions


def limits_of(status: Any) -> TierLimits | None:
    """The limits in a tier status answer, completed from the built-in table; None when it names no tier."""
    if not isinstance(status, Mapping) or not isinstance(status.get("tier"), str):
        return None
    tier: str = status["tier"]
    found = {name: _limit(status, tier.lower(), name) for name in _KEYS}
    return TierLimits(tier, found["timeout"], found["memory"], found["scheduled"], found["interval"])


def check_tier(spec: Mapping[str, Any], limits: TierLimits, active: Mapping[str, Any] | None = None) -> None:
    """Refuse functions that the tier does not allow.

    `active` is the inventory of the live release, None when it is not needed or not known. Raises ReleaseError
    BAD_FIELD, phase validate, with the field as resource and the limit in details.
    """
    for place, name, function in _functions(spec):
        _check_function(f"{place}.{name}", f"functions.{name}", function, limits)
    if limits.scheduled is None:
        return
    triggers = sum(_schedule_triggers(function) for _, _, function in _functions(spec))
    _check_count(triggers, "manifest", limits)
    if needs_inventory(spec):
        if active is not None:
            _check_count(len(_scheduled_after(spec, active)), "active_release_inventory", limits)
    else:
        names = {name for _, name, function in _functions(spec) if any(_crons(name, function))}
        _check_count(len(names), "manifest", limits)


def cron_interval_minutes(cron: str) -> int | None:
    """The smallest gap in minutes between two runs of `cron` on one day and the next, by minute and hour only.

    None when those fields cannot be read.
    """
    parts = cron.split()
    if len(parts) != 5:
        return None
    minutes, hours = _cron_field(parts[0], 59), _cron_field(parts[1], 23)
    if not minutes or not hours:
        return None
    times = sorted(hour * 60 + minute for hour in hours for minute in minutes)
    following = [*times[1:], times[0] + DAY_MINUTES]
    return min(after - before for before, after in zip(times, following, strict=True))


def _cron_field(field: str, maximum: int) -> set[int] | None:
    values: set[int] = set()
    for item in field.split(","):
        span, slash, step_text = item.partition("/")
        start_text, dash, end_text = span.partition("-")
        numbers = [text for text, there in ((step_text, slash), (end_text, dash)) if there]
        if span != "*":
            numbers.append(start_text)
        if not all(text.isascii() and text.isdigit() and len(text) < 4 for text in numbers) or (span == "*" and dash):
            return None
        start = 0 if span == "*" else int(start_text)
        end = int(end_text) if dash else maximum if span == "*" or slash else start
        step = int(step_text) if slash else 1
        if step < 1 or not start <= end <= maximum:
            return None
        values.update(range(start, end + 1, step))
    return values


def _limit(status: Mapping[str, Any], tier: str, name: str) -> Limit | None:
    for path in _CONTAINERS:
        container: Any = status
        for key in path:
            container = container.get(key) if isinstance(container, Mapping) else None
        if isinstance(container, Mapping):
            for key in _KEYS[name]:
                value = container.get(key)
                if is_number(value) and value >= 0:
                    return Limit(value, "tier_status")
    fallback = _FALLBACK.get(tier)
    return None if fallback is None else Limit(fallback[name], "local_static_fallback")


def _functions(spec: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    functions = spec.get("functions") or {}
    for place, named in (
        ("functions.replace", functions.get("replace")),
        ("functions.patch.set", (functions.get("patch") or {}).get("set")),
    ):
        for name, function in (named or {}).items():
            yield place, name, function


def _crons(name: str, function: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(field, cron) of every schedule; the legacy field counts only where there are no triggers."""
    triggers = function.get("triggers") or []
    for trigger in triggers:
        if trigger.get("type") == "schedule":
            yield f"functions.{name}.triggers.{trigger['id']}.cron", trigger["cron"]
    if not triggers and function.get("schedule"):
        yield f"functions.{name}.schedule", function["schedule"]


def _schedule_triggers(function: Mapping[str, Any]) -> int:
    return sum(trigger.get("type") == "schedule" for trigger in function.get("triggers") or [])


def _check_function(place: str, field: str, function: Mapping[str, Any], limits: TierLimits) -> None:
    config = function.get("config") or {}
    for key, limit, detail, unit in (
        ("timeoutSeconds", limits.timeout, "max_function_timeout_seconds", "seconds"),
        ("memoryMb", limits.memory, "max_function_memory_mb", "MB"),
    ):
        value = config.get(key)
        if limit is not None and value is not None and value > limit.value:
            raise _refusal(
                f"{place}.config.{key} is {value} {unit}; the {limits.tier} tier allows {limit.value:g}.",
                f"{field}.config.{key}",
                value,
                limits,
                limit,
                {"tier_max": limit.value, detail: limit.value},
            )
    for cron_field, cron in _crons(field.removeprefix("functions."), function):
        interval = cron_interval_minutes(cron)
        if limits.interval is not None and interval is not None and interval < limits.interval.value:
            minimum = limits.interval.value
            raise _refusal(
                f"{cron_field} {cron!r} runs every {interval} min; the {limits.tier} tier allows every {minimum:g} min.",
                cron_field,
                cron,
                limits,
                limits.interval,
                {
                    "interval_minutes": interval,
                    "min_interval_minutes": minimum,
                    "min_cron_interval_minutes": minimum,
                },
            )


def _scheduled_after(spec: Mapping[str, Any], active: Mapping[str, Any]) -> set[str]:
    scheduled = {
        function["name"]
        for function in active.get("functions") or []
        if isinstance(function, Mapping) and (function.get("schedule") or _schedule_triggers(function))
    }
    patch = spec["functions"]["patch"]
    scheduled -= set(patch.get("delete") or ())
    for name, function in (patch.get("set") or {}).items():
        if any(_crons(name, function)):
            scheduled.add(name)
        elif "schedule" in function:
            scheduled.discard(name)
    return scheduled


def _check_count(count: int, source: str, limits: TierLimits) -> None:
    limit = limits.scheduled
    if limit is not None and count > limit.value:
        raise _refusal(
            f"{count} scheduled functions or triggers; the {limits.tier} tier allows {limit.value:g}.",
            "functions.scheduled_count",
            count,
            limits,
            limit,
            {"tier_max": limit.value, "max_scheduled_functions": limit.value, "count_source": source},
        )


def _refusal(
    message: str, field: str, value: Any, limits: TierLimits, limit: Limit, numbers: Mapping[str, Any]
) -> ReleaseError:
    return ReleaseError(
        f'{message} Lower it, or change the tier: "run402 tier set <tier>".',
        code=BAD_FIELD,
        phase="validate",
        resource=field,
        details={"field": field, "value": value, "tier": limits.tier, "limit_source": limit.source, **numbers},
        body={"category": "deploy"},
    )
