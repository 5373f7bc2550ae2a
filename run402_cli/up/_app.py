"""`up` with an app manifest: refuse what cannot go on, then install the app piece by piece. See docs/up.md,
"App manifests".
"""

from __future__ import annotations

import re
import shlex
from typing import Any

from run402_cli import advice
from run402_cli.deploy.errors import from_release
from run402_cli.errors import CommandError, Run402Error, ValidationError
from run402_cli.release.errors import ReleaseError
from run402_cli.services import app_installs, email_mailboxes, email_webhooks, prices
from run402_cli.up import _app_secrets, _app_texts, _prerequisites, _project, _release
from run402_cli.up._app_build import run_commands
from run402_cli.up._app_graph import INPUT_NAME, App, compile_app, mailbox_variables
from run402_cli.up._app_result import Block, Installation, diagnostic
from run402_cli.up._manifest import Found
from run402_cli.up._options import Run
from run402_cli.up._steps import Emit
from run402_cli.up._verify import fresh_hosts

Result = dict[str, Any]

_LABEL = re.compile("[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_ROLES = {"default_outbound": "default_outbound_mailbox_id", "auth_sender": "auth_sender_mailbox_id"}
_UNPLANNED = ("plan", "applyReviewed")


def install(run: Run, found: Found, emit: Emit) -> Result:
    """The `result` of `up` for an app manifest: planned, blocked, or installed.

    Raises ValidationError APP_SPEC_INVALID, BAD_USAGE for --plan and --require-plan, MISSING_SECRET, and whatever a
    step fails with.
    """
    app = compile_app(run, found.path, found.document)
    if run.options.mode in _UNPLANNED:
        flag = "--plan" if run.options.mode == "plan" else "--require-plan"
        raise ValidationError(
            f"{flag} cannot be used with an app manifest: its mailboxes and secrets must exist before a release can be "
            f"planned. See what would be done: {advice.command('up', '--manifest', app.path, '--check')}",
            code="BAD_USAGE",
            details={"flag": flag, "manifest_path": str(app.path)},
        )
    _app_texts.check(app)
    state = Installation(app)
    state.block = _block(run, app)
    preview = run.options.mode in ("check", "printSpec", "legacyDryRun")
    if state.block is None and not preview and run.target == "core":
        state.block = _core_block()
    if state.block is not None:
        state.status = "blocked"
    if preview or state.block is not None:
        document = state.document(run)
        return {**document, "spec": None} if run.options.mode == "printSpec" else document
    return _install(run, found, state, emit)


def verify(run: Run, found: Found) -> Result:
    """The `result` of `up verify` for an app manifest."""
    app = compile_app(run, found.path, found.document)
    _release.require_checks(app.checks, app.path)
    choice = _project.resolve_for_verify(run, Found(app.path, app.document, app.project.get("id")))
    run.client.profile.keys.require(choice.project_id)
    state = Installation(app, project_id=choice.project_id)
    state.origin = _origin(run, app) or _release.cached_site(run, choice.project_id)
    _check(run, state, frozenset())
    return state.document(run)


def _block(run: Run, app: App) -> Block | None:
    """The first thing that keeps the app from being installed."""
    return (
        _no_project(run, app) or _app_secrets.blocked(run, app, _typed(run)) or _no_spending(run) or _no_build(run, app)
    )


def _no_project(run: Run, app: App) -> Block | None:
    templates = (app.project.get("name"), app.subdomain)
    known = run.options.name or run.options.project or app.project.get("id")
    if known or not any(INPUT_NAME in (text or "") for text in templates):
        return None
    node = "project.ensure"
    message = "The manifest takes its project's name from --name, and none was given."
    command = ["run402", "up", "--name", "NAME", "--yes"]
    return _one("PROJECT_REQUIRED", message, node, "provide_name", command, field_path="project.name")


def _no_spending(run: Run) -> Block | None:
    options = run.options
    if options.mode != "apply":
        return None
    limit = options.max_spend_usd
    price = prices.of_tier(options.tier or _prerequisites.DEFAULT_TIER) / 1_000_000
    if limit is not None and limit < price:
        message = f"Preparing the account may cost {price:.2f} USD, and --max-spend-usd allows {limit:g}."
        command = [*_typed(run), "--max-spend-usd", f"{price:.2f}"]
    elif not options.yes:
        message = f"Preparing the account may cost {price:.2f} USD, and nobody agreed to that."
        command = _typed(run)
    else:
        return None
    block = _one("SPEND_APPROVAL_REQUIRED", message, "account.ensure", "approve_spend", command)
    block.next_actions[0]["spend"] = {"max_usd": price}
    return block


def _no_build(run: Run, app: App) -> Block | None:
    if not app.build:
        return None
    node = f"build.{app.build_mode}"
    if app.build.get("commands") and not run.options.programs:
        message = "The manifest has build commands, and tools of this server run no programs. None was run."
        server = ["run402", "mcp", "--allow-programs"]
        return _one("PROGRAM_NOT_ALLOWED", message, node, "allow_programs", server, field_path="build.commands")
    for index, command in enumerate(app.build.get("commands") or []):
        if command.get("shell") is not None and not run.options.allow_shell_build:
            message = f"The build command {command.get('id', index)!r} runs in a shell, which must be allowed."
            retry = [*_typed(run), "--allow-shell-build"]
            return _one(
                "BUILD_APPROVAL_REQUIRED", message, node, "approve_build", retry, field_path=f"build.commands[{index}]"
            )
    if app.build_mode != "local":
        message = f"Builds run on this machine; build mode {app.build_mode} is not available."
        retry = [*_typed(run), "--build-mode", "local"]
        return _one("REMOTE_BUILD_UNSUPPORTED", message, node, "choose_build_mode", retry, field_path="build.mode")
    return None


def _typed(run: Run) -> list[str]:
    """The words of the command line, with --yes."""
    options = run.options
    words = shlex.split(options.command)
    if words == ["run402", "up"]:  # nobody typed it: a tool or a program asked
        words += [options.source] if options.source != "." else []
        for flag in ("manifest", "name", "project"):
            words += [f"--{flag}", value] if (value := getattr(options, flag)) is not None else []
    return words if "--yes" in words or "-y" in words else [*words, "--yes"]


def _core_block() -> Block:
    message = "An app with its own project, mailboxes and webhooks is installed on Run402 Cloud; this target is a Core "
    message += "gateway. Put the contents of `release` into run402.deploy.json to deploy them here."
    command = ["run402", "init", "--api-base", "https://api.run402.com"]
    return _one("UNSUPPORTED_RESOURCE_KIND", message, "project.ensure", "choose_cloud_target", command)


def _one(code: str, message: str, node: str, action: str, argv: list[str], **place: Any) -> Block:
    step = {"type": action, "code": code, "message": message, **advice.shown(advice.line(*argv)), **place}
    return Block(node, [diagnostic(code, message, node, **place)], [{**step, "node_id": node}])


def _install(run: Run, found: Found, state: Installation, emit: Emit) -> Result:
    _app_secrets.remember(run, state.app)
    _prerequisites.ensure(run)
    choice = _project.resolve(run, Found(found.path, found.document, None, is_app=True))
    state.project_id = run.log.project_id = choice.project_id
    _record(run, state, "applying")
    link = _project.link_workspace(run, choice)
    _release.require_keys(run, choice.project_id)
    try:
        edge = _apply(run, state, choice, emit)
    except (Run402Error, ReleaseError, OSError) as exc:
        _record(run, state, "failed", _shown_error(exc))
        raise
    _record(run, state, "failed" if state.status == "deployed_unverified" else "active")
    document = {**state.document(run), **edge}
    return document if link is None else {**document, "workspace_link_path": link}


def _apply(run: Run, state: Installation, choice: _project.Choice, emit: Emit) -> Result:
    app = state.app
    assert state.project_id is not None
    state.origin = _origin(run, app) or _release.cached_site(run, state.project_id)
    _ensure_mailboxes(run, state)
    state.variables |= _variables(run, state)
    values = _app_secrets.values_of(app)
    _app_secrets.ensure(run, state, values)
    environment = {**state.variables, **values}
    if app.build.get("commands"):
        step = run.log.plan("app.build", mutation=True, commands=len(app.build["commands"]))
        run.approve(step, f"Run the build commands of {app.path}.")
        step.to("running")
        run_commands(app, run.workspace, environment)
        step.to("succeeded")
    texts = _app_texts.public(state.variables, _input_name(run, app))
    _deploy(run, state, choice, texts)
    _ensure_webhooks(run, state, texts, values)
    state.status = "succeeded"
    if app.checks:
        _check(
            run, state, fresh_hosts(_app_texts.templated(app.document["release"], texts), state.deploy, state.origin)
        )
    return _release.check_edge(run, state.project_id, state.deploy, emit)


def _record(run: Run, state: Installation, status: str, error: Result | None = None) -> None:
    """Step app.install. A gateway that cannot keep the record is no reason to stop."""
    app = state.app
    step = run.log.start("app.install", status=status)
    body = {
        "app_key": app.id,
        "status": status,
        "manifest_digest": app.spec_digest,
        "graph_digest": app.graph_digest,
        "source": app.source,
        "manifest": app.document,
        "resources": state.resources() if status != "applying" else {},
        "bindings": {"env": sorted(state.variables)} if state.variables else {},
    }
    if state.deploy.get("operation_id"):
        body["last_operation_id"] = state.deploy["operation_id"]
    if error is not None:
        body["error"] = error
    try:
        app_installs.record(run.client, str(state.project_id), body)
    except Run402Error:
        step.to("skipped", reason="app_install_state_unavailable")
    else:
        step.to("succeeded")


def _shown_error(exc: Run402Error | ReleaseError | OSError) -> Result:
    if isinstance(exc, ReleaseError):
        exc = from_release(exc)
    if isinstance(exc, OSError):
        return {"message": str(exc)}
    envelope = exc.envelope()
    return {key: envelope[key] for key in ("message", "code", "details") if envelope.get(key) is not None}


def _ensure_mailboxes(run: Run, state: Installation) -> None:
    app, project_id = state.app, str(state.project_id)
    if not app.mailboxes:
        return
    step = run.log.plan("app.mailbox.ensure", mutation=True, mailboxes=list(app.mailboxes))
    run.approve(step, f"Create the app's mailboxes in {project_id}: {', '.join(app.mailboxes)}.")
    step.to("running")
    listing = email_mailboxes.list_mailboxes(run.client, project_id)
    for name, spec in app.mailboxes.items():
        slug = spec.get("slug") or name.replace("_", "-")
        row = _mailbox(listing, slug)
        if row is None:
            app_installs.create_mailbox(run.client, project_id, slug)
            listing = email_mailboxes.list_mailboxes(run.client, project_id)
            row = _mailbox(listing, slug)
        if row is None or not row.get("mailbox_id"):
            raise CommandError(
                f"The gateway does not list the mailbox {slug!r} that it just created.",
                code="INTERNAL_ERROR",
                hint="See what is there, then run the command again: "
                + advice.command("email", "mailboxes", "--project", project_id),
            )
        state.mailboxes[name] = {"id": row["mailbox_id"], "address": row.get("address")}
        names = mailbox_variables(name)
        state.variables[names["id"]] = str(row["mailbox_id"])
        state.variables[names["address"]] = str(row.get("address") or "")
        managed = row.get("managed_address") or row.get("address") or ""
        state.variables[names["id"].removesuffix("_ID") + "_MANAGED_ADDRESS"] = str(managed)
    settings = listing.get("mailbox_settings")
    _set_roles(run, state, settings if isinstance(settings, dict) else {})
    step.to("succeeded")


def _mailbox(listing: Result, slug: str) -> Result | None:
    return next((row for row in email_mailboxes.rows(listing) if row.get("slug") == slug), None)


def _set_roles(run: Run, state: Installation, settings: Result) -> None:
    wanted = {
        _ROLES[role]: str(state.mailboxes[name]["id"])
        for name, spec in state.app.mailboxes.items()
        for role in spec.get("roles") or []
        if role in _ROLES
    }
    changed = {key: value for key, value in wanted.items() if settings.get(key) != value}
    if changed:
        app_installs.set_mailbox_roles(run.client, str(state.project_id), changed)


def _variables(run: Run, state: Installation) -> dict[str, str]:
    """The values that builds and the release may use, without the app's own secrets."""
    project_id = str(state.project_id)
    keys = run.client.profile.keys.require(project_id)
    base = run.client.api_base
    found = {
        "RUN402_PROJECT_ID": project_id,
        "RUN402_ANON_KEY": keys.get("anon_key"),
        "RUN402_SERVICE_KEY": keys.get("service_key"),
        "RUN402_API_BASE": base,
        "RUN402_API_BASE_URL": base,
        "RUN402_PUBLIC_ORIGIN": state.origin,
    }
    return {name: value for name, value in found.items() if isinstance(value, str) and value}


def _deploy(run: Run, state: Installation, choice: _project.Choice, values: dict[str, str]) -> None:
    app = state.app
    path = app.path
    release = _app_texts.templated(app.document["release"], values)
    manifest = Found(path, release, None, bounds=run.bounds).normalized(choice.project_id)
    step = run.log.plan(
        "deploy.apply", mutation=True, auto=False, project_id=choice.project_id, manifest_path=str(path)
    )
    step.to("running")
    state.deploy = _release.apply(run, step, manifest, choice)
    operation_id, release_id = state.deploy.get("operation_id"), state.deploy.get("release_id")
    state.variables |= {"RUN402_DEPLOYMENT_ID": str(operation_id)} if operation_id else {}
    state.variables |= {"RUN402_RELEASE_ID": str(release_id)} if release_id else {}


def _ensure_webhooks(run: Run, state: Installation, texts: dict[str, str], values: dict[str, str]) -> None:
    app, project_id = state.app, str(state.project_id)
    if not app.webhooks:
        return
    step = run.log.plan("app.webhook.ensure", mutation=True, webhooks=list(app.webhooks))
    run.approve(step, f"Create the app's webhooks in {project_id}: {', '.join(app.webhooks)}.")
    step.to("running")
    for name, spec in app.webhooks.items():
        mailbox_id = str(state.mailboxes[spec["mailbox"]]["id"])
        url, events = _app_texts.templated(spec["url"], {**texts, **values}), sorted(spec["events"])
        row = _webhook(run, project_id, mailbox_id, url, events)
        shown = _app_texts.templated(spec["url"], {**texts, **dict.fromkeys(values, "***")})
        state.webhooks[name] = {"id": row.get("webhook_id"), "url": shown, "events": events}
    step.to("succeeded")


def _webhook(run: Run, project_id: str, mailbox_id: str, url: str, events: list[str]) -> Result:
    """The webhook with this address and these events, created when there is none."""
    there = email_webhooks.list_webhooks(run.client, project_id, mailbox=mailbox_id)
    rows = there.get("webhooks") if isinstance(there, dict) else None
    for row in rows if isinstance(rows, list) else []:
        if isinstance(row, dict) and row.get("url") == url and set(row.get("events") or []) == set(events):
            return row
    made = email_webhooks.register(run.client, project_id, url=url, events=events, mailbox=mailbox_id)
    return made if isinstance(made, dict) else {}


def _check(run: Run, state: Installation, fresh: frozenset[str]) -> None:
    found = _release.run_checks(run, str(state.project_id), state.app.checks, state.origin, fresh=fresh)
    state.verification, state.rollup = found["verification"]["http"], found["verify"]
    state.next_actions = found.get("next_actions", [])
    names = {"verified": "succeeded", "failed": "deployed_unverified", "propagation_pending": "propagation_pending"}
    state.status = names[found["verify"]["status"]]


def _input_name(run: Run, app: App) -> str:
    own = app.project.get("name") or ""
    return run.options.name or ("" if INPUT_NAME in own else own)


def _origin(run: Run, app: App) -> str | None:
    """The public address that project.origin promises, if it does. Raises ValidationError APP_SPEC_INVALID."""
    if app.subdomain is None:
        return None
    label = app.subdomain.replace(INPUT_NAME, _input_name(run, app))
    if not _LABEL.fullmatch(label):
        app.invalid(f"gives the host name {label!r}; use lower-case letters, digits and -", "project.origin.subdomain")
    return f"https://{label}.run402.com"
