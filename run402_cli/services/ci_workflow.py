"""The GitHub Actions workflow that `ci link` writes. See docs/ci.md, "The workflow"."""

from __future__ import annotations

import json
import os
from pathlib import Path

from run402_cli import advice, as_typed, global_options, secrecy, work_tree
from run402_cli._version import __version__
from run402_cli.errors import CommandError

# v4.2.2 by its commit: a tag can be moved to other code, which would run with the job's identity.
_CHECKOUT = "actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683 # v4.2.2"
DEFAULT_PATH = ".github/workflows/run402-deploy.yml"


def text(*, project_id: str, manifest: str, branch: str | None, environment: str | None) -> str:
    """The workflow: deploy `manifest` to the project on every push to `branch` (any, when None) and by hand."""
    # A runner's standard input is a pipe that would be taken for a manifest.
    line = (
        f"pipx run --spec run402=={__version__} run402 deploy apply"
        f" --manifest {_quoted(manifest)} --project {_quoted(project_id)} < /dev/null"
    )
    lines = [
        "name: Run402 Deploy",
        "",
        "on:",
        "  push:",
        *([f"    branches: [{_yaml(branch)}]"] if branch else []),
        "  workflow_dispatch:",
        "",
        "permissions:",
        "  contents: read",
        "  id-token: write",
        "",
        "jobs:",
        "  deploy:",
        "    runs-on: ubuntu-latest",
        *([f"    environment: {_yaml(environment)}"] if environment else []),
        "    steps:",
        f"      - uses: {_CHECKOUT}",
        "      - name: Deploy to run402",
        f"        run: {_yaml(line)}",
    ]
    return "\n".join(lines) + "\n"


def _quoted(value: str) -> str:
    """One word for sh, quoted even when it needs none, so that a later edit does not have to think of it."""
    return "'" + value.replace("'", "'\\''") + "'"


def _yaml(value: str) -> str:
    """A YAML scalar: every JSON string is one."""
    return json.dumps(value, ensure_ascii=True)


def require_own(path: str) -> None:
    """CommandError PATH_OUTSIDE_WORKSPACE when a directory of the work tree that leads to `path` is a link."""
    target = _absolute(path)
    work_tree.require_own(work_tree.base_of(target), target.parent)


def _absolute(path: str) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100 - without following a link


def require_absent(path: str) -> None:
    """CommandError WORKFLOW_EXISTS when something is at `path`, a dangling symbolic link included."""
    target = Path(path)
    if target.exists() or target.is_symlink():
        raise CommandError(
            f"{path} exists already, and nothing was linked.",
            code="WORKFLOW_EXISTS",
            hint=f"Replace it: add --force. Or write another file: --workflow {_other(target)}",
            details={"workflow_path": path},
            next_actions=[advice.run(*_elsewhere(path, _other(target)))],
        )


def _elsewhere(path: str, other: str) -> tuple[str, ...]:
    """The command as typed, for another file."""
    told = secrecy.CommandLine(as_typed.words())
    return tuple(told.with_word(path, other)) or as_typed.again("--workflow", other)


def _other(path: Path) -> str:
    return str(path.with_name(f"{path.stem}-2{path.suffix}"))


def write(path: str, content: str, *, binding_id: str, force: bool) -> None:
    """Write the workflow (mode 0644, parents created). CommandError WORKFLOW_NOT_WRITTEN: the binding exists anyway."""
    target = Path(path)
    global_options.about_to_write(target)
    try:
        place = _absolute(path)
        work_tree.write(work_tree.base_of(place), place, content.encode(), replace=force, mode=0o644)
    except (OSError, ValueError, CommandError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
        raise CommandError(
            f"The binding {binding_id} was made, but {path} cannot be written: {reason}.",
            code="WORKFLOW_NOT_WRITTEN",
            hint=f"Save details.workflow as {path} yourself. To undo the binding: "
            f"{advice.command('ci', 'revoke', binding_id)}",
            details={"binding_id": binding_id, "workflow_path": path, "workflow": content},
            next_actions=[
                {"type": "create_file", "path": path, "why": "Its text is details.workflow; the binding is made."},
                advice.action("run_command", "ci", "revoke", binding_id, why="It undoes the binding."),
            ],
            safe_to_retry=False,
        ) from exc
