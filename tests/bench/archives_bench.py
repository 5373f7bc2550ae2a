"""`archives verify` of a large archive against sha256sum of the same file: throughput ratio and peak memory, as JSON.

    python tests/bench/archives_bench.py [--gigabytes 2] [--runs 3]

The archive's content is random, so that no file system compresses it; the first, uncounted run warms the page cache.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from measured import run

from run402_cli.archive.format import CAPABILITIES
from run402_cli.archive.writer import ArchiveWriter

BLOB_BYTES = 120 * 1024**2


def make(path: Path, size: int) -> None:
    """An archive of about `size` bytes of blobs."""
    blob = path.with_name("blob.tmp")
    with ArchiveWriter(path) as writer:
        writer.add_json("portability_report", {"schema_version": "x", "entries": []})
        while size > 0:
            length = min(size, BLOB_BYTES)
            writer.add_blob(_random_file(blob, length), blob)
            size -= length
        writer.finish(
            core_compatibility={"runtime_kernel": ">=0.1.5", "release_spec": "run402.release_spec.v1"},
            source={"platform": "run402-core"},
            required_capabilities=CAPABILITIES,
            consistency={"mode": "core_fixture_v1"},
        )
    blob.unlink()


def _random_file(path: Path, size: int) -> str:
    """In small pieces: a child's peak memory counts what its parent had when it was started."""
    digest = hashlib.sha256()
    with path.open("wb") as handle:
        while size:
            data = os.urandom(min(size, 1 << 20))
            handle.write(data)
            digest.update(data)
            size -= len(data)
    return digest.hexdigest()


def measure(path: Path, runs: int) -> dict[str, Any]:
    size = path.stat().st_size
    cli = [sys.executable, "-m", "run402_cli", "archives", "verify", str(path), "--max-bytes", str(2 * size)]
    commands = {"verify": cli, "sha256sum": ["sha256sum", str(path)]}
    times: dict[str, list[float]] = {name: [] for name in commands}
    memory = dict.fromkeys(commands, 0)
    for number in range(runs + 1):
        for name, command in commands.items():
            seconds, peak, _ = run(command)
            memory[name] = max(memory[name], peak)
            if number:
                times[name].append(seconds)
    median = {name: statistics.median(values) for name, values in times.items()}
    return {
        "archive_bytes": size,
        "seconds": {name: round(value, 3) for name, value in median.items()},
        "throughput_of_sha256sum": round(median["sha256sum"] / median["verify"], 3),
        "bar": 0.8,
        "peak_mb": {name: round(value / 2**20, 1) for name, value in memory.items()},
        "bar_peak_mb": 100,
    }


def report(gigabytes: float = 2, runs: int = 3) -> dict[str, Any]:
    """The figures for one fresh archive of this size."""
    with tempfile.TemporaryDirectory(prefix="run402-bench-") as folder:
        path = Path(folder) / "large.r402ar"
        make(path, int(gigabytes * 1e9))
        return measure(path, runs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=2)
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    sys.stdout.write(json.dumps({"archives": report(given.gigabytes, given.runs)}, indent=2) + "\n")


if __name__ == "__main__":
    main()
