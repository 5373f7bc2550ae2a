"""Releases: apply, plan, rehearse, promote, and what happened.

Made by docs/generate_sdk.py; edit that, or the functions that are called here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from run402_cli.sdk import _releases
from run402_cli.sdk._namespace import Id, Namespace, of_project
from run402_cli.services import apply as _apply

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from os import PathLike
    from typing import Any


class ProjectDeploy(Namespace[Id]):
    """Releases: apply, plan, rehearse, promote, and what happened. `project.deploy` fills in `project_id`."""

    def apply(
        self,
        manifest: Mapping[str, Any] | str | PathLike[str],
        *,
        base_dir: str | PathLike[str] | None = None,
        allow_warnings: bool = False,
        allow_warning_codes: Sequence[str] = (),
        require_plan: str | None = None,
        plan_fingerprint: str | None = None,
        idempotency_key: str | None = None,
        concurrency: int = 8,
        allow_outside: bool = False,
        on_event: Callable[[dict[str, Any]], None] | None = None,
    ) -> dict[str, Any]:
        """Deploy a manifest: plan it, send the content that is missing, commit, follow until it is live.

        Make the manifest the live release: plan, upload what is missing, commit, follow until it is ready.

        The project is the manifest's, else `project_id`, else the active one; what a file of a repository names has to
        be given as `project_id`, too, unless it is the active one or was confirmed. Relative paths start at `base_dir`:
        by default the manifest's own directory, or the current one for a mapping; files outside of the git work tree
        that holds it (without one, of the directory) are refused unless `allow_outside`. `require_plan` commits exactly
        a plan that was reviewed. In a GitHub Actions job, unless a wallet was named, the job's own identity deploys.

        Returns {release_id, operation_id, urls, diff, warnings, ...}. Raises DeployError (a warning that nobody
        allowed, a refused migration, ...), ValidationError for the manifest, ApiError and NetworkError. docs/deploy.md
        """
        return self._call(
            _releases.apply,
            manifest,
            project_id=self._project_id,
            base_dir=base_dir,
            allow_warnings=allow_warnings,
            allow_warning_codes=allow_warning_codes,
            require_plan=require_plan,
            plan_fingerprint=plan_fingerprint,
            idempotency_key=idempotency_key,
            concurrency=concurrency,
            allow_outside=allow_outside,
            on_event=on_event,
        )

    def plan(
        self,
        manifest: Mapping[str, Any] | str | PathLike[str],
        *,
        base_dir: str | PathLike[str] | None = None,
        allow_outside: bool = False,
    ) -> dict[str, Any]:
        """Store a plan for review; nothing is uploaded or deployed. Returns the plan with its `diff` and `warnings`.

        `apply(..., require_plan=plan["plan_id"])` deploys it. Errors as for `apply`. docs/deploy.md
        """
        return self._call(
            _releases.plan, manifest, project_id=self._project_id, base_dir=base_dir, allow_outside=allow_outside
        )

    def rehearse(
        self,
        manifest: Mapping[str, Any] | str | PathLike[str],
        *,
        base_dir: str | PathLike[str] | None = None,
        teardown: str = "keep",
        commit: bool = False,
        allow_warnings: bool = False,
        allow_warning_codes: Sequence[str] = (),
        allow_outside: bool = False,
        on_event: Callable[[dict[str, Any]], None] | None = None,
    ) -> dict[str, Any]:
        """Run a stored plan on a contained branch and report.

        Try the release on a contained branch first; with `commit`, deploy it when it passed.

        With `commit`, warnings that nobody allowed stop it as they stop `apply`. `teardown` says what becomes of the
        branch: keep, on_pass or always. Returns {ok, project_id, plan, rehearsal, ...}. Errors as for `apply`.
        docs/deploy.md
        """
        return self._call(
            _releases.rehearse,
            manifest,
            project_id=self._project_id,
            base_dir=base_dir,
            teardown=teardown,
            commit=commit,
            allow_warnings=allow_warnings,
            allow_warning_codes=allow_warning_codes,
            allow_outside=allow_outside,
            on_event=on_event,
        )

    @of_project
    def resume(
        self, project_id: str, operation_id: str, *, on_event: Callable[[dict[str, Any]], None] | None = None
    ) -> dict[str, Any]:
        """Continue a deploy operation that stopped, and follow it to its end.

        Never pays. Returns the result of `apply` with an empty diff. Raises DeployError, ValidationError, ApiError,
        NetworkError. docs/deploy.md
        """
        return self._call(_releases.resume, project_id, operation_id, on_event=on_event)

    @of_project
    def diagnose(self, project_id: str, url: str, *, method: str | None = None) -> dict[str, Any]:
        """How the live release answers a public URL, and why.

        Returns {would_serve, diagnostic_status, match, summary, request, warnings, resolution, next_steps, ...}.
        `method` is GET unless given. Raises UsageError for what is no absolute http(s) URL, ApiError, NetworkError.
        docs/deploy.md
        """
        return self._call(_releases.diagnose, project_id, url, method=method)

    @of_project
    def operation(self, project_id: str, operation_id: str) -> Any:
        """Show one deploy operation.

        GET /apply/v1/operations/{id} -> operation snapshot.
        """
        return self._call(_apply.operation, project_id, operation_id)

    @of_project
    def events(self, project_id: str, operation_id: str, *, limit: int | None = None, cursor: str | None = None) -> Any:
        """Recorded events of a deploy operation.

        GET /apply/v1/operations/{id}/events[?limit=&cursor=] -> {events: [...], cursor?}.
        """
        return self._call(_apply.operation_events, project_id, operation_id, limit=limit, cursor=cursor)

    @of_project
    def list(self, project_id: str, *, limit: int | None = None, cursor: str | None = None) -> Any:
        """Deploy operations of the project, newest first.

        GET /apply/v1/operations[?limit=&cursor=] -> {operations: [snapshot], cursor?}.
        """
        return self._call(_apply.operations, project_id, limit=limit, cursor=cursor)

    @of_project
    def verify(self, project_id: str, operation_id: str) -> Any:
        """Whether gateway and edge agree on the release of an operation.

        GET /apply/v1/operations/{id}/edge-coherence -> {coherent, paths: [...], pending_count, ...}.
        """
        return self._call(_apply.edge_coherence, project_id, operation_id)

    edge_coherence = verify  # the older name

    @of_project
    def promote(
        self, project_id: str, release_id: str, *, allow_warning_codes: Sequence[str] = (), allow_warnings: bool = False
    ) -> Any:
        """Make an earlier release the live one again.

        POST /apply/v1/releases/{id}/promote {project, allow_warning_codes} -> {release_id, operation_id, ...}.

        `allow_warnings` agrees to every warning. The wire knows codes only: the known one is sent, and what the gateway
        then asks for besides (PROMOTE_WARNING_REQUIRES_ACK) is agreed to in a second call.
        """
        return self._call(
            _apply.promote,
            project_id,
            release_id,
            allow_warning_codes=allow_warning_codes,
            allow_warnings=allow_warnings,
        )

    @of_project
    def release_get(self, project_id: str, release_id: str, *, site_limit: int | None = None) -> Any:
        """What a release holds: site paths, functions, secrets, subdomains, routes, migrations.

        GET /apply/v1/releases/{id|active}[?site_limit=] -> release inventory; "active" is the live one.

        The command prints {release: it}.
        """
        return self._call(_apply.release, project_id, release_id, site_limit=site_limit)

    release = release_get  # the older name

    @of_project
    def release_active(self, project_id: str, *, site_limit: int | None = None) -> Any:
        """What the live release holds.

        GET /apply/v1/releases/active[?site_limit=] -> release inventory. The command prints {release: it}.
        """
        return self._call(_apply.release_active, project_id, site_limit=site_limit)

    @of_project
    def release_diff(self, project_id: str, *, old: str, new: str, limit: int | None = None) -> Any:
        """What changed between two releases.

        GET /apply/v1/releases/diff?from=&to=[&limit=] -> release diff. `old` may be empty or active, `new` active.

        The command prints {diff: it}.
        """
        return self._call(_apply.release_diff, project_id, old=old, new=new, limit=limit)

    @of_project
    def resolve(self, project_id: str, *, host: str, path: str | None = None, method: str | None = None) -> Any:
        """The same as diagnose, by URL or by host and path.

        GET /apply/v1/resolve?host=[&path=][&method=] -> how the live release answers that address.

        The command prints it as `resolution`, with what it means: see `diagnose`.
        """
        return self._call(_apply.resolve, project_id, host=host, path=path, method=method)


class Deploy(ProjectDeploy[None]):
    """Releases: apply, plan, rehearse, promote, and what happened."""

    def apply(
        self,
        manifest: Mapping[str, Any] | str | PathLike[str],
        *,
        project_id: str | None = None,
        base_dir: str | PathLike[str] | None = None,
        allow_warnings: bool = False,
        allow_warning_codes: Sequence[str] = (),
        require_plan: str | None = None,
        plan_fingerprint: str | None = None,
        idempotency_key: str | None = None,
        concurrency: int = 8,
        allow_outside: bool = False,
        on_event: Callable[[dict[str, Any]], None] | None = None,
    ) -> dict[str, Any]:
        """Deploy a manifest: plan it, send the content that is missing, commit, follow until it is live.

        Make the manifest the live release: plan, upload what is missing, commit, follow until it is ready.

        The project is the manifest's, else `project_id`, else the active one; what a file of a repository names has to
        be given as `project_id`, too, unless it is the active one or was confirmed. Relative paths start at `base_dir`:
        by default the manifest's own directory, or the current one for a mapping; files outside of the git work tree
        that holds it (without one, of the directory) are refused unless `allow_outside`. `require_plan` commits exactly
        a plan that was reviewed. In a GitHub Actions job, unless a wallet was named, the job's own identity deploys.

        Returns {release_id, operation_id, urls, diff, warnings, ...}. Raises DeployError (a warning that nobody
        allowed, a refused migration, ...), ValidationError for the manifest, ApiError and NetworkError. docs/deploy.md
        """
        return self._call(
            _releases.apply,
            manifest,
            project_id=project_id,
            base_dir=base_dir,
            allow_warnings=allow_warnings,
            allow_warning_codes=allow_warning_codes,
            require_plan=require_plan,
            plan_fingerprint=plan_fingerprint,
            idempotency_key=idempotency_key,
            concurrency=concurrency,
            allow_outside=allow_outside,
            on_event=on_event,
        )

    def plan(
        self,
        manifest: Mapping[str, Any] | str | PathLike[str],
        *,
        project_id: str | None = None,
        base_dir: str | PathLike[str] | None = None,
        allow_outside: bool = False,
    ) -> dict[str, Any]:
        """Store a plan for review; nothing is uploaded or deployed. Returns the plan with its `diff` and `warnings`.

        `apply(..., require_plan=plan["plan_id"])` deploys it. Errors as for `apply`. docs/deploy.md
        """
        return self._call(
            _releases.plan, manifest, project_id=project_id, base_dir=base_dir, allow_outside=allow_outside
        )

    def rehearse(
        self,
        manifest: Mapping[str, Any] | str | PathLike[str],
        *,
        project_id: str | None = None,
        base_dir: str | PathLike[str] | None = None,
        teardown: str = "keep",
        commit: bool = False,
        allow_warnings: bool = False,
        allow_warning_codes: Sequence[str] = (),
        allow_outside: bool = False,
        on_event: Callable[[dict[str, Any]], None] | None = None,
    ) -> dict[str, Any]:
        """Run a stored plan on a contained branch and report.

        Try the release on a contained branch first; with `commit`, deploy it when it passed.

        With `commit`, warnings that nobody allowed stop it as they stop `apply`. `teardown` says what becomes of the
        branch: keep, on_pass or always. Returns {ok, project_id, plan, rehearsal, ...}. Errors as for `apply`.
        docs/deploy.md
        """
        return self._call(
            _releases.rehearse,
            manifest,
            project_id=project_id,
            base_dir=base_dir,
            teardown=teardown,
            commit=commit,
            allow_warnings=allow_warnings,
            allow_warning_codes=allow_warning_codes,
            allow_outside=allow_outside,
            on_event=on_event,
        )
