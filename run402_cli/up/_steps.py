"""The step log of `up`: what was planned, done, skipped or refused, and one event for every change of it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from run402_cli import as_typed
from run402_cli.errors import Envelope, Run402Error

Event = dict[str, Any]
Emit = Callable[[Event], None]

DESCRIPTIONS = {
    "app.source.resolve": "Find the app's source",
    "deploy.discover": "Find and read the manifest",
    "allowance.create": "Create a wallet",
    "allowance.faucet": "Ask the faucet for test funds",
    "tier.set": "Make sure of the tier",
    "project.resolve": "Choose the project",
    "projects.provision": "Create the project",
    "workspace.link.write": "Link the workspace to the project",
    "app.install": "Record the app's installation",
    "app.mailbox.ensure": "Make sure of the app's mailboxes",
    "app.secret.ensure": "Set the app's secrets",
    "app.build": "Build the app",
    "app.webhook.ensure": "Make sure of the app's webhooks",
    "deploy.apply": "Deploy the release",
    "app.verify": "Run the manifest's HTTP checks",
}


@dataclass(slots=True)
class Step:
    """One step; every method that changes it sends an event."""

    log: StepLog = field(repr=False)
    id: str
    action: str
    mutation: bool
    auto: bool
    details: dict[str, Any]
    state: str = "planned"

    def fields(self) -> dict[str, Any]:
        """The step as printed."""
        return {
            "id": self.id,
            "action": self.action,
            "description": DESCRIPTIONS[self.action],
            "state": self.state,
            "mutation": self.mutation,
            "auto": self.auto,
            "details": copy.deepcopy(self.details),
        }

    def to(self, state: str, **details: Any) -> None:
        """Change the state and add details."""
        self.state = state
        self.details.update(details)
        self.log.send(self.fields())

    def note(self, **details: Any) -> None:
        """Send an event with more details, without keeping them."""
        step = self.fields()
        step["details"].update(details)
        self.log.send(step)


class StepLog:
    """All steps of one run, in order."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self.steps: list[Step] = []
        self.project_id: str | None = None  # once it is known

    def plan(self, action: str, *, mutation: bool = False, auto: bool = True, **details: Any) -> Step:
        """Add a planned step."""
        step = Step(self, f"step_{len(self.steps) + 1:02}", action, mutation, auto, details)
        self.steps.append(step)
        self.send(step.fields())
        return step

    def start(self, action: str, *, mutation: bool = False, auto: bool = True, **details: Any) -> Step:
        """Add a step and set it running."""
        step = self.plan(action, mutation=mutation, auto=auto, **details)
        step.to("running")
        return step

    def skip(self, action: str, **details: Any) -> None:
        """Add a step that is not needed."""
        self.plan(action, **details).to("skipped")

    def send(self, step: dict[str, Any]) -> None:
        self._emit({"type": "action.step", "action": "up", "step": step})

    def fail_last(self, message: str) -> None:
        """Mark the step that was under way when something went wrong."""
        for step in reversed(self.steps):
            if step.state in ("planned", "running"):
                step.to("failed", error=message)
                return

    def fields(self) -> list[dict[str, Any]]:
        return [step.fields() for step in self.steps]


class ActionError(Run402Error):
    """A failure of one step: the envelope of its cause, with the steps so far in `details`."""

    def __init__(self, cause: Run402Error, log: StepLog) -> None:
        super().__init__(cause.message)
        self.cause = cause
        self.exit_code = cause.exit_code
        self._steps = log.fields()
        self._project_id = log.project_id

    def envelope(self) -> Envelope:
        envelope = self.cause.envelope()
        details = envelope.get("details")
        own = details if isinstance(details, dict) else {} if details is None else {"cause": details}
        told = envelope.get("next_actions") or own.get("next_actions")
        actions = {"next_actions": _in_project(told, self._project_id)} if told else {}
        return {**envelope, "details": {"action": "up", **own, "steps": self._steps}, **actions}


def _in_project(actions: Any, project_id: str | None) -> Any:
    """The actions with the project of this run: it may be the linked one, and without --project they go to the active one."""
    if project_id is None or not isinstance(actions, list):
        return actions
    return [_in_one(action, project_id) for action in actions]


def _in_one(action: Any, project_id: str) -> Any:
    line = as_typed.line_of(action)
    if line is None or line.path == ["up"] or not line.flags.get("--project"):
        return action
    named = "--project" in line.given or project_id in line.bare
    return action if named else as_typed.extended(action, line, ["--project", project_id])
