"""Which manifest `up` deploys, and its ReleaseSpec. See docs/up.md, "Which manifest"."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from run402_cli.deploy.errors import release_errors
from run402_cli.release import discovery
from run402_cli.release.loading import Document, Source, load
from run402_cli.release.manifest import PLACEHOLDER_PROJECT, NormalizedManifest
from run402_cli.up._options import Run
from run402_cli.uploads import Bounds


@dataclass(frozen=True, slots=True)
class Found:
    """A manifest file: its absolute path, its document, and the project it names."""

    path: Path
    document: Mapping[str, Any]
    project: str | None
    is_app: bool = False
    bounds: Bounds | None = None

    def normalized(self, project: str) -> NormalizedManifest:
        """The ReleaseSpec for a project. Raises ValidationError or DeployError, MANIFEST_EMPTY included."""
        document = Document(self.document, self.path.parent, self.path, workspace=True, bounds=self.bounds)
        with release_errors():
            return document.normalized(project)


def discover(run: Run) -> tuple[Found, NormalizedManifest | None]:
    """Step deploy.discover: the manifest, read and normalized for --project, its own project, or a placeholder.

    An app manifest (run402.json) has no normalized form yet: None. Raises ValidationError.
    """
    given = run.options.manifest
    step = run.log.start("deploy.discover", dir=str(run.workspace), manifest=given)
    with release_errors():
        path = discovery.discover(run.workspace) if given is None else Path(os.path.abspath(run.workspace / given))  # noqa: PTH100
        document = load(
            Source("manifest", path=str(path), workspace=True, bounds=run.bounds, programs=run.options.programs),
            lambda printed: step.note(console=printed),
        )
        if document.is_app:
            step.to("succeeded", manifest_kind="app", manifest_path=str(path))
            return Found(path, document.value, None, is_app=True, bounds=document.bounds), None
        found = Found(path, document.value, document.project, bounds=document.bounds)
    manifest = found.normalized(run.options.project or found.project or PLACEHOLDER_PROJECT)
    unknown = manifest.project == PLACEHOLDER_PROJECT
    step.to(
        "succeeded",
        manifest_kind="release",
        manifest_path=str(path),
        # A deploy tells it as recorded; what is only read does not show a project that there is not.
        project_id=None if unknown and (run.options.dry_run or run.options.mode == "plan") else manifest.project,
        idempotency_key=manifest.idempotency_key,
    )
    return found, manifest
