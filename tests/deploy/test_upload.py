"""What is sent to presigned addresses and to the Core staging route, and what happens when that fails."""

from __future__ import annotations

import base64
import hashlib
import os
import threading
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from gateway_stub import COMMAND, Call, Reply, StubGateway, manifest, options, ready, site

from run402_cli import deploy
from run402_cli.client import Client
from run402_cli.errors import DeployError, Interrupted, NetworkError


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def checksum(data: bytes) -> str:
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


def committed(gateway: StubGateway) -> bool:
    return bool(gateway.sent("POST", ".*/commit"))


def test_each_missing_object_is_sent_once_with_its_checksum(
    gateway: StubGateway, client: Client, tmp_path: Path
) -> None:
    files = {"a.html": b"same", "b.html": b"same", "c.txt": b"other", "empty.txt": b""}
    deploy.apply(client, site(tmp_path, files), options(), deploy.silent)
    puts = gateway.sent("PUT")
    assert {call.path.split("/")[2]: call.body for call in puts} == {sha(data): data for data in files.values()}
    assert len(puts) == 3
    for call in puts:
        assert call.headers["x-amz-checksum-sha256"] == checksum(call.body)
        assert not {"authorization", "apikey", "run402-client", "content-type", "transfer-encoding"} & set(call.headers)


def test_content_that_is_stored_is_not_sent_again(gateway: StubGateway, client: Client, tmp_path: Path) -> None:
    release = site(tmp_path, {"a.html": b"1", "b.html": b"2"})
    deploy.apply(client, release, options(), deploy.silent)
    gateway.calls.clear()
    seen: list[dict[str, Any]] = []
    deploy.apply(client, release, options(), seen.append)
    assert [call.path for call in gateway.calls] == [
        "/apply/v1/plans",
        "/apply/v1/plans/plan_1/commit",
        "/apply/v1/operations/op_1/events?limit=100",
    ]
    skipped = [event for event in seen if event["type"] == "content.upload.skipped"]
    assert [(event["label"], event["count"], event["slice_kind"]) for event in skipped] == [("a.html", 2, "release")]


def test_one_stored_file_is_told_as_recorded(gateway: StubGateway, client: Client, tmp_path: Path) -> None:
    release = site(tmp_path, {"a.html": b"1"})
    deploy.apply(client, release, options(), deploy.silent)
    seen: list[dict[str, Any]] = []
    deploy.apply(client, release, options(), seen.append)
    (skipped,) = [event for event in seen if event["type"] == "content.upload.skipped"]
    assert sorted(skipped) == ["label", "reason", "sha256", "slice_kind", "type"]


def test_the_checksum_is_not_repeated_when_the_address_carries_it(
    gateway: StubGateway, client: Client, tmp_path: Path
) -> None:
    def plan(call: Call) -> Reply:
        session = gateway.session(call.json["content"][0]["sha256"], 3)
        session["parts"][0]["url"] += "?x-amz-checksum-sha256=abc"
        return Reply(200, {"plan_id": "cplan_1", "missing": [session]})

    gateway.on("POST", "/content/v1/plans", plan)
    deploy.apply(client, site(tmp_path, {"a.txt": b"abc"}), options(), deploy.silent)
    assert "x-amz-checksum-sha256" not in gateway.sent("PUT")[0].headers


def test_uploads_overlap_but_never_more_than_asked(gateway: StubGateway, client: Client, tmp_path: Path) -> None:
    running, most, lock = 0, 0, threading.Lock()
    together = threading.Barrier(3, timeout=10)

    def put(_call: Call) -> Reply:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        together.wait()
        with lock:
            running -= 1
        return Reply(200)

    gateway.on("PUT", "/put/.*", put)
    files = {f"{number}.txt": str(number).encode() for number in range(12)}
    deploy.apply(client, site(tmp_path, files), options(concurrency=3), deploy.silent)
    assert most == 3


def test_progress_counts_finished_sessions(gateway: StubGateway, client: Client, tmp_path: Path) -> None:
    seen: list[dict[str, Any]] = []
    deploy.apply(client, site(tmp_path, {f"{n}.txt": bytes([n]) for n in range(5)}), options(), seen.append)
    progress = [event for event in seen if event["type"] == "content.upload.progress"]
    assert [(event["done"], event["total"]) for event in progress] == [(n, 5) for n in range(1, 6)]
    assert {event["label"] for event in progress} == {f"{n}.txt" for n in range(5)}


@pytest.mark.parametrize("reply", [Reply(500), Reply(403), Reply(hang_up=True)])
def test_a_passing_failure_is_tried_again(gateway: StubGateway, client: Client, tmp_path: Path, reply: Reply) -> None:
    gateway.on("PUT", "/put/.*", [reply, reply, Reply(200)])
    result = deploy.apply(client, site(tmp_path, {"a.txt": b"abc"}), options(), deploy.silent)
    assert result["release_id"] == "rel_1"
    assert [call.body for call in gateway.sent("PUT")] == [b"abc"] * 3


def test_after_a_final_failure_nothing_starts_and_nothing_is_committed(
    gateway: StubGateway, client: Client, tmp_path: Path
) -> None:
    gateway.on("PUT", "/put/.*", Reply(500, {"message": "disk full"}))
    with pytest.raises(DeployError) as caught:
        deploy.apply(
            client, site(tmp_path, {f"{n}.txt": bytes([n]) for n in range(6)}), options(concurrency=1), deploy.silent
        )
    envelope = caught.value.envelope()
    assert (envelope["code"], envelope["phase"], envelope["http"], envelope["retryable"]) == (
        "CONTENT_UPLOAD_FAILED",
        "upload",
        500,
        True,
    )
    assert "disk full" in envelope["body_preview"]
    assert envelope["next_actions"][0]["command"] == COMMAND
    assert len({call.path for call in gateway.sent("PUT")}) == 1
    assert not committed(gateway)


EXPIRED = Reply(403, {"code": "UPLOAD_URL_EXPIRED"})


def test_expired_addresses_are_replaced_by_new_ones(gateway: StubGateway, client: Client, tmp_path: Path) -> None:
    def plan(call: Call) -> Reply:
        number = len(gateway.sent("POST", "/content/v1/plans"))
        wanted = [entry for entry in call.json["content"] if entry["sha256"] not in gateway.stored]
        sessions = [gateway.session(entry["sha256"], entry["size"]) for entry in wanted]
        return Reply(200, {"plan_id": f"cplan_{number}", "missing": sessions})

    puts: list[Call] = []

    def put(call: Call) -> Reply:
        puts.append(call)
        return EXPIRED if len(puts) in (2, 4) else gateway._put(call)

    gateway.on("POST", "/content/v1/plans", plan)
    gateway.on("PUT", "/put/.*", put)
    gateway.on("POST", "/content/v1/plans/.*/commit", Reply(200, {}))
    seen: list[dict[str, Any]] = []
    files = {f"{n}.txt": bytes([n]) for n in range(4)}
    deploy.apply(client, site(tmp_path, files), options(concurrency=1), seen.append)
    assert sorted(gateway.stored.values()) == sorted(files.values())
    assert len(puts) == 6
    assert [call.path for call in gateway.sent("POST", ".*/cplan_.*/commit")] == ["/content/v1/plans/cplan_3/commit"]
    progress = [event for event in seen if event["type"] == "content.upload.progress"]
    assert [(event["done"], event["total"]) for event in progress] == [(n, 4) for n in range(1, 5)]


def test_addresses_that_are_always_expired_end_the_deploy(gateway: StubGateway, client: Client, tmp_path: Path) -> None:
    gateway.on("PUT", "/put/.*", EXPIRED)
    with pytest.raises(DeployError) as caught:
        deploy.apply(client, site(tmp_path, {"a.txt": b"abc"}), options(), deploy.silent)
    envelope = caught.value.envelope()
    assert (envelope["code"], envelope["http"], envelope["operation_id"]) == ("CONTENT_UPLOAD_FAILED", 403, "op_1")
    assert envelope["next_actions"][0]["command"] == COMMAND
    assert len(gateway.sent("PUT")) == 2


def test_an_object_named_twice_is_sent_once(gateway: StubGateway, client: Client, tmp_path: Path) -> None:
    entry = {"sha256": sha(b"abc"), "size": 3, "present": False}
    answer = {"plan_id": "plan_1", "operation_id": "op_1", "missing_content": [entry, entry]}
    gateway.on("POST", "/apply/v1/plans", Reply(200, answer))
    deploy.apply(client, site(tmp_path, {"a.txt": b"abc", "b.txt": b"abc"}), options(), deploy.silent)
    assert len(gateway.sent("POST", "/content/v1/plans")[0].json["content"]) == 1
    assert len(gateway.sent("PUT")) == 1


class Watcher:
    """An emit that counts bytes."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, int, int, int]] = []

    def __call__(self, event: dict[str, Any]) -> None:
        pass

    def bytes_sent(self, sent: int, total: int, files_done: int, files_total: int) -> None:
        self.seen.append((sent, total, files_done, files_total))


def test_bytes_are_counted_once_although_an_attempt_failed(
    gateway: StubGateway, client: Client, tmp_path: Path
) -> None:
    gateway.on("PUT", "/put/.*", [Reply(500), Reply(200)])
    watcher = Watcher()
    deploy.apply(client, site(tmp_path, {"a.txt": b"abc", "b.txt": b"defgh"}), options(concurrency=1), watcher)
    assert (watcher.seen[0], watcher.seen[-1]) == ((0, 8, 0, 2), (8, 8, 2, 2))


def test_a_refusal_that_will_not_pass_is_final_at_once(gateway: StubGateway, client: Client, tmp_path: Path) -> None:
    gateway.on("PUT", "/put/.*", Reply(400, {"code": "BadDigest"}))
    with pytest.raises(DeployError) as caught:
        deploy.apply(client, site(tmp_path, {"a.txt": b"abc"}), options(), deploy.silent)
    assert (caught.value.retryable, len(gateway.sent("PUT"))) == (False, 1)


def test_large_objects_go_up_in_parts_with_a_checksum_each(
    gateway: StubGateway, client: Client, tmp_path: Path
) -> None:
    data = bytes(range(256)) * 2000

    def plan(call: Call) -> Reply:
        entry = call.json["content"][0]
        session = gateway.session(entry["sha256"], entry["size"], part_size=200_000)
        return Reply(200, {"plan_id": "cplan_1", "missing": [session]})

    gateway.on("POST", "/content/v1/plans", plan)
    deploy.apply(client, site(tmp_path, {"big.dat": data}), options(), deploy.silent)
    puts = gateway.sent("PUT")
    assert sorted(len(call.body) for call in puts) == [112_000, 200_000, 200_000]
    assert {call.body for call in puts} == {data[:200_000], data[200_000:400_000], data[400_000:]}
    assert [call.headers["x-amz-checksum-sha256"] for call in puts] == [checksum(call.body) for call in puts]


def test_parts_whose_address_settles_the_checksum_carry_none(
    gateway: StubGateway, client: Client, tmp_path: Path
) -> None:
    data = bytes(range(256)) * 2000

    def plan(call: Call) -> Reply:
        entry = call.json["content"][0]
        session = gateway.session(entry["sha256"], entry["size"], part_size=200_000)
        for part in session["parts"]:
            part["url"] += ("&" if "?" in part["url"] else "?") + "x-amz-checksum-sha256=whole"
        return Reply(200, {"plan_id": "cplan_1", "missing": [session]})

    gateway.on("POST", "/content/v1/plans", plan)
    deploy.apply(client, site(tmp_path, {"big.dat": data}), options(), deploy.silent)
    puts = gateway.sent("PUT")
    assert {call.body for call in puts} == {data[:200_000], data[200_000:400_000], data[400_000:]}
    assert not any("x-amz-checksum-sha256" in call.headers for call in puts)


def test_a_part_without_an_etag_is_refused(gateway: StubGateway, client: Client, tmp_path: Path) -> None:
    def plan(call: Call) -> Reply:
        entry = call.json["content"][0]
        missing = [gateway.session(entry["sha256"], entry["size"], part_size=2)]
        return Reply(200, {"plan_id": "cplan_1", "missing": missing})

    gateway.on("POST", "/content/v1/plans", plan)
    gateway.on("PUT", "/put/.*", Reply(200))
    with pytest.raises(DeployError, match="ETag"):
        deploy.apply(client, site(tmp_path, {"a.txt": b"abcde"}), options(), deploy.silent)
    assert not committed(gateway)


@pytest.mark.parametrize("keep_time", [False, True], ids=["touched", "same-size-and-time"])
@pytest.mark.parametrize("multipart", [False, True])
def test_a_file_that_changes_after_hashing_is_noticed(
    gateway: StubGateway, client: Client, tmp_path: Path, keep_time: bool, multipart: bool
) -> None:
    release = site(tmp_path, {"a.txt": b"first"})
    path = tmp_path / "site" / "a.txt"
    before = path.stat()

    def change(event: dict[str, Any]) -> None:
        if event["type"] == "plan.diff":
            with path.open("r+b") as handle:
                handle.write(b"other")
            stamp = before.st_mtime_ns if keep_time else before.st_mtime_ns + 1_000_000
            os.utime(path, ns=(before.st_atime_ns, stamp))

    def plan(call: Call) -> Reply:
        entry = call.json["content"][0]
        session = gateway.session(entry["sha256"], entry["size"], part_size=2)
        return Reply(200, {"plan_id": "cplan_1", "missing": [session]})

    if multipart:
        gateway.on("POST", "/content/v1/plans", plan)
    with pytest.raises(DeployError) as caught:
        deploy.apply(client, release, options(), change)
    assert caught.value.code == "CONTENT_CHANGED"
    assert caught.value.envelope()["next_actions"][0]["command"] == COMMAND
    assert not committed(gateway)


def test_memory_stays_flat_while_a_large_file_is_read(tmp_path: Path) -> None:
    from run402_cli.deploy._bytes import PIECE_BYTES, Content
    from run402_cli.release.wire import to_wire

    size = 48 * 1024 * 1024
    release = site(tmp_path, {"big.dat": b""})
    with (tmp_path / "site" / "big.dat").open("wb") as handle:
        handle.truncate(size)
    item = next(iter(to_wire(release.spec).objects.values()))
    tracemalloc.start()
    total = sum(len(piece) for piece in Content(item, threading.Event()).pieces())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == size
    assert peak < 8 * PIECE_BYTES


def test_content_without_local_bytes_is_named(gateway: StubGateway, client: Client, tmp_path: Path) -> None:
    release = manifest(tmp_path, site={"replace": {"a.html": {"sha256": "0" * 64, "size": 5}}})
    with pytest.raises(DeployError) as caught:
        deploy.apply(client, release, options(), deploy.silent)
    assert (caught.value.code, caught.value.fields["resource"]) == ("CONTENT_UPLOAD_FAILED", "0" * 64)


@pytest.mark.parametrize(
    "damage",
    [
        {"parts": []},
        {"parts": None},
        {"parts": [{"url": "file:///etc/passwd", "byte_start": 0, "byte_end": 2}]},
        {"parts": [{"url": "http://x/", "byte_start": 9, "byte_end": 2}]},
        {"parts": [{"byte_start": 0, "byte_end": 2}]},
        {"sha256": None},
    ],
)
def test_an_unusable_upload_session_is_an_error(
    gateway: StubGateway, client: Client, tmp_path: Path, damage: dict[str, Any]
) -> None:
    def plan(call: Call) -> Reply:
        session = {**gateway.session(call.json["content"][0]["sha256"], 3), **damage}
        return Reply(200, {"plan_id": "cplan_1", "missing": [session]})

    gateway.on("POST", "/content/v1/plans", plan)
    with pytest.raises(DeployError) as caught:
        deploy.apply(client, site(tmp_path, {"a.txt": b"abc"}), options(), deploy.silent)
    assert caught.value.code == "CONTENT_UPLOAD_FAILED"
    assert not committed(gateway)


def test_an_interrupt_stops_the_uploads_and_names_the_command(
    gateway: StubGateway, client: Client, tmp_path: Path
) -> None:
    def stop(event: dict[str, Any]) -> None:
        if event["type"] == "content.upload.progress":
            raise Interrupted("SIGINT", 130)

    files = {f"{number}.txt": str(number).encode() for number in range(40)}
    with pytest.raises(Interrupted) as caught:
        deploy.apply(client, site(tmp_path, files), options(concurrency=2), stop)
    assert caught.value.resume == COMMAND
    assert not committed(gateway)
    assert len(gateway.sent("PUT")) < 40


# -- Core dialect


def core_plan(gateway: StubGateway, **more: Any) -> None:
    answer = {"plan_id": "plan_1", "project_id": "prj_test", "release_spec_digest": "d", "noop": False, **more}
    gateway.on("POST", "/apply/v1/plans", Reply(201, answer))
    done = {"plan_id": "plan_1", "project_id": "prj_test", "release_id": "rel_1", "release_digest": "x"}
    gateway.on("POST", "/apply/v1/plans/plan_1/commit", Reply(200, {**done, "status": "committed"}))
    gateway.on("POST", "/projects/v1/prj_test/content", Reply(201, {"staged": True}))


@pytest.mark.parametrize("size", [0, 1, 2, 3, 196_607, 196_608, 196_609, 700_001])
def test_staged_content_is_the_file_in_base64(
    gateway: StubGateway, core_client: Client, tmp_path: Path, size: int
) -> None:
    core_plan(gateway)
    data = os.urandom(size)
    deploy.apply(core_client, site(tmp_path, {"a.dat": data}), options(), deploy.silent)
    (call,) = gateway.sent("POST", "/projects/v1/prj_test/content")
    assert call.headers["content-type"] == "application/json"
    assert base64.b64decode(call.json["bytes_base64"], validate=True) == data
    assert {key: call.json[key] for key in ("sha256", "size", "content_type")} == {
        "sha256": sha(data),
        "size": size,
        "content_type": "application/octet-stream",
    }


def test_core_gateways_get_everything_unless_they_say_what_they_have(
    gateway: StubGateway, core_client: Client, tmp_path: Path
) -> None:
    release = site(tmp_path, {"a.txt": b"1", "b.txt": b"2"})
    core_plan(gateway)
    deploy.apply(core_client, release, options(concurrency=1), deploy.silent)
    staged = [call.json["sha256"] for call in gateway.sent("POST", ".*/content")]
    assert staged == sorted([sha(b"1"), sha(b"2")])
    gateway.calls.clear()
    core_plan(gateway, missing_content=[{"sha256": sha(b"1"), "size": 1, "present": True}])
    deploy.apply(core_client, release, options(), deploy.silent)
    assert [call.json["sha256"] for call in gateway.sent("POST", ".*/content")] == [sha(b"2")]


def test_a_lost_gateway_while_staging_leaves_the_deploy_repeatable(
    gateway: StubGateway, core_client: Client, tmp_path: Path
) -> None:
    core_plan(gateway)
    gateway.on("POST", "/projects/v1/prj_test/content", Reply(hang_up=True))
    with pytest.raises(NetworkError) as caught:
        deploy.apply(core_client, site(tmp_path, {"a.txt": b"1"}), options(), deploy.silent)
    envelope = caught.value.envelope()
    assert (envelope["code"], envelope["retryable"]) == ("NETWORK_ERROR", True)
    assert envelope["next_actions"][0]["command"] == COMMAND
    assert not committed(gateway)


def test_the_core_result_says_where_the_site_is(gateway: StubGateway, core_client: Client, tmp_path: Path) -> None:
    core_plan(gateway)
    gateway.on(
        "GET",
        "/projects/v1/prj_test",
        Reply(200, {"endpoints": {"static_base_url": "http://s", "rest_url": "http://r"}}),
    )
    result = deploy.apply(core_client, site(tmp_path, {"a.txt": b"1"}), options(), deploy.silent)
    assert result == {
        "release_id": "rel_1",
        "operation_id": "core:plan_1",
        "urls": {"site": "http://s", "static": "http://s", "rest": "http://r"},
        "diff": {},
        "warnings": [],
    }
    gateway.on("GET", "/projects/v1/prj_test", Reply(500))
    fallback = deploy.apply(core_client, site(tmp_path, {"a.txt": b"1"}), options(), deploy.silent)
    static = f"{gateway.base}/projects/v1/prj_test/static"
    assert fallback["urls"] == {"site": static, "static": static}


def test_a_core_gateway_that_answers_like_the_cloud_is_followed(
    gateway: StubGateway, core_client: Client, tmp_path: Path
) -> None:
    core_plan(gateway)
    gateway.on("POST", "/apply/v1/plans/plan_1/commit", Reply(200, ready()))
    result = deploy.apply(core_client, site(tmp_path, {"a.txt": b"1"}), options(), deploy.silent)
    assert result["operation_id"] == "op_1"


def test_a_deferred_commit_is_a_retryable_error(gateway: StubGateway, core_client: Client, tmp_path: Path) -> None:
    core_plan(gateway)
    answer = {"plan_id": "plan_1", "project_id": "prj_test", "release_id": "rel_1", "release_digest": "x"}
    deferred = {**answer, "status": "deferred", "deferred_phase": "functions", "deferred_reason": "no Node"}
    gateway.on("POST", "/apply/v1/plans/plan_1/commit", Reply(200, deferred))
    with pytest.raises(DeployError, match="no Node") as caught:
        deploy.apply(core_client, site(tmp_path, {"a.txt": b"1"}), options(), deploy.silent)
    assert (caught.value.code, caught.value.fields["phase"], caught.value.retryable) == (
        "INTERNAL_ERROR",
        "functions",
        True,
    )
