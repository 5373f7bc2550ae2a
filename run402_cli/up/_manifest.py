"""Which manifest `up` deploys, and its ReleaseSpec. See docs/up.md, "Which manifest"."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from run402_cli.deploy._errors import from_release
from run402_cli.errors import ValidationError
from run402_cli.release import discovery
from run402_cli.release.errors import ReleaseError
from run402_cli.release.manifest import PLACEHOLDER_PROJECT, NormalizedManifest, manifest_project, normalize
from run402_cli.up._options import Run


@dataclass(frozen=True, slots=True)
class Found:
    """A manifest file: its absolute path, its document, and the project it names."""

    path: Path
    document: Mapping[str, Any]
    project: str | None

    def normalized(self, project: str) -> NormalizedManifest:
        """The ReleaseSpec for a project. Raises ValidationError or DeployError, MANIFEST_EMPTY included."""
        try:
            manifest = normalize(self.document, base_dir=self.path.parent, project=project)
            discovery.require_deployable(manifest.spec, str(self.path))
        except ReleaseError as exc:
            raise from_release(exc) from exc
        return manifest


def discover(run: Run) -> tuple[Found, NormalizedManifest]:
    """Step deploy.discover: the manifest, read and normalized for --project, its own project, or a placeholder."""
    given = run.options.manifest
    step = run.log.start("deploy.discover", dir=str(run.workspace), manifest=given)
    found = find(run)
    manifest = found.normalized(run.options.project or found.project or PLACEHOLDER_PROJECT)
    step.to(
        "succeeded",
        manifest_kind="release",
        manifest_path=str(found.path),
        project_id=manifest.project,
        idempotency_key=manifest.idempotency_key,
    )
    return found, manifest


def find(run: Run) -> Found:
    """Locate and read the manifest. Raises ValidationError, also for an app manifest."""
    try:
        given = run.options.manifest
        path = discovery.discover(run.workspace) if given is None else Path(os.path.abspath(run.workspace / given))  # noqa: PTH100
        document = discovery.load_up_manifest(path)
        if path.name == discovery.CANDIDATES[0] and discovery.is_app_manifest(document):
            raise _app_manifest(path)
        discovery.check_no_secret_values(document, discovery.Origin("manifest", str(path)))
        return Found(path, document, manifest_project(document))
    except ReleaseError as exc:
        raise from_release(exc) from exc


def _app_manifest(path: Path) -> ValidationError:
    return ValidationError(
        f"{path} describes an app with mailboxes, builds or webhooks; this CLI deploys release manifests only. Put the "
        "contents of its `release` into run402.deploy.json, then run: run402 up --manifest run402.deploy.json",
        code="UNSUPPORTED_RESOURCE_KIND",
        details={"manifest_path": str(path), "kind": "run402-app.v1"},
    )
