"""Real processes that pay a real server on loopback: killed, cut off, or racing each other, they pay once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from config_kit import ADDRESS, PRIVATE_KEY, write
from payment_kit import PAY_TO, challenge, decode, encode, offer, receipt

RUN = [sys.executable, "-m", "run402_cli"]
# Ends the process as a power cut would, when the signed request is about to leave it.
DIE_BEFORE_SENDING = """
import os
from run402_cli.client.http import httpx
send = httpx.Client._send_single_request
def cut(self, request):
    if "payment-signature" in request.headers:
        os._exit(9)
    return send(self, request)
httpx.Client._send_single_request = cut
from run402_cli.main import main
main(["tier", "set", "prototype"])
"""


class Gateway(ThreadingHTTPServer):
    """Charges for a tier. A nonce settles once; `barrier` makes callers wait for each other at the first 402."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self.server_port}"
        self.presented: list[str] = []
        self.barrier: threading.Barrier | None = None
        self.hold = threading.Event()
        self.arrived = threading.Event()
        self.hold.set()

    @property
    def settled(self) -> set[str]:
        return set(self.presented)


class Handler(BaseHTTPRequestHandler):
    server: Gateway

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        header = self.headers.get("payment-signature")
        if header is None:
            if self.server.barrier is not None:
                self.server.barrier.wait(30)
            url = self.server.base + self.path
            token = {"name": "USDC", "version": "2", "settlement": "local"}
            self._answer(402, {"code": "PAY"}, {"PAYMENT-REQUIRED": encode(challenge(url, offer(extra=token)))})
            return
        self.server.presented.append(decode(header)["payload"]["authorization"]["nonce"])
        self.server.arrived.set()
        self.server.hold.wait(30)
        self._answer(200, {"tier": "prototype"}, {"PAYMENT-RESPONSE": receipt()})

    def do_GET(self) -> None:
        self._answer(404, {}, {})

    def _answer(self, status: int, body: Any, headers: dict[str, str]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {**headers, "content-type": "application/json", "content-length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_args: Any) -> None:
        pass


@pytest.fixture
def gateway(config_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:
    (config_dir / "allowance.json").write_text(json.dumps({"address": ADDRESS, "privateKey": PRIVATE_KEY}))
    (config_dir / "allowance.json").chmod(0o600)
    server = Gateway()
    monkeypatch.setenv("RUN402_API_BASE", server.base)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.hold.set()
    server.shutdown()
    server.server_close()


def start(*args: str, **variables: str) -> subprocess.Popen[str]:
    command = [*RUN, "tier", "set", "prototype", *args]
    env = {**os.environ, **variables}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)


def second_name(config_dir: Path, kept: str) -> dict[str, str]:
    """The environment in which the key has another name: in a directory of its own, or in a file elsewhere."""
    key = {"address": ADDRESS.lower(), "privateKey": PRIVATE_KEY}
    if kept == "second name":
        write(config_dir / "profiles" / "shop" / "allowance.json", key)
        return {"RUN402_WALLET": "shop"}
    write(config_dir.parent / "elsewhere.json", key)
    write(config_dir / "profiles" / "other" / "allowance.json", {**key, "address": PAY_TO})
    return {"RUN402_WALLET": "other", "RUN402_ALLOWANCE_PATH": str(config_dir.parent / "elsewhere.json")}


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=60)
    assert PRIVATE_KEY[2:] not in out + err
    return process.returncode, out, err


def states(config_dir: Path) -> list[str]:
    return [json.loads(path.read_text())["state"] for path in (config_dir / "payment-attempts").glob("pat_*.json")]


@pytest.mark.parametrize("key", [["--idempotency-key", "order-1"], []], ids=["same key", "no key"])
def test_two_processes_that_buy_the_same_at_the_same_time_pay_once(
    gateway: Gateway, config_dir: Path, key: list[str]
) -> None:
    gateway.barrier = threading.Barrier(2)
    first, second = start(*key), start(*key)
    assert [finish(first)[0], finish(second)[0]] == [0, 0]
    assert len(gateway.settled) == 1
    assert states(config_dir) == ["completed"]


def test_two_processes_with_different_keys_buy_two_things(gateway: Gateway) -> None:
    gateway.barrier = threading.Barrier(2)
    processes = start("--idempotency-key", "a"), start("--idempotency-key", "b")
    ended = [finish(process) for process in processes]
    assert [code for code, _, _ in ended] == [0, 0], ended
    assert len(gateway.settled) == 2


def test_two_processes_cannot_spend_the_same_rest_of_the_daily_limit(gateway: Gateway, config_dir: Path) -> None:
    limits = {"version": 1, "per_day_usd_micros": 40_000}
    (config_dir / "payment-limits.json").write_text(json.dumps(limits))
    gateway.barrier = threading.Barrier(2)
    ended = [finish(process) for process in (start("--idempotency-key", "a"), start("--idempotency-key", "b"))]
    assert sorted(code for code, _, _ in ended) == [0, 1]
    assert len(gateway.settled) == 1
    (error,) = [json.loads(err.splitlines()[-1]) for code, _, err in ended if code == 1]
    assert error["code"] == "PAYMENT_LIMIT_EXCEEDED", error


@pytest.mark.parametrize("kept", ["second name", "second file"])
def test_two_processes_with_two_names_of_one_key_cannot_spend_the_same_rest(
    gateway: Gateway, config_dir: Path, kept: str
) -> None:
    """The limit is that of an older version, under one of the names; a third payment, later, finds nothing left either."""
    (config_dir / "payment-limits.json").write_text(json.dumps({"version": 1, "per_day_usd_micros": 40_000}))
    again = second_name(config_dir, kept)
    if kept == "second file":
        run = [*RUN, "allowance", "limits", "set", "--per-day-usd", "0.04"]
        subprocess.run(run, env={**os.environ, **again}, check=True, capture_output=True)
    gateway.barrier = threading.Barrier(2)
    ended = [finish(process) for process in (start(), start("--idempotency-key", "b", **again))]
    assert sorted(code for code, _, _ in ended) == [0, 1], ended
    gateway.barrier = None
    ended += [finish(start("--idempotency-key", "c")), finish(start("--idempotency-key", "d", **again))]
    errors = [json.loads(err.splitlines()[-1]) for code, _, err in ended if code == 1]
    assert [error["code"] for error in errors] == ["PAYMENT_LIMIT_EXCEEDED"] * 3
    assert {error["details"]["spent_last_day_usd_micros"] for error in errors} == {30_000}
    assert len(gateway.settled) == 1


@pytest.mark.parametrize("kept", ["second name", "second file"])
def test_two_processes_that_buy_the_same_under_two_names_of_one_key_pay_once(
    gateway: Gateway, config_dir: Path, kept: str
) -> None:
    gateway.barrier = threading.Barrier(2)
    ended = [finish(process) for process in (start(), start(**second_name(config_dir, kept)))]
    assert [code for code, _, _ in ended] == [0, 0], ended
    assert len(gateway.settled) == 1


def test_a_process_killed_while_the_seller_thinks_is_followed_by_the_same_payment(
    gateway: Gateway, config_dir: Path
) -> None:
    gateway.hold.clear()
    process = start()
    assert gateway.arrived.wait(30)
    process.kill()
    finish(process)
    assert states(config_dir) == ["submitting"]
    gateway.hold.set()
    assert finish(start())[0] == 0
    assert len(gateway.presented) == 2
    assert len(gateway.settled) == 1
    assert states(config_dir) == ["completed"]


def test_a_process_killed_before_the_answer_counts_towards_the_limit_of_a_day(
    gateway: Gateway, config_dir: Path
) -> None:
    """Also one that died between signing and sending: nobody knows here what left the machine."""
    limits = {"version": 1, "per_day_usd_micros": 80_000}
    (config_dir / "payment-limits.json").write_text(json.dumps(limits))
    subprocess.run([sys.executable, "-c", DIE_BEFORE_SENDING], capture_output=True, check=False)
    gateway.hold.clear()
    process = start("--idempotency-key", "other")
    assert gateway.arrived.wait(30)
    process.kill()
    finish(process)
    gateway.hold.set()
    code, _, err = finish(start("--idempotency-key", "third"))
    error = json.loads(err.splitlines()[-1])
    assert (code, error["code"]) == (1, "PAYMENT_LIMIT_EXCEEDED")
    assert error["details"]["spent_last_day_usd_micros"] == 60_000
    assert len(gateway.settled) == 1


def test_a_process_that_dies_between_signing_and_sending_is_followed_by_the_same_payment(
    gateway: Gateway, config_dir: Path
) -> None:
    dead = subprocess.run([sys.executable, "-c", DIE_BEFORE_SENDING], capture_output=True, text=True, check=False)
    assert dead.returncode == 9
    assert not gateway.presented
    (record,) = (config_dir / "payment-attempts").glob("pat_*.json")
    signed = json.loads(record.read_text())
    assert signed["state"] == "submitting"
    assert finish(start())[0] == 0
    assert gateway.presented == [signed["nonce"]]


def test_ctrl_c_during_the_payment_leaves_an_ambiguous_record(gateway: Gateway, config_dir: Path) -> None:
    if os.name != "posix":
        pytest.skip("no SIGTERM to a child process here")
    gateway.hold.clear()
    process = start()
    assert gateway.arrived.wait(30)
    process.terminate()
    code, _, err = finish(process)
    assert code == 143
    assert json.loads(err.splitlines()[-1])["code"] == "INTERRUPTED"
    assert states(config_dir) == ["ambiguous"]


def test_dry_run_signs_and_keeps_nothing(gateway: Gateway, config_dir: Path) -> None:
    code, out, _ = finish(start("--dry-run"))
    assert code == 0
    assert json.loads(out)["dry_run"] is True
    assert not gateway.presented
    assert not (config_dir / "payment-attempts").exists()
