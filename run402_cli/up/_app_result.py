"""What came of an app manifest: the state of its installation, and the documents that show it."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from run402_cli.state.files import now_iso
from run402_cli.up._app_graph import App, mailbox_variables, secret_variable
from run402_cli.up._options import Run, UpOptions
from run402_cli.up._project import PLANNED_PROJECT

Result = dict[str, Any]

_SECRET_NAME = re.compile("KEY|SECRET|TOKEN")
_FIXED = ("RUN402_PROJECT_ID", "RUN402_API_BASE_URL", "RUN402_RELEASE_ID", "RUN402_DEPLOYMENT_ID")
_ORIGIN = "RUN402_PUBLIC_ORIGIN"


@dataclass(frozen=True, slots=True)
class Block:
    """Why nothing was installed: the node that cannot go on, what is missing, and how to go on."""

    node_id: str
    diagnostics: list[Result]
    next_actions: list[Result]


@dataclass(slots=True)
class Installation:
    """One app manifest under way. `status` is that of the result; the rest is filled as the steps are made."""

    app: App
    status: str = "planned"
    block: Block | None = None
    project_id: str | None = None
    origin: str | None = None
    variables: dict[str, str] = field(default_factory=dict)
    mailboxes: dict[str, Result] = field(default_factory=dict)
    webhooks: dict[str, Result] = field(default_factory=dict)
    satisfied: dict[str, bool] = field(default_factory=dict)
    deploy: Result = field(default_factory=dict)
    verification: list[Result] = field(default_factory=list)
    rollup: Result | None = None
    next_actions: list[Result] = field(default_factory=list)
    started_at: str = field(default_factory=now_iso)
    _clock: float = field(default_factory=time.monotonic)

    def document(self, run: Run) -> Result:
        """The `result` of `up` for an app manifest."""
        shown_project = self.project_id or run.options.project or self.app.project.get("id") or PLANNED_PROJECT
        graph = self.app.graph(self._statuses())
        outcome: Result = {"project_id": shown_project, "manifest_path": str(self.app.path)}
        if self.deploy:
            outcome["deploy"] = self.deploy
        if self.verification:
            outcome["verification"] = {"http": self.verification}
        if self.rollup is not None:
            outcome["verify"] = self.rollup
        return {**outcome, "app_graph": graph, "app_result": self._app_result(run, graph)}

    def resources(self) -> Result:
        """Mailboxes and webhooks, by logical name."""
        mailboxes = {
            name: {"id": None, "address": None, **self.mailboxes.get(name, {}), "bindings": mailbox_variables(name)}
            for name in self.app.mailboxes
        }
        webhooks = {
            name: {
                "id": None,
                "mailbox": spec["mailbox"],
                "url": spec["url"],
                "events": sorted(spec["events"]),
                "enabled": spec.get("enabled") is not False,
                **self.webhooks.get(name, {}),
            }
            for name, spec in self.app.webhooks.items()
        }
        return {"mailboxes": mailboxes, "webhooks": webhooks}

    def _app_result(self, run: Run, graph: Result) -> Result:
        options = run.options
        diagnostics = self.block.diagnostics if self.block else list((self.rollup or {}).get("warnings") or [])
        action = (self.rollup or {}).get("next_action")
        next_actions = self.block.next_actions if self.block else [action] if action else self.next_actions
        return {
            "kind": "run402.up.result",
            "schema_version": "run402.up.result.v1",
            "schema_url": "https://run402.com/schemas/run402-up-result.v1.schema.json",
            "status": self.status,
            "operation_id": self.deploy.get("operation_id"),
            "install_id": None,
            "spec_digest": self.app.spec_digest,
            "graph_digest": self.app.graph_digest,
            "source": self.app.source,
            "manifest_path": str(self.app.path),
            "started_at": self.started_at,
            "ended_at": now_iso(),
            "duration_ms": round((time.monotonic() - self._clock) * 1000),
            "approval_policy": _approval_policy(options),
            "dry_run": options.mode in ("check", "printSpec", "legacyDryRun"),
            "project": {
                "id": self.project_id or options.project or self.app.project.get("id"),
                "name": options.name or self.app.project.get("name"),
                "public_origin": self.origin,
            },
            "steps": [self._step(node) for node in graph["nodes"]],
            "resources": {**self.resources(), "bindings": self._bindings(), "user_secrets": self._user_secrets()},
            "release": {
                "operation_id": self.deploy.get("operation_id"),
                "release_id": self.deploy.get("release_id"),
                "spec": self.app.document["release"],
            },
            "verification": {"http": self.verification or self._planned_checks()},
            **({} if self.rollup is None else {"verify": self.rollup}),
            "diagnostics": diagnostics,
            "next_actions": next_actions,
            "graph": graph,
        }

    def _statuses(self) -> dict[str, str]:
        if self.block is not None:
            return {self.block.node_id: "blocked"}
        if self.status == "planned":
            return {}
        done = "failed" if self.status == "deployed_unverified" else "succeeded"
        statuses = {node.id: done for node in self.app.nodes}
        return statuses | {f"verify.http.{check['id']}": check["status"] for check in self.verification}

    def _step(self, node: Mapping[str, Any]) -> Result:
        step = {key: value for key, value in node.items() if key != "details"}
        if self.block is not None and node["id"] == self.block.node_id:
            step |= {"diagnostics": self.block.diagnostics, "next_actions": self.block.next_actions}
        return step

    def _bindings(self) -> list[Result]:
        names = [*_FIXED, _ORIGIN]
        sources = dict.fromkeys(names, "project")
        for name in self.app.mailboxes:
            sources |= dict.fromkeys(mailbox_variables(name).values(), f"mailbox.{name}")
        return [self._binding(name, source) for name, source in sources.items()]

    def _binding(self, name: str, source: str) -> Result:
        kind = "project" if source == "project" else "mailbox"
        binding = {"env": name, "binding_class": kind, "scopes": ["build", "release"], "source": source}
        value = self.variables.get(name)
        if value is None:
            return binding
        if _SECRET_NAME.search(name):
            return {**binding, "redacted": True}
        return {**binding, "value": value, "redacted": False}

    def _user_secrets(self) -> Result:
        return {
            name: {
                "required": bool(spec.get("required")),
                "source_env": spec.get("source_env"),
                **({"satisfied": self.satisfied[name]} if name in self.satisfied else {}),
            }
            for name, spec in self.app.secrets.items()
        }

    def _planned_checks(self) -> list[Result]:
        return [
            {
                "id": check["id"],
                "status": "planned",
                **{key: check[key] for key in ("path", "url") if key in check},
                "expected_status": check["expect"]["status"],
            }
            for check in self.app.checks
        ]


def _approval_policy(options: UpOptions) -> Result:
    return {
        "yes": options.yes,
        "allow_prune": options.allow_prune,
        "max_spend_usd": options.max_spend_usd,
        "build_mode": options.build_mode,
        "shell_build_approved": options.allow_shell_build,
    }


def diagnostic(code: str, message: str, node_id: str, **more: Any) -> Result:
    """One reason for a blocked node."""
    return {"code": code, "message": message, "severity": "error", "node_id": node_id, **more}


def missing_secrets(app: App, environment: Mapping[str, str]) -> list[tuple[str, str]]:
    """(secret, variable) of every required secret whose variable is unset or empty."""
    return [
        (name, secret_variable(name, spec))
        for name, spec in app.secrets.items()
        if spec.get("required") is True and not environment.get(secret_variable(name, spec))
    ]
