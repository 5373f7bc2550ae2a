"""Content uploads: staging, planned uploads to signed URLs, and what a broken or hostile client gets."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from deploy_kit import sha256, upload

from run402_cli.core.content import receiving as content
from run402_cli.core.content import signing
from run402_cli.core.content.store import ContentStore
from run402_cli.core.gateway import Gateway

DATA = b"hello, content"


def planned(client: httpx.Client, project: dict[str, Any], *contents: bytes) -> dict[str, Any]:
    wanted = [{"sha256": sha256(data), "size": len(data), "content_type": "text/plain"} for data in contents]
    answer = client.post("/content/v1/plans", json={"content": wanted}, headers={"apikey": project["anon_key"]})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def stored(gateway: Gateway, project: dict[str, Any], data: bytes) -> bool:
    return gateway.store.project_size(project["project_id"], sha256(data)) == len(data)


def leftovers(gateway: Gateway) -> list[Path]:
    return list((gateway.store.root / "tmp").glob("*"))


class TestStaging:
    def test_bytes_are_stored_once_and_belong_to_the_project(
        self, client: httpx.Client, project: dict[str, Any], gateway: Gateway
    ) -> None:
        body = {"sha256": sha256(DATA).upper(), "size": len(DATA), "bytes_base64": base64.b64encode(DATA).decode()}
        for _ in range(2):
            answer = client.post(f"/projects/v1/{project['project_id']}/content", json=body)
            assert (answer.status_code, answer.json()) == (
                201,
                {
                    "staged": True,
                    "sha256": sha256(DATA),
                    "size_bytes": len(DATA),
                    "content_type": "application/octet-stream",
                },
            )
        assert gateway.store.read(sha256(DATA)) == DATA
        assert stored(gateway, project, DATA)
        assert not leftovers(gateway)

    def test_camel_case_and_empty_content_are_accepted(self, client: httpx.Client, project: dict[str, Any]) -> None:
        body = {"sha256": sha256(b""), "size_bytes": 0, "contentType": "text/css", "bytesBase64": ""}
        answer = client.post(f"/projects/v1/{project['project_id']}/content", json=body)
        assert (answer.status_code, answer.json()["content_type"]) == (201, "text/css")

    def test_what_does_not_fit_is_refused(
        self, client: httpx.Client, project: dict[str, Any], gateway: Gateway
    ) -> None:
        cases = [
            ({"sha256": sha256(b"other")}, 409, "content_digest_mismatch"),
            ({"size": 3}, 409, "content_size_mismatch"),
            ({"sha256": "../../etc/passwd"}, 400, "invalid_request"),
            ({"size": -1}, 400, "invalid_request"),
            ({"size": True}, 400, "invalid_request"),
            ({"bytes_base64": "%%%"}, 400, "invalid_request"),
            ({"bytes_base64": 7}, 400, "invalid_request"),
        ]
        for change, status, error in cases:
            body = {
                "sha256": sha256(DATA),
                "size": len(DATA),
                "bytes_base64": base64.b64encode(DATA).decode(),
                **change,
            }
            answer = client.post(f"/projects/v1/{project['project_id']}/content", json=body)
            assert (answer.status_code, answer.json()["error"]) == (status, error)
            assert not stored(gateway, project, DATA)

    def test_unknown_and_malformed_projects(self, client: httpx.Client) -> None:
        body = {"sha256": sha256(DATA), "size": len(DATA), "bytes_base64": base64.b64encode(DATA).decode()}
        assert client.post("/projects/v1/prj_0000000000000000/content", json=body).status_code == 404
        assert client.post("/projects/v1/nonsense/content", json=body).status_code == 400


class TestPlannedUploads:
    def test_only_what_is_missing_is_asked_for(
        self, client: httpx.Client, project: dict[str, Any], gateway: Gateway
    ) -> None:
        upload(client, project, DATA)
        plan = planned(client, project, DATA, b"new")
        assert plan["entries"] == [
            {"sha256": sha256(DATA), "missing": False},
            {"sha256": sha256(b"new"), "missing": True},
        ]
        (session,) = plan["missing"]
        assert (session["mode"], session["part_count"]) == ("single", 1)
        assert session["parts"][0] | {"part_number": 1, "byte_start": 0, "byte_end": 2} == session["parts"][0]

    def test_the_project_may_be_named_instead_of_a_key(self, client: httpx.Client, project: dict[str, Any]) -> None:
        body = {"content": [], "project_id": project["project_id"]}
        assert client.post("/content/v1/plans", json=body).status_code == 200
        assert client.post("/content/v1/plans", json={"content": []}).status_code == 401
        assert client.post("/content/v1/plans", json=body, headers={"apikey": "nope"}).status_code == 401
        other = client.post("/projects/v1", json={}).json()
        mixed = client.post("/content/v1/plans", json=body, headers={"apikey": other["anon_key"]})
        assert mixed.status_code == 403

    def test_wrong_bytes_are_refused_and_leave_nothing(
        self, client: httpx.Client, project: dict[str, Any], gateway: Gateway
    ) -> None:
        url = planned(client, project, DATA)["missing"][0]["parts"][0]["url"]
        changed = client.put(url, content=DATA.replace(b"h", b"j"))
        assert (changed.status_code, changed.json()["error"]) == (409, "content_digest_mismatch")
        for body in (DATA[:-1], DATA + b"!"):
            answer = client.put(url, content=body)
            assert (answer.status_code, answer.json()["error"]) == (409, "content_size_mismatch")
        wrong_header = client.put(url, content=DATA, headers={"x-amz-checksum-sha256": "AAAA"})
        assert (wrong_header.status_code, wrong_header.json()["error"]) == (400, "checksum_mismatch")
        assert not leftovers(gateway)
        assert not stored(gateway, project, DATA)
        assert client.put(url, content=DATA).status_code == 200
        assert client.put(url, content=DATA).status_code == 200

    def test_an_upload_cut_off_in_the_middle_leaves_nothing(
        self, client: httpx.Client, project: dict[str, Any], gateway: Gateway
    ) -> None:
        import socket
        from urllib.parse import urlsplit

        big = os.urandom(3 << 20)
        parts = urlsplit(planned(client, project, big)["missing"][0]["parts"][0]["url"])
        assert parts.hostname
        assert parts.port
        with socket.create_connection((parts.hostname, parts.port)) as line:
            head = (
                f"PUT {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Length: {len(big)}\r\n\r\n"
            )
            line.sendall(head.encode() + big[: 2 << 20])
        upload(client, project, b"a later request, so that the cut one was seen")
        for _ in range(100):
            if not leftovers(gateway):
                break
            client.get("/health")
        assert not leftovers(gateway)
        assert not stored(gateway, project, big)

    def test_forged_and_expired_urls_are_refused(
        self, client: httpx.Client, project: dict[str, Any], gateway: Gateway
    ) -> None:
        url = planned(client, project, DATA)["missing"][0]["parts"][0]["url"]
        assert client.put(url[:-1] + ("A" if url[-1] != "A" else "B"), content=DATA).status_code == 403
        for wrong in ("9", "0", "%2B", "%20", "1&expires="):
            assert client.put(url.replace("expires=", f"expires={wrong}"), content=DATA).status_code == 403, wrong
        assert client.put(url.partition("?")[0], content=DATA).status_code == 403
        upload_id = url.partition("/uploads/")[2].partition("/")[0]
        old = signing.signature(gateway.settings.signed_read_secret, upload_id, 1, 1000)
        expired = client.put(f"/content/v1/uploads/{upload_id}/1?expires=1000&signature={old}", content=DATA)
        assert (expired.status_code, expired.json()["error"]) == (403, "upload_url_expired")

    def test_a_commit_without_the_bytes_says_which_are_missing(
        self, client: httpx.Client, project: dict[str, Any]
    ) -> None:
        plan = planned(client, project, DATA)
        answer = client.post(f"/content/v1/plans/{plan['plan_id']}/commit", json={})
        assert (answer.status_code, answer.json()["missing"]) == (409, [sha256(DATA)])
        assert client.post("/content/v1/plans/cplan_none/commit", json={}).status_code == 404

    def test_big_objects_come_in_parts(
        self, client: httpx.Client, project: dict[str, Any], gateway: Gateway, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(content, "SINGLE_LIMIT_BYTES", 1000)
        monkeypatch.setattr(content, "PART_BYTES", 400)
        data = os.urandom(1001)
        session = planned(client, project, data)["missing"][0]
        assert (session["mode"], session["part_count"]) == ("multipart", 3)
        assert [(p["byte_start"], p["byte_end"]) for p in session["parts"]] == [(0, 399), (400, 799), (800, 1000)]
        upload(client, project, data)
        assert gateway.store.read(sha256(data)) == data

    def test_a_part_may_be_repeated_and_parts_may_come_in_any_order(
        self, client: httpx.Client, project: dict[str, Any], gateway: Gateway, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(content, "SINGLE_LIMIT_BYTES", 1000)
        monkeypatch.setattr(content, "PART_BYTES", 400)
        data = os.urandom(1100)
        plan = planned(client, project, data)
        parts = plan["missing"][0]["parts"]
        for part in (parts[2], parts[0], parts[0]):
            client.put(part["url"], content=data[part["byte_start"] : part["byte_end"] + 1])
        commit = f"/content/v1/plans/{plan['plan_id']}/commit"
        assert client.post(commit, json={}).status_code == 409
        client.put(parts[1]["url"], content=data[400:800])
        assert client.post(commit, json={}).status_code == 200
        assert gateway.store.read(sha256(data)) == data

    def test_parts_of_other_bytes_are_found_out_at_commit(
        self, client: httpx.Client, project: dict[str, Any], gateway: Gateway, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(content, "SINGLE_LIMIT_BYTES", 100)
        monkeypatch.setattr(content, "PART_BYTES", 100)
        data = os.urandom(200)
        plan = planned(client, project, data)
        for part in plan["missing"][0]["parts"]:
            client.put(part["url"], content=os.urandom(100))
        answer = client.post(f"/content/v1/plans/{plan['plan_id']}/commit", json={})
        assert (answer.status_code, answer.json()["error"]) == (409, "content_digest_mismatch")
        assert not leftovers(gateway)

    def test_memory_stays_flat_while_a_big_object_arrives(
        self, client: httpx.Client, project: dict[str, Any], gateway: Gateway
    ) -> None:
        block, count = os.urandom(1 << 20), 80
        whole = hashlib.sha256()
        for _ in range(count):
            whole.update(block)
        body = {"content": [{"sha256": whole.hexdigest(), "size": count * len(block)}]}
        plan = client.post("/content/v1/plans", json=body, headers={"apikey": project["anon_key"]}).json()
        process, seen = psutil.Process(), []

        def blocks() -> Iterator[bytes]:
            for _ in range(count):
                seen.append(process.memory_info().rss)
                yield block

        url = plan["missing"][0]["parts"][0]["url"]
        answer = client.put(url, content=blocks(), headers={"Content-Length": str(count * len(block))})
        assert answer.status_code == 200, answer.text
        # Gateway and client share this process; holding even half of the object would show as 40 MiB.
        assert max(seen) - seen[0] < 30 << 20
        assert gateway.store.size(whole.hexdigest()) == count * len(block)


class TestStore:
    def test_paths_outside_the_store_cannot_be_named(self, tmp_path: Path) -> None:
        store = ContentStore(tmp_path)
        for sha in ("../x", "a" * 63, "A" * 64, "a" * 64 + "\n"):
            with pytest.raises(ValueError):
                store.path(sha)
        with pytest.raises(ValueError):
            store.ref_path("../p", "a" * 64)

    def test_abandoned_uploads_are_swept_and_young_ones_kept(self, tmp_path: Path) -> None:
        store = ContentStore(tmp_path)
        old, young = store.temporary("old"), store.temporary("young")
        old.touch()
        young.touch()
        os.utime(old, (1, 1))
        store.sweep()
        assert (old.exists(), young.exists()) == (False, True)
