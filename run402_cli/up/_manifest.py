"""Which manifest `up` deploys, and its ReleaseSpec. See docs/up.md, "Which manifest"."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from run402_cli.deploy._errors import from_release
from run402_cli.release import discovery, programs
from run402_cli.release.errors import ReleaseError
from run402_cli.release.manifest import PLACEHOLDER_PROJECT, NormalizedManifest, manifest_project, normalize
from run402_cli.up._options import Run
from run402_cli.up._steps import Step


@dataclass(frozen=True, slots=True)
class Found:
    """A manifest file: its absolute path, its document, and the project it names."""

    path: Path
    document: Mapping[str, Any]
    project: str | None
    is_app: bool = False

    def normalized(self, project: str) -> NormalizedManifest:
        """The ReleaseSpec for a project. Raises ValidationError or DeployError, MANIFEST_EMPTY included."""
        try:
            manifest = normalize(self.document, base_dir=self.path.parent, project=project, own=self.path)
            discovery.require_deployable(manifest.spec, str(self.path))
        except ReleaseError as exc:
            raise from_release(exc) from exc
        return manifest


def discover(run: Run) -> tuple[Found, NormalizedManifest | None]:
    """Step deploy.discover: the manifest, read and normalized for --project, its own project, or a placeholder.

    An app manifest (run402.json) has no normalized form yet: None. Raises ValidationError.
    """
    given = run.options.manifest
    step = run.log.start("deploy.discover", dir=str(run.workspace), manifest=given)
    path, document = _read(run, step)
    if path.name == discovery.CANDIDATES[0] and discovery.is_app_manifest(document):
        step.to("succeeded", manifest_kind="app", manifest_path=str(path))
        return Found(path, document, None, is_app=True), None
    try:
        discovery.check_no_secret_values(document, discovery.Origin("manifest", str(path)))
        found = Found(path, document, manifest_project(document))
    except ReleaseError as exc:
        raise from_release(exc) from exc
    manifest = found.normalized(run.options.project or found.project or PLACEHOLDER_PROJECT)
    step.to(
        "succeeded",
        manifest_kind="release",
        manifest_path=str(path),
        project_id=manifest.project,
        idempotency_key=manifest.idempotency_key,
    )
    return found, manifest


def _read(run: Run, step: Step) -> tuple[Path, Any]:
    """The manifest's absolute path and its document; what a configuration program prints is an event of the step."""
    given = run.options.manifest
    try:
        path = discovery.discover(run.workspace) if given is None else Path(os.path.abspath(run.workspace / given))  # noqa: PTH100
        if not programs.is_program(path):
            return path, discovery.load_up_manifest(path)
        evaluated = programs.evaluate(path)
    except ReleaseError as exc:
        raise from_release(exc) from exc
    if evaluated.console:
        step.note(console=evaluated.console)
    return path, evaluated.document
