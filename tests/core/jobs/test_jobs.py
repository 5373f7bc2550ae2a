"""Jobs from submission to their files."""

from __future__ import annotations

import hashlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import httpx
import psycopg
import pytest

TEXT = "One fish, two fish. Red fish, blue fish!"


class Jobs:
    def __init__(self, client: httpx.Client, project: dict[str, Any]) -> None:
        self.client = client
        self.headers = {"Authorization": f"Bearer {project['service_key']}"}

    def call(self, method: str, path: str = "", **options: Any) -> httpx.Response:
        headers = {**self.headers, **options.pop("headers", {})}
        return self.client.request(method, f"/jobs/v1/runs{path}", headers=headers, **options)

    def submit(self, key: str | None = None, text: str = TEXT, delay_ms: int = 0, **more: Any) -> httpx.Response:
        body = {
            "job_type": "demo.word_count",
            "input": {"input_json": {"text": text, "delay_ms": delay_ms}},
            "max_cost_usd_micros": 1000,
            **more,
        }
        return self.call("POST", json=body, headers={"Idempotency-Key": key} if key else {})

    def ended(self, job_id: str) -> dict[str, Any]:
        return self.until(job_id, "completed", "failed", "cancelled")

    def until(self, job_id: str, *statuses: str) -> dict[str, Any]:
        for _ in range(400):
            job = self.call("GET", f"/{job_id}").json()
            if job["status"] in statuses:
                return dict(job)
            time.sleep(0.05)
        raise AssertionError(job)


@pytest.fixture
def jobs(client: httpx.Client, project: dict[str, Any]) -> Jobs:
    return Jobs(client, project)


def test_a_job_runs_and_leaves_files_and_a_log(jobs: Jobs) -> None:
    submitted = jobs.submit()
    assert submitted.status_code == 201
    job = jobs.ended(submitted.json()["job_id"])
    assert (job["status"], job["metadata"]["cost_usd_micros"]) == ("completed", 0)
    assert sorted(job["artifacts"]) == ["counts.json", "report.txt"]
    facts = job["artifacts"]["counts.json"]
    answer = jobs.call("GET", f"/{job['job_id']}/artifacts/counts.json")
    assert answer.json()["counts"] == {"fish": 4, "blue": 1, "one": 1, "red": 1, "two": 1}
    assert answer.headers["content-type"] == "application/json"
    assert (hashlib.sha256(answer.content).hexdigest(), len(answer.content)) == (facts["sha256"], facts["size_bytes"])
    logs = jobs.call("GET", f"/{job['job_id']}/logs").json()["logs"]
    assert "counted 8 words" in " ".join(entry["message"] for entry in logs)
    assert [entry["message"] for entry in jobs.call("GET", f"/{job['job_id']}/logs?tail=1").json()["logs"]] == [
        logs[-1]["message"]
    ]


def test_a_job_that_cannot_be_done_fails_with_a_reason(jobs: Jobs) -> None:
    job = jobs.ended(jobs.submit(text="...").json()["job_id"])
    assert (job["status"], job["error"]["code"]) == ("failed", "NO_WORDS")
    missing = jobs.call("GET", f"/{job['job_id']}/artifacts/report.txt")
    assert (missing.status_code, missing.json()["code"]) == (404, "ARTIFACT_NOT_FOUND")


def test_a_running_job_is_cancelled(jobs: Jobs) -> None:
    job_id = jobs.submit(delay_ms=60_000).json()["job_id"]
    jobs.until(job_id, "running")
    assert jobs.call("DELETE", f"/{job_id}").json()["status"] == "cancelled"
    assert jobs.call("DELETE", f"/{job_id}").json()["status"] == "cancelled"
    assert jobs.ended(jobs.submit().json()["job_id"])["status"] == "completed"
    assert jobs.call("GET", f"/{job_id}").json()["status"] == "cancelled"


def test_two_jobs_run_at_once_and_the_third_waits(jobs: Jobs) -> None:
    slow = [jobs.submit(delay_ms=60_000).json()["job_id"] for _ in range(2)]
    for job_id in slow:
        jobs.until(job_id, "running")
    third = jobs.submit().json()["job_id"]
    assert jobs.call("GET", f"/{third}").json()["status"] == "queued"
    jobs.call("DELETE", f"/{slow[0]}")
    assert jobs.ended(third)["status"] == "completed"


def test_purging_ends_what_runs_and_forgets_everything(jobs: Jobs) -> None:
    done = jobs.submit().json()["job_id"]
    jobs.ended(done)
    active = jobs.submit(delay_ms=60_000).json()["job_id"]
    jobs.until(active, "running")
    assert jobs.call("DELETE").json() == {"deleted_jobs": 2, "cancelled_active_jobs": 1, "terminated_instances": 1}
    assert jobs.call("GET", f"/{done}").status_code == 404


def test_the_same_idempotency_key_gives_the_same_job(jobs: Jobs) -> None:
    first = jobs.submit("job-1")
    again = jobs.submit("job-1")
    assert (again.status_code, again.json()["job_id"]) == (200, first.json()["job_id"])
    other = jobs.submit("job-1", text="something else")
    assert (other.status_code, other.json()["code"]) == (409, "IDEMPOTENCY_KEY_CONFLICT")


@pytest.mark.parametrize(
    ("change", "status", "field"),
    [
        ({"job_type": "render.video"}, 422, "job_type"),
        ({"job_type": None}, 422, "job_type"),
        ({"input": {}}, 400, "input.input_json"),
        ({"input": {"input_json": {"text": 7}}}, 400, "input.input_json.text"),
        ({"input": {"input_json": {"text": "\x00"}}}, 400, "input.input_json.text"),
        ({"input": {"input_json": {"text": "a", "delay_ms": 60_001}}}, 400, "input.input_json.delay_ms"),
        ({"input": {"input_json": {"text": "a", "speed": 9}}}, 400, "input.input_json.speed"),
        ({"max_cost_usd_micros": None}, 400, "max_cost_usd_micros"),
        ({"max_cost_usd_micros": -1}, 400, "max_cost_usd_micros"),
        ({"callback_url": "http://example.com/"}, 400, "callback_url"),
    ],
)
def test_bad_jobs_are_refused(jobs: Jobs, change: dict[str, Any], status: int, field: str) -> None:
    answer = jobs.submit(**change)
    assert (answer.status_code, answer.json()["field"]) == (status, field)


def test_jobs_are_for_the_service_key_of_their_project(jobs: Jobs, project: dict[str, Any]) -> None:
    job_id = jobs.submit().json()["job_id"]
    assert jobs.client.get(f"/jobs/v1/runs/{job_id}", headers={"apikey": project["anon_key"]}).status_code == 401
    other = Jobs(jobs.client, jobs.client.post("/projects/v1", json={}).json())
    assert other.call("GET", f"/{job_id}").json()["code"] == "JOB_NOT_FOUND"


@contextmanager
def receiver(seen: list[str | None]) -> Iterator[str]:
    """The address of a receiver that notes the ids of callbacks."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            seen.append(self.headers["Run402-Webhook-Id"])
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            return

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_the_callback_is_called_when_the_job_ends(jobs: Jobs) -> None:
    seen: list[str | None] = []
    with receiver(seen) as address:
        jobs.ended(jobs.submit(callback_url=address).json()["job_id"])
        wait_for(lambda: bool(seen))
    assert len(seen) == 1
    assert seen[0]


def wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(400):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen")


def test_a_job_that_a_stopped_gateway_left_running_starts_again(jobs: Jobs, live: Any, database_url: str) -> None:
    job_id = jobs.submit().json()["job_id"]
    jobs.ended(job_id)
    with psycopg.connect(database_url, autocommit=True) as db:
        db.execute("UPDATE internal.core_jobs SET status = 'running', artifacts = NULL WHERE job_id = %s", (job_id,))

    async def restart() -> None:
        from run402_cli.core.jobs.runner import Runner

        await live.gateway.jobs.close()
        live.gateway.jobs = Runner(live.gateway)
        live.gateway.jobs.start()

    live.run(restart())
    assert jobs.ended(job_id)["metadata"]["attempt_count"] == 2


def test_the_jobs_and_callbacks_of_one_project_hold_up_no_other(jobs: Jobs) -> None:
    other = Jobs(jobs.client, jobs.client.post("/projects/v1", json={}).json())
    with socket.create_server(("127.0.0.1", 0)) as silent:
        # Connects, and never gets an answer.
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        for _ in range(3):
            other.ended(other.submit(callback_url=url).json()["job_id"])
        slow = [other.submit(delay_ms=8000).json()["job_id"] for _ in range(4)]
        seen: list[str | None] = []
        with receiver(seen) as address:
            mine = jobs.submit(callback_url=address).json()["job_id"]
            assert jobs.ended(mine)["status"] == "completed"
            wait_for(lambda: bool(seen))
        assert [other.call("GET", f"/{job}").json()["status"] for job in slow].count("running") == 2
        for job in slow:
            other.call("POST", f"/{job}/cancel")


def test_a_callback_that_fails_in_the_gateway_holds_up_no_other(jobs: Jobs, database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as db:
        other = Jobs(jobs.client, jobs.client.post("/projects/v1", json={}).json())
        broken = other.ended(other.submit().json()["job_id"])["job_id"]
        db.execute(
            "UPDATE internal.core_jobs SET callback_url = 'http://[', callback_due_at = now(), artifacts = '5'"
            " WHERE job_id = %s",
            (broken,),
        )
    seen: list[str | None] = []
    with receiver(seen) as address:
        jobs.ended(jobs.submit(callback_url=address).json()["job_id"])
        wait_for(lambda: bool(seen))
