"""Small objects that go together to a gateway whose plan says that it takes them so."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from gateway_stub import PROJECT, Call, Reply, StubGateway, options, ready, site

from run402_cli import deploy
from run402_cli.client import Client
from run402_cli.core.content.journal import entries
from run402_cli.deploy import _batches
from run402_cli.errors import ApiError, DeployError, NetworkError
from run402_cli.release.content import ContentObject
from run402_cli.release.sources import BytesSource

LIMITS = {"max_bytes": 1000, "max_objects": 3, "max_object_bytes": 400}
BATCHES = f"/projects/v1/{PROJECT}/content/batches"
CORE_ANSWER = {
    "plan_id": "plan_1",
    "project_id": PROJECT,
    "release_id": "rel_1",
    "release_digest": "x",
    "status": "committed",
}


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def takes_batches(gateway: StubGateway, *, core: bool = False, **limits: Any) -> None:
    said = {**LIMITS, **limits}
    gateway.on("POST", "/apply/v1/plans", lambda call: _plan(gateway, call, said))
    gateway.on("POST", BATCHES, Reply(201, {"staged": 1}))
    gateway.on("POST", "/apply/v1/plans/plan_1/commit", lambda _call: Reply(200, CORE_ANSWER if core else ready()))
    gateway.on("GET", f"/projects/v1/{PROJECT}", Reply(200, {}))


def _plan(gateway: StubGateway, call: Call, limits: Any) -> Reply:
    spec = json.loads(call.body)["spec"]
    plan = gateway.plan(spec, content_batches=limits)
    return Reply(200, plan if "project_id" in spec else {**plan, "kind": None})


def sent(gateway: StubGateway) -> list[list[bytes]]:
    return [[bytes(entry.data) for entry in entries(call.body)] for call in gateway.sent("POST", BATCHES)]


def item(data: bytes) -> ContentObject:
    return ContentObject(sha(data), len(data), "label", None, BytesSource(data), "release")


def test_small_files_go_together_and_large_ones_alone(gateway: StubGateway, client: Client, tmp_path: Path) -> None:
    takes_batches(gateway)
    small = {f"{number}.txt": b"%d" % number for number in range(7)}
    seen: list[dict[str, Any]] = []
    deploy.apply(client, site(tmp_path, {**small, "large.bin": bytes(401)}), options(), seen.append)
    batches = sent(gateway)
    assert sorted(len(batch) for batch in batches) == [1, 3, 3]
    assert {data for batch in batches for data in batch} == set(small.values())
    assert [call.body for call in gateway.sent("PUT")] == [bytes(401)]
    assert [entry["sha256"] for entry in gateway.sent("POST", "/content/v1/plans")[0].json["content"]] == [
        sha(bytes(401))
    ]
    progress = [event for event in seen if event["type"] == "content.upload.progress"]
    assert [(event["done"], event["total"]) for event in progress] == [(number, 8) for number in range(1, 9)]


def test_without_large_files_there_is_no_content_plan(gateway: StubGateway, client: Client, tmp_path: Path) -> None:
    takes_batches(gateway)
    deploy.apply(client, site(tmp_path, {"a": b"1", "b": b"2"}), options(), deploy.silent)
    assert sent(gateway) == [[b"1", b"2"]]
    assert not gateway.sent("POST", "/content/.*")
    (call,) = gateway.sent("POST", BATCHES)
    assert (call.headers["authorization"], call.headers["content-length"]) == ("Bearer dlg_1", str(len(call.body)))


def test_the_core_dialect_too(gateway: StubGateway, core_client: Client, tmp_path: Path) -> None:
    takes_batches(gateway, core=True)
    gateway.on("POST", f"/projects/v1/{PROJECT}/content", Reply(201, {"staged": True}))
    deploy.apply(core_client, site(tmp_path, {"a": b"1", "b": bytes(500)}), options(), deploy.silent)
    assert sent(gateway) == [[b"1"]]
    assert [call.json["size"] for call in gateway.sent("POST", f"/projects/v1/{PROJECT}/content")] == [500]


@pytest.mark.parametrize(
    "said", [{"max_bytes": "9"}, {"max_objects": 0}, {"max_object_bytes": None}, {"max_bytes": True}]
)
def test_limits_that_make_no_sense_are_no_limits(
    gateway: StubGateway, client: Client, tmp_path: Path, said: dict[str, Any]
) -> None:
    takes_batches(gateway, **said)
    deploy.apply(client, site(tmp_path, {"a": b"1"}), options(), deploy.silent)
    assert not gateway.sent("POST", BATCHES)
    assert [call.body for call in gateway.sent("PUT")] == [b"1"]


def test_a_batch_is_sent_again_after_a_broken_line_and_a_busy_answer(
    gateway: StubGateway, core_client: Client, tmp_path: Path
) -> None:
    takes_batches(gateway, core=True)
    busy = Reply(503, {"code": "DATABASE_BUSY", "retryable": True}, {"Retry-After": "0"})
    gateway.on("POST", BATCHES, [Reply(hang_up=True), busy, Reply(201, {"staged": 2})])
    deploy.apply(core_client, site(tmp_path, {"a": b"1", "b": b"2"}), options(), deploy.silent)
    assert sent(gateway) == [[b"1", b"2"]] * 3


@pytest.mark.parametrize(
    ("answer", "error", "times"),
    [(Reply(hang_up=True), NetworkError, 3), (Reply(409, {"code": "CONTENT_DIGEST_MISMATCH"}), ApiError, 1)],
)
def test_what_does_not_pass_is_told_and_nothing_is_committed(
    gateway: StubGateway, core_client: Client, tmp_path: Path, answer: Reply, error: type[Exception], times: int
) -> None:
    takes_batches(gateway, core=True)
    gateway.on("POST", BATCHES, answer)
    with pytest.raises(error):
        deploy.apply(core_client, site(tmp_path, {"a": b"1"}), options(), deploy.silent)
    assert len(gateway.sent("POST", BATCHES)) == times
    assert not gateway.sent("POST", ".*/commit")


@pytest.mark.parametrize("same_time", [True, False])
def test_a_file_that_changed_since_it_was_hashed_is_not_sent(
    gateway: StubGateway, client: Client, tmp_path: Path, same_time: bool
) -> None:
    takes_batches(gateway)
    release = site(tmp_path, {"a.txt": b"old!"})
    path = tmp_path / "site" / "a.txt"

    def edited(call: Call) -> Reply:
        found = path.stat()
        path.write_bytes(b"new!")
        if same_time:
            os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
        return _plan(gateway, call, LIMITS)

    gateway.on("POST", "/apply/v1/plans", edited)
    with pytest.raises(DeployError) as raised:
        deploy.apply(client, release, options(), deploy.silent)
    assert raised.value.code == "CONTENT_CHANGED"
    assert not gateway.sent("POST", ".*/commit")


def test_batches_keep_every_limit() -> None:
    most = _batches.Limits(max_bytes=1000, max_objects=4, max_object_bytes=400)
    items = [item(bytes([number]) * size) for number, size in enumerate((400, 0, 399, 401, 10, 10, 10, 10, 10, 5))]
    batches, alone = _batches.grouped(items, most)
    assert [each.size for each in alone] == [401]
    assert [each for batch in batches for each in batch] == [each for each in items if each.size != 401]
    for batch in batches:
        assert len(batch) <= 4
        assert _batches.length_of(batch) <= 1000
    assert len(batches) == 3
