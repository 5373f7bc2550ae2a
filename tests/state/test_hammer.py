"""Several processes in one config directory at once, and processes that are killed half-way."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from run402_cli.state import profile, wallets
from run402_cli.state.profile import Profile, Selection

SECONDS = 10
WORKERS = 4
SPAWN = multiprocessing.get_context("spawn")
ADDRESS = "0x" + "ab" * 20
KEY = "0x" + "11" * 32


def open_profile(config_dir: str) -> Profile:
    os.environ["RUN402_CONFIG_DIR"] = config_dir
    os.environ["RUN402_API_BASE"] = "http://127.0.0.1:4020"
    return Profile(Selection("default", "default", None))


def hammer(config_dir: str, worker: int, answer: Connection) -> None:
    """Add, remove, select; create, rename, remove wallets. Answers with what must be there at the end."""
    home = open_profile(config_dir)
    keys: dict[str, str] = {}
    names: set[str] = set()
    ends = time.monotonic() + SECONDS
    i = 0
    try:
        while time.monotonic() < ends:
            i += 1
            project = f"prj_{worker}_{i}"
            home.keys.upsert(project, {"anon_key": "a", "service_key": f"s{worker}.{i}"})
            keys[project] = f"s{worker}.{i}"
            home.active.set(project)
            if i % 2 == 0:
                gone = f"prj_{worker}_{i - 1}"
                home.keys.remove(gone)
                home.active.clear(gone)
                del keys[gone]
            if i % 5 == 0:
                juggle_wallets(worker, i, names)
        answer.send((keys, names, None))
    except Exception as exc:
        answer.send((keys, names, f"worker {worker}, step {i}: {exc!r}"))


def juggle_wallets(worker: int, i: int, names: set[str]) -> None:
    name = f"w{worker}-{i}"
    wallets.create(name, address=ADDRESS, private_key=KEY, rail="x402")
    wallets.select_default(name)
    wallets.rename(name, f"{name}-new")
    names.add(f"{name}-new")
    if i % 10 == 0:
        wallets.remove(f"{name}-new")
        names.remove(f"{name}-new")


def leftovers(config_dir: Path) -> list[str]:
    return [p.name for p in config_dir.rglob("*") if p.name.endswith((".tmp", ".lock", ".taker"))]


def test_processes_in_one_config_directory_lose_no_write(config_dir: Path) -> None:
    jobs = []
    for worker in range(WORKERS):
        ours, theirs = SPAWN.Pipe()
        process = SPAWN.Process(target=hammer, args=(str(config_dir), worker, theirs))
        process.start()
        jobs.append((process, ours))
    home = open_profile(str(config_dir))
    files = [home.keys.path, home.active.path, config_dir / "config.json"]
    reads = 0
    while any(process.is_alive() for process, _ in jobs) and not all(ours.poll() for _, ours in jobs):
        for path in files:
            if path.exists():
                assert isinstance(json.loads(path.read_bytes()), dict)  # a reader never sees half a file
                reads += 1
        time.sleep(0.005)
    answers = [ours.recv() for _, ours in jobs]
    for process, _ in jobs:
        process.join(30)
    assert [problem for _, _, problem in answers if problem] == []
    expected = {project: key for keys, _, _ in answers for project, key in keys.items()}
    assert len(expected) > 40
    assert reads > 100
    stored = json.loads(home.keys.path.read_bytes())["projects"]
    assert {project: entry["service_key"] for project, entry in stored.items()} == expected
    assert set(wallets.names()) == {name for _, names, _ in answers for name in names}
    state = json.loads(home.active.path.read_bytes())
    assert state["active_project_id"] in expected
    assert json.loads((config_dir / "config.json").read_bytes())["active_wallet"]
    assert leftovers(config_dir) == []


def write_forever(config_dir: str, ready: Connection) -> None:
    home = open_profile(config_dir)
    filler = "x" * 20_000
    for i in range(1_000_000):
        home.keys.upsert(f"prj_{i % 20}", {"anon_key": filler, "service_key": filler})
        home.active.set(f"prj_{i % 20}")
        if i == 0:
            ready.send(True)


@pytest.fixture
def killed_writers(config_dir: Path) -> Iterator[list[Path]]:
    """Kill a writer six times at a random moment; the files are valid each time. Yields what was seen lying around."""
    seen: list[Path] = []
    for _ in range(6):
        ours, theirs = SPAWN.Pipe()
        process = SPAWN.Process(target=write_forever, args=(str(config_dir), theirs))
        process.start()
        assert ours.poll(30)
        time.sleep(random.uniform(0.005, 0.08))
        process.kill()
        process.join(30)
        for path in (config_dir / "state.json", config_dir / "credentials" / "project-keys.v1.json"):
            assert isinstance(json.loads(path.read_bytes()), dict)
        for path in [p for p in config_dir.rglob("*") if p.name.endswith((".tmp", ".lock"))]:
            seen.append(path)
            os.utime(path, (0, 0))  # as if the process had been killed long ago
    yield seen


def test_a_killed_writer_leaves_valid_files_and_its_lock_is_taken_over(
    config_dir: Path, killed_writers: list[Path]
) -> None:
    home = open_profile(str(config_dir))
    home.keys.upsert("prj_after", {"anon_key": "a", "service_key": "s"})
    home.active.set("prj_after")
    assert home.keys.require("prj_after")["service_key"] == "s"
    assert home.active.get() == "prj_after"
    assert leftovers(config_dir) == []


def create_one(config_dir: str, key: str, answer: Connection) -> None:
    open_profile(config_dir)
    try:
        wallets.create("same", address=ADDRESS, private_key=key, rail="x402")
        answer.send(key)
    except Exception as exc:
        answer.send(getattr(exc, "code", repr(exc)))


def test_of_two_processes_that_create_the_same_wallet_one_is_refused_and_the_key_stays(config_dir: Path) -> None:
    jobs = []
    for digit in "1234":
        ours, theirs = SPAWN.Pipe()
        process = SPAWN.Process(target=create_one, args=(str(config_dir), "0x" + digit * 64, theirs))
        process.start()
        jobs.append((process, ours))
    answers = [ours.recv() for _, ours in jobs]
    for process, _ in jobs:
        process.join(30)
    winners = [answer for answer in answers if answer.startswith("0x")]
    assert len(winners) == 1
    assert answers.count("WALLET_EXISTS") == 3
    stored = json.loads((profile.base_dir() / "profiles" / "same" / "allowance.json").read_bytes())
    assert stored["privateKey"] == winners[0]
