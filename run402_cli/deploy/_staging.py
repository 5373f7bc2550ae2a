"""The second half of a deploy in the Core dialect: stage content, commit, find the addresses."""

from __future__ import annotations

from typing import Any

from run402_cli.client import segment
from run402_cli.deploy import _follow, _steps
from run402_cli.deploy._steps import Apply
from run402_cli.deploy._upload import missing_entries, stage_all
from run402_cli.deploy.errors import left_behind
from run402_cli.errors import DeployError, Run402Error
from run402_cli.services import apply as apply_service

_STATUSES = ("committed", "noop", "deferred")
_ENDPOINTS = {"origin": "origin", "static": "static_base_url", "rest": "rest_url", "storage": "storage_base_url"}


def finish(state: Apply, plan_id: str) -> dict[str, Any]:
    """Stage, commit and report. A gateway that answers the commit in the Cloud shape is followed instead."""
    with left_behind(phase="upload", operation_id=state.operation_id, plan_id=plan_id):
        _stage(state)
    _steps.announce_commit(state)
    answer = _steps.commit(state, plan_id, required_plan=state.options.required_plan)
    if not _is_core_answer(answer):
        return _steps.followed(state, answer, plan_id)
    if answer["status"] == "deferred":
        reason = answer.get("deferred_reason")
        raise DeployError(
            f"The gateway put the rest of the deploy off: {reason or 'it gave no reason'}.",
            code="INTERNAL_ERROR",
            phase=answer.get("deferred_phase"),
            retryable=True,
            plan_id=plan_id,
        )
    urls = _urls(state, answer)
    slices = {"slice_kinds": state.release.slice_kinds} if state.release.slice_kinds else {}
    state.emit({"type": "ready", "releaseId": answer["release_id"], "urls": urls, **slices})
    return _follow.result(
        {**answer, "urls": urls},
        operation_id=f"core:{plan_id}",
        diff=state.plan["diff"],
        warnings=state.plan["warnings"],
    )


def _stage(state: Apply) -> None:
    """Stage every object, by digest; those that the plan of our own gateway calls present are left out."""
    present: set[Any] = set()
    if state.plan.get("kind") != "plan_response":
        missing_entries(state.plan, state.release.objects, state.emit)
        present = {entry["sha256"] for entry in state.plan["missing_content"] if entry.get("present") is True}
    items = [item for sha256, item in sorted(state.release.objects.items()) if sha256 not in present]
    if items:
        stage_all(
            state.client,
            state.project,
            items,
            workers=state.options.concurrency,
            emit=state.emit,
            contents=state.release.objects,
            batches=state.batches,
        )


def _is_core_answer(answer: dict[str, Any]) -> bool:
    texts = all(isinstance(answer.get(key), str) for key in ("plan_id", "project_id", "release_digest"))
    return texts and answer.get("status") in _STATUSES


def _urls(state: Apply, answer: dict[str, Any]) -> dict[str, str]:
    """Where the release is served; told by our own gateway's commit, else by the project, else made from the API base."""
    project: Any = answer
    if not isinstance(answer.get("endpoints"), dict):
        try:
            project = apply_service.project(state.client, state.project)
        except Run402Error:
            project = None
    endpoints = project.get("endpoints") if isinstance(project, dict) else None
    if not isinstance(endpoints, dict):
        static = f"{state.client.api_base}/projects/v1/{segment(state.project)}/static"
        return {"site": static, "static": static}
    urls = {name: endpoints[key] for name, key in _ENDPOINTS.items() if isinstance(endpoints.get(key), str)}
    return {**({"site": urls["static"]} if "static" in urls else {}), **urls}
