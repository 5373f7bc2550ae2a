from __future__ import annotations

from typing import Any

import pytest

from run402_cli.release.errors import ReleaseError
from run402_cli.release.tier import check_tier, cron_interval_minutes, limits_of, needs_inventory, needs_tier


def _spec(**functions: Any) -> dict[str, Any]:
    return {"project": "p", "functions": {"replace": functions}}


def _patch(**functions: Any) -> dict[str, Any]:
    return {"project": "p", "functions": {"patch": {"set": functions}}}


def _trigger(cron: str, identifier: str = "t") -> dict[str, Any]:
    return {"id": identifier, "type": "schedule", "cron": cron, "run": {"event_type": "e"}}


def _refused(spec: Any, status: Any, active: Any = None) -> ReleaseError:
    limits = limits_of(status)
    assert limits is not None
    with pytest.raises(ReleaseError) as caught:
        check_tier(spec, limits, active)
    error = caught.value
    assert (error.code, error.phase) == ("BAD_FIELD", "validate")
    assert error.body == {"category": "deploy"}
    assert error.details is not None
    assert error.resource == error.details["field"]
    return error


@pytest.mark.parametrize(
    ("cron", "minutes"),
    [
        ("* * * * *", 1),
        ("*/15 * * * *", 15),
        ("0 * * * *", 60),
        ("0 0 * * *", 1440),
        ("0 9-17 * * 1-5", 60),
        ("0,10 3 * * *", 10),
        ("50/5 * * * *", 5),
        ("58 23,0 * * *", 60),
        ("0 1,23 * * *", 120),
        ("*/7 * * * *", 4),
        ("5-10/5 0 * * *", 5),
        ("0 12 1 * MON", 1440),
        ("60 * * * *", None),
        ("a * * * *", None),
        ("*/0 * * * *", None),
        ("5-1 * * * *", None),
        ("*-5 * * * *", None),
        ("- * * * *", None),
        ("1, * * * *", None),
        ("* * * *", None),
        ("*/1_0 * * * *", None),
    ],
)
def test_cron_intervals(cron: str, minutes: int | None) -> None:
    assert cron_interval_minutes(cron) == minutes


@pytest.mark.parametrize(
    ("status", "timeout", "source"),
    [
        ({"tier": "Prototype"}, 10, "local_static_fallback"),
        ({"tier": "hobby"}, 30, "local_static_fallback"),
        ({"tier": "team"}, 60, "local_static_fallback"),
        ({"tier": "x", "max_timeout_seconds": 7}, 7, "tier_status"),
        ({"tier": "x", "pool_usage": {"timeout_seconds_max": 8}, "max_timeout_seconds": 7}, 8, "tier_status"),
        ({"tier": "x", "limits": {"functions": {"max_timeout_seconds": 9}}, "pool_usage": {}}, 9, "tier_status"),
        ({"tier": "hobby", "function_limits": {"max_timeout_seconds": -1}}, 30, "local_static_fallback"),
        ({"tier": "hobby", "function_limits": {"max_timeout_seconds": True}}, 30, "local_static_fallback"),
        ({"tier": "hobby", "function_limits": "none"}, 30, "local_static_fallback"),
    ],
)
def test_limits_come_from_the_status_first(status: Any, timeout: int, source: str) -> None:
    limits = limits_of(status)
    assert limits is not None
    assert limits.timeout is not None
    assert (limits.timeout.value, limits.timeout.source) == (timeout, source)


@pytest.mark.parametrize("status", [None, [], {}, {"tier": 5}, "x"])
def test_no_tier_no_limits(status: Any) -> None:
    assert limits_of(status) is None


def test_an_unknown_tier_without_limits_allows_everything() -> None:
    limits = limits_of({"tier": "enterprise"})
    assert limits is not None
    check_tier(_spec(f={"config": {"timeoutSeconds": 10**6}, "schedule": "* * * * *"}), limits)


def test_timeout_and_memory() -> None:
    error = _refused(_spec(api={"config": {"timeoutSeconds": 900, "memoryMb": 4096}}), {"tier": "prototype"})
    assert error.details == {
        "field": "functions.api.config.timeoutSeconds",
        "value": 900,
        "tier": "prototype",
        "limit_source": "local_static_fallback",
        "tier_max": 10,
        "max_function_timeout_seconds": 10,
    }
    error = _refused(_patch(api={"config": {"memoryMb": 4096}}), {"tier": "x", "max_memory_mb": 128})
    assert error.details is not None
    assert error.details["field"] == "functions.api.config.memoryMb"
    assert error.details["max_function_memory_mb"] == 128


@pytest.mark.parametrize(
    ("function", "field"),
    [
        ({"schedule": "* * * * *"}, "functions.f.schedule"),
        ({"triggers": [_trigger("* * * * *")], "schedule": "0 * * * *"}, "functions.f.triggers.t.cron"),
    ],
)
def test_schedules_too_close_together(function: Any, field: str) -> None:
    error = _refused(_spec(f=function), {"tier": "prototype"})
    assert error.details == {
        "field": field,
        "value": "* * * * *",
        "tier": "prototype",
        "limit_source": "local_static_fallback",
        "interval_minutes": 1,
        "min_interval_minutes": 15,
        "min_cron_interval_minutes": 15,
    }


def test_an_unreadable_cron_is_left_to_the_gateway() -> None:
    limits = limits_of({"tier": "prototype"})
    assert limits is not None
    check_tier(_spec(f={"schedule": "whenever you like it x"}), limits)


def test_scheduled_functions_are_counted_in_the_manifest() -> None:
    spec = _spec(f={"schedule": "0 * * * *"}, g={"schedule": "0 * * * *"})
    error = _refused(spec, {"tier": "prototype"})
    assert error.details is not None
    assert error.details["field"] == "functions.scheduled_count"
    assert (error.details["value"], error.details["count_source"]) == (2, "manifest")
    triggers = [_trigger("0 * * * *", "a"), _trigger("30 * * * *", "b")]
    error = _refused(_patch(f={"triggers": triggers}), {"tier": "prototype"})
    assert error.details is not None
    assert error.details["count_source"] == "manifest"


def test_a_patch_counts_what_is_live() -> None:
    active = {"functions": [{"name": "old", "schedule": "0 * * * *"}, {"name": "plain", "schedule": None}]}
    spec = _patch(new={"schedule": "0 * * * *"})
    error = _refused(spec, {"tier": "prototype"}, active)
    assert error.details is not None
    assert error.details["count_source"] == "active_release_inventory"
    limits = limits_of({"tier": "prototype"})
    assert limits is not None
    check_tier(spec, limits, None)
    check_tier(_patch(old={"schedule": "0 * * * *"}), limits, active)
    check_tier(_patch(new={"schedule": "0 * * * *"}, old={"schedule": None}), limits, active)
    spec["functions"]["patch"]["delete"] = ["old"]
    check_tier(spec, limits, active)


def test_the_tier_is_only_needed_for_limited_fields() -> None:
    assert not needs_tier({"project": "p", "site": {}})
    assert not needs_tier(_spec(f={"source": "x"}))
    assert needs_tier(_spec(f={"config": {"memoryMb": 1}}))
    assert needs_tier(_patch(f={"schedule": "0 * * * *"}))
    assert needs_tier(_patch(f={"triggers": [_trigger("0 * * * *")]}))
    assert needs_inventory(_patch())
    assert not needs_inventory(_spec())
