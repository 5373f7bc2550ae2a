"""The secrets of an app manifest: which variables of this machine they are taken from, and who allowed that.

The manifest names the variables, and it may be a stranger's. See docs/up.md, "Secrets".
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping

from run402_cli import advice
from run402_cli.errors import ValidationError
from run402_cli.services import secrets
from run402_cli.state import allowed_variables, bindings
from run402_cli.up._app_graph import App, secret_variable
from run402_cli.up._app_result import Block, Installation, diagnostic, missing_secrets
from run402_cli.up._options import Run

_NODE = "secrets.ensure"
_FLAG = "--allow-env"
# What programs of a developer's machine keep their own credentials in, and run402 itself.
_OF_OTHERS = re.compile(
    "(RUN402|AWS|AZURE|ARM|GOOGLE|GCP|GCLOUD|CLOUDSDK|GITHUB|GH|GITLAB|GIT|BITBUCKET|ACTIONS|RUNNER|CI|NPM|YARN|PNPM|"
    "NODE_AUTH|PYPI|PIP|POETRY|TWINE|UV|CARGO|DOCKER|KUBE|KUBECONFIG|SSH|GPG|VAULT|TF|PULUMI|CLOUDFLARE|CF|VERCEL|NETLIFY|"
    "HEROKU|FLY|DIGITALOCEAN|HCLOUD|PGPASSWORD|PGPASSFILE|CLAUDE|CODEX)(_|$)",
    re.IGNORECASE,
)
_CREDENTIAL = re.compile(
    "KEY|TOKEN|SECRET|PASS|PWD|AUTH|CRED|COOKIE|SESSION|PRIVATE|SEED|MNEMONIC|URL|URI|DSN", re.IGNORECASE
)


def blocked(run: Run, app: App, retry: list[str]) -> Block | None:
    """Why its secrets cannot be set: one has no value, or a variable is not the app's and nobody allowed it."""
    return _missing(app) or _not_allowed(run, app, retry)


def values_of(app: App) -> dict[str, str]:
    """The declared secrets that have a value on this machine."""
    found = ((name, secret_variable(name, spec)) for name, spec in app.secrets.items())
    return {name: os.environ[variable] for name, variable in found if variable in os.environ}


def remember(run: Run, app: App) -> None:
    """Keep what --allow-env allowed this app, so that its directory need not be asked about again."""
    if not run.source.get("repo_url"):
        named = {variable for _, variable in _sources(app)} & set(run.options.allow_env)
        allowed_variables.allow(run.client.profile.base, app.path.parent, named)


def ensure(run: Run, state: Installation, values: Mapping[str, str]) -> None:
    """Step app.secret.ensure. ValidationError MISSING_SECRET for one that has no value."""
    app, project_id = state.app, str(state.project_id)
    required = {name for name, spec in app.secrets.items() if spec.get("required") is True}
    names = sorted(required | set(values) | set(_listed(app)))
    state.satisfied = {name: name in values for name in app.secrets}
    if not names:
        return
    step = run.log.plan("app.secret.ensure", mutation=True, keys=names)
    run.approve(step, f"Set the app's secrets in {project_id}: {', '.join(names)}.")
    step.to("running")
    environment = {**state.variables, **values}
    for name in names:
        value = environment.get(name, os.environ.get(name))
        if value is None:
            raise ValidationError(
                f"The secret {name} has no value: set the environment variable {name} and run the command again.",
                code="MISSING_SECRET",
                details={"key": name},
            )
        secrets.set_secret(run.client, project_id, name, value)
    step.to("succeeded")


def _missing(app: App) -> Block | None:
    missing = missing_secrets(app, os.environ)
    if not missing:
        return None
    reasons, actions = [], []
    for name, variable in missing:
        message = f"The secret {name} is required, and the environment variable {variable} is not set."
        place = {"field_path": f"secrets.{name}"}
        reasons.append(diagnostic("MISSING_SECRET", message, _NODE, **place, details={"key": name, "env": variable}))
        set_it = f"Set {variable} and run the command again."
        actions.append(
            {"type": "set_environment", "code": "MISSING_SECRET", "message": set_it, **place, "node_id": _NODE}
        )
    return Block(_NODE, reasons, actions)


def _not_allowed(run: Run, app: App, retry: list[str]) -> Block | None:
    strange = _of_somebody_else(run, app)
    may = _allowed(run, app)
    taken = [
        (name, variable)
        for name, variable in _sources(app)
        if variable in os.environ and variable not in may and (strange or not _is_of_the_app(app, name, variable))
    ]
    if not taken:
        return None
    whence = f"{strange} and " if strange else ""
    why = "nobody has allowed it" if strange else "which is not named after the app or belongs to another program"
    reasons = [
        diagnostic(
            "SECRET_SOURCE_APPROVAL_REQUIRED",
            f"The manifest {whence}takes the secret {name} from the environment variable {variable}, {why}; the functions "
            "of the app would have its value.",
            _NODE,
            field_path=f"secrets.{name}",
            details={"key": name, "env": variable},
        )
        for name, variable in taken
    ]
    command = [*retry, *(word for variable in sorted({row[1] for row in taken}) for word in (_FLAG, variable))]
    once = "" if run.source.get("repo_url") else " It is remembered for this directory."
    action = {
        "type": "approve_secret_source",
        "code": "SECRET_SOURCE_APPROVAL_REQUIRED",
        "message": f"Only when the app is to have these values.{once}",
        "node_id": _NODE,
        "command": advice.line(*command),
        "argv": command,
        "confirms": True,
    }
    return Block(_NODE, reasons, [action])


def _of_somebody_else(run: Run, app: App) -> str | None:
    """Why the manifest may be a stranger's; None when it is the user's own."""
    ours = bindings.checked_out_by_ci()
    if run.source.get("repo_url") or (not ours and bindings.came_along(app.path)):
        return "came with a repository or an archive"
    return None if run.options.own_manifest else "was chosen by a program"


def _allowed(run: Run, app: App) -> frozenset[str]:
    """What this run, or an earlier one for the same directory, allowed."""
    named = frozenset(run.options.allow_env)
    if run.source.get("repo_url"):
        return named
    return named | allowed_variables.allowed(run.client.profile.base, app.path.parent)


def _sources(app: App) -> Iterator[tuple[str, str]]:
    for name, spec in app.secrets.items():
        yield name, secret_variable(name, spec)
    yield from ((name, name) for name in _listed(app) if name not in app.secrets)


def _listed(app: App) -> list[str]:
    declared = app.document["release"].get("secrets")
    listed = declared.get("require") if isinstance(declared, dict) else None
    return [name for name in listed or [] if isinstance(name, str)]


def _is_of_the_app(app: App, name: str, variable: str) -> bool:
    """Whether a variable is one that the user can have meant for this app: named after the secret or the app."""
    if _OF_OTHERS.match(variable):
        return False
    stem = re.sub("[^A-Z0-9]", "_", app.id.upper())
    named = variable == name or variable.endswith(f"_{name}") or variable.startswith((f"{name}_", f"{stem}_"))
    return named or not _CREDENTIAL.search(variable)
