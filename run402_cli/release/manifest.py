"""From a manifest as written to a ReleaseSpec: aliases, paths, SQL files, file entries.

This is the manifest layer: it reads SQL files and nothing else, and its errors are LOCAL_ERROR unless said
otherwise. See docs/protocol/releases.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from run402_cli.release.entries import Base
from run402_cli.release.errors import ReleaseError
from run402_cli.release.fields import MANIFEST, kind_of
from run402_cli.release.sections import ordered
from run402_cli.release.verify import normalize_verify
from run402_cli.uploads import TYPED, Bounds, Gate, workspace

PLACEHOLDER_PROJECT: Final = "prj_up_preflight_placeholder"

TOP_KEYS: Final = (
    *("$schema", "x-run402-omitted_features", "project", "project_id", "idempotency_key", "base"),
    *(section.name for section in ordered("database", "secrets", "functions", "site", "assets")),
    "verify",
)
_TOP_HINTS: Final = {
    "subdomain": 'Write "subdomains": {"set": ["name"]}.',
    "idempotencyKey": "The field is called idempotency_key.",
    "files": "Put files under site.replace.",
    "migrations": "Put migrations under database.migrations.",
}
# In the order of the ReleaseSpec.
_PRINTED: Final = ordered("subdomains", "secrets", "routes", "checks", "i18n", "database", "functions", "site")


@dataclass(frozen=True, slots=True)
class NormalizedManifest:
    """A manifest ready to deploy: the ReleaseSpec, and what the manifest said beside it.

    `own` is its file, if it has one; `bounds` are the files that may be read for it.
    """

    spec: dict[str, Any]
    idempotency_key: str | None
    verify: dict[str, Any] | None
    own: Path | None = None
    bounds: Bounds = TYPED

    @property
    def project(self) -> str:
        return str(self.spec["project"])


def manifest_project(manifest: Any) -> str | None:
    """The project that a manifest names by `project` or `project_id`, or None.

    Raises ReleaseError: RUN402_PROJECT_CONFLICT when both are there and differ.
    """
    if not isinstance(manifest, Mapping):
        return None
    given = {key: manifest[key] for key in ("project", "project_id") if manifest.get(key) is not None}
    for key, value in given.items():
        MANIFEST.text(value, key)
    if len(set(given.values())) > 1:
        raise ReleaseError(
            f"The manifest names two projects, project {given['project']!r} and project_id {given['project_id']!r}. "
            "Keep one of them.",
            code="RUN402_PROJECT_CONFLICT",
            details=given,
        )
    return next(iter(given.values()), None)


def normalize(
    manifest: Any, *, base_dir: Path, project: str | None, own: Path | None = None, bounds: Bounds | None = None
) -> NormalizedManifest:
    """The ReleaseSpec of a manifest, its keys in print order.

    `base_dir` is where relative paths start (the manifest's directory, or the current one for inline manifests); `own` is
    the absolute path of the manifest's file, if there is one. `project` is used where the manifest names none, and must
    not contradict it. `bounds` are the files that it may name, by default those of the workspace of `base_dir`. SQL files
    are read now, other files are not. Raises ReleaseError: LOCAL_ERROR, RUN402_PROJECT_CONFLICT, INVALID_VERIFY_SPEC, or
    the operating system's error name for an SQL file; CommandError of uploads.py for a file that it may not name.
    """
    own_project = manifest_project(manifest)
    if own_project is not None and project is not None and own_project != project:
        raise ReleaseError(
            f"The manifest is for project {own_project!r} and the command for {project!r}. "
            "Leave --project out, or change the manifest.",
            details={"spec_project_id": own_project, "flag_project_id": project},
        )
    if not isinstance(manifest, Mapping):
        raise ReleaseError(f"A manifest must be a JSON object, not {kind_of(manifest)}.")
    MANIFEST.known(manifest, TOP_KEYS, "The manifest", _TOP_HINTS)
    resolved = own_project or project
    if not resolved:
        raise ReleaseError('No project. Add "project_id" to the manifest or pass --project <id>.')
    spec: dict[str, Any] = {"project": resolved}
    bounds = workspace(base_dir) if bounds is None else bounds
    base = Base(base_dir, Gate(bounds))
    spec.update(_sections(manifest, base))
    idempotency_key = manifest.get("idempotency_key")
    if idempotency_key is not None:
        MANIFEST.text(idempotency_key, "idempotency_key")
    verify = None if manifest.get("verify") is None else normalize_verify(manifest["verify"])
    return NormalizedManifest(spec, idempotency_key, verify, own, bounds)


def printable(spec: Mapping[str, Any]) -> dict[str, Any]:
    """`spec` as --print-spec shows it: decoded bytes become an object of index to byte."""
    try:
        return {key: _printable(value) for key, value in spec.items()}
    except RecursionError:
        raise ReleaseError("The manifest is nested too deeply to be printed. Flatten it.") from None


def _printable(value: Any) -> Any:
    if isinstance(value, bytes):
        return {str(index): byte for index, byte in enumerate(value)}
    if isinstance(value, Mapping):
        return {key: _printable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_printable(item) for item in value]
    return value


def _sections(manifest: Mapping[str, Any], base: Base) -> Iterator[tuple[str, Any]]:
    if manifest.get("base") is not None:
        yield "base", manifest["base"]
    for section in _PRINTED:
        value = manifest.get(section.name)
        if value is not None:
            yield section.name, section.normalize(value, base)
        elif section.null_clears and section.name in manifest:
            yield section.name, None
