"""Manifests that are programs: JavaScript and TypeScript configs, and Astro builds. They run in the user's Node.js.

See docs/protocol/releases.md, "Programs".
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from run402_cli.release import node
from run402_cli.release.discovery import EXECUTABLE_EXTENSIONS, is_program
from run402_cli.release.errors import ReleaseError
from run402_cli.release.node import Node, Ran, Version

EVALUATION_S: Final = 5.0

_LOAD_S: Final = 30.0
_ASTRO_S: Final = 300.0
_TYPESCRIPT: Final = (".ts", ".mts", ".cts")
_TYPESCRIPT_SOURCES: Final = (".ts", ".tsx", ".mts", ".cts")
_OLDEST: Final[Version] = (20, 6, 0)
_OLDEST_TYPESCRIPT: Final[Version] = (22, 6, 0)
_STRIPS_TYPES: Final[Version] = (22, 18, 0)
_ASTRO_CAPABILITIES: Final = ("astro.ssr.v1",)
_ASTRO_CODES: Final = ("R402_ASTRO_ADAPTER_MANIFEST_MISSING", "R402_ASTRO_ADAPTER_MANIFEST_VERSION_UNSUPPORTED")


@dataclass(frozen=True, slots=True)
class Evaluated:
    """The value of a program, and the end of what it printed."""

    document: Any
    console: str


def evaluate(path: Path) -> Evaluated:
    """The manifest that a configuration program makes: its default export or its `config`, called when a function.

    The program runs in Node.js with the user's rights, for at most EVALUATION_S seconds after it is loaded. Raises
    ReleaseError, details with `path`: UNSUPPORTED_EXECUTABLE_CONFIG_EXTENSION, EXECUTABLE_CONFIG_LOAD_FAILED,
    EXECUTABLE_CONFIG_TS_LOADER_UNAVAILABLE, EXECUTABLE_CONFIG_INVALID_EXPORT, EXECUTABLE_CONFIG_EVALUATION_FAILED,
    EXECUTABLE_CONFIG_TIMEOUT (details `timeout_ms`), CONFIG_ENV_REQUIRED (details `name`),
    TYPESCRIPT_FUNCTION_REQUIRES_BUNDLE.
    """
    if not is_program(path):
        raise _failed(
            path, "UNSUPPORTED_EXECUTABLE_CONFIG_EXTENSION", f"it must end in {', '.join(EXECUTABLE_EXTENSIONS)}"
        )
    program = Path(os.path.abspath(path))  # noqa: PTH100 - links stay as the user knows them
    if not program.is_file():
        raise _failed(path, "EXECUTABLE_CONFIG_LOAD_FAILED", "there is no such file")
    chosen = _node_for(path)
    flags = ["--experimental-strip-types"] if _needs_strip_flag(path, chosen) else []
    script = str(node.SCRIPTS / "config.mjs")
    ran = node.run(chosen, [*flags, script, str(program)], start_s=_LOAD_S, work_s=EVALUATION_S)
    document = _value(path, chosen, ran)
    _refuse_typescript_functions(path, document)
    return Evaluated(document, ran.console)


def _needs_strip_flag(path: Path, chosen: Node) -> bool:
    # Also for a JavaScript config: it may import TypeScript.
    return _OLDEST_TYPESCRIPT <= chosen.version < _STRIPS_TYPES


def _node_for(path: Path) -> Node:
    typescript = path.suffix.lower() in _TYPESCRIPT
    oldest = _OLDEST_TYPESCRIPT if typescript else _OLDEST
    found: list[Node] = []
    for candidate in node.installed():
        if candidate.version >= oldest:
            return candidate
        found.append(candidate)
    wanted = f"Node.js {oldest[0]}.{oldest[1]} or newer"
    cure = "Install Node.js 22, or: pip install 'run402[core]'"
    if not found:
        raise _failed(path, "EXECUTABLE_CONFIG_LOAD_FAILED", f"it needs {wanted}, and there is no node here. {cure}")
    code = "EXECUTABLE_CONFIG_TS_LOADER_UNAVAILABLE" if typescript else "EXECUTABLE_CONFIG_LOAD_FAILED"
    raise _failed(path, code, f"it needs {wanted}, and this is {found[0].shown}. {cure}")


def _value(path: Path, chosen: Node, ran: Ran) -> Any:
    """The value that a config program reported. Raises ReleaseError for every other end."""
    if ran.report is not None and ran.report.get("ok") is True:
        return ran.report.get("value")
    if ran.report is not None:
        raise _reported(path, chosen, ran.report)
    if ran.timed_out is not None:
        doing = "its value was not there" if ran.started else "it was not loaded"
        raise _failed(
            path,
            "EXECUTABLE_CONFIG_TIMEOUT",
            f"{doing} after {ran.timed_out / 1000:g} seconds, so it was stopped. A config must not wait for anything",
            timeout_ms=ran.timed_out,
        )
    stage = "EVALUATION" if ran.started else "LOAD"
    output = {"output": ran.console} if ran.console else {}
    raise _failed(
        path,
        f"EXECUTABLE_CONFIG_{stage}_FAILED",
        f"it ended the process (status {ran.status}) without giving a value",
        **output,
    )


def _reported(path: Path, chosen: Node, report: Mapping[str, Any]) -> ReleaseError:
    message, code = str(report.get("message")), report.get("code")
    if code == "CONFIG_ENV_REQUIRED":
        name = report.get("name")
        error = _failed(path, "CONFIG_ENV_REQUIRED", f"it needs the environment variable {name}. Set it and run again")
        error.details = {"name": name}
        return error
    if code == "TYPESCRIPT_FUNCTION_REQUIRES_BUNDLE":
        return _failed(path, code, message)
    if code == "ERR_UNKNOWN_FILE_EXTENSION":
        return _failed(
            path,
            "EXECUTABLE_CONFIG_TS_LOADER_UNAVAILABLE",
            f"{chosen.shown} cannot load TypeScript: {message}. Install Node.js 22, or: pip install 'run402[core]'",
        )
    codes = {
        "load": "EXECUTABLE_CONFIG_LOAD_FAILED",
        "export": "EXECUTABLE_CONFIG_INVALID_EXPORT",
        "evaluate": "EXECUTABLE_CONFIG_EVALUATION_FAILED",
    }
    whys = {
        "load": f"it cannot be loaded: {message}",
        "export": f"{message}. Export an object, or a function that returns one, as default or as config",
        "evaluate": f"it failed: {message}",
    }
    stage = str(report.get("stage"))
    return _failed(path, codes[stage], whys[stage], error=message)


def _failed(path: Path, code: str, why: str, **details: Any) -> ReleaseError:
    return ReleaseError(
        f"The config {path} cannot be used: {why}.",
        code=code,
        details={"path": str(path), "extension": path.suffix, **details},
    )


def _refuse_typescript_functions(path: Path, document: Any) -> None:
    for where, source in _function_sources(document):
        if Path(source).suffix.lower() in _TYPESCRIPT_SOURCES:
            raise ReleaseError(
                f"{where} of {path} is the TypeScript file {source!r}; functions are deployed as JavaScript. Bundle it "
                f"(esbuild {source} --bundle --format=esm --platform=node --outfile=dist/function.mjs) and name that.",
                code="TYPESCRIPT_FUNCTION_REQUIRES_BUNDLE",
                details={"path": source, "field": where},
            )


def _function_sources(document: Any) -> Iterator[tuple[str, str]]:
    functions = _mapping(document, "functions")
    for where, named in (
        ("functions.replace", _mapping(functions, "replace")),
        ("functions.patch.set", _mapping(_mapping(functions, "patch"), "set")),
    ):
        for name, function in named.items():
            source = _mapping(function, "source")
            if isinstance(source.get("path"), str) and "data" not in source:
                yield f"{where}.{name}.source", source["path"]


def _mapping(value: Any, key: str) -> Mapping[str, Any]:
    found = value.get(key) if isinstance(value, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def merge_astro(document: Any, build: str) -> Evaluated:
    """`document` with the site and the `ssr` function of an Astro build put in.

    The build is read and bundled by the @run402/astro that is installed in its project. `functions.patch` is dropped,
    `routes` and the rest stay. Raises ReleaseError: BAD_USAGE (details `{flag, import_error}` without the package,
    `{flag, dir, error}` when bundling fails), R402_ASTRO_ADAPTER_MANIFEST_MISSING,
    R402_ASTRO_ADAPTER_MANIFEST_VERSION_UNSUPPORTED (details `{flag, dir, file, observed_version?}`).
    """
    if not isinstance(document, Mapping):
        return Evaluated(document, "")
    directory = Path(os.path.abspath(build))  # noqa: PTH100
    chosen = next((each for each in node.installed() if each.version >= _OLDEST), None)
    if chosen is None:
        raise _no_astro(build, f"it needs Node.js {_OLDEST[0]}.{_OLDEST[1]} or newer, and there is none here")
    code = (node.SCRIPTS / "astro.mjs").read_text("utf-8")
    args = ["--input-type=module", "--eval", code, "--", node.SCRIPTS.as_uri(), str(directory)]
    base = directory if directory.is_dir() else Path.cwd()
    ran = node.run(chosen, args, cwd=base, start_s=_LOAD_S, work_s=_ASTRO_S)
    return Evaluated(_merged(document, _slice(build, directory, ran)), ran.console)


def _slice(build: str, directory: Path, ran: Ran) -> Mapping[str, Any]:
    report = ran.report or {}
    if report.get("ok") is True and isinstance(report.get("value"), Mapping):
        return dict(report["value"])
    if ran.timed_out is not None:
        problem = f"it was not done after {ran.timed_out / 1000:g} seconds"
    else:
        problem = str(report.get("message") or ran.console or f"node ended with status {ran.status}")
    if report.get("stage") == "load" or not ran.started:
        raise _no_astro(build, problem)
    if report.get("code") in _ASTRO_CODES:
        raise _bad_adapter(directory, report, problem)
    raise ReleaseError(
        f"--dir {build}: @run402/astro could not make a release of this build: {problem}",
        code="BAD_USAGE",
        hint="Build the site again (npx astro build), then run this command again.",
        details={"flag": "--dir", "dir": str(directory), "error": problem},
    )


def _no_astro(build: str, problem: str) -> ReleaseError:
    return ReleaseError(
        f"--dir {build}: an Astro build is deployed with its project's own @run402/astro, which cannot be used: {problem}.",
        code="BAD_USAGE",
        hint="In the project run: npm install @run402/astro. A static build needs no --dir: name its directory in the "
        'manifest, {"site": {"replace": {"__source": "local-dir", "path": "dist"}}}.',
        details={"flag": "--dir", "import_error": problem},
    )


def _bad_adapter(directory: Path, report: Mapping[str, Any], problem: str) -> ReleaseError:
    details = {
        "flag": "--dir",
        "dir": str(directory),
        "file": report.get("file") or str(directory / "run402" / "adapter.json"),
    }
    if report.get("observed_version") is not None:
        details["observed_version"] = report["observed_version"]
    docs = report.get("docs")
    return ReleaseError(
        f"{directory} is not a usable Astro build for Run402: {problem}",
        code=str(report["code"]),
        hint=str(report.get("hint") or "Register the adapter of @run402/astro in astro.config.mjs and build again."),
        details=details,
        body={"docs": docs} if docs else None,
    )


def _merged(document: Mapping[str, Any], slice_: Mapping[str, Any]) -> dict[str, Any]:
    own = _mapping(_mapping(document, "functions"), "replace")
    # Releases of the package before the capability existed leave it out; a gateway needs it.
    built = {
        name: {"capabilities": list(_ASTRO_CAPABILITIES), **function}
        for name, function in _mapping(_mapping(slice_, "functions"), "replace").items()
    }
    functions = {"replace": {**own, **built}}
    return {**document, "site": slice_.get("site"), "functions": functions}
