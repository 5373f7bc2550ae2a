"""run402 dev: the Astro development server with the project's credentials."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from run402_cli import advice, output
from run402_cli.commands._command import CommandGroup
from run402_cli.errors import ChildEnded, UsageError
from run402_cli.services import dev as dev_service
from run402_cli.state.profile import current

app = CommandGroup()


@app.command("dev", effect="write", auth=(), example="RUN402_SERVICE_KEY=... run402 dev --project prj_123 --port 4321")
def dev(
    port: Annotated[str, typer.Option("--port", metavar="PORT", help="Port of the development server.")] = "4321",
    host: Annotated[str, typer.Option("--host", metavar="HOST", help="Address it listens on.")] = "localhost",
    project: Annotated[
        str | None, typer.Option("--project", metavar="ID", help="Project id. Default: RUN402_PROJECT_ID.")
    ] = None,
) -> None:
    """Run `npx astro dev` with .env.local and the project's id in its environment. Ends with its exit status.

    RUN402_SERVICE_KEY must be set, in the environment or in .env.local; the cached keys and the active project are not used.
    """
    env, loaded = dev_service.with_env_file(os.environ, Path(".env.local"))
    project_id = project or env.get("RUN402_PROJECT_ID")
    if not project_id:
        raise UsageError(
            "No project is named.", hint="Add --project <id>, or put RUN402_PROJECT_ID=<id> into .env.local."
        )
    if not env.get("RUN402_SERVICE_KEY"):
        raise UsageError(
            "RUN402_SERVICE_KEY is not set.",
            hint="Put it into .env.local. Show the cached key: "
            f"{advice.command('credentials', 'project-keys', 'export', '--project', project_id, '--reveal')}",
        )
    env["RUN402_PROJECT_ID"] = project_id
    api_base = env.get("RUN402_API_BASE") or current().target.api_base
    banner = [
        f"Astro development server: http://{host}:{port}",
        f"Project: {project_id}",
        f"API: {api_base}",
        f".env.local: {'loaded' if loaded else 'not found'}",
    ]
    output.emit_text("\n".join(banner))
    output.emit_text("")
    code = dev_service.run_astro(env, port=port, host=host)
    dev_service.end_like(code)
    raise ChildEnded(code)
