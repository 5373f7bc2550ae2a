"""The settings in force and where each comes from. See docs/environment.md."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from run402_cli import advice, environment, global_options
from run402_cli.errors import Run402Error
from run402_cli.proxies import Proxies, Proxy
from run402_cli.state.limits import limits_from
from run402_cli.state.profile import Profile, base_dir

Setting = dict[str, Any]


_USER_OF_URL = re.compile(r"//[^/@\s]*@")


def settings(profile: Profile, *, core_data_dir: Path) -> dict[str, list[Setting]]:
    """Every setting: {settings: [{name, value, source, path, variable, flag, command}]}.

    `source` is flag, variable, binding, file or default; `path` the file that it stands in; `variable`, `flag` and
    `command` change it, null where nothing does. Secret values are "(set)". A file that cannot be read makes `value`
    null and adds `error`. Nothing is sent. `core_data_dir`: where the local gateway keeps its data unless told otherwise.
    """
    rows = [*_layered(profile), _row("core_data_dir", "RUN402_CORE_DATA_DIR", str(core_data_dir), flag="--data-dir")]
    shown = {str(row["variable"]).upper() for row in rows}
    rows += [_variable(name) for name in environment.VARIABLES if name not in shown]
    return {"settings": rows}


def _layered(profile: Profile) -> Iterator[Setting]:
    """The settings that more than a variable decides."""
    yield _row("config_dir", "RUN402_CONFIG_DIR", str(base_dir()))
    yield _wallet(profile)
    yield _guarded(
        "api_base", "RUN402_API_BASE", lambda: _target(profile), command=advice.command("core", "start", "--use")
    )
    yield _guarded(
        "project", "RUN402_PROJECT_ID", lambda: _project(profile), flag="--project",
        command=advice.command("projects", "use", advice.Blank("project_id")),
    )  # fmt: skip
    yield _format()
    change = advice.command("allowance", "limits", "set", "--per-payment-usd", advice.Blank("usd"))
    for name in ("per_payment_usd_micros", "per_day_usd_micros"):
        yield _guarded(name, None, lambda name=name: _limit(profile, name), command=change)  # type: ignore[misc]
    yield from _proxies()


def _row(name: str, variable: str | None, value: Any, **fields: Any) -> Setting:
    """One setting; `source` follows from the variable unless it is given."""
    source = "variable" if variable and os.environ.get(variable) else "default"
    row = {"name": name, "value": value, "source": source, "path": None, "variable": variable, "flag": None}
    return {**row, "command": None, **fields}


def _guarded(name: str, variable: str | None, found: Callable[[], Mapping[str, Any]], **fields: Any) -> Setting:
    """The setting, or the reason why its file cannot be read: this command is there to find that out."""
    try:
        return {**_row(name, variable, None, **fields), **found()}
    except Run402Error as exc:
        return _row(name, variable, None, source="file", error=exc.message, **fields)


def _wallet(profile: Profile) -> Setting:
    selection = profile.selection
    sources = {"env": "variable", "config": "file"}
    path = selection.binding.file if selection.source == "binding" and selection.binding else None
    return _row(
        "wallet",
        "RUN402_WALLET",
        selection.name,
        source=sources.get(selection.source, selection.source),
        path=str(base_dir() / "config.json") if selection.source == "config" else path,
        flag="--wallet",
        command=advice.command("wallets", "use", advice.Blank("name")),
    )


def _target(profile: Profile) -> Mapping[str, Any]:
    target = profile.target
    sources = {"env": "variable", "profile": "file", "argument": "flag"}
    path = str(profile.dir / "target.json") if target.source == "profile" else None
    return {"value": target.api_base, "source": sources.get(target.source, "default"), "path": path}


def _project(profile: Profile) -> Mapping[str, Any]:
    if named := os.environ.get("RUN402_PROJECT_ID"):
        return {"value": named, "source": "variable"}
    active = profile.active.get()
    return {
        "value": active,
        "source": "file" if active else "default",
        "path": str(profile.active.path) if active else None,
    }


def _format() -> Setting:
    given = "flag" if global_options.current.format_given else None
    fields = {"source": given} if given else {}
    return _row("format", global_options.FORMAT_VARIABLE, global_options.current.format, flag="--format", **fields)


def _limit(profile: Profile, name: str) -> Mapping[str, Any]:
    found, path = limits_from(profile.payer)
    limits = found.to_json()
    stored = path is not None and limits[name.replace("usd_micros", "source")] == "user"
    return {"value": limits[name], "source": "file" if stored else "default", "path": str(path) if stored else None}


def _proxies() -> Iterator[Setting]:
    for proxy in Proxies().found:
        yield _row("proxy", proxy.variable, proxy.shown, source="variable")


def _variable(name: str) -> Setting:
    value = os.environ.get(name) or None
    if value and environment.VARIABLES[name].secret:
        value = "(set)"
    elif value and name.endswith("_PROXY") and name != "NO_PROXY":
        value = Proxy(name, value).shown
    elif value:
        value = _USER_OF_URL.sub("//", value)
    return _row(name.removeprefix("RUN402_").lower(), name, value)
