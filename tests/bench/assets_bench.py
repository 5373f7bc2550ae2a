"""Figures of asset uploads, as ratios in one run, printed as JSON. A benchmark, not a test: it asserts nothing.

small_files   `assets put` of 1,000 files against a sequential client: one file after the other, each request waiting
              for the one before (a release per file; and, harder, one release with one PUT at a time)
big_file      `assets put` of 2 GiB against `curl -T` of the same file plus one SHA-256 pass; peak memory in MB

Usage: python tests/bench/assets_bench.py [--files N] [--mib N]. Needs curl and a POSIX system.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
from measured import run

RUN402 = str(Path(sys.executable).parent / "run402")
PIECE = 1 << 20
ROUNDS, SAMPLE, BIG_ROUNDS = 3, 200, 2


class Sequential:
    """A client that does one thing at a time, over one connection."""

    def __init__(self, base: str, project: dict[str, Any]) -> None:
        self.http = httpx.Client(base_url=base, trust_env=False, timeout=60)
        self.project = project
        self.anon = {"apikey": project["service_key"]}

    def put(self, files: dict[str, bytes]) -> None:
        """One release with these files; each request waits for the one before."""
        entries = [_entry(key, data) for key, data in files.items()]
        spec = {"project_id": self.project["project_id"], "assets": {"put": entries}}
        plan = self._post("/apply/v1/plans", {"spec": spec})
        by_digest = {hashlib.sha256(data).hexdigest(): data for data in files.values()}
        missing = [entry for entry in plan["missing_content"] if not entry["present"]]
        content = [{"sha256": entry["sha256"], "size": entry["size"]} for entry in missing]
        uploads = self._post("/content/v1/plans", {"content": content})
        for session in uploads["missing"]:
            for part in session["parts"]:
                piece = by_digest[session["sha256"]][part["byte_start"] : part["byte_end"] + 1]
                checksum = base64.b64encode(hashlib.sha256(piece).digest()).decode()
                headers = {"x-amz-checksum-sha256": checksum}
                self.http.put(part["url"], content=piece, headers=headers).raise_for_status()
        self._post(f"/content/v1/plans/{uploads['plan_id']}/commit", {})
        self._post(f"/apply/v1/plans/{plan['plan_id']}/commit", {})
        path = f"/apply/v1/operations/{plan['operation_id']}/events"
        self.http.get(path, params={"limit": 100}, headers=self.anon).raise_for_status()

    def _post(self, path: str, body: Any) -> Any:
        return self.http.post(path, json=body, headers=self.anon).raise_for_status().json()


def _entry(key: str, data: bytes) -> dict[str, Any]:
    digest = hashlib.sha256(data).hexdigest()
    return {"key": key, "sha256": digest, "size_bytes": len(data), "content_type": "text/plain", "immutable": False}


def small_files(home: Path, env: dict[str, str], client: Sequential, count: int) -> dict[str, Any]:
    """Medians of rounds that take turns. A release per file costs the same for each, so a sample of them is scaled up."""
    ours: list[float] = []
    batch: list[float] = []
    peak = 0
    for turn in range(ROUNDS):
        paths = _tree(home / f"ours-{turn}", count)
        seconds, resident, _ = run([RUN402, "assets", "put", *map(str, paths), "--key", f"ours-{turn}/"], env)
        ours.append(seconds)
        peak = max(peak, resident)
        files = {f"batch-{turn}/{path.name}": path.read_bytes() for path in _tree(home / f"batch-{turn}", count)}
        begin = time.perf_counter()
        client.put(files)
        batch.append(time.perf_counter() - begin)
    sample = _tree(home / "each", min(count, SAMPLE))
    begin = time.perf_counter()
    for path in sample:
        client.put({f"each/{path.name}": path.read_bytes()})
    each = (time.perf_counter() - begin) * count / len(sample)
    together, single = statistics.median(ours), statistics.median(batch)
    return {
        "files": count,
        "ratio_to_sequential_client": round(together / each, 3),
        "bar": 0.5,
        "ratio_to_one_release_with_sequential_puts": round(together / single, 3),
        "seconds": {
            "ours": round(together, 2),
            f"release_per_file_from_{len(sample)}": round(each, 2),
            "sequential_puts": round(single, 2),
        },
        "peak_mb": round(peak / 2**20, 1),
    }


def _tree(folder: Path, count: int) -> list[Path]:
    """Files whose content no other tree has."""
    folder.mkdir()
    paths = [folder / f"{number:04}.txt" for number in range(count)]
    for number, path in enumerate(paths):
        path.write_bytes(f"{folder.name} {number} ".encode() * 100)
    return paths


def big_file(home: Path, env: dict[str, str], base: str, project: dict[str, Any], mib: int) -> dict[str, Any]:
    """Medians of turns; each has new content, because content that is there already is not sent."""
    times: dict[str, list[float]] = {"ours": [], "curl": [], "sha256": []}
    peak = 0
    for _ in range(BIG_ROUNDS):
        path = home / "big.bin"
        piece = os.urandom(PIECE)
        with path.open("wb") as handle:
            for number in range(mib):
                handle.write(number.to_bytes(8, "big") + piece[8:])
        begin = time.perf_counter()
        with path.open("rb") as handle:
            digest = hashlib.file_digest(handle, "sha256").hexdigest()
        times["sha256"].append(time.perf_counter() - begin)
        times["curl"].append(_with_curl(env, base, project, path, digest))
        seconds, resident, _ = run([RUN402, "assets", "put", str(path)], env)
        times["ours"].append(seconds)
        peak = max(peak, resident)
        run([RUN402, "assets", "rm", path.name], env)
    median = {name: statistics.median(values) for name, values in times.items()}
    return {
        "mib": mib,
        "ratio_to_curl_and_sha256": round(median["ours"] / (median["curl"] + median["sha256"]), 3),
        "bar": 1.3,
        "seconds": {name: round(value, 2) for name, value in median.items()},
        "peak_mb": round(peak / 2**20, 1),
        "bar_peak_mb": 150,
    }


def _with_curl(env: dict[str, str], base: str, project: dict[str, Any], path: Path, digest: str) -> float:
    """Seconds of `curl -T` into an upload session that is never finished, so that the content stays new."""
    storage = f"{base}/projects/v1/{project['project_id']}/storage"
    key = {"apikey": project["service_key"]}
    declared = {"key": "curl.bin", "size_bytes": path.stat().st_size, "sha256": digest}
    upload = httpx.post(f"{storage}/uploads", json=declared, headers=key, trust_env=False).raise_for_status().json()
    header = f"apikey: {project['service_key']}"
    return run(["curl", "-sf", "-T", str(path), "-H", header, upload["upload_url"]], env)[0]


def report(files: int = 1000, mib: int = 2048) -> dict[str, Any]:
    """The figures, from a gateway of their own; 0 leaves a part out."""
    home = Path(tempfile.mkdtemp(prefix="r402-assets-bench-"))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RUN402_")}
    env = {**kept, "RUN402_CONFIG_DIR": str(home / "config"), "RUN402_CORE_DATA_DIR": str(home / "data")}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    home.chmod(0o711)
    figures: dict[str, Any] = {}
    try:
        base = json.loads(run([RUN402, "core", "start", "--use", "--port", port], env)[2])["url"]
        project = json.loads(run([RUN402, "projects", "provision"], env)[2])
        if files:
            figures["small_files"] = small_files(home, env, Sequential(base, project), files)
        if mib:
            figures["big_file"] = big_file(home, env, base, project, mib)
    finally:
        subprocess.run([RUN402, "core", "reset", "--yes"], env=env, stdout=subprocess.DEVNULL, check=False)
        shutil.rmtree(home, ignore_errors=True)
    return figures


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--files", type=int, default=1000)
    options.add_argument("--mib", type=int, default=2048)
    chosen = options.parse_args()
    print(json.dumps({"assets": report(chosen.files, chosen.mib)}, indent=2))


if __name__ == "__main__":
    main()
