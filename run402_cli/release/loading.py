"""The one way in: from wherever a release is written down to a document that a project can be put to.

`deploy apply`, `up`, the Python API and the MCP server all come through `load`. What a door does alone is done around it:
parsing arguments, choosing the project, showing what a program printed. See docs/protocol/releases.md, "Manifest files".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from run402_cli.release import discovery
from run402_cli.release.discovery import Origin, SourceKind
from run402_cli.release.errors import ReleaseError
from run402_cli.release.manifest import NormalizedManifest, manifest_project, normalize
from run402_cli.uploads import Bounds, root_of, workspace

if TYPE_CHECKING:
    from run402_cli.release.programs import Evaluated

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Source:
    """Where a release is written down.

    `kind` is manifest (the file `path`, JSON or a program), spec or stdin (`text`, or `value` where a caller has the object
    itself), or dir (nothing but `build`). `build` is an Astro build to put in. `workspace` says that `up` found or was
    given the file: it must be called .json, may be an app manifest, and is judged empty as a ReleaseSpec. Relative paths
    start at `base_dir`, without one at the file's directory or the current one. Files are read from the workspace of that
    directory and from the build's, unless `bounds` says otherwise. `programs` is False where whoever names the file may
    run none here: only JSON is read then.
    """

    kind: SourceKind
    path: str | None = None
    text: str | None = None
    value: Any = None
    build: str | None = None
    base_dir: Path | None = None
    workspace: bool = False
    bounds: Bounds | None = None
    programs: bool = True

    @property
    def file(self) -> Path | None:
        """The manifest's file, absolute."""
        return None if self.path is None else Path(self.path).absolute()

    @property
    def is_program(self) -> bool:
        return self.path is not None and discovery.is_program(Path(self.path))

    def origin(self, *, absolute: bool = False) -> Origin:
        return Origin(self.kind, str(self.file) if absolute and self.path is not None else self.path)


@dataclass(frozen=True, slots=True)
class Document:
    """A release as written, with a build put in; its paths start at `base_dir`, `own` is its file if it has one.

    `bounds` are the files that it may name, by default those of the workspace of `base_dir`.
    """

    value: Any
    base_dir: Path
    own: Path | None = None
    workspace: bool = False
    bounds: Bounds | None = None

    @property
    def project(self) -> str | None:
        """The project that it names, or None. Raises ReleaseError RUN402_PROJECT_CONFLICT when it names two."""
        return manifest_project(self.value)

    @property
    def is_app(self) -> bool:
        """Whether it is the app manifest of a workspace, which has no ReleaseSpec before its resources are there."""
        named = self.workspace and self.own is not None and self.own.name == discovery.APP_MANIFEST
        return named and discovery.is_app_manifest(self.value)

    def normalized(self, project: str | None) -> NormalizedManifest:
        """The ReleaseSpec for a project. Raises ReleaseError as `normalize` does, and MANIFEST_EMPTY in a workspace."""
        manifest = normalize(self.value, base_dir=self.base_dir, project=project, own=self.own, bounds=self.bounds)
        if self.workspace:
            discovery.require_deployable(manifest.spec, str(self.own))
        return manifest


def load(source: Source, say: Say = lambda _printed: None) -> Document:
    """The document of a source, read, run when it is a program, and free of secret values.

    `say` gets what a program printed, when it printed anything. An app manifest of a workspace is returned as it is. Raises
    ReleaseError: PROGRAM_NOT_ALLOWED, the codes of discovery.load_manifest_text and programs, UNSAFE_SECRET_MANIFEST,
    MANIFEST_EMPTY (a program is judged later, as a ReleaseSpec).
    """
    own = source.file
    base_dir = source.base_dir or (Path.cwd() if own is None else own.parent)
    value = _value(source, say)
    bounds = workspace(base_dir) if source.bounds is None else source.bounds
    document = Document(value, base_dir, own, source.workspace, bounds)
    if document.is_app:
        return document
    discovery.check_no_secret_values(value, source.origin())
    if source.build is not None:
        from run402_cli.release import programs

        value = _heard(programs.merge_astro(value, source.build), say)
        bounds = bounds.and_below(root_of(Path(source.build)))
    if not (source.is_program or source.workspace):
        discovery.require_content(value, source.origin(absolute=True))
    return Document(value, base_dir, own, source.workspace, bounds)


def _value(source: Source, say: Say) -> Any:
    if not source.programs and (source.is_program or source.build is not None):
        raise ReleaseError(
            f"{source.path or source.build} is a program or made by one, and tools of this server run none; it was not run. "
            "Give a manifest that is JSON; or the user starts the server with `run402 mcp --allow-programs`.",
            code="PROGRAM_NOT_ALLOWED",
            details={"path": source.path or source.build},
        )
    if source.path is not None:
        if source.is_program:
            from run402_cli.release import programs

            return _heard(programs.evaluate(Path(source.path)), say)
        if source.workspace:
            return discovery.load_up_manifest(Path(source.path))
        return discovery.load_apply_manifest(source.path)
    if source.text is not None:
        return discovery.load_manifest_text(source.text, source.origin())
    return {} if source.kind == "dir" else source.value


def _heard(evaluated: Evaluated, say: Say) -> Any:
    if evaluated.console:
        say(evaluated.console)
    return evaluated.document
