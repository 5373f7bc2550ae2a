"""Figures of the speed bars, as ratios in one run. A benchmark, not a test: it asserts nothing.

Run by `make bench` with the interpreter of a plain install (not editable, no dev tools). Unit P: one bare
`python -c pass` of the same interpreter. Needs a POSIX system (peak memory comes from wait4), curl, sha256sum, 10 GB of
free disk and about eight minutes. Every figure with a bar has it beside it as `bar`.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import archives_bench
import assets_bench
import functions_bench
import rest_bench
import uploads_bench
from measured import run

RUN402 = str(Path(sys.executable).parent / "run402")
ROUNDS = 21
FILES, TREE_BYTES = 2000, 100 * 2**20
BIG_BYTES = 2**30
PROJECT = "prj_0123456789abcdef"


class Stub(BaseHTTPRequestHandler):
    """Answers every request at once with a small JSON document."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = b'{"status":"healthy","projects":[]}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: Any) -> None:
        pass


def medians(commands: dict[str, tuple[list[str], dict[str, str]]]) -> dict[str, float]:
    """Median wall seconds of each command; the commands take turns so that all see the same machine."""
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(ROUNDS):
        for name, (command, env) in commands.items():
            times[name].append(run(command, env)[0])
    return {name: statistics.median(values) for name, values in times.items()}


def start_up(home: Path) -> dict[str, Any]:
    """Ratios to P of the commands that have a bar."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Stub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{server.server_address[1]}"
    plain = environment(home / "plain", RUN402_API_BASE=base)
    wallet = environment(home / "wallet", RUN402_API_BASE=base, RUN402_WALLET_LABEL_SYNC="0")
    run([RUN402, "wallets", "new", "main"], wallet)
    run([RUN402, "wallets", "use", "main"], wallet)
    commands = {
        "python -c pass": ([sys.executable, "-c", "pass"], plain),
        "--version": ([RUN402, "--version"], plain),
        "--help": ([RUN402, "--help"], plain),
        "wallets current": ([RUN402, "wallets", "current"], plain),
        "service health": ([RUN402, "service", "health"], plain),
        "projects list, signed": ([RUN402, "projects", "list"], wallet),
    }
    bars = {
        "--version": 2.0,
        "--help": 3.0,
        "wallets current": 7.5,
        "service health": 12.0,
        "projects list, signed": 14.0,
    }
    seconds = medians(commands)
    server.shutdown()
    unit = seconds["python -c pass"]
    ratios = {name: {"p": round(seconds[name] / unit, 2), "bar_p": bar} for name, bar in bars.items()}
    return {"p_milliseconds": round(unit * 1000, 1), "ratios": ratios}


def environment(config: Path, **extra: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("RUN402_")}
    return {**kept, "RUN402_CONFIG_DIR": str(config), **extra}


def make_tree(folder: Path) -> None:
    """2,000 files, 100 MB, with content that no filesystem can compress away."""
    source = random.Random(402)
    for number in range(FILES):
        path = folder / f"d{number % 40:02}" / f"f{number:04}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(source.randbytes(TREE_BYTES // FILES))


def deploying(home: Path) -> dict[str, Any]:
    """Memory and content traffic of a 2,000-file tree against the local gateway."""
    app = home / "app"
    make_tree(app / "site")
    manifest = app / "run402.deploy.json"
    manifest.write_text(json.dumps({"site": {"replace": {"__source": "local-dir", "path": "site"}}}))
    env = environment(home / "deploy", RUN402_CORE_DATA_DIR=str(home / "data"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    run([RUN402, "core", "start", "--use", "--port", str(port)], env)
    try:
        run([RUN402, "projects", "provision", "--name", "bench"], env)
        apply = [RUN402, "deploy", "apply", "--manifest", str(manifest)]
        first_seconds, first_peak, _ = run(apply, env)
        again_seconds, again_peak, _ = run(apply, env)
        events = subprocess.run(apply, env=env, capture_output=True, text=True, check=True).stderr
    finally:
        run([RUN402, "core", "stop"], env)
    sent = [line for line in events.splitlines() if '"content.upload.progress"' in line]
    return {
        "first_seconds": round(first_seconds, 2),
        "first_peak_mb": round(first_peak / 2**20, 1),
        "bar_peak_mb": 120,
        "unchanged_seconds": round(again_seconds, 2),
        "unchanged_peak_mb": round(again_peak / 2**20, 1),
        "unchanged_objects_sent": len(sent),
    }


@contextlib.contextmanager
def behind_a_link(home: Path) -> Iterator[dict[str, str]]:
    """Environment of a deployer whose gateway needs 20 ms for each answer."""
    script = Path(__file__).with_name("slow_gateway.py")
    process = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        base = process.stdout.readline().strip()
        config = home / "link"
        config.mkdir(exist_ok=True)
        (config / "target.json").write_text(json.dumps({"api_base": base, "target_kind": "cloud"}))
        yield environment(config, RUN402_DELEGATE_TOKEN="dlg_bench")
    finally:
        process.kill()
        process.wait()


def apply_command(home: Path, tree: Path, *flags: str) -> list[str]:
    """`deploy apply` of a directory as the site."""
    manifest = home / "link.json"
    site = {"replace": {"__source": "local-dir", "path": str(tree)}}
    manifest.write_text(json.dumps({"project_id": PROJECT, "site": site}))
    return [RUN402, "deploy", "apply", "--quiet", "--manifest", str(manifest), *flags]


def uploading(home: Path, tree: Path) -> dict[str, Any]:
    """First deploy of the tree over a 20 ms link, against the same one object at a time."""
    with behind_a_link(home) as env:
        together = statistics.median(run(apply_command(home, tree), env)[0] for _ in range(3))
        sequential = run(apply_command(home, tree, "--concurrency", "1"), env).seconds
    ratio = round(together / sequential, 3)
    return {"seconds": round(together, 2), "sequential_seconds": round(sequential, 2), "ratio": ratio, "bar": 0.25}


def big_file(home: Path) -> dict[str, Any]:
    """Peak memory of deploying one file of 1 GB."""
    tree = home / "big"
    tree.mkdir()
    block = random.Random(402).randbytes(2**20)
    with (tree / "video.bin").open("wb") as file:
        for number in range(BIG_BYTES // len(block)):
            file.write(number.to_bytes(8, "big") + block[8:])
    with behind_a_link(home) as env:
        seconds, peak, _ = run(apply_command(home, tree), env)
    return {"seconds": round(seconds, 2), "peak_mb": round(peak / 2**20, 1), "bar_peak_mb": 150}


HASH = """
import sys, time
from pathlib import Path
from run402_cli.release.sources import hash_files
paths = sorted(path for path in Path(sys.argv[1]).rglob("*") if path.is_file())
begin = time.perf_counter()
hash_files(paths)
print(time.perf_counter() - begin)
"""


def hashing(tree: Path) -> dict[str, Any]:
    """Our hashing of the tree against `sha256sum` with one process per core over the same files, files cached."""
    cores = os.cpu_count() or 1
    files = [str(path) for path in sorted(tree.rglob("*")) if path.is_file()]
    names = "\0".join(files)
    ours, theirs = [], []
    batch = str(-(-len(files) // cores))
    for _ in range(7):
        begin = time.perf_counter()
        command = ["xargs", "-0", "-P", str(cores), "-n", batch, "sha256sum"]
        subprocess.run(command, input=names, text=True, stdout=subprocess.DEVNULL, check=True)
        theirs.append(time.perf_counter() - begin)
        done = subprocess.run([sys.executable, "-c", HASH, str(tree)], capture_output=True, text=True, check=True)
        ours.append(float(done.stdout))
    ratio = statistics.median(theirs) / statistics.median(ours)
    mb_per_second = TREE_BYTES / 2**20 / statistics.median(ours)
    return {"throughput_of_sha256sum": round(ratio, 2), "bar": 0.8, "mb_per_second": round(mb_per_second)}


def main() -> None:
    home = Path(tempfile.mkdtemp(prefix="run402-bench-"))
    try:
        report: dict[str, Any] = {"start_up": start_up(home), "deploy_2000_files_100_mb": deploying(home)}
        report["hashing"] = hashing(home / "app" / "site")
        report["upload_2000_files_20_ms"] = uploading(home, home / "app" / "site")
        report["upload_1_gb_file"] = big_file(home)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    report["deploy_20000_small_files"] = uploads_bench.report()
    report["functions"] = functions_bench.report()
    report["assets"] = assets_bench.report()
    report["rest"] = rest_bench.report()
    report["archives"] = archives_bench.report()
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
