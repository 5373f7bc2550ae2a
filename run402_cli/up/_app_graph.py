"""An app manifest, checked and compiled into its install graph. See docs/up.md, "App manifests"."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from run402_cli import advice
from run402_cli.errors import ValidationError
from run402_cli.release.canonical import canonical_sha256
from run402_cli.release.errors import ReleaseError
from run402_cli.release.verify import normalize_verify
from run402_cli.up._options import Run

Document = dict[str, Any]

GRAPH_VERSION = "run402.app_install_graph.v1"
INPUT_NAME = "${input.name}"

_LOGICAL = re.compile(r"[a-z][a-z0-9_]*")
_SECRET = re.compile("(?!RUN402_)[A-Z_][A-Z0-9_]{0,127}")
_VARIABLE = re.compile("[A-Za-z_][A-Za-z0-9_]*")
_MAILBOX_REFERENCE = re.compile(r"\$\{RUN402_MAILBOX_([A-Z0-9_]+)_(?:ID|ADDRESS)\}")
_MODES = ("local", "remote", "sandbox")


@dataclass(frozen=True, slots=True)
class Node:
    """One piece of the installation: what it depends on, and its intent, of which `input_digest` is the digest."""

    id: str
    kind: str
    depends_on: list[str]
    mutation: str
    intent: Any
    spend: bool = False

    @property
    def input_digest(self) -> str:
        return canonical_sha256({"id": self.id, "kind": self.kind, "intent": self.intent})

    def fields(self, root: str, status: str) -> Document:
        """The node as the graph shows it; `root` starts its ensure_key."""
        digest = self.input_digest
        remote = self.mutation == "remote"
        key = {"ensure_key": f"appup:{root}:{self.id}:{digest[:16]}"} if remote else {}
        return {
            "id": self.id,
            "kind": self.kind,
            "depends_on": self.depends_on,
            "input_digest": digest,
            "status": status,
            "mutation": self.mutation,
            "idempotent": remote,
            **key,
            "destructive": False,
            "spend": self.spend,
            "details": self.intent,
        }


@dataclass(frozen=True, slots=True)
class App:
    """A checked app manifest. Sections that it lacks are empty."""

    path: Path
    document: Document
    source: Document
    root: str
    nodes: list[Node]
    checks: list[Document]

    @property
    def id(self) -> str:
        return str(self.document["app"]["id"])

    @property
    def project(self) -> Mapping[str, Any]:
        return _object(self.document, "project")

    @property
    def subdomain(self) -> str | None:
        return _object(self.project, "origin").get("subdomain")

    @property
    def mailboxes(self) -> Mapping[str, Any]:
        return _object(_object(self.document, "resources"), "mailboxes")

    @property
    def webhooks(self) -> Mapping[str, Any]:
        return _object(_object(self.document, "resources"), "webhooks")

    @property
    def secrets(self) -> Mapping[str, Any]:
        return _object(self.document, "secrets")

    @property
    def build(self) -> Mapping[str, Any]:
        return _object(self.document, "build")

    @property
    def build_mode(self) -> str:
        return str(self.build.get("mode") or "local")

    @property
    def spec_digest(self) -> str:
        return canonical_sha256(self.document)

    @property
    def graph_digest(self) -> str:
        return canonical_sha256(
            [
                {
                    "id": node.id,
                    "kind": node.kind,
                    "depends_on": node.depends_on,
                    "input_digest": node.input_digest,
                    "mutation": node.mutation,
                    "destructive": False,
                    "spend": node.spend,
                }
                for node in self.nodes
            ]
        )

    def graph(self, statuses: Mapping[str, str]) -> Document:
        """The install graph; a node without a status of its own is planned."""
        return {
            "schema_version": GRAPH_VERSION,
            "app_id": self.id,
            "source": self.source,
            "spec_digest": self.spec_digest,
            "graph_digest": self.graph_digest,
            "nodes": [node.fields(self.root, statuses.get(node.id, "planned")) for node in self.nodes],
            "release_spec": self.document["release"],
            "bindings": {"mailboxes": {name: mailbox_variables(name) for name in self.mailboxes}},
        }

    def invalid(self, why: str, field: str | None = None) -> NoReturn:
        """Raise ValidationError APP_SPEC_INVALID for this manifest."""
        raise invalid(self.path, why, field)


def mailbox_variables(name: str) -> dict[str, str]:
    """The names of the variables that stand for a mailbox's id and address."""
    stem = f"RUN402_MAILBOX_{name.upper()}"
    return {"id": f"{stem}_ID", "address": f"{stem}_ADDRESS"}


def secret_variable(name: str, spec: Mapping[str, Any]) -> str:
    """The environment variable that holds a secret's value on this machine."""
    return str(spec.get("source_env") or name)


def invalid(path: Path, why: str, field: str | None = None) -> ValidationError:
    """APP_SPEC_INVALID: what is wrong with the app manifest, and where."""
    place = {} if field is None else {"field_path": field}
    action = {
        "type": "edit_manifest",
        "path": str(path),
        **place,
        **advice.shown(advice.command("up", "--manifest", path, "--check")),
        "why": "Correct the manifest, then check it.",
    }
    return ValidationError(
        f"The app manifest {path} is not valid: {f'{field} ' if field else 'it '}{why}.",
        code="APP_SPEC_INVALID",
        details={"manifest_path": str(path), **place},
        next_actions=[action],
    )


def compile_app(run: Run, path: Path, document: Any) -> App:
    """Check an app manifest and compile its graph. Raises ValidationError APP_SPEC_INVALID."""
    _check(path, document)
    options = run.options
    if options.build_mode is not None and document.get("build") is not None:
        document = {**document, "build": {**document["build"], "mode": options.build_mode}}
    root = options.idempotency_key or options.name or "run402-app-up"
    app = App(path, document, run.source, root, [], _verify_checks(path, document))
    app.nodes.extend(_nodes(app, options.name))
    return app


def _check(path: Path, document: Any) -> None:
    if not isinstance(document, dict):
        raise invalid(path, "must be a JSON object")
    if document.get("spec_version") != 1:
        raise invalid(path, "must be 1", "spec_version")
    app = document.get("app")
    if not isinstance(app, dict) or not isinstance(app.get("id"), str) or not app["id"].strip():
        raise invalid(path, "must be a string that is not empty", "app.id")
    for key in ("project", "release"):
        if not isinstance(document.get(key), dict):
            raise invalid(path, "must be an object", key)
    for section, keys in (("resources", ("mailboxes", "webhooks")), ("project", ("origin",))):
        for key in keys:
            _check_object(path, _objects(path, document, section), key, f"{section}.{key}")
    for key in ("secrets", "build", "verify"):
        _check_object(path, document, key, key)
    for key in ("mailboxes", "webhooks"):
        for name, spec in _object(_object(document, "resources"), key).items():
            if not _LOGICAL.fullmatch(name):
                raise invalid(path, "must be lower-case letters, digits and _", f"resources.{key}.{name}")
            if not isinstance(spec, dict):
                raise invalid(path, "must be an object", f"resources.{key}.{name}")
    for name, spec in _object(document, "secrets").items():
        if not isinstance(spec, dict):
            raise invalid(path, "must be an object", f"secrets.{name}")
    _check_texts(path, document)
    _check_resources(path, document)
    _check_webhooks(path, document)
    _check_build(path, document)
    _check_mailbox_references(path, document)


def _check_texts(path: Path, document: Document) -> None:
    project = document["project"]
    _check_text(path, project, "name", "project")
    _check_text(path, project, "id", "project")
    _check_text(path, _object(project, "origin"), "subdomain", "project.origin")


def _check_resources(path: Path, document: Document) -> None:
    for name, spec in _object(_object(document, "resources"), "mailboxes").items():
        roles = spec.get("roles")
        if roles is not None and (not isinstance(roles, list) or not all(isinstance(role, str) for role in roles)):
            raise invalid(path, "must be an array of role names", f"resources.mailboxes.{name}.roles")
        _check_text(path, spec, "slug", f"resources.mailboxes.{name}")
    for name, spec in _object(document, "secrets").items():
        if not _SECRET.fullmatch(name):
            raise invalid(
                path, "must be upper-case letters, digits and _, and not begin with RUN402_", f"secrets.{name}"
            )
        source = spec.get("source_env")
        if source is not None and (not isinstance(source, str) or not _VARIABLE.fullmatch(source)):
            raise invalid(path, "must be the name of an environment variable", f"secrets.{name}.source_env")


def _check_text(path: Path, spec: Mapping[str, Any], key: str, where: str) -> None:
    value = spec.get(key)
    if value is not None and (not isinstance(value, str) or not value):
        raise invalid(path, "must be a string that is not empty", f"{where}.{key}")


def _check_webhooks(path: Path, document: Document) -> None:
    for name, spec in _object(_object(document, "resources"), "webhooks").items():
        field = f"resources.webhooks.{name}"
        for key in ("mailbox", "url"):
            if not isinstance(spec.get(key), str) or not spec[key]:
                raise invalid(path, "must be a string that is not empty", f"{field}.{key}")
        if spec["mailbox"] not in _object(_object(document, "resources"), "mailboxes"):
            raise invalid(
                path, f"names the mailbox {spec['mailbox']!r}, which resources.mailboxes lacks", f"{field}.mailbox"
            )
        events = spec.get("events")
        if not isinstance(events, list) or not events or not all(isinstance(event, str) for event in events):
            raise invalid(path, "must be an array of event names", f"{field}.events")


def _check_build(path: Path, document: Document) -> None:
    build = _object(document, "build")
    if build.get("mode") not in (None, *_MODES):
        raise invalid(path, f"must be one of {', '.join(_MODES)}", "build.mode")
    commands = build.get("commands")
    if commands is not None and not isinstance(commands, list):
        raise invalid(path, "must be an array", "build.commands")
    for index, command in enumerate(commands or []):
        field = f"build.commands[{index}]"
        if not isinstance(command, dict):
            raise invalid(path, "must be an object", field)
        argv, shell = command.get("argv"), command.get("shell")
        if argv is not None and (
            not isinstance(argv, list) or not argv or not all(isinstance(word, str) for word in argv)
        ):
            raise invalid(path, "must be an array of words", f"{field}.argv")
        if shell is not None and not isinstance(shell, str):
            raise invalid(path, "must be a string", f"{field}.shell")
        _check_text(path, command, "cwd", field)


def _check_mailbox_references(path: Path, document: Document) -> None:
    declared = {name.upper() for name in _object(_object(document, "resources"), "mailboxes")}
    for field, mailbox in _email_mailboxes(document["release"]):
        for name in _MAILBOX_REFERENCE.findall(mailbox):
            if name not in declared:
                raise invalid(path, f"refers to the mailbox {name.lower()!r}, which resources.mailboxes lacks", field)


def _email_mailboxes(release: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    functions = _object(release, "functions")
    maps = {"replace": _object(functions, "replace"), "patch.set": _object(_object(functions, "patch"), "set")}
    for where, named in maps.items():
        for name, function in named.items():
            triggers = function.get("triggers") if isinstance(function, dict) else None
            for index, trigger in enumerate(triggers if isinstance(triggers, list) else []):
                mailbox = trigger.get("mailbox") if isinstance(trigger, dict) else None
                if isinstance(mailbox, str):
                    yield f"release.functions.{where}.{name}.triggers[{index}].mailbox", mailbox


def _verify_checks(path: Path, document: Document) -> list[Document]:
    """The HTTP checks in the form of a release manifest's."""
    verify = document.get("verify")
    if verify is None:
        return []
    http = verify.get("http")
    if isinstance(http, list):
        # Here no retries may be written as 0.
        http = [
            {key: value for key, value in check.items() if (key, value) != ("retries", 0)}
            if isinstance(check, dict)
            else check
            for check in http
        ]
    try:
        return list(normalize_verify({**verify, **({} if http is None else {"http": http})}).get("http") or [])
    except ReleaseError as exc:
        field = (exc.details or {}).get("field", "verify")
        raise invalid(path, f"is refused: {exc.message}", str(field)) from exc


def _nodes(app: App, name: str | None) -> Iterator[Node]:
    discover = {"source": app.source, "app_id": app.id, "spec_digest": app.spec_digest}
    project = {
        "name": name if name is not None else app.project.get("name"),
        "project_id": app.project.get("id"),
        "app_id": app.id,
    }
    yield Node("discover", "discover", [], "none", discover)
    yield Node("account.ensure", "account.ensure", ["discover"], "remote", {"tier": "ready"}, spend=True)
    yield Node("project.ensure", "project.ensure", ["account.ensure"], "remote", project)
    if app.project.get("origin") is not None:
        yield Node("origin.ensure", "origin.ensure", ["project.ensure"], "remote", app.project["origin"])
    yield from _mailbox_nodes(app)
    before_release = ["bindings.resolve"]
    if app.secrets:
        intent = {
            key: {"required": bool(spec.get("required")), "source_env": spec.get("source_env")}
            for key, spec in app.secrets.items()
        }
        yield Node("secrets.ensure", "secrets.ensure", ["project.ensure"], "remote", intent)
        before_release.append("secrets.ensure")
    if app.document.get("build") is not None:
        build = f"build.{app.build_mode}"
        mutation = "local" if app.build_mode == "local" else "remote"
        yield Node(build, "build", before_release, mutation, app.document["build"])
        before_release = [build]
    yield Node("release.apply", "release.apply", before_release, "remote", app.document["release"])
    yield from _last_nodes(app)


def _mailbox_nodes(app: App) -> Iterator[Node]:
    ids = []
    for name in sorted(app.mailboxes):
        intent = {"logical_name": name, "bindings": mailbox_variables(name), **app.mailboxes[name]}
        ids.append(f"mailbox.{name}.ensure")
        yield Node(ids[-1], "mailbox.ensure", ["project.ensure"], "remote", intent)
    fallback = "origin.ensure" if app.project.get("origin") is not None else "project.ensure"
    bindings = {"mailboxes": {name: mailbox_variables(name) for name in sorted(app.mailboxes)}}
    yield Node("bindings.resolve", "bindings.resolve", ids or [fallback], "none", bindings)


def _last_nodes(app: App) -> Iterator[Node]:
    ids = []
    for name in sorted(app.webhooks):
        spec = app.webhooks[name]
        ids.append(f"webhook.{name}.ensure")
        depends_on = ["release.apply", f"mailbox.{spec['mailbox']}.ensure"]
        yield Node(ids[-1], "webhook.ensure", depends_on, "remote", {"logical_name": name, **spec})
    for check in app.checks:
        yield Node(f"verify.http.{check['id']}", "verify.http", ids or ["release.apply"], "none", check)


def _check_object(path: Path, value: Mapping[str, Any], key: str, field: str) -> None:
    if value.get(key) is not None and not isinstance(value[key], dict):
        raise invalid(path, "must be an object", field)


def _objects(path: Path, document: Document, key: str) -> Mapping[str, Any]:
    _check_object(path, document, key, key)
    return _object(document, key)


def _object(value: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = value.get(key)
    return found if isinstance(found, dict) else {}
