"""Releases: deploy, look at them, CI bindings, subdomains."""

from __future__ import annotations

import contextlib
import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from run402_cli import deploy
from run402_cli.deploy import diagnosis
from run402_cli.deploy.errors import continued_by_rerun
from run402_cli.errors import DeployError, ValidationError
from run402_cli.mcp import _text
from run402_cli.mcp._tool import DESTRUCTIVE, PROJECT, READ, WRITE, Call, Reply, Tool, may, need, tool
from run402_cli.services import apply, ci, sites, subdomains
from run402_cli.uploads import TYPED, Bounds

_OPERATION = need("operation_id", about="Operation id, op_...")
_SITE_LIMIT = may(
    "site_limit", "int", "At most this many site paths; the server's default is 5000.", above=0, high=25_000
)
_SHOWN_PATHS = 20

# -- what a release can hold --------------------------------------------------------------------------------------------

_DATA = "{data: string, encoding?: utf-8|base64, contentType?: string}"
_FILE = f"string|{_DATA}"
_FUNCTION = (
    f'{{runtime?: "node22", source?: {_FILE}, files?: {{*: {_FILE}}}, entrypoint?: string, '
    "config?: {timeoutSeconds?: number, memoryMb?: number}, schedule?: string|null}"
)
_PUBLIC = '{mode: "implicit"}|{mode: "explicit", replace: {*: {asset: string, cache_class?: string}}}'
_MIGRATION = (
    "{id?: string, name?: string, sql?: string, sql_ref?: {sha256: string, size: number, contentType?: string}, "
    "checksum?: string, transaction?: required|none}"
)
_ASSET = (
    f"{{key: string, source?: {_FILE}, sha256?: string, size_bytes?: int, content_type?: string, "
    "visibility?: public|private, immutable?: bool}"
)
_PRUNE = "{base_revision: string, delete_set_digest: string, expected_delete_count: int}"
_METHODS = "GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS"
_TARGET = '{type: "function", name: string}|{type: "static", file: string}'
_SPEC = (
    may("base", "{release: current|empty}|{release_id: string}", default={"release": "current"}),
    may("database", f"{{migrations?: [{_MIGRATION}], expose?: {{*: any}}, zero_downtime?: bool}}"),
    may("secrets", "{require?: [string], delete?: [string]}"),
    may(
        "functions",
        f"{{replace?: {{*: {_FUNCTION}}}, patch?: {{set?: {{*: {_FUNCTION}}}, delete?: [string]}}}}",
    ),
    may(
        "site",
        f"{{replace: {{*: {_FILE}}}, public_paths?: {_PUBLIC}}}|"
        f"{{patch: {{put?: {{*: {_FILE}}}, delete?: [string]}}, public_paths?: {_PUBLIC}}}|{{public_paths: {_PUBLIC}}}",
        "replace removes every file that it does not name; patch leaves the others.",
    ),
    may(
        "assets",
        f"{{put?: [{_ASSET}], delete?: [string], sync?: {{prefix: string, prune: true, confirm?: {_PRUNE}}}}}",
    ),
    may("subdomains", "{set?: [string], add?: [string], remove?: [string]}"),
    may(
        "routes",
        f"null|{{replace: [{{pattern: string, methods?: [{_METHODS}], target: {_TARGET}, acknowledge_readonly?: true}}]}}",
    ),
    may("i18n", "null|{defaultLocale: string, locales: [string], detect?: [string]}"),
)
_SECTIONS = tuple(param.name for param in _SPEC)


def _deploy(call: Call) -> Reply:
    from run402_cli.release.loading import Source, load

    again = "the same call of deploy"
    with continued_by_rerun(again):
        manifest = load(Source("spec", value=call.given(*_SECTIONS))).normalized(call.project)
        options = deploy.ApplyOptions(
            allow_warnings=call["allow_warnings"],
            allow_warning_codes=tuple(call["allow_warning_codes"] or ()),
            idempotency_key=call["idempotency_key"],
            command=again,
        )
        result = deploy.apply(call.client, manifest, options, call.note)
    return Reply(result, more=call.events)


def _site(call: Call) -> Reply:
    with tempfile.TemporaryDirectory(prefix="run402-deploy-stage-") as folder:
        sites.stage(call["files"], Path(folder), base_dir=None)
        return _site_of(call, Path(folder), "the same call of deploy_site", TYPED)


def _site_dir(call: Call) -> Reply:
    return _site_of(call, call.files.folder(call["dir"]), "the same call of deploy_site_dir", call.files.bounds)


def _site_of(call: Call, folder: Path, again: str, bounds: Bounds) -> Reply:
    with continued_by_rerun(again), _agreed_elsewhere():
        result = deploy.replace_site(call.client, call["project"], folder, command=again, emit=call.note, bounds=bounds)
    return Reply(result, more=call.events)


@contextlib.contextmanager
def _agreed_elsewhere() -> Iterator[None]:
    """These tools have the published inputs, and none of them agrees to a warning: say which tool does."""
    try:
        yield
    except DeployError as exc:
        if codes := exc.fields.get("unacknowledged_warning_codes"):
            exc.fields["hint"] = (
                "Where this is what you want, call the tool deploy with site.replace, the same files and "
                f"allow_warning_codes {json.dumps(codes)}; or run `run402 sites deploy-dir <path>` with --confirm-prune."
            )
        raise


def _resume(call: Call) -> Reply:
    project_id = call.client.profile.active.get() or ""
    result = deploy.resume(call.client, project_id, call["operation_id"], call.note)
    return Reply(result, more=call.events)


def _rehearse(call: Call) -> Any:
    from run402_cli.deploy import rehearsals

    body = {"teardown": call["teardown"]}
    rehearsal = apply.rehearse(call.client, call["project_id"], call["plan_id"], body)
    return Reply({"ok": rehearsals.passed(rehearsal), "rehearsal": rehearsal})


# -- looking ------------------------------------------------------------------------------------------------------------


def _diagnose(call: Call) -> Reply:
    url, host, path, method = (call[name] for name in ("url", "host", "path", "method"))
    if url is not None and (host is not None or path is not None):
        raise ValidationError("url says host and path already. Give url, or host with path.", reason="EXCLUSIVE_VALUES")
    if url is None and host is None:
        raise ValidationError("Which address? Give url, or host with path.", reason="MISSING_VALUE")
    try:
        address = diagnosis.from_url(url, method) if url is not None else diagnosis.from_host(host, path, method)
    except diagnosis.BadAddress as exc:
        raise ValidationError(f"Cannot look up that address. {exc}", reason="BAD_URL") from exc
    resolution = apply.resolve(call.client, call.project, host=address.host, path=address.path, method=address.method)
    if not isinstance(resolution, dict):
        raise ValidationError("The gateway's answer is no resolution. Try again later.", code="INTERNAL_ERROR")
    found = diagnosis.report(call.project, address, resolution)
    return Reply(found, text="\n\n".join([_text.heading("address check"), str(found["summary"]), _text.fence(found)]))


def _operation_events(call: Call) -> Any:
    apply.require_operation_id(call["operation_id"])
    return apply.operation_events(call.client, call.project, call["operation_id"])


def _verify_edge(call: Call) -> Reply:
    from run402_cli.up import edge

    apply.require_operation_id(call["operation_id"])
    timeout_s = float(call["timeout_seconds"]) if call["wait"] else None
    found = edge.coherence(
        call.client, call.project, call["operation_id"], timeout_s=timeout_s, emit=lambda _event: None
    )
    report = found["report"] if isinstance(found["report"], dict) else {}
    paths = [path for path in report.get("paths") or [] if isinstance(path, dict)]
    keys = ("host", "path", "state", "expected_release_id", "observed_release_id")
    parts = [_text.heading("edge check"), f"Operation {call['operation_id']}: {found['status']}."]
    if paths:
        parts.append(_text.table(keys, [[path.get(key) for key in keys] for path in paths[:_SHOWN_PATHS]]))
    return Reply(found, text="\n\n".join([*parts, _text.fence(found)]))


def _release(call: Call, release_id: str) -> Any:
    return {"release": apply.release(call.client, call.project, release_id, site_limit=call["site_limit"])}


def _diff(call: Call) -> Any:
    if call["to"] == "empty":
        raise ValidationError("to cannot be empty: compare from empty to a release.", details={"field": "to"})
    return {
        "diff": apply.release_diff(call.client, call.project, old=call["from"], new=call["to"], limit=call["limit"])
    }


# -- CI -----------------------------------------------------------------------------------------------------------------


def _bind(call: Call) -> Any:
    from run402_cli.release.ci_delegation import Delegation

    binding = Delegation(
        project_id=call.project,
        subject_match=call["subject_match"],
        nonce=call["nonce"],
        allowed_events=tuple(call["allowed_events"]),
        route_scopes=tuple(call["route_scopes"] or ()),
        github_repository_id=call["github_repository_id"],
        expires_at=call["expires_at"],
    )
    return ci.create_binding(call.client, binding, call["signed_delegation"])


# -- up -----------------------------------------------------------------------------------------------------------------

_BLANK = re.compile(r"\s*")


def _up(call: Call) -> Reply:
    from run402_cli.up import UpOptions, is_repository, up

    source, folder = call["source"], call["dir"]
    if source is not None and folder is not None:
        raise ValidationError("source and dir both name the app. Give one of them.", reason="EXCLUSIVE_VALUES")
    if call["name"] is not None and _BLANK.fullmatch(call["name"]):
        raise ValidationError("name is empty.", code="BAD_PROJECT_NAME", details={"field": "name"})
    named = source or folder or "."
    if not is_repository(named):
        call.files.folder(named)
        call.files.folder(str(Path(named) / (call["manifest"] or "")))
    elif (
        named.startswith("file:")
        or ".." in Path(call["manifest"] or "").parts
        or Path(call["manifest"] or "").is_absolute()
    ):
        raise ValidationError(
            "A repository comes from another host, and its manifest is a file of it. Name a directory of this machine as dir.",
            details={"field": "source"},
        )
    options = UpOptions(
        bounds=call.files.bounds,
        programs=call.files.programs,
        source=named,
        directory=folder,
        project=call["project_id"],
        yes=bool(call["yes"]),
        mode="legacyDryRun" if call["dry_run"] else "apply",
        allow_prune=bool(call["allow_prune"]),
        allow_shell_build=bool(call["allow_shell_build"]),
        command="run402 up",
        **call.given("name", "manifest", "tier", "max_spend_usd", "build_mode", "idempotency_key"),
    )
    result = up(call.client, options, call.note)
    outcome = result["result"]
    app = outcome.get("app_result")
    unverified = isinstance(app, dict) and app.get("status") == "deployed_unverified"
    failed = unverified or outcome.get("verify", {}).get("status") == "failed"
    return Reply(result if app is None else app, failed=failed)


_DEPLOYS = (
    tool(
        "app_up",
        "Take an app from a directory or repository to a checked deployment: project, link, deploy, checks. dry_run only "
        "plans. Nothing that needs agreement is done without yes; it may spend, and prune with allow_prune.",
        WRITE,
        _up,
        may("source", about="Directory or repository address. Default: where the server runs."),
        may("name", about="Make a project with this name."),
        may("project_id"),
        may("manifest", about="Manifest file, JSON. Default: the one in the directory."),
        may("dir", about="The same as source."),
        may("tier", "prototype|hobby|team"),
        may("dry_run", "bool"),
        may("yes", "bool", "Agree to everything that would be asked."),
        may("allow_prune", "bool"),
        may("max_spend_usd", "number", "All payments of this call together cost no more.", low=0),
        may("build_mode", "local|remote|sandbox"),
        may("allow_shell_build", "bool", "Build commands may run in a shell, where the server may run programs."),
        may("idempotency_key"),
        cli=("up", "up verify"),
    ),
    tool(
        "deploy",
        "Make a release live: database migrations, expose, secrets, functions, site, assets, subdomains, routes. replace "
        "removes what it does not name. Warnings that need a decision stop it before anything is uploaded.",
        DESTRUCTIVE,
        _deploy,
        PROJECT,
        *_SPEC,
        may("idempotency_key"),
        may("allow_warnings", "bool", "Go on despite every warning.", default=False),
        may("allow_warning_codes", "[string]", "Go on despite these."),
        cli=("deploy apply", "apply"),
        allowance=True,
        reports_402=True,
    ),
    tool(
        "deploy_site",
        "Replace the site by these files.",
        WRITE,
        _site,
        need("project"),
        need("files", "[{file: string, data: string, encoding?: utf-8|base64}]"),
        cli="sites deploy",
        allowance=True,
    ),
    tool(
        "deploy_site_dir",
        "Replace the site by the files of a local directory. Content that the gateway has is not sent again.",
        WRITE,
        _site_dir,
        need("project"),
        need("dir", about="The directory."),
        cli="sites deploy-dir",
        allowance=True,
    ),
    tool(
        "deploy_rehearse",
        "Try a stored plan on a contained branch and report; project and plan stay as they are.",
        WRITE,
        _rehearse,
        need("plan_id"),
        may("project_id"),
        may("teardown", "keep|on_pass|always", "What becomes of the branch.", default="keep"),
        cli="deploy rehearse",
    ),
    tool(
        "deploy_resume",
        "Continue a deploy operation that stopped, and follow it to its end.",
        WRITE,
        _resume,
        _OPERATION,
        cli="deploy resume",
        allowance=True,
    ),
    tool(
        "deploy_list",
        "List deploy operations, newest first.",
        READ,
        lambda c: apply.operations(c.client, c.project, **c.given("limit", "cursor")),
        PROJECT,
        may("limit", "int", above=0),
        may("cursor"),
        cli="deploy list",
        allowance=True,
    ),
    tool(
        "deploy_events",
        "What happened in a deploy operation.",
        READ,
        _operation_events,
        _OPERATION,
        PROJECT,
        cli="deploy events",
        allowance=True,
    ),
    tool(
        "deploy_verify_edge",
        "Whether gateway and edges agree on the release of an operation.",
        READ,
        _verify_edge,
        _OPERATION,
        PROJECT,
        may("wait", "bool", "Ask once a second until they do.", default=False),
        may("timeout_seconds", "int", "With wait: give up after.", default=60, above=0),
        cli="deploy verify",
        allowance=True,
    ),
    tool(
        "deploy_diagnose_url",
        "How the live release answers an address, and why.",
        READ,
        _diagnose,
        PROJECT,
        may("url", about="Absolute address; or host with path."),
        may("host"),
        may("path"),
        may("method", about="HTTP method. Default: GET."),
        cli=("deploy diagnose", "deploy resolve"),
    ),
    tool(
        "deploy_release_get",
        "What a release holds: site paths, functions, secrets' names, subdomains, routes, migrations.",
        READ,
        lambda c: _release(c, c["release_id"]),
        PROJECT,
        need("release_id", about="Release id, rel_..."),
        _SITE_LIMIT,
        cli="deploy release get",
        window=True,
    ),
    tool(
        "deploy_release_active",
        "What the live release of a project holds, as deploy_release_get shows it.",
        READ,
        lambda c: _release(c, "active"),
        PROJECT,
        _SITE_LIMIT,
        cli="deploy release active",
        window=True,
    ),
    tool(
        "deploy_release_diff",
        "What changed between two releases.",
        READ,
        _diff,
        PROJECT,
        need("from", about="Release id, active or empty."),
        need("to", about="Release id or active."),
        may("limit", "int", "Paths per kind of change; the server's default is 1000.", above=0),
        cli="deploy release diff",
        window=True,
    ),
)

_CI = (
    tool(
        "ci_create_binding",
        "Register a delegation that was signed elsewhere, so that GitHub Actions may deploy. This tool signs nothing.",
        WRITE,
        _bind,
        PROJECT,
        may("provider", '"github-actions"', default="github-actions"),
        need("subject_match", about="OIDC subject of the workflow."),
        need("allowed_actions", '["deploy"]'),
        need("allowed_events", "[string]", "Such as push.", fewest=1),
        may("route_scopes", "[string]", "Routes that CI may deploy."),
        may("github_repository_id", "string|null"),
        may("expires_at", "string|null"),
        need("nonce"),
        need("signed_delegation"),
        cli=("ci link", "ci link github"),
    ),
    tool(
        "ci_list_bindings",
        "List the CI bindings of a project, revoked ones too.",
        READ,
        lambda c: ci.list_bindings(c.client, c.project),
        PROJECT,
        cli="ci list",
    ),
    tool(
        "ci_get_binding",
        "Show one CI binding: subject, events, scopes, whether it is revoked.",
        READ,
        lambda c: ci.get_binding(c.client, c["binding_id"]),
        need("binding_id"),
    ),
    tool(
        "ci_revoke_binding",
        "Revoke a CI binding: its workflow can deploy no more.",
        DESTRUCTIVE,
        lambda c: ci.revoke(c.client, c["binding_id"]),
        need("binding_id"),
        cli="ci revoke",
    ),
)


def _named_project(call: Call) -> str:
    """The project whose key signs. A name that is public is never taken or released for whichever project is active."""
    if not call["project_id"]:
        raise ValidationError(
            "Say which project: project_id.", code="PROJECT_REQUIRED", details={"field": "project_id"}
        )
    return call.project


_SUBDOMAINS = (
    tool(
        "claim_subdomain",
        "Point <name>.run402.com at a deployment; claiming an own name again moves it.",
        WRITE,
        lambda c: subdomains.claim(c.client, _named_project(c), c["name"], deployment_id=c["deployment_id"]),
        need("name", about="3 to 63 lowercase letters, digits and hyphens."),
        need("deployment_id"),
        may("project_id"),
        cli="subdomains claim",
    ),
    tool(
        "delete_subdomain",
        "Release a subdomain; anybody may claim the name afterwards.",
        DESTRUCTIVE,
        lambda c: subdomains.delete(c.client, _named_project(c), c["name"]),
        need("name"),
        may("project_id"),
        cli="subdomains delete",
    ),
    tool(
        "list_subdomains",
        "List the subdomains of a project.",
        READ,
        lambda c: subdomains.list_subdomains(c.client, c.project),
        PROJECT,
        cli="subdomains list",
    ),
)

TOOLS: tuple[Tool, ...] = (*_DEPLOYS, *_CI, *_SUBDOMAINS)
