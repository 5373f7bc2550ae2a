"""Figures of a deploy of many small files, as ratios in one run, printed as JSON. A benchmark, not a test: it asserts nothing.

    python tests/bench/uploads_bench.py [--files 20000]

The yardstick is curl, which PUTs files of the same kind to the same gateway: one process per core, one connection each. Unit
P: one bare `python -c pass`.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
from measured import run

RUN402 = str(Path(sys.executable).parent / "run402")
FILE_BYTES = 2048
CURL_FILES = 4000


def make_tree(folder: Path, files: int, seed: int) -> None:
    source = random.Random(seed)
    for number in range(files):
        path = folder / f"d{number % 100:02}" / f"f{number:05}.html"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(source.randbytes(FILE_BYTES // 2).hex().encode())


def provision(env: dict[str, str], name: str) -> dict[str, Any]:
    made = subprocess.run([RUN402, "projects", "provision", "--name", name], env=env, capture_output=True, check=True)
    project: dict[str, Any] = json.loads(made.stdout)
    return project


def curl_rate(base: str, project: dict[str, Any], tree: Path, folder: Path, env: dict[str, str]) -> float:
    """Files a second that curl PUTs to the addresses of a content plan."""
    files = {sha256(data := path.read_bytes()).hexdigest(): (path, len(data)) for path in tree.rglob("*.html")}
    key = {"apikey": project["service_key"]}
    content = [{"sha256": digest, "size": size} for digest, (_, size) in files.items()]
    with httpx.Client(base_url=base, headers=key, trust_env=False, timeout=300) as client:
        plan = client.post("/content/v1/plans", json={"content": content}).raise_for_status().json()
        cores = os.cpu_count() or 1
        commands = []
        for core in range(cores):
            config = folder / f"curl-{core}"
            config.write_text("next\n".join(_transfer(one, files) for one in plan["missing"][core::cores]))
            commands.append(["curl", "-sf", "-K", str(config)])
        begin = time.perf_counter()
        for process in [subprocess.Popen(command, env=env) for command in commands]:
            if process.wait() != 0:
                sys.exit("curl failed")
        seconds = time.perf_counter() - begin
        client.post(f"/content/v1/plans/{plan['plan_id']}/commit", json={}).raise_for_status()
    return len(files) / seconds


def _transfer(session: dict[str, Any], files: dict[str, tuple[Path, int]]) -> str:
    checksum = base64.b64encode(bytes.fromhex(session["sha256"])).decode()
    return (
        f'url = "{session["parts"][0]["url"]}"\nupload-file = "{files[session["sha256"]][0]}"\noutput = "/dev/null"\n'
        f'silent\nfail\nheader = "x-amz-checksum-sha256: {checksum}"\n'
    )


def unit(env: dict[str, str]) -> float:
    return statistics.median(run([sys.executable, "-c", "pass"], env)[0] for _ in range(21))


def report(files: int = 20_000) -> dict[str, Any]:
    home = Path(tempfile.mkdtemp(prefix="run402-uploads-bench-"))
    kept = {key: value for key, value in os.environ.items() if not key.startswith("RUN402_")}
    env = {**kept, "RUN402_CONFIG_DIR": str(home / "config"), "RUN402_CORE_DATA_DIR": str(home / "data")}
    make_tree(home / "site", files, 402)
    make_tree(home / "others", CURL_FILES, 403)
    manifest = home / "app.json"
    manifest.write_text(json.dumps({"site": {"replace": {"__source": "local-dir", "path": "site"}}}))
    apply = [RUN402, "deploy", "apply", "--quiet", "--manifest", str(manifest)]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    try:
        run([RUN402, "core", "start", "--use", "--port", str(port)], env)
        curl = curl_rate(f"http://127.0.0.1:{port}", provision(env, "curl"), home / "others", home, env)
        provision(env, "deploy")
        seconds, peak, _ = run(apply, env)
        again, units = [], []
        for _ in range(5):
            units.append(unit(env))
            again.append(run(apply, env)[0])
    finally:
        run([RUN402, "core", "stop"], env)
        shutil.rmtree(home, ignore_errors=True)
    per_thousand = statistics.median(again) / statistics.median(units) / (files / 1000)
    return {
        "files": files,
        "seconds": round(seconds, 2),
        "curl_files_per_second": round(curl),
        "rate_of_curl": round(files / seconds / curl, 2),
        "bar_rate": 0.6,
        "peak_mb": round(peak / 2**20, 1),
        "bar_peak_mb": 120,
        "unchanged_seconds": round(statistics.median(again), 2),
        "unchanged_p_per_1000_files": round(per_thousand, 1),
        "bar_p": 10,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=20_000)
    print(json.dumps(report(parser.parse_args().files), indent=2))
