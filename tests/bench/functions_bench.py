"""Figures of functions: what the gateway adds to a warm call, and how long a cold start takes. Prints JSON.

python tests/bench/functions_bench.py; needs the extra `core`. A benchmark, not a test: it asserts nothing.
"""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from run402_cli.core.daemon import launcher as process
from run402_cli.core.functions.node import find_node

WARM_CALLS, COLD_STARTS = 400, 15
HANDLER = """
export default async (req) => Response.json({ path: new URL(req.url).pathname, length: (await req.text()).length });
"""
BARE = """
import { createServer } from "node:http";
import handler from "./handler.mjs";
const server = createServer(async (incoming, outgoing) => {
  const chunks = [];
  for await (const chunk of incoming) chunks.push(chunk);
  const url = `http://${incoming.headers.host}${incoming.url}`;
  const response = await handler(new Request(url, { method: incoming.method, body: Buffer.concat(chunks) }));
  outgoing.writeHead(response.status, Object.fromEntries(response.headers));
  outgoing.end(Buffer.from(await response.arrayBuffer()));
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
"""


def median_milliseconds(
    count: int, call: Callable[[], httpx.Response], before: Callable[[], Any] | None = None
) -> float:
    times = []
    for _ in range(count):
        if before is not None:
            before()
        begin = time.perf_counter()
        answer = call()
        times.append((time.perf_counter() - begin) * 1000)
        answer.raise_for_status()
    return statistics.median(times)


def deploy(client: httpx.Client) -> dict[str, str]:
    """A project with the handler behind a route; its ids and keys."""
    project: dict[str, str] = client.post("/projects/v1", json={"name": "bench"}).raise_for_status().json()
    source = HANDLER.encode()
    ref = {"sha256": hashlib.sha256(source).hexdigest(), "size": len(source)}
    spec = {
        "project_id": project["project_id"],
        "functions": {"replace": {"api": {"source": ref}}},
        "routes": {"replace": [{"pattern": "/api", "target": {"type": "function", "name": "api"}}]},
    }
    plan = client.post("/apply/v1/plans", json={"spec": spec}).raise_for_status().json()
    content = {**ref, "bytes_base64": base64.b64encode(source).decode()}
    client.post(f"/projects/v1/{project['project_id']}/content", json=content).raise_for_status()
    client.post(f"/apply/v1/plans/{plan['plan_id']}/commit", json={}).raise_for_status()
    return project


def measure(client: httpx.Client, bare: httpx.Client) -> dict[str, Any]:
    project = deploy(client)
    key = {"apikey": project["service_key"]}
    route = f"/projects/v1/{project['project_id']}/static/api"
    secrets = f"/projects/v1/admin/{project['project_id']}/secrets"
    numbers = iter(range(10**6))
    warm = {
        "bare node server": median_milliseconds(WARM_CALLS, lambda: bare.post("/api", content=b"body")),
        "by route": median_milliseconds(WARM_CALLS, lambda: client.post(route, content=b"body")),
        "by name": median_milliseconds(
            WARM_CALLS, lambda: client.post("/functions/v1/api", content=b"body", headers=key)
        ),
    }
    # A new secret means a new environment, so the next call starts a process.
    cold = median_milliseconds(
        COLD_STARTS,
        lambda: client.post(route, content=b"body"),
        lambda: client.post(secrets, json={"key": "N", "value": str(next(numbers))}, headers=key),
    )
    added = warm["by route"] - warm["bare node server"]
    return {
        "warm_milliseconds": {name: round(value, 2) for name, value in warm.items()},
        "warm_added_milliseconds": {"value": round(added, 2), "bar": 5.0, "ratio_to_bar": round(added / 5.0, 2)},
        "cold_start_milliseconds": {"value": round(cold, 1), "bar": 300.0, "ratio_to_bar": round(cold / 300.0, 2)},
    }


def report() -> dict[str, Any]:
    """The figures, from a gateway and a bare Node server of their own."""
    folder = Path(tempfile.mkdtemp(prefix="run402-functions-bench-"))
    folder.chmod(0o711)
    (folder / "handler.mjs").write_text(HANDLER)
    (folder / "server.mjs").write_text(BARE)
    node = subprocess.Popen([str(find_node().path), str(folder / "server.mjs")], stdout=subprocess.PIPE, text=True)
    data_dir = folder / "data"
    try:
        assert node.stdout is not None
        port = int(node.stdout.readline())
        running = process.start(process.StartOptions(port=0, data_dir=data_dir, open=True))
        with (
            httpx.Client(base_url=running["url"], timeout=60, trust_env=False) as client,
            httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as bare,
        ):
            return measure(client, bare)
    finally:
        node.kill()
        process.reset(data_dir)
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    print(json.dumps({"functions": report()}, indent=2))
