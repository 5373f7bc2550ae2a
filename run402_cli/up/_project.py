"""Which project the workspace deploys to, and the link that remembers it. See docs/up.md, "Which project"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn

from run402_cli import advice, as_typed
from run402_cli.errors import ValidationError
from run402_cli.release.wire import to_wire
from run402_cli.services import projects
from run402_cli.state import project_choice
from run402_cli.state.workspace import WorkspaceLink, link_path, read_link, require_writable_link, write_link
from run402_cli.up._manifest import Found
from run402_cli.up._options import Run
from run402_cli.up._steps import Step

PLANNED_PROJECT = "prj_planned"
_GONE = ("deleted", "archived")


@dataclass(frozen=True, slots=True)
class Choice:
    """`source` is explicit, workspace_link, manifest, created or active."""

    project_id: str
    source: str


def resolve(run: Run, found: Found) -> Choice:
    """Step project.resolve, and projects.provision when a new project is asked for by --name.

    Order: --project, the workspace link, the manifest's project, --name, the active project.
    """
    options = run.options
    run.link = read_link(run.workspace)
    step = run.log.start(
        "project.resolve",
        explicit_project_id=options.project,
        linked_project_id=run.link.project_id if run.link else None,
        manifest_project_id=found.project,
    )
    if options.project is None and run.link is not None:
        _check_link(run, run.link)
    choice = _known(run, found) or _by_name(run, found) or _active(run, found, step)
    if run.options.mode != "legacyDryRun":
        _confirm(run, found, choice)
    step.to("succeeded", project_id=choice.project_id, source=choice.source, link_path=str(link_path(run.workspace)))
    return choice


def resolve_for_verify(run: Run, found: Found) -> Choice:
    """Like `resolve`, but nothing is created, asked or written: for `up verify`."""
    run.link = read_link(run.workspace)
    step = run.log.start(
        "project.resolve",
        explicit_project_id=run.options.project,
        linked_project_id=run.link.project_id if run.link else None,
        manifest_project_id=found.project,
    )
    active = run.client.profile.active.get()
    choice = _known(run, found) or (Choice(active, "active") if active else None)
    if choice is None:
        raise _project_required(run, found, verify_only=True)
    step.to("succeeded", project_id=choice.project_id, source=choice.source, link_path=str(link_path(run.workspace)))
    return choice


def link_workspace(run: Run, choice: Choice) -> str | None:
    """Step workspace.link.write when the link does not say this already; returns the link's path when it was needed."""
    linked = run.link.project_id if run.link else None
    if run.options.mode == "plan" or linked == choice.project_id or choice.source == "manifest":
        return None
    path = link_path(run.workspace)
    step = run.log.plan(
        "workspace.link.write",
        mutation=True,
        path=str(path),
        project_id=choice.project_id,
        name=run.options.name,
    )
    if run.options.dry_run:
        return str(path)
    run.approve(step, f"Link {run.workspace} to {choice.project_id}.")
    step.to("running")
    link = WorkspaceLink(choice.project_id, run.options.name, run.target)
    write_link(run.workspace, link, replaces=run.link)
    project_choice.keep(run.client.profile, choice.project_id, path, own=run.options.own_manifest)
    step.to("succeeded")
    return str(path)


def _confirm(run: Run, found: Found, choice: Choice) -> None:
    """ValidationError BINDING_NOT_CONFIRMED when a file that came with the app chose the project and nobody has agreed.

    Whoever names the project at the command line agrees to the files that name it, too.
    """
    profile = run.client.profile
    files = [link_path(run.workspace)] if run.link is not None and run.link.project_id == choice.project_id else []
    files += [found.path] if found.project == choice.project_id else []
    if choice.source in ("workspace_link", "manifest"):
        again = ("up", "--project", choice.project_id, "--yes")
        project_choice.require_agreed(profile, choice.project_id, files, *again, active_counts=run.may_ask)
    elif choice.source == "explicit" and run.options.own_manifest and not run.source.get("repo_url"):
        project_choice.remember(profile, choice.project_id, files)


def _check_link(run: Run, link: WorkspaceLink) -> None:
    name = run.options.name
    if link.target_kind not in (None, "unknown", run.target):
        _link_conflict(
            run,
            link,
            "target_mismatch",
            f"it belongs to a {link.target_kind} gateway and this wallet points at a {run.target} one",
            linked_target=link.target_kind,
            target=run.target,
        )
    if name is not None and link.name is None:
        _link_conflict(run, link, "name_missing", f"it has no name to compare with {name!r}", name=name)
    if name is not None and link.name != name:
        _link_conflict(run, link, "name_mismatch", f"its name is {link.name!r}, not {name!r}", name=name)


def _link_conflict(run: Run, link: WorkspaceLink, reason: str, why: str, **details: Any) -> NoReturn:
    path = link_path(run.workspace)
    raise ValidationError(
        f"The workspace is linked to {link.project_id}, but {why}. Say which project is meant: "
        f"{advice.command('up', '--project', link.project_id, '--yes')}; or remove {path} to link anew.",
        code="RUN402_WORKSPACE_LINK_CONFLICT",
        details={"reason": reason, "linked_project_id": link.project_id, "link_path": str(path), **details},
    )


def _known(run: Run, found: Found) -> Choice | None:
    """The project that --project, the link or the manifest names."""
    if run.options.project is not None:
        choice = Choice(run.options.project, "explicit")
    elif run.link is not None:
        choice = Choice(run.link.project_id, "workspace_link")
    else:
        return Choice(found.project, "manifest") if found.project else None
    if found.project is not None and found.project != choice.project_id:
        raise ValidationError(
            f"The manifest is for {found.project}, but the {choice.source.replace('_', ' ')} project is "
            f"{choice.project_id}. Deploy to the manifest's: {advice.command('up', '--project', found.project, '--yes')}",
            code="RUN402_PROJECT_CONFLICT",
            details={
                "resolved_project_id": choice.project_id,
                "resolved_source": choice.source,
                "manifest_project_id": found.project,
            },
        )
    return choice


def _by_name(run: Run, found: Found) -> Choice | None:
    name = run.options.name
    if name is None:
        return None
    if run.options.mode == "plan":
        raise _project_required(run, found, mode="plan")
    if run.target == "core" and not _may_provision_on_core(run):
        raise ValidationError(
            "--name alone does not create a project on this gateway. Create one first: "
            f"{advice.command('projects', 'provision', '--name', name)}; or let up create it on the gateway that "
            f"`run402 core start --use` saved: {advice.command('up', '--name', name, '--yes')}",
            code="RUN402_CORE_PROJECT_REQUIRED",
            details={"target": run.target},
        )
    if not run.options.dry_run:
        # Whatever can be found out before something is made that has to be paid or deleted.
        if not found.is_app:
            planned = found.normalized(PLANNED_PROJECT)
            to_wire(planned.spec, own=planned.own)
        require_writable_link(run.workspace)
        if run.target != "core":
            _refuse_taken_name(run, name)
    step = run.log.plan("projects.provision", mutation=True, name=name, tier=run.options.tier or "prototype")
    if run.options.dry_run:
        return Choice(PLANNED_PROJECT, "created")
    run.approve(step, f"Create the project {name!r}.")
    step.to("running")
    created = projects.provision(
        run.client,
        tier=run.options.tier or "prototype",
        name=name,
        idempotency_key=run.options.idempotency_key,
        # On our own gateway the name is the project's, as it is for `projects provision`: found, or made once.
        derive_key=run.target == "core",
    )
    step.to("succeeded", project_id=created["project_id"])
    return Choice(str(created["project_id"]), "created")


def _may_provision_on_core(run: Run) -> bool:
    """A Core gateway that the profile was pointed at on purpose, and somebody who agrees.

    An http address in RUN402_API_BASE alone is not enough: any server could be behind it.
    """
    return run.client.profile.target.kind == "core" and run.may_ask


def _refuse_taken_name(run: Run, name: str) -> None:
    wanted = name.strip().lower()
    for row in projects.list_projects(run.client)["projects"]:
        if str(row.get("name") or "").strip().lower() != wanted or row.get("status") in _GONE:
            continue
        existing = row["project_id"]
        # What was typed, with the project that it means; --yes where nobody can be asked.
        agreed = () if run.options.yes else ("--yes",)
        use = (
            as_typed.again("--project", existing, *agreed)
            if as_typed.words()
            else ("up", "--project", existing, "--yes")
        )
        actions = [
            advice.action("use_existing_project", *use, message="Deploy to the existing project."),
            advice.action(
                "choose_new_name",
                *("up", "--name", advice.Blank("new-name"), "--yes"),
                message="Choose a name that is free.",
            ),
        ]
        raise ValidationError(
            f"There is a project named {name!r} already ({existing}). Use it: {actions[0]['command']}",
            code="RUN402_PROJECT_NAME_COLLISION",
            details={
                "name": name,
                "existing_project_id": existing,
                "existing_site_url": row.get("site_url"),
                "next_actions": actions,
            },
            # What was typed ends in RUN402_PROJECT_KEYS_REQUIRED where the keys are not here.
            next_actions=[*missing_keys(run, existing), *actions],
        )


def missing_keys(run: Run, project_id: str) -> list[dict[str, Any]]:
    """The action that gets this machine a key of the project; none where it has one."""
    if run.client.profile.keys.get(project_id) is not None:
        return []
    why = "The keys of the project are not cached on this machine. Its owner may make one; then repeat the command."
    return [advice.entry("issue_credential", advice.issue_key(project_id), why=why)]


def _active(run: Run, found: Found, step: Step) -> Choice:
    active = run.client.profile.active.get()
    if active is None:
        raise _project_required(run, found)
    if not run.may_ask and not run.options.dry_run:
        name = run.workspace.resolve().name or "my-app"
        mine = as_typed.again("--name", name, "--yes") if as_typed.words() else ("up", "--name", name, "--yes")
        there = as_typed.again("--yes", project=active) if as_typed.words() else ("up", "--project", active, "--yes")
        actions = [
            advice.action("run_command", *mine, why="Finds or makes the project of that name, and deploys there."),
            advice.action("run_command", *there, why=f"Deploys over what {active} serves now."),
        ]
        run.refuse(step, f"Deploy to the active project {active}?", [], actions)
    return Choice(active, "active")


def _project_required(run: Run, found: Found, **details: Any) -> ValidationError:
    return ValidationError(
        "No project to deploy to. Name one with --project <id>, or create one: "
        "run402 projects provision --name my-app, then run402 up --yes",
        code="RUN402_PROJECT_REQUIRED",
        details={"link_path": str(link_path(run.workspace)), "manifest_path": str(found.path), **details},
        next_actions=[
            advice.run(*(as_typed.again("--project", advice.Blank("project_id")) if as_typed.words() else _UP_PROJECT)),
            advice.action("create_project", "projects", "provision", "--name", "my-app"),
        ],
    )


_UP_PROJECT = ("up", "--project", advice.Blank("project_id"))
