"""A gateway in a process of its own, to be killed."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from pathlib import Path

import httpx

GATEWAY = """
import asyncio, sys
from pathlib import Path
import uvicorn
from run402_cli.core.app import create_app
from run402_cli.core.compose import compose, start
from run402_cli.core.settings import Settings

async def main(url, port, data):
    settings = Settings(
        data_dir=Path(data), jwt_secret="j" * 40, signed_read_secret="s" * 40, port=port, database_url=url, open=True
    )
    gateway = compose(settings, url)
    await start(gateway)
    config = uvicorn.Config(create_app(gateway), port=port, log_level="warning", lifespan="off", access_log=False)
    await uvicorn.Server(config).serve()

asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
"""


class Killable:
    """A gateway in a process of its own, on the same database and data directory after every restart."""

    def __init__(self, database_url: str, data_dir: Path) -> None:
        self.database_url = database_url
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.arguments = [sys.executable, "-c", GATEWAY, database_url, str(self.port), str(data_dir)]
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=60, trust_env=False)
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self.arguments)
        for _ in range(600):
            try:
                self.client.get("/health")
                return
            except httpx.TransportError:
                assert self.process.poll() is None, "the gateway did not start"
                threading.Event().wait(0.05)
        raise AssertionError("the gateway did not answer")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
