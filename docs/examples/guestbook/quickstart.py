"""Guestbook, start to finish: a local gateway, a project, a deploy, and a row read back over HTTP.

    python docs/examples/guestbook/quickstart.py --run402 .venv/bin/run402 --home .quickstart

Uses its own config and data directories below --home, never the user's. Prints one JSON document on stdout, and on stderr one
line before each step; leaves the gateway running. Standard library only.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

EXAMPLE = Path(__file__).resolve().parent
PROJECT_NAME = "guestbook"


def say(step: str) -> None:
    """What runs now, for whoever waits."""
    print(f"quickstart: {step}", file=sys.stderr, flush=True)


class Run402:
    """Calls the command line the way an agent does: JSON out, a JSON error or nothing on stderr."""

    def __init__(self, program: Path, home: Path) -> None:
        self.program = program
        self.env = {key: value for key, value in os.environ.items() if not key.startswith("RUN402_")}
        self.env |= {"RUN402_CONFIG_DIR": str(home / "config"), "RUN402_CORE_DATA_DIR": str(home / "data")}

    def __call__(self, *args: str, cwd: Path | None = None) -> Any:
        command = [str(self.program), *args]
        done = subprocess.run(command, env=self.env, cwd=cwd, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"run402 {' '.join(args)} failed (exit {done.returncode}):\n{done.stderr or done.stdout}")
        return json.loads(done.stdout)


def free_port(preferred: int) -> int:
    """The preferred port, or any free one when something else listens there."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise SystemExit("no free port on 127.0.0.1")


def start_gateway(run402: Run402) -> dict[str, Any]:
    status = run402("core", "status")
    arguments = ["core", "start", "--use"]
    if not status.get("running"):
        arguments += ["--port", str(free_port(4020))]
    return dict(run402(*arguments))


def find_or_make_project(run402: Run402) -> str:
    for project in run402("projects", "list")["projects"]:
        if project["name"] == PROJECT_NAME:
            run402("projects", "use", project["project_id"])
            return str(project["project_id"])
    return str(run402("projects", "provision", "--name", PROJECT_NAME)["project_id"])


def copy_app(home: Path) -> Path:
    """A working copy of the example: `up` links the directory that it deploys."""
    app = home / "app"
    shutil.copytree(EXAMPLE, app, dirs_exist_ok=True, ignore=shutil.ignore_patterns("quickstart.py", "README.md"))
    return app


def fetch(url: str, **headers: str) -> bytes:
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30) as answer:
        return bytes(answer.read())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run402", type=Path, default=Path("run402"))
    parser.add_argument("--home", type=Path, default=Path(".quickstart"))
    options = parser.parse_args()
    home = options.home.resolve()
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    program = options.run402.resolve() if options.run402.exists() else options.run402
    run402 = Run402(program, home)

    say("starting the local gateway and its PostgreSQL")
    gateway = start_gateway(run402)
    say(f"finding or making the project {PROJECT_NAME} on {gateway['url']}")
    project_id = find_or_make_project(run402)
    keys = run402("credentials", "project-keys", "export", "--project", project_id, "--reveal")
    app = copy_app(home)
    say("deploying tables, function and site")
    deploy = run402("up", "--yes", "--project", project_id, cwd=app)["result"]["deploy"]

    url = deploy["urls"]["site"].rstrip("/") + "/"
    say(f"reading {url} and a row of its table")
    page = fetch(url).decode()
    rows = json.loads(fetch(f"{gateway['url']}/rest/v1/entries?order=id&limit=1", apikey=keys["anon_key"]))
    stop = f"RUN402_CONFIG_DIR={home}/config RUN402_CORE_DATA_DIR={home}/data {program} core stop"
    result = {
        "url": url,
        "sign_in": f"{url}login.html",
        "project_id": project_id,
        "release_id": deploy["release_id"],
        "page_title": page.split("<title>")[1].split("</title>")[0],
        "first_row": rows[0],
        "gateway": gateway["url"],
        "stop": stop,
    }
    say("done")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
