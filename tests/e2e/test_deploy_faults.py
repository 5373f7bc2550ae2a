"""A deploy through a proxy that fails at each phase: what the user is told is enough to finish, and nothing is applied
twice.
"""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from typing import Any

import faulty_proxy as faults
import httpx
import pytest
from e2e_kit import Cli, Done, make
from faulty_proxy import Answer, Behaviour, Exchange, FaultyProxy, json_answer
from gateway_kit import control

from run402_cli.core.content.signing import signature
from run402_cli.core.daemon import datadir

pytestmark = pytest.mark.e2e

# A key that everybody knows; it owns nothing.
WALLET = {
    "address": "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
    "privateKey": "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
    "created": "2026-03-15T00:00:00.000Z",
    "funded": True,
}
MIGRATION = "create table once (n int); insert into once values (1);"
FILES = {"index.html": "<h1>one</h1>", "a.css": "h1{}", "sub/b.txt": "two"}

PLAN = ("POST", "/apply/v1/plans")
CONTENT_PLAN = ("POST", "/content/v1/plans")
UPLOAD = ("PUT", "/content/v1/uploads/.*")
CONTENT_COMMIT = ("POST", "/content/v1/plans/[^/]+/commit")
COMMIT = ("POST", "/apply/v1/plans/[^/]+/commit")
POLL = ("GET", "/apply/v1/operations/[^/]+")
EVENTS = ("GET", "/apply/v1/operations/[^/]+/events")
CLOUD = {
    "plan": PLAN,
    "content-plan": CONTENT_PLAN,
    "upload": UPLOAD,
    "content-commit": CONTENT_COMMIT,
    "commit": COMMIT,
    "poll": POLL,
    "events": EVENTS,
}
CORE = {
    "plan": PLAN,
    "stage": ("POST", "/projects/v1/[^/]+/content"),
    "commit": COMMIT,
    "project": ("GET", "/projects/v1/[^/]+"),
}
BATCH = ("POST", "/projects/v1/[^/]+/content/batches")
FAULTS: dict[str, Behaviour] = {
    "dropped-before": faults.drop_before,
    "dropped-after": faults.drop_after,
    "busy": faults.busy,
    "500": faults.server_error,
    "html": faults.html,
    "truncated": faults.truncated,
}
# Their answers are not needed: a few faults stand for all.
OPTIONAL = ("events", "project")
FEW = ("dropped-after", "500", "truncated")
# Where the deploy goes on by itself: the answer is not needed, or the proxy lets the repeated request pass.
HARMLESS = {
    *((phase, fault) for phase in OPTIONAL for fault in FEW),
    *((phase, "busy") for phase in (*CLOUD, *CORE, "batch") if phase != "plan"),
    ("content-commit", "html"),
    ("upload", "truncated"),
}


def plainly(exchange: Exchange) -> Answer:
    """The answer without what our own gateway adds: a gateway that takes each object by itself, and does not say where."""
    answer = exchange.forward()
    if answer.status >= 300:
        return answer
    kept = {key: value for key, value in answer.json.items() if key not in ("content_batches", "endpoints")}
    return json_answer(answer.status, kept)


@dataclass
class Deployer:
    """One user, one project, one site, and the proxy between them and the gateway."""

    cli: Cli
    proxy: FaultyProxy
    gateway: str
    project: dict[str, Any]

    def take_batches(self) -> None:
        """Let the plan say that the gateway takes them, as our own does."""
        self.proxy.standing = [rule for rule in self.proxy.standing if rule.behave is not plainly]

    def apply(self) -> Done:
        return self.cli("deploy", "apply", "--manifest", "app.json")

    def read(self, path: str, **body: Any) -> Any:
        """Straight from the gateway, past the proxy and our own client."""
        headers = {"apikey": self.project["service_key"]}
        url = self.gateway + path.format(project=self.project["project_id"])
        answer = httpx.post(url, json=body, headers=headers) if body else httpx.get(url, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def check_live_once(self, result: dict[str, Any]) -> None:
        """The release is live, and its migration ran exactly once."""
        project = self.read("/projects/v1/{project}")
        assert project["active_release_id"] == result["release_id"]
        rows = self.read("/projects/v1/admin/{project}/sql", sql="select n from once")["rows"]
        assert rows == [{"n": 1}]
        operations = self.read("/apply/v1/operations")["operations"]
        assert {one["release_id"] for one in operations if one["status"] == "ready"} == {result["release_id"]}
        static = f"{self.gateway}/projects/v1/{self.project['project_id']}/static"
        for name, text in FILES.items():
            assert httpx.get(f"{static}/{name}").text == text

    def continue_with(self, command: str) -> None:
        """Run what an error told to run, without any fault; it must finish the deploy."""
        self.proxy.clear()
        program, *words = shlex.split(command)
        assert program == "run402"
        self.check_live_once(self.cli.ok(*words))


@pytest.fixture
def deployer(tmp_path: Path, gateway: dict[str, Any]) -> Iterator[Deployer]:
    """Without a wallet, on a Core target; `as_cloud` makes it the other kind."""
    proxy = FaultyProxy(gateway["url"].removeprefix("http://"), control(gateway))
    proxy.always(*PLAN, plainly)
    cli = make(tmp_path, Path(gateway["data_dir"]))
    project = httpx.post(f"{gateway['url']}/projects/v1", json={"tier": "prototype"}, headers=control(gateway)).json()
    keys = {"anon_key": project["anon_key"], "service_key": project["service_key"]}
    files: dict[str, Any] = {
        "state.json": {"version": 1, "active_project_id": project["project_id"]},
        "target.json": {"api_base": proxy.base, "target_kind": "core"},
        "credentials/project-keys.v1.json": {"version": 1, "projects": {project["project_id"]: keys}},
    }
    for name, content in files.items():
        path = cli.config / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
        path.chmod(0o600)
    write_app(cli.cwd, project["project_id"])
    try:
        yield Deployer(cli, proxy, gateway["url"], project)
    finally:
        proxy.close()


@pytest.fixture
def cloud(deployer: Deployer) -> Deployer:
    """With a wallet, in the Cloud dialect, where the commit is polled."""
    config = deployer.cli.config
    (config / "allowance.json").write_text(json.dumps(WALLET))
    (config / "allowance.json").chmod(0o600)
    (config / "target.json").write_text(json.dumps({"api_base": deployer.proxy.base, "target_kind": "cloud"}))

    def still_running(answer: Any) -> dict[str, Any]:
        return {"operation_id": answer["operation_id"], "status": "running"}

    deployer.proxy.always(*COMMIT, faults.rewrite(still_running))
    return deployer


def write_app(folder: Path, project_id: str) -> None:
    for name, text in FILES.items():
        path = folder / "site" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    manifest = {
        "project_id": project_id,
        "database": {"migrations": [{"id": "001_once", "sql": MIGRATION}]},
        "site": {"replace": {"__source": "local-dir", "path": "site"}},
    }
    (folder / "app.json").write_text(json.dumps(manifest))


def check_told_how_to_go_on(envelope: dict[str, Any], phase: str) -> str:
    """The error names what it is about; returns the command that continues."""
    assert envelope["code"] in {
        *("NETWORK_ERROR", "RATE_LIMITED", "INTERNAL_ERROR", "API_ERROR", "ANSWER_UNREADABLE"),
        *("CONTENT_UPLOAD_FAILED", "CONTENT_MISSING", "CONTENT_DIGEST_MISSING"),
    }
    assert "<html" not in envelope["message"]
    if phase != "plan":
        assert envelope["operation_id"].startswith("op_")
        assert envelope["phase"]
    return str(envelope["next_actions"][0]["command"])


def fail_and_go_on(deployer: Deployer, phase: str, where: tuple[str, str], fault: str) -> None:
    rule = deployer.proxy.on(*where, FAULTS[fault], times=1 if fault == "busy" and phase != "plan" else None)
    done = deployer.apply()
    assert rule.hits, "the fault never happened"
    if (phase, fault) in HARMLESS:
        deployer.proxy.clear()
        deployer.check_live_once(done.json)
        return
    envelope = done.envelope
    command = check_told_how_to_go_on(envelope, phase)
    if fault in ("dropped-before", "dropped-after"):
        assert envelope["code"] in ("NETWORK_ERROR", "CONTENT_UPLOAD_FAILED")
    if fault not in ("html", "truncated"):
        assert envelope["retryable"] is True
    deployer.continue_with(command)


def matrix(phases: dict[str, tuple[str, str]]) -> list[tuple[str, str]]:
    return [(phase, fault) for phase in phases for fault in (FEW if phase in OPTIONAL else FAULTS)]


@pytest.mark.parametrize(("phase", "fault"), matrix(CLOUD))
def test_each_phase_fails_clearly_and_goes_on(phase: str, fault: str, cloud: Deployer) -> None:
    fail_and_go_on(cloud, phase, CLOUD[phase], fault)


@pytest.mark.parametrize(("phase", "fault"), matrix(CORE))
def test_each_phase_of_a_self_hosted_deploy_fails_clearly_and_goes_on(
    phase: str, fault: str, deployer: Deployer
) -> None:
    if phase == "project":
        deployer.proxy.always(*COMMIT, plainly)
    fail_and_go_on(deployer, phase, CORE[phase], fault)


@pytest.mark.parametrize("dialect", ["deployer", "cloud"])
@pytest.mark.parametrize("fault", FAULTS)
def test_files_that_go_together_fail_clearly_and_go_on(
    fault: str, dialect: str, request: pytest.FixtureRequest
) -> None:
    deployer: Deployer = request.getfixturevalue(dialect)
    deployer.take_batches()
    fail_and_go_on(deployer, "batch", BATCH, fault)


def test_files_that_change_on_the_way_together_are_not_accepted(deployer: Deployer) -> None:
    deployer.take_batches()
    deployer.proxy.on(*BATCH, corrupt_end)
    envelope = deployer.apply().envelope
    assert envelope["code"] == "CONTENT_DIGEST_MISMATCH"
    deployer.proxy.clear()
    deployer.check_live_once(deployer.apply().json)


@pytest.mark.parametrize("fault", ["dropped-before", "dropped-after", "500", "html", "truncated"])
def test_a_resume_that_fails_can_be_repeated(fault: str, cloud: Deployer) -> None:
    cloud.proxy.on(*POLL, faults.server_error)
    command = check_told_how_to_go_on(cloud.apply().envelope, "poll")
    assert command.startswith("run402 deploy resume op_")
    cloud.proxy.clear()
    rule = cloud.proxy.on("POST", "/apply/v1/operations/[^/]+/resume", FAULTS[fault])
    envelope = cloud.cli(*shlex.split(command)[1:]).envelope
    assert rule.hits == 1
    assert check_told_how_to_go_on(envelope, "resume") == command
    cloud.continue_with(command)


@pytest.mark.parametrize("fault", ["dropped-before", "dropped-after", "500"])
def test_a_promote_that_fails_can_be_repeated(fault: str, cloud: Deployer) -> None:
    first = cloud.apply().json
    (cloud.cli.cwd / "site" / "index.html").write_text("<h1>two</h1>")
    assert cloud.apply().json["release_id"] != first["release_id"]
    rule = cloud.proxy.on("POST", "/apply/v1/releases/[^/]+/promote", FAULTS[fault])
    envelope = cloud.cli("deploy", "promote", first["release_id"]).envelope
    assert (rule.hits, envelope["phase"], envelope["retryable"]) == (1, "promote", True)
    cloud.proxy.clear()
    again = cloud.cli(*shlex.split(envelope["next_actions"][0]["command"])[1:])
    if fault == "dropped-after":
        assert again.envelope["code"] == "PROMOTE_NO_OP", "it had been done the first time"
    else:
        assert again.json["release_id"] == first["release_id"]
    assert cloud.read("/projects/v1/{project}")["active_release_id"] == first["release_id"]


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize(
    ("number", "code", "hang"),
    [(signal.SIGINT, 130, faults.hang_before), (signal.SIGTERM, 143, faults.hang_after)],
    ids=["SIGINT", "SIGTERM"],
)
@pytest.mark.parametrize("phase", CLOUD)
def test_a_signal_at_each_phase_ends_the_deploy_and_says_how_to_go_on(
    phase: str, number: signal.Signals, code: int, hang: Behaviour, cloud: Deployer
) -> None:
    cloud.proxy.on(*CLOUD[phase], hang)
    process = cloud.cli.start("deploy", "apply", "--manifest", "app.json")
    try:
        assert cloud.proxy.reached.wait(30)
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert (process.returncode, out) == (code, b"")
    assert b"Traceback" not in err
    envelope = json.loads(err.splitlines()[-1])
    assert envelope["code"] == "INTERRUPTED"
    if phase != "plan":
        assert envelope["operation_id"].startswith("op_")
    cloud.continue_with(envelope["next_actions"][0]["command"])


def test_expired_upload_addresses_are_replaced(cloud: Deployer, gateway: dict[str, Any]) -> None:
    secret = datadir.load_secrets(Path(gateway["data_dir"])).signed_read_secret

    def expire(answer: Any) -> dict[str, Any]:
        """Addresses that the gateway itself would have made an hour too early."""
        past = int(time.time()) - 3600
        for session in answer["missing"]:
            for part in session["parts"]:
                address = part["url"].partition("?")[0]
                made = signature(secret, session["upload_id"], part["part_number"], past)
                part["url"] = f"{address}?expires={past}&signature={made}"
        return dict(answer)

    rule = cloud.proxy.on(*CONTENT_PLAN, faults.rewrite(expire), times=1)
    done = cloud.apply()
    assert rule.hits == 1
    cloud.check_live_once(done.json)


def test_expired_upload_addresses_of_every_plan_end_the_deploy(cloud: Deployer) -> None:
    body = {"code": "UPLOAD_URL_EXPIRED", "message": "expired"}
    cloud.proxy.on(*UPLOAD, lambda _exchange: json_answer(403, body))
    envelope = cloud.apply().envelope
    assert (envelope["code"], envelope["http"], envelope["retryable"]) == ("CONTENT_UPLOAD_FAILED", 403, True)
    cloud.continue_with(check_told_how_to_go_on(envelope, "upload"))


def corrupt(exchange: Exchange) -> Answer:
    """One bit changes on the way."""
    exchange.body = bytes([exchange.body[0] ^ 1]) + exchange.body[1:]
    return exchange.forward()


def corrupt_end(exchange: Exchange) -> Answer:
    exchange.body = exchange.body[:-1] + bytes([exchange.body[-1] ^ 1])
    return exchange.forward()


def test_bytes_that_change_on_the_way_are_not_accepted(cloud: Deployer) -> None:
    cloud.proxy.on(*UPLOAD, corrupt)
    envelope = cloud.apply().envelope
    assert (envelope["code"], envelope["phase"]) == ("CONTENT_UPLOAD_FAILED", "upload")
    assert "CHECKSUM_MISMATCH" in envelope["body_preview"]
    cloud.continue_with(check_told_how_to_go_on(envelope, "upload"))


@pytest.mark.parametrize("hours", [-30, 30])
def test_a_clock_that_is_wrong_does_not_matter_to_a_deploy(hours: int, cloud: Deployer) -> None:
    cloud.proxy.date = formatdate(time.time() + hours * 3600, usegmt=True)
    cloud.check_live_once(cloud.apply().json)


@pytest.mark.parametrize(("hours", "word"), [(-2, "ahead"), (2, "behind")])
def test_a_signature_refused_because_of_the_clock_says_so(hours: int, word: str, cloud: Deployer) -> None:
    cloud.proxy.date = formatdate(time.time() + hours * 3600, usegmt=True)
    refusal = json_answer(401, {"code": "SIWX_EXPIRED", "message": "The signature has expired."})
    cloud.proxy.on(*PLAN, lambda _exchange: refusal)
    envelope = cloud.apply().envelope
    assert (envelope["code"], envelope["http"]) == ("SIWX_EXPIRED", 401)
    assert f"120 minutes {word}" in envelope["hint"]


IMPATIENT = """
from run402_cli.deploy import _follow
_follow._GIVE_UP_SECONDS = 1.5
from run402_cli.main import main
main()
"""


def test_a_poll_that_never_ends_is_bounded(cloud: Deployer) -> None:
    cloud.proxy.on(*POLL, faults.rewrite(lambda answer: {**answer, "status": "migrating"}))
    done = subprocess.run(
        [sys.executable, "-c", IMPATIENT, "deploy", "apply", "--manifest", "app.json"],
        env=cloud.cli.environment(),
        cwd=cloud.cli.cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, b"")
    envelope = json.loads(done.stderr.splitlines()[-1])
    assert (envelope["code"], envelope["http"], envelope["retryable"]) == ("INTERNAL_ERROR", 504, True)
    cloud.continue_with(check_told_how_to_go_on(envelope, "poll"))


def test_recorded_events_come_once_each_although_polls_repeat(cloud: Deployer) -> None:
    rule = cloud.proxy.on(*POLL, faults.rewrite(lambda answer: {**answer, "status": "staging"}), times=2)
    done = cloud.apply()
    assert rule.hits == 2
    recorded = [event["id"] for event in done.events if event["type"] == "commit.phase.detail"]
    assert recorded
    assert len(recorded) == len(set(recorded))
    cloud.check_live_once(done.json)


def test_two_interrupted_uploads_send_each_object_once(cloud: Deployer) -> None:
    sent: list[str] = []

    def note(exchange: Exchange) -> Answer:
        answer = exchange.forward()
        sent.append(answer.json["sha256"])
        return answer

    dropped = cloud.proxy.on(*CONTENT_COMMIT, faults.drop_before)
    cloud.proxy.always(*UPLOAD, note)
    envelope = cloud.apply().envelope
    assert dropped.hits == 1
    cloud.continue_with(check_told_how_to_go_on(envelope, "upload"))
    assert len(sent) == len(set(sent)) == len(FILES) + 1


def test_a_gateway_that_runs_on_another_port_is_named_with_the_command_that_uses_it(deployer: Deployer) -> None:
    deployer.proxy.close()
    envelope = deployer.apply().envelope
    assert envelope["code"] == "NETWORK_ERROR"
    commands = [action["command"] for action in envelope["next_actions"]]
    assert commands == ["run402 core start --use", "run402 deploy apply --manifest app.json"]
