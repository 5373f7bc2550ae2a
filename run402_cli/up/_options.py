"""What the caller of `up` decides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from run402_cli.client import Client
from run402_cli.errors import ValidationError
from run402_cli.state.workspace import WorkspaceLink
from run402_cli.up._steps import Step, StepLog
from run402_cli.uploads import Bounds

Confirm = Callable[[str], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class UpOptions:
    """`mode` is apply, check, printSpec, plan, applyReviewed or legacyDryRun.

    `bounds` are where the manifest's files may be; None: in its git work tree. `confirm` asks the person at the terminal;
    None when there is nobody to ask. `allow_env` are variables that an app manifest may take for its secrets whatever they are
    named; without `own_manifest`, for a caller that a stranger may tell what to deploy, it takes no others, and the project
    that was named is not remembered as the user's choice. `programs` is
    False where neither a manifest nor a build command may run a program. `directory` is the value of --dir, and `command`
    the command line that was typed: errors name it as the way to continue.
    """

    source: str = "."
    directory: str | None = None
    name: str | None = None
    project: str | None = None
    manifest: str | None = None
    tier: str | None = None
    idempotency_key: str | None = None
    yes: bool = False
    confirm: Confirm | None = None
    mode: str = "apply"
    require_plan: str | None = None
    plan_fingerprint: str | None = None
    allow_warnings: bool = False
    allow_warning_codes: tuple[str, ...] = ()
    propagation_budget_s: float = 120.0
    propagation_wait: bool = True
    verify_edge: bool = False
    allow_prune: bool = False
    bounds: Bounds | None = None
    max_spend_usd: float | None = None
    build_mode: str | None = None
    allow_shell_build: bool = False
    allow_env: tuple[str, ...] = ()
    own_manifest: bool = False
    programs: bool = True
    command: str = "run402 up"

    @property
    def dry_run(self) -> bool:
        return self.mode == "legacyDryRun"

    @property
    def shown_mode(self) -> Any:
        """The mode as the result names it."""
        if self.mode != "applyReviewed":
            return self.mode
        reviewed = {"kind": "applyReviewed", "planId": self.require_plan}
        return reviewed if self.plan_fingerprint is None else {**reviewed, "planFingerprint": self.plan_fingerprint}


@dataclass(slots=True)
class Run:
    """One run of `up`: who asks, what was decided, what was done so far. `source` is where the app came from."""

    client: Client
    options: UpOptions
    log: StepLog
    workspace: Path
    link: WorkspaceLink | None = None
    source: dict[str, Any] = field(default_factory=dict)

    @property
    def target(self) -> str:
        return "core" if self.client.is_core else "cloud"

    @property
    def bounds(self) -> Bounds | None:
        """Where the manifest's files may be: a checkout of a repository holds its own, whatever holds for directories."""
        wanted = self.options.bounds
        return None if self.source.get("repo_url") and wanted is not None and wanted.roots is not None else wanted

    @property
    def may_ask(self) -> bool:
        return self.options.yes or self.options.confirm is not None

    def approve(self, step: Step, question: str) -> None:
        """Let the user agree to a mutation; --yes agrees to all. Raises ValidationError RUN402_APPROVAL_REQUIRED."""
        if self.options.yes or (self.options.confirm is not None and self.options.confirm(question)):
            return
        self.refuse(step, question, [step.action])

    def refuse(
        self, step: Step, question: str, mutations: list[str], actions: Sequence[dict[str, Any]] | None = None
    ) -> None:
        """Block a step for want of approval."""
        step.to("blocked", approval_required=True, mutations=mutations)
        raise ValidationError(
            f"{question} Nobody agreed to that. Run it with --yes to agree: {self.options.command} --yes",
            code="RUN402_APPROVAL_REQUIRED",
            details={"step": step.id, "mutations": mutations},
            next_actions=actions or (),
        )
