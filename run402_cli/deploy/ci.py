"""What a refused deploy from CI means, and what to do about it. See docs/ci.md, "When a deploy is refused"."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from run402_cli import advice
from run402_cli.errors import ApiError, DeployError

_LINK = "run402 ci link github"
_LIST = "run402 ci list --project <project_id>"
_APPLY = "run402 deploy apply"


def _edit(why: str, command: str | None = None, *, kind: str = "edit_request") -> dict[str, Any]:
    return {"type": kind, **(advice.shown(advice.parsed(command)) if command else {}), "why": why}


_GUIDANCE: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "invalid_token": (
        "The job's token was not accepted: it must run in the linked repository and branch, with id-token: write.",
        [
            _edit("Add `permissions: id-token: write` to the workflow."),
            _edit("Link this repository and branch.", _LINK),
        ],
    ),
    "access_denied": (
        "The token is valid, but no active binding allows this workflow.",
        [_edit("See the bindings.", _LIST), _edit("Link this repository and branch.", _LINK)],
    ),
    "binding_revoked": (
        "The binding of this workflow was revoked, which a project transfer does.",
        [
            _edit("Make a new binding.", _LINK),
            _edit("Changing asset scopes does not bring a revoked binding back."),
            _edit("See the bindings.", _LIST),
        ],
    ),
    "event_not_allowed": (
        "Only push and workflow_dispatch may deploy.",
        [
            _edit("Start the workflow by a push or by hand.", kind="retry"),
            _edit("Deploy pull requests in another way: their code is not trusted."),
        ],
    ),
    "repository_id_mismatch": (
        "The binding belongs to another repository id: the repository was recreated or renamed.",
        [
            _edit("Link the repository again.", _LINK),
            _edit("Name the id yourself.", _LINK + " --repository-id <id>"),
        ],
    ),
    "forbidden_spec_field": (
        "CI may deploy site, functions, database, assets and covered routes on the current base, nothing else.",
        [_edit("Remove the field, or deploy it from a signed-in machine."), _edit("Keep the CI manifest small.")],
    ),
    "CI_ROUTE_SCOPE_DENIED": (
        "The binding does not cover a route of the manifest.",
        [
            _edit("Link again with a scope for it.", _LINK + " --route-scope <pattern>"),
            _edit("A scope is an exact pattern or a prefix ending in /*."),
            _edit("Or deploy the routes from a signed-in machine.", _APPLY),
        ],
    ),
    "forbidden_plan": (
        "The gateway does not let CI commit this plan.",
        [_edit("Look at the details."), _edit("Deploy from a signed-in machine.", _APPLY)],
    ),
    "payment_required": (
        "The project's tier or payment state does not allow this deploy.",
        [
            _edit("See the tier.", "run402 tier status"),
            _edit("Change or renew it.", "run402 tier set <tier>"),
        ],
    ),
}


@contextlib.contextmanager
def guided(project_id: str) -> Iterator[None]:
    """Give refusals of a CI deploy a hint and next actions where they have none."""
    try:
        yield
    except DeployError as exc:
        if found := _lookup(exc.fields, exc.code, exc.fields.get("http"), project_id):
            exc.fields.setdefault("hint", found[0])
            if not exc.fields.get("next_actions"):
                exc.fields["next_actions"] = found[1]
        raise
    except ApiError as exc:
        if found := _lookup(exc.fields, exc.code, exc.http, project_id):
            if "next_actions" in exc.fields and not exc.fields["next_actions"]:
                exc.body = {key: value for key, value in exc.fields.items() if key != "next_actions"}
            exc.extra = {"hint": found[0], "next_actions": found[1], **exc.extra}
        raise


def _lookup(
    fields: Mapping[str, Any], code: str, http: Any, project_id: str
) -> tuple[str, list[dict[str, Any]]] | None:
    """OAuth's error word says more than the general code beside it."""
    found = next(
        (_GUIDANCE[key] for key in (fields.get("error"), code) if isinstance(key, str) and key in _GUIDANCE), None
    )
    if found is None and http == 402:
        found = _GUIDANCE["payment_required"]
    if found is None:
        return None
    hint, actions = found
    return hint, [_in_project(action, project_id) for action in actions]


def _in_project(action: dict[str, Any], project_id: str) -> dict[str, Any]:
    if "argv" not in action:
        return action
    words = [project_id if word == "<project_id>" else advice.blank_of(word) for word in action["argv"][1:]]
    return {**action, **advice.shown(advice.command(*words))}
