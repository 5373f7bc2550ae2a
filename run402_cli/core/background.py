"""What the rest of the gateway asks of its background workers, which are built on top of it (compose.py)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from run402_cli.core.functions.build import Builder
from run402_cli.core.functions.bundle_rows import Bundle
from run402_cli.core.functions.vault import Vault
from run402_cli.core.functions.worker import Program
from run402_cli.core.functions.workers import Workers
from run402_cli.core.projects.rows import Project
from run402_cli.core.sites.lookup import Site


@dataclass(frozen=True, slots=True)
class Loaded:
    """A function that is ready to be called."""

    bundle: Bundle
    program: Program
    pool: tuple[str, ...]
    hidden: tuple[str, ...]


class Worker(Protocol):
    """Something that works beside the requests from the gateway's start to its end."""

    def start(self) -> None: ...

    async def close(self) -> None: ...


class Wakeable(Protocol):
    def wake(self) -> None:
        """There may be something to do now."""


class Dispatcher(Wakeable, Protocol):
    """Starts durable runs (functions/dispatch.py)."""

    def abort(self, run_id: str) -> None:
        """End the attempt of a run, if it is in progress here."""


class Logs(Protocol):
    """Keeps what functions print (functions/logs.py)."""

    def add(self, entries: list[dict[str, Any]]) -> None: ...

    async def flush(self) -> None: ...


class Functions(Worker, Protocol):
    """`gateway.functions`: everything that runs functions (functions/runtime.py)."""

    @property
    def builder(self) -> Builder: ...
    @property
    def workers(self) -> Workers: ...
    @property
    def vault(self) -> Vault: ...
    @property
    def logs(self) -> Logs: ...
    @property
    def dispatcher(self) -> Dispatcher: ...

    # Built during the stage of a deploy, picked up by its activation under the same project lock.
    staged: dict[tuple[str, str], Bundle]

    def forget(self, project_id: str) -> None: ...

    async def load(self, project: Project, site: Site, name: str) -> Loaded: ...


class Jobs(Worker, Wakeable, Protocol):
    """`gateway.jobs` (jobs/runner.py)."""

    def stop(self, job_id: str) -> bool: ...


class Mail(Worker, Wakeable, Protocol):
    """`gateway.mail`: deliveries of mail webhooks (mail/webhooks.py)."""
