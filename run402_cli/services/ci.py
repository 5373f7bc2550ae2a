"""CI bindings: GitHub Actions workflows that may deploy a project without a secret. See docs/ci.md."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from run402_cli import advice, as_typed
from run402_cli._version import __version__
from run402_cli.client import Client, segment, with_query
from run402_cli.errors import INITIALIZE_WALLET, CommandError, ValidationError, no_allowance
from run402_cli.release import ci_delegation
from run402_cli.release.ci_delegation import Delegation, InvalidDelegation
from run402_cli.services import ci_workflow, github

PROVIDER = "github-actions"
DEFAULT_MANIFEST = "run402.deploy.json"
REVOCATION_RESIDUALS = (
    "Revoking stops every later request of the workflow to the gateway.",
    "It does not undo what was deployed, stop a deploy that is running, rotate keys or remove functions.",
)

_BINDINGS = "/ci/v1/bindings"
_REPOSITORY = re.compile(r"[^/\s]+/[^/\s]+")

Json = Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """What to link. None: ask git (repository, branch) or GitHub (repository_id). `expires_at` goes out as typed."""

    project_id: str
    manifest: str = DEFAULT_MANIFEST
    repository: str | None = None
    branch: str | None = None
    environment: str | None = None
    repository_id: str | None = None
    workflow: str = ci_workflow.DEFAULT_PATH
    expires_at: str | None = None
    route_scopes: Sequence[str] = ()
    force: bool = False


def link(client: Client, wanted: Link) -> Json:
    """Sign a delegation, make the binding, write the workflow -> {binding_id, project_id, subject_match, ...}.

    The workflow is written only after POST /ci/v1/bindings succeeded. Raises CommandError (GITHUB_REPO_REQUIRED,
    CI_SUBJECT_REQUIRED, GITHUB_REPOSITORY_ID_REQUIRED, WORKFLOW_EXISTS, NO_ALLOWANCE, WORKFLOW_NOT_WRITTEN), ApiError
    and NetworkError. docs/ci.md
    """
    repository = _repository(client, wanted)
    branch = wanted.branch or github.current_branch()
    subject = _subject(repository, branch, wanted.environment)
    repository_id = wanted.repository_id or github.repository_id(client, repository)
    ci_workflow.require_own(wanted.workflow)
    if not wanted.force:
        ci_workflow.require_absent(wanted.workflow)
    delegation = _delegation(wanted, subject, repository_id)
    binding = create_binding(client, delegation, signed(client, delegation))
    workflow = ci_workflow.text(
        project_id=wanted.project_id, manifest=wanted.manifest, branch=branch, environment=wanted.environment
    )
    ci_workflow.write(wanted.workflow, workflow, binding_id=str(binding.get("id")), force=wanted.force)
    return _linked(wanted, delegation, binding)


def _repository(client: Client, wanted: Link) -> str:
    """The repository that was named; else `origin`, which a clone brought along, when the user agreed to it here."""
    repository = wanted.repository or github.origin_repository()
    if repository is None or not _REPOSITORY.fullmatch(repository):
        problem = (
            f"{repository!r} is not OWNER/REPO." if repository else "This directory has no GitHub remote `origin`."
        )
        raise CommandError(
            f"{problem} A workflow is linked by its repository.",
            code="GITHUB_REPO_REQUIRED",
            hint="Pass --repo <owner>/<repo>.",
        )
    if wanted.repository is None:
        from run402_cli.state import project_choice

        if not project_choice.speaks_for(client.profile, Path.cwd(), repository, wanted.project_id):
            raise _not_agreed(repository, wanted.project_id)
    return repository


def _not_agreed(repository: str, project_id: str) -> CommandError:
    typed = as_typed.words() or ("ci", "link", "github", "--project", project_id)
    again = (*typed, "--repo", repository)
    return CommandError(
        f"The remote `origin` of this directory is {repository}, as the repository says, and nobody has confirmed it yet. "
        f"Who may push there could deploy to {project_id}. Nothing was signed.",
        code="GITHUB_REPO_REQUIRED",
        hint=f"If it is your repository, name it once: {advice.command(*again)}",
        details={"repo": repository, "project_id": project_id},
        next_actions=[
            advice.run(*again, why=f"Workflows of {repository} may deploy {project_id} then.", confirms=True)
        ],
    )


def _subject(repository: str, branch: str | None, environment: str | None) -> str:
    if environment:
        return f"repo:{repository}:environment:{environment}"
    if branch:
        return f"repo:{repository}:ref:refs/heads/{branch}"
    raise CommandError(
        "No branch is checked out here, so it is not known which workflow runs may deploy.",
        code="CI_SUBJECT_REQUIRED",
        hint="Pass --branch <name>, or --environment <name> for a GitHub environment.",
    )


def _delegation(wanted: Link, subject: str, repository_id: str) -> Delegation:
    try:
        return ci_delegation.delegation(
            wanted.project_id,
            subject,
            nonce=secrets.token_hex(16),
            route_scopes=wanted.route_scopes,
            github_repository_id=repository_id,
            expires_at=wanted.expires_at or None,
        )
    except InvalidDelegation as exc:
        raise CommandError(
            f"The delegation cannot be signed. {exc}",
            code="NO_ALLOWANCE",
            hint="Nothing was sent. Correct the value and run it again; a wallet is made by run402 init.",
            next_actions=[INITIALIZE_WALLET],
        ) from exc


def signed(client: Client, delegation: Delegation) -> str:
    """The delegation signed by the wallet: the value of `signed_delegation`. CommandError NO_ALLOWANCE without a wallet.

    Byte for byte a SIGN-IN-WITH-X value for POST /ci/v1/bindings, with the delegation as statement and resource.
    """
    allowance = client.profile.allowance
    if allowance is None:
        raise no_allowance()
    from run402_cli.client import siwx

    return siwx.header(
        allowance.private_key,
        allowance.address,
        domain=urlsplit(client.origin).hostname or "",
        uri=client.origin + _BINDINGS,
        statement=delegation.statement(),
        nonce=delegation.nonce[:16],
        resources=[delegation.resource_uri()],
    )


def create_binding(client: Client, delegation: Delegation, signed_delegation: str) -> dict[str, Json]:
    """POST /ci/v1/bindings {project_id, provider, subject_match, ..., signed_delegation} -> the binding's row.

    Raises ApiError: nonce_replay, signer_mismatch, delegation_*, duplicate (409), ...; and NetworkError. docs/ci.md
    """
    body: dict[str, Json] = {
        "project_id": delegation.project_id,
        "provider": PROVIDER,
        "subject_match": delegation.subject_match,
        "allowed_actions": list(ci_delegation.ACTIONS),
        "allowed_events": list(delegation.allowed_events),
        "github_repository_id": delegation.github_repository_id,
        "expires_at": delegation.expires_at,
        "nonce": delegation.nonce,
        "signed_delegation": signed_delegation,
    }
    if delegation.route_scopes:
        body["route_scopes"] = list(delegation.route_scopes)
    answer = client.request("POST", _BINDINGS, context="making the CI binding", auth=client.principal(), body=body)
    return _row(answer, "making the CI binding")


def _row(answer: Json, doing: str) -> dict[str, Json]:
    if not isinstance(answer, dict):
        raise ValidationError(
            f"The gateway answered {doing} with something that is not a JSON object. See what it has: run402 ci list",
            code="INTERNAL_ERROR",
        )
    return answer


def _linked(wanted: Link, delegation: Delegation, binding: dict[str, Json]) -> Json:
    scopes = binding.get("route_scopes")
    return {
        "binding_id": binding.get("id"),
        "project_id": binding.get("project_id", wanted.project_id),
        "provider": PROVIDER,
        "subject_match": binding.get("subject_match", delegation.subject_match),
        "allowed_events": binding.get("allowed_events", list(delegation.allowed_events)),
        "allowed_actions": binding.get("allowed_actions", list(ci_delegation.ACTIONS)),
        "route_scopes": scopes if isinstance(scopes, list) else [],
        "github_repository_id": delegation.github_repository_id,
        "github_repository_id_status": "provided" if wanted.repository_id else "verified",
        "workflow_path": wanted.workflow,
        "manifest_path": wanted.manifest,
        "run402_version": __version__,
        "delegation_chain_id": "eip155:84532",
        "bootstrap_caveat": f"Commit and push {wanted.workflow} and {wanted.manifest} first: "
        "GitHub runs only what is in the repository.",
        "consent_summary": consent(delegation.route_scopes),
        "revocation_residuals": list(REVOCATION_RESIDUALS),
    }


def consent(route_scopes: Sequence[str]) -> list[str]:
    """What the owner just agreed to, in three sentences."""
    routes = (
        f"It may deploy routes within {', '.join(route_scopes)} only."
        if route_scopes
        else "It cannot deploy routes. For that, link again with --route-scope <pattern>."
    )
    return [
        "The workflow may deploy the site, function code with the project's runtime authority, and database changes.",
        routes,
        "It never may touch secrets, domains, subdomains, the project's lifecycle, billing, contracts or the faucet.",
    ]


def list_bindings(client: Client, project_id: str) -> Json:
    """GET /ci/v1/bindings?project= -> {project_id, bindings: [row]}, revoked ones included."""
    path = with_query(_BINDINGS, project=project_id)
    answer = client.request("GET", path, context="listing CI bindings", auth=client.principal())
    return {"project_id": project_id, **_row(answer, "the list of CI bindings")}


def get_binding(client: Client, binding_id: str) -> Json:
    """Show one binding.

    GET /ci/v1/bindings/{id} -> the binding's row. ApiError 404 for an unknown one.
    """
    path = f"{_BINDINGS}/{segment(binding_id)}"
    return client.request("GET", path, context="reading the CI binding", auth=client.principal())


def revoke(client: Client, binding_id: str) -> Json:
    """POST /ci/v1/bindings/{id}/revoke -> {binding: row, revoked, revocation_residuals}. No request of it works later."""
    path = f"{_BINDINGS}/{segment(binding_id)}/revoke"
    answer = client.request("POST", path, context="revoking the CI binding", auth=client.principal())
    return {"binding": answer, "revoked": True, "revocation_residuals": list(REVOCATION_RESIDUALS)}


def set_asset_scopes(client: Client, binding_id: str, scopes: Sequence[str]) -> Json:
    """POST /ci/v1/bindings/{id}/asset-scopes {asset_key_scopes} -> {binding: row}. The list replaces the old one.

    A scope is an exact key or a prefix ending in /*. ApiError 409 when the binding is revoked.
    """
    return {
        "binding": client.request(
            "POST",
            f"{_BINDINGS}/{segment(binding_id)}/asset-scopes",
            context="setting the asset scopes",
            auth=client.principal(),
            body={"asset_key_scopes": list(scopes)},
        )
    }
