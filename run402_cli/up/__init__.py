"""`up`: make sure of the prerequisites and the project, link the workspace, deploy, check. See docs/up.md.

A sequence of steps, each of which is an event. Nothing is printed here: events go out through `emit`.
"""

from __future__ import annotations

from typing import Any

from run402_cli.client import Client
from run402_cli.up._options import UpOptions
from run402_cli.up._steps import Emit

__all__ = ["UpOptions", "is_repository", "up", "verify"]


def up(client: Client, options: UpOptions, emit: Emit) -> dict[str, Any]:
    """Deploy a directory or repository by its manifest.

    Returns {action, mode, dry_run, target, steps, result}; `result` holds project_id, manifest_path and, as far as the mode
    goes, workspace_link_path, spec, plan, deploy, verification, verify, edge_coherence; for an app manifest also
    app_graph and app_result, whose status is planned, blocked, succeeded, deployed_unverified or propagation_pending.
    Raises ActionError, whose envelope is that of the failure with `details.steps`, and Interrupted.
    """
    from run402_cli.up import _run

    return _run.up(client, options, emit)


def is_repository(source: str) -> bool:
    """Whether a source is the address of a repository, which is cloned, rather than a directory."""
    from run402_cli.up import _source

    return _source.is_repository(source)


def verify(client: Client, options: UpOptions, emit: Emit) -> dict[str, Any]:
    """Run the manifest's HTTP checks against the deployed site again; nothing is deployed or written. Shape as for `up`."""
    from run402_cli.up import _run

    return _run.verify(client, options, emit)
