"""Uploads in parts that were interrupted go on in the next content plan."""

from __future__ import annotations

import hashlib
from typing import Any

import httpx
import pytest
from storage_kit import Storage, sha256

from run402_cli.core.content import receiving as content
from run402_cli.core.gateway import Gateway

DATA = hashlib.sha256(b"seed").digest() * 80
PART = 1000


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "SINGLE_LIMIT_BYTES", PART)
    monkeypatch.setattr(content, "PART_BYTES", PART)


def planned(storage: Storage) -> dict[str, Any]:
    wanted = [{"sha256": sha256(DATA), "size": len(DATA)}]
    anon = {"apikey": storage.project["anon_key"]}
    plan: dict[str, Any] = storage.client.post("/content/v1/plans", json={"content": wanted}, headers=anon).json()
    return plan


def send(client: httpx.Client, part: dict[str, Any], data: bytes = DATA) -> httpx.Response:
    return client.put(part["url"], content=data[part["byte_start"] : part["byte_end"] + 1])


def finish(storage: Storage, plan: dict[str, Any]) -> httpx.Response:
    return storage.client.post(f"/content/v1/plans/{plan['plan_id']}/commit", json={})


def numbers(plan: dict[str, Any]) -> list[int]:
    return [part["part_number"] for part in plan["missing"][0]["parts"]]


def test_only_the_missing_parts_are_asked_for(storage: Storage, gateway: Gateway) -> None:
    first = planned(storage)
    assert numbers(first) == [1, 2, 3]
    assert send(storage.client, first["missing"][0]["parts"][1]).status_code == 200
    second = planned(storage)
    assert numbers(second) == [1, 3]
    assert second["missing"][0]["mode"] == "multipart"
    for part in second["missing"][0]["parts"]:
        assert send(storage.client, part).headers["etag"]
    assert finish(storage, second).status_code == 200
    assert gateway.store.read(sha256(DATA)) == DATA
    assert planned(storage)["missing"] == []


def test_an_upload_that_lacks_only_its_commit_is_finished_by_the_next_plan(storage: Storage, gateway: Gateway) -> None:
    for part in planned(storage)["missing"][0]["parts"]:
        send(storage.client, part)
    second = planned(storage)
    assert (second["missing"], second["entries"][0]["missing"]) == ([], False)
    assert gateway.store.read(sha256(DATA)) == DATA
    assert finish(storage, second).status_code == 200


def test_parts_that_add_up_to_something_else_are_all_sent_again(storage: Storage) -> None:
    first = planned(storage)
    for part in first["missing"][0]["parts"]:
        send(storage.client, part, b"x" * len(DATA))
    assert finish(storage, first).json()["code"] == "CONTENT_DIGEST_MISMATCH"
    second = planned(storage)
    assert numbers(second) == [1, 2, 3]
    for part in second["missing"][0]["parts"]:
        send(storage.client, part)
    assert finish(storage, second).status_code == 200


def test_parts_whose_file_is_gone_are_sent_again(storage: Storage, gateway: Gateway) -> None:
    first = planned(storage)["missing"][0]
    send(storage.client, first["parts"][0])
    gateway.store.temporary(first["upload_id"]).unlink()
    assert numbers(planned(storage)) == [1, 2, 3]


def test_an_earlier_plan_may_still_be_finished(storage: Storage) -> None:
    first = planned(storage)
    send(storage.client, first["missing"][0]["parts"][0])
    planned(storage)
    for part in first["missing"][0]["parts"][1:]:
        send(storage.client, part)
    assert finish(storage, first).status_code == 200


def test_another_project_does_not_get_the_parts(storage: Storage) -> None:
    send(storage.client, planned(storage)["missing"][0]["parts"][0])
    other = Storage(storage.client, storage.client.post("/projects/v1", json={}).json())
    assert numbers(planned(other)) == [1, 2, 3]
