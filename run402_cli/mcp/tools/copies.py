"""Archives, snapshots and branches: a project's data as of some moment."""

from __future__ import annotations

from typing import Any

from run402_cli.archive.verify import verify
from run402_cli.mcp._tool import (
    DESTRUCTIVE,
    LOCAL_READ,
    OVERWRITE,
    PROJECT,
    READ,
    WRITE,
    Call,
    Reply,
    Tool,
    may,
    need,
    tool,
)
from run402_cli.services import archive_import, archives, branches, snapshots

_SNAPSHOT = need("snapshot_id")
_BRANCH = need("branch_project_id", about="Project id of the branch.")


def _export(call: Call) -> Reply:
    path = call["output_path"]
    spec = archives.Export(
        call.project,
        wait=bool(call["wait"]),
        output=None if path is None else call.files.target(path, overwrite=call["overwrite"]),
        overwrite=call["overwrite"] is True,
        **call.given("scope", "auth", "consistency", "idempotency_key", "poll_interval_ms", "timeout_ms"),
    )
    document, _ended = archives.export(call.client, spec)
    waited = spec.wait or spec.output is not None
    return Reply(document, failed=waited and document["archive_status"] != "ready")


def _report(call: Call) -> dict[str, Any]:
    call.files.folder(call["archive_path"])
    return verify(call["archive_path"]).report()


def _verify(call: Call) -> Reply:
    report = _report(call)
    return Reply({"ok": report["ok"], "archive": report}, failed=not report["ok"])


def _import(call: Call) -> Reply:
    env_file = call["env_file"]
    wish = archive_import.Import(
        call["archive_path"],
        secrets=call["secret_values"] or {},
        env_file=None if env_file is None else str(call.files.folder(env_file)),
        bounds=call.files.bounds,
        env_bounds=call.files.bounds,
        own_only=True,
        **call.given("name", "core_url", "dry_run", "require_runnable"),
    )
    result, done = archive_import.import_archive(call.client, wish)
    return Reply({"ok": done, "import": result}, failed=not done)


_ARCHIVES = (
    tool(
        "export_project_archive",
        "Export a project as a portable archive; with output_path wait for it and save it.",
        WRITE,
        _export,
        PROJECT,
        may("output_path"),
        OVERWRITE,
        may("scope", '"portable-runtime-v1"', default="portable-runtime-v1"),
        may("auth", "stubs|none", "Users in the archive.", default="stubs"),
        may("consistency", "pause-writes|cloud_write_pause_v1", default="pause-writes"),
        may("idempotency_key"),
        may("wait", "bool", "Wait until the archive is ready. Default: true with output_path."),
        may("poll_interval_ms", "int", default=1000, above=0),
        may("timeout_ms", "int", default=600_000, above=0),
        cli=("cloud archives create", "projects export", "cloud archives status", "cloud archives download"),
    ),
    tool(
        "inspect_project_archive",
        "Say what a local archive holds, without a verdict. Reads only that file.",
        LOCAL_READ,
        lambda c: {"archive": _report(c)},
        need("archive_path"),
        cli="archives inspect",
    ),
    tool(
        "verify_project_archive",
        "Check that a local archive is whole and safe to import. Reads only that file.",
        LOCAL_READ,
        _verify,
        need("archive_path"),
        cli="archives verify",
    ),
    tool(
        "import_project_archive",
        "Import an archive into a self-hosted gateway as a new project.",
        WRITE,
        _import,
        need("archive_path"),
        may("name", default="imported-project"),
        may("env_file", about="File with values of the archive's secrets, NAME=value on each line; not .env."),
        may("secret_values", "{*: string}", "Secret values by name; they win over env_file."),
        may(
            "core_url", about="One of: RUN402_CORE_URL, the active local target, the gateway that runs here (default)."
        ),
        may("dry_run", "bool", "Let the gateway check it and import nothing."),
        may("require_runnable", "bool", "Refuse while a required secret has no value."),
        cli="core projects import",
    ),
)

_SNAPSHOTS = (
    tool(
        "create_project_snapshot",
        "Take a restore point of the database.",
        WRITE,
        lambda c: snapshots.create(c.client, c.project),
        PROJECT,
        cli="snapshots create",
    ),
    tool(
        "list_project_snapshots",
        "List the restore points of a project's database.",
        READ,
        lambda c: snapshots.list_snapshots(c.client, c.project, **c.given("kind", "limit", "after")),
        PROJECT,
        may("kind", "manual|pre_migration|pre_restore|scheduled"),
        may("limit", "int", above=0, high=100),
        may("after"),
        cli="snapshots list",
    ),
    tool(
        "get_project_snapshot",
        "Show one restore point: state, size, next actions.",
        READ,
        lambda c: snapshots.get(c.client, c.project, c["snapshot_id"]),
        PROJECT,
        _SNAPSHOT,
        cli="snapshots get",
    ),
    tool(
        "restore_project_snapshot",
        "Go back to a restore point in two calls: without confirm a plan that changes nothing and gives a token, with "
        "that token the data is replaced.",
        DESTRUCTIVE,
        lambda c: snapshots.restore(
            c.client, c.project, c["snapshot_id"], confirm=c["confirm"], include_auth=bool(c["include_auth"])
        ),
        PROJECT,
        _SNAPSHOT,
        may("include_auth", "bool", "Restore users and passkeys too."),
        may("confirm", about="Token of the plan."),
        cli="snapshots restore",
    ),
    tool(
        "delete_project_snapshot",
        "Delete a restore point of a database, at once.",
        DESTRUCTIVE,
        lambda c: snapshots.delete(c.client, c.project, c["snapshot_id"]),
        PROJECT,
        _SNAPSHOT,
        cli="snapshots delete",
    ),
)


def _create_branch(call: Call) -> Any:
    return branches.create(
        call.client,
        call.project,
        from_snapshot=call["from_snapshot_id"],
        enable_cron=bool(call["enable_cron"]),
        **call.given("name", "email_mode", "ttl_days"),
    )


_BRANCHES = (
    tool(
        "create_project_branch",
        "Copy a project into a contained branch with its own data, which ends by itself. The active project stays.",
        WRITE,
        _create_branch,
        PROJECT,
        may("from_snapshot_id", about="Data to begin with. Default: that of now."),
        may("name"),
        may("email_mode", "sandbox|off", "sandbox keeps e-mail inside, off sends none.", default="sandbox"),
        may("enable_cron", "bool", "Let scheduled functions run.", default=False),
        may("ttl_days", "int", "Days until it ends.", default=7, low=1, high=30),
        cli="branches create",
        hides_keys=True,
    ),
    tool(
        "list_project_branches",
        "List the branches of a project.",
        READ,
        lambda c: branches.list_branches(c.client, c.project),
        PROJECT,
        cli="branches list",
    ),
    tool(
        "renew_project_branch",
        "Let a branch of a project live longer.",
        WRITE,
        lambda c: branches.renew(c.client, c.project, c["branch_project_id"], ttl_days=c["ttl_days"]),
        PROJECT,
        _BRANCH,
        may("ttl_days", "int", "Days from now.", low=1, high=30),
        cli="branches renew",
    ),
    tool(
        "delete_project_branch",
        "Delete a branch project with all its data, at once.",
        DESTRUCTIVE,
        lambda c: branches.delete(c.client, c.project, c["branch_project_id"]),
        PROJECT,
        _BRANCH,
        cli="branches delete",
    ),
)

TOOLS: tuple[Tool, ...] = (*_ARCHIVES, *_SNAPSHOTS, *_BRANCHES)
