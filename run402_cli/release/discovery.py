"""Finding and reading manifest files, and the checks made on them before normalization.

See docs/protocol/releases.md, "Manifest files".
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from run402_cli import advice, as_typed, exact_json, text_files
from run402_cli.release.errors import ReleaseError, os_failure
from run402_cli.release.manifest import TOP_KEYS
from run402_cli.release.sections import ordered

APP_MANIFEST: Final = "run402.json"
CANDIDATES: Final = (APP_MANIFEST, "run402.deploy.json", "app.json")
EXECUTABLE_EXTENSIONS: Final = (".ts", ".mts", ".cts", ".js", ".mjs", ".cjs")
_SECTIONS: Final = ordered("database", "site", "functions", "secrets", "subdomains", "routes", "checks", "i18n")
MEANINGFUL_KEYS: Final = tuple(section.name for section in _SECTIONS)

_EXECUTABLE_CANDIDATES: Final = tuple(f"run402.deploy{extension}" for extension in EXECUTABLE_EXTENSIONS)
_APP_SCHEMA: Final = "https://run402.com/schemas/run402-app.v1.schema.json"
_APP_KEYS: Final = ("spec_version", "app", "release", "resources", "build", "lifecycle")
_MARK: Final = "\ufeff"
_STARTER: Final = {"site": {"replace": {"__source": "local-dir", "path": "site"}}}


SourceKind = Literal["manifest", "spec", "stdin", "dir"]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a manifest's text came from: `kind` as the error details name it, `path` as the user typed it."""

    kind: SourceKind
    path: str | None = None

    def details(self, **more: Any) -> dict[str, Any]:
        return {"source": self.kind} | ({} if self.path is None else {"path": self.path}) | more


def is_program(path: Path) -> bool:
    """Whether a manifest of this name is a JavaScript or TypeScript program."""
    return path.suffix.lower() in EXECUTABLE_EXTENSIONS


def load_manifest_text(text: str, source: Origin, *, code: str = "BAD_USAGE") -> Any:
    """The JSON value of a manifest's text; a byte order mark in front is no part of it.

    Raises ReleaseError with `code` (details `{source, parse_error}`) for text that is not JSON.
    """
    try:
        return exact_json.loads_once(text.removeprefix(_MARK))
    except RecursionError:
        problem = "it is nested too deeply"
    except ValueError as error:
        problem = str(error)
    raise ReleaseError(
        f"The {source.kind} {source.path or 'text'} is not valid JSON: {problem}.",
        code=code,
        details={"source": source.kind, "parse_error": problem},
    )


def _text(path: Path) -> str:
    # Line ends stay as they are: a place in the text is the same for a file and for a pipe.
    return text_files.decoded(path.read_bytes(), str(path))


def load_apply_manifest(path: str) -> Any:
    """The JSON file of `deploy apply --manifest`, read and parsed; its extension does not matter.

    Raises ReleaseError: BAD_USAGE when it cannot be read (details `{flag, path}`) or parsed (details
    `{source, parse_error}`).
    """
    try:
        text = _text(Path(path))
    except (OSError, ValueError) as error:
        raise ReleaseError(
            f"Cannot read the manifest {path}: {getattr(error, 'strerror', None) or error}. Check the path.",
            code="BAD_USAGE",
            details={"flag": "--manifest", "path": path},
        ) from error
    return load_manifest_text(text, Origin("manifest", path))


def load_up_manifest(path: Path) -> Any:
    """The manifest file of `up` that is no program: it must be JSON and say so.

    Raises ReleaseError: UNSUPPORTED_DEPLOY_MANIFEST_EXTENSION, the operating system's error name, LOCAL_ERROR for
    text that is not JSON (APP_SPEC_INVALID for run402.json).
    """
    if path.suffix.lower() != ".json":
        raise ReleaseError(
            f"{path.name} is not a .json file. Write the manifest as JSON and pass that file.",
            code="UNSUPPORTED_DEPLOY_MANIFEST_EXTENSION",
            details={"path": str(path), "extension": path.suffix},
        )
    try:
        text = _text(path)
    except OSError as error:
        raise os_failure(error, str(path), "the manifest") from error
    try:
        return load_manifest_text(text, Origin("manifest", str(path)), code="LOCAL_ERROR")
    except ReleaseError as error:
        if path.name == APP_MANIFEST:
            error.code, error.details = "APP_SPEC_INVALID", {"path": str(path)}
        raise


def discover(workspace: Path) -> Path:
    """The manifest that `up` uses in `workspace`: run402.json, run402.deploy.json, else app.json.

    Raises ReleaseError: EXECUTABLE_CONFIG_REQUIRES_EXPLICIT_MANIFEST when there is only a program, else
    UP_MANIFEST_REQUIRED. Their next actions are inside `details`.
    """
    for name in CANDIDATES:
        if (workspace / name).is_file():
            return workspace / name
    executable = [workspace / name for name in _EXECUTABLE_CANDIDATES if (workspace / name).is_file()]
    if executable:
        raise ReleaseError(
            f"{executable[0].name} is a program and is never run unasked. Name it with --manifest to use it.",
            code="EXECUTABLE_CONFIG_REQUIRES_EXPLICIT_MANIFEST",
            details={
                "dir": str(workspace),
                "manifest_path": str(executable[0]),
                "next_actions": [
                    advice.action("retry", *_again(workspace, "--manifest", str(executable[0]), "--check"))
                ],
            },
        )
    above = _above(workspace)
    there = f" {above} is above it: for that, run `{advice.command(*_in(above.parent, workspace))}`." if above else ""
    raise ReleaseError(
        f"No manifest in {workspace}. Create run402.deploy.json there; {', '.join(CANDIDATES)} are looked for.{there}",
        code="UP_MANIFEST_REQUIRED",
        details={
            "dir": str(workspace),
            "candidates": list(CANDIDATES),
            "executable_candidates": list(_EXECUTABLE_CANDIDATES),
            **({"manifest_above": str(above)} if above else {}),
            "next_actions": [
                *([advice.action("retry", *_in(above.parent, workspace), why=f"It takes {above}.")] if above else []),
                {
                    "type": "create_manifest",
                    "why": "A manifest says what to deploy; this one deploys the directory site/.",
                    "path": "run402.deploy.json",
                    "content": json.dumps(_STARTER, indent=2),
                },
                advice.action("retry", *_deploys(workspace), why="Deploy what the manifest describes."),
            ],
        },
    )


def _above(workspace: Path) -> Path | None:
    """The manifest of the nearest directory above; app.json, which other tools have too, only in the one right above."""
    for folder in workspace.parents:
        names = CANDIDATES if folder == workspace.parent else CANDIDATES[:2]
        with contextlib.suppress(OSError):
            if (found := next((folder / name for name in names if (folder / name).is_file()), None)) is not None:
                return found
    return None


def _in(folder: Path, workspace: Path) -> list[str]:
    """The command as typed for `folder` instead of `workspace`."""
    words = list(as_typed.words()) or ["up"]
    for place, word in enumerate(words[1:], 1):
        name, equals, value = word.partition("=")
        if Path(value if equals else word).absolute() == workspace:
            return [*words[:place], f"{name}={folder}" if equals else str(folder), *words[place + 1 :]]
    return [*words, "--dir", str(folder)]


def _again(workspace: Path, *more: str) -> tuple[str, ...]:
    """The command as typed with `more`: its project and source are what it acts on. From Python: `up` of the directory."""
    if not as_typed.words():
        return ("up", *more) if "--manifest" in more else ("up", str(workspace), *more)
    return as_typed.again(*(() if more == ("--yes",) and "-y" in as_typed.words() else more))


def _deploys(workspace: Path) -> tuple[str, ...]:
    """The command as typed, agreed to; of `up verify`, which deploys nothing, the `up` with the same words."""
    words = _again(workspace, "--yes")
    return words if words[:2] != ("up", "verify") else ("up", *words[2:])


def is_app_manifest(document: Any) -> bool:
    """Whether the content of run402.json is an app manifest rather than a deploy manifest."""
    return isinstance(document, Mapping) and (
        document.get("$schema") == _APP_SCHEMA or any(key in document for key in _APP_KEYS)
    )


def check_no_secret_values(manifest: Any, source: Origin) -> None:
    """Refuse a manifest that carries secret values: they do not belong in a file that is committed.

    Raises ReleaseError UNSAFE_SECRET_MANIFEST, details `{source, path?, field, legacy_shape?}`. A value is never
    repeated in the message.
    """
    secrets = manifest.get("secrets") if isinstance(manifest, Mapping) else None
    found: dict[str, Any] | None = None
    if isinstance(secrets, list) and secrets:
        found = {"field": "secrets", "legacy_shape": "array"}
    elif isinstance(secrets, Mapping):
        found = next(({"field": f"secrets.{key}"} for key in ("set", "replace_all") if key in secrets), None)
    if found is not None:
        raise ReleaseError(
            f"The manifest sets secret values under {found['field']}. Set each with "
            '"run402 secrets set <project> <KEY> --stdin" and only list the names: "secrets": {"require": ["KEY"]}.',
            code="UNSAFE_SECRET_MANIFEST",
            details=source.details(**found),
        )


def require_content(manifest: Any, source: Origin) -> None:
    """The emptiness check of `deploy apply`, made on the manifest as written.

    Raises ReleaseError MANIFEST_EMPTY, details `{field, path?, meaningful_keys}`.
    """
    if isinstance(manifest, Mapping) and any(
        section.says_something(manifest[section.name]) for section in _SECTIONS if section.name in manifest
    ):
        return
    if isinstance(manifest, Mapping) and not manifest.keys() <= set(TOP_KEYS):
        return  # the reading of the fields, which follows, names the unknown one
    details: dict[str, Any] = {"field": source.kind}
    if source.path is not None:
        details["path"] = source.path
    raise _empty({**details, "meaningful_keys": list(MEANINGFUL_KEYS)})


def require_deployable(spec: Mapping[str, Any], manifest_path: str | None) -> None:
    """The emptiness check of `up`, made on the ReleaseSpec; null counts as content.

    Raises ReleaseError MANIFEST_EMPTY, details `{manifest_path}`.
    """
    there = [(section, spec[section.name]) for section in _SECTIONS if section.name in spec]
    if not any(value is None or section.says_something(value) for section, value in there):
        raise _empty({"manifest_path": manifest_path})


def _empty(details: dict[str, Any]) -> ReleaseError:
    return ReleaseError(
        f"The manifest deploys nothing. Fill at least one of {', '.join(MEANINGFUL_KEYS)}.",
        code="MANIFEST_EMPTY",
        details=details,
    )
