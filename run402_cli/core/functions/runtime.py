"""What a gateway needs to run functions, in one object: `gateway.functions`."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import shutil
from collections.abc import Coroutine
from typing import Any

from run402_cli import advice
from run402_cli.core import tasks
from run402_cli.core.background import Loaded
from run402_cli.core.diagnostics.redaction import redactable
from run402_cli.core.errors import GatewayError
from run402_cli.core.functions import bundle_rows, secrets
from run402_cli.core.functions.build import Builder
from run402_cli.core.functions.bundle_rows import Bundle
from run402_cli.core.functions.dispatch import Dispatcher
from run402_cli.core.functions.logs import LogStore
from run402_cli.core.functions.schedules import Scheduler
from run402_cli.core.functions.vault import Vault
from run402_cli.core.functions.worker import Program
from run402_cli.core.functions.workers import Workers
from run402_cli.core.gateway import Gateway
from run402_cli.core.projects.keys import keys_of
from run402_cli.core.projects.rows import Project
from run402_cli.core.sites.lookup import Site

MAX_LOADED = 256


class Runtime:
    """Builder, workers, logs, and the tasks that start durable runs and schedules."""

    def __init__(self, gateway: Gateway) -> None:
        folder = gateway.settings.data_dir / "functions"
        self.gateway = gateway
        self.builder = Builder(folder, gateway.store)
        self.workers = Workers(folder / "workers")
        self.vault = Vault(gateway.settings)
        self.logs = LogStore(gateway)
        self.dispatcher = Dispatcher(gateway)
        self.scheduler = Scheduler(gateway)
        # Built during the stage of a deploy, picked up by its activation under the same project lock.
        self.staged: dict[tuple[str, str], Bundle] = {}
        self._loaded: dict[tuple[str, str, str, str], Loaded] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to store logs, and to start what is due."""
        # What a killed predecessor left: its workers ended with it, their directories did not.
        shutil.rmtree(self.workers.folder, ignore_errors=True)
        work: list[Coroutine[Any, Any, None]] = [self.logs.run(), self.dispatcher.run(), self.scheduler.run()]
        self._tasks = [asyncio.create_task(part) for part in work]

    async def close(self) -> None:
        """Stop everything; runs in progress are taken up again at the next start."""
        await self.dispatcher.close()
        await self.workers.close()
        await tasks.end(*self._tasks)
        with contextlib.suppress(Exception):
            await self.logs.flush()

    def forget(self, project_id: str) -> None:
        """Code, settings or secrets of the project changed: later calls see the new state."""
        self._loaded = {key: value for key, value in self._loaded.items() if key[0] != project_id}
        self.workers.retire(project_id)

    async def load(self, project: Project, site: Site, name: str) -> Loaded:
        """A function of a release. 503 dynamic_runtime_unavailable when it is not there, 422 missing_required_secret."""
        # The keys are part of the function's environment and may be rotated.
        key = (project.project_id, site.release_id, name, project.keys.service_sha256)
        loaded = self._loaded.get(key)
        if loaded is None:
            loaded = await self._load(project, site, name)
            if len(self._loaded) >= MAX_LOADED:
                self._loaded.pop(next(iter(self._loaded)))
            self._loaded[key] = loaded
        return loaded

    async def _load(self, project: Project, site: Site, name: str) -> Loaded:
        async with self.gateway.connection() as conn:
            found = await bundle_rows.load(conn, project.project_id, site.release_id, name)
            values = await secrets.values_for(self.gateway, conn, project.project_id, name)
        if name not in found:
            raise GatewayError(
                503,
                "dynamic_runtime_unavailable",
                f"The release {site.release_id} has no code for the function {name}. Deploy the function again.",
                details={"function_name": name, "release_id": site.release_id},
            )
        for required in site.state["secrets"]["keys"]:
            if required not in values:
                raise _missing_secret(project.project_id, required, name)
        bundle, built = await self.builder.build(found[name])
        env = {**values, **self._environment(project, site.release_id, name)}
        program = Program(name, built.entry, built.handler, built.library, bundle.entry["memory_mb"], env)
        mark = hashlib.sha256(json.dumps([env, str(built.entry), program.memory_mb], sort_keys=True).encode())
        hidden = redactable([*values.values(), *keys_of(self.gateway.settings, project)])
        pool = (project.project_id, site.release_id, name, mark.hexdigest())
        return Loaded(bundle, program, pool, hidden)

    def _environment(self, project: Project, release_id: str, name: str) -> dict[str, str]:
        keys = keys_of(self.gateway.settings, project)
        return {
            "RUN402_API_BASE": self.gateway.settings.public_url,
            "RUN402_PROJECT_ID": project.project_id,
            "RUN402_RELEASE_ID": release_id,
            "RUN402_FUNCTION_NAME": name,
            "RUN402_ANON_KEY": keys.anon,
            "RUN402_SERVICE_KEY": keys.service,
        }


def _missing_secret(project_id: str, secret: str, function: str) -> GatewayError:
    return GatewayError(
        422,
        "missing_required_secret",
        f"{function} needs the secret {secret}, which is not set. Run: "
        + advice.command("secrets", "set", project_id, secret, "--stdin"),
        secret_name=secret,
        function_name=function,
    )
