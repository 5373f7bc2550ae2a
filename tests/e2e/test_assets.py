"""Assets with the real command line and a real gateway: upload, list, download, sign, delete, interruption, manifest."""

from __future__ import annotations

import json
import os
import re
import secrets
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from e2e_kit import Cli

pytestmark = pytest.mark.e2e

MIB = 1 << 20


def test_an_asset_from_upload_to_deletion(cli: Cli, project: dict[str, Any], http: httpx.Client) -> None:
    (cli.cwd / "hello.txt").write_text("hello")
    [ref] = cli.ok("assets", "put", "hello.txt", "--key", "docs/", "--immutable", "--meta", "tags=a,b")
    assert http.get(ref["url"]).text == "hello"
    assert http.get(ref["immutable_url"]).headers["etag"] == ref["etag"]
    assert cli.ok("assets", "diagnose", ref["url"])["observed_sha256"] == ref["sha256"]
    listed = cli.ok("assets", "ls", "--prefix", "docs/", "--filter", "tag=b")["blobs"]
    assert [(blob["key"], blob["metadata"]) for blob in listed] == [("docs/hello.txt", {"tags": ["a", "b"]})]
    cli.ok("assets", "get", "docs/hello.txt", "--output", "out/hello.txt")
    assert (cli.cwd / "out" / "hello.txt").read_text() == "hello"
    assert cli("assets", "get", "docs/hello.txt", "-o", "out/hello.txt").envelope["code"] == "FILE_EXISTS"
    cli.ok("assets", "rm", "docs/hello.txt")
    assert http.get(ref["url"]).status_code == 404
    assert http.get(ref["immutable_url"]).text == "hello"
    assert cli("assets", "get", "docs/hello.txt", "-o", "x").envelope["code"] == "STORAGE_NOT_FOUND"


def test_a_private_asset_is_read_by_signed_url_only(cli: Cli, project: dict[str, Any], http: httpx.Client) -> None:
    (cli.cwd / "invoice.txt").write_text("42")
    [ref] = cli.ok("assets", "put", "invoice.txt", "--private")
    assert (ref["url"], ref["visibility"]) == (None, "private")
    public = f"{project['endpoints']['storage_base_url']}/public/invoice.txt"
    assert http.get(public).status_code == 404
    signed = cli.ok("assets", "sign", "invoice.txt", "--ttl", "60")
    assert (signed["expires_in"], http.get(signed["signed_url"]).text) == (60, "42")


def test_many_files_with_equal_content_are_sent_once(
    cli: Cli, project: dict[str, Any], gateway: dict[str, Any]
) -> None:
    for number in range(40):
        # Too large for a batch: each is a request of its own.
        (cli.cwd / f"{number}.txt").write_text(f"same {number % 2} {project['project_id']} " * 10_000)
    before = _stored_parts(gateway)
    refs = cli.ok("assets", "put", *(f"{number}.txt" for number in range(40)), "--key", "many/")
    assert [ref["key"] for ref in refs] == [f"many/{number}.txt" for number in range(40)]
    assert len(_stored_parts(gateway)) - len(before) == 2
    assert len(cli.ok("assets", "ls", "--prefix", "many/", "--limit", "1000")["blobs"]) == 40


def test_a_manifest_of_assets_alone_deploys_and_syncs(cli: Cli, project: dict[str, Any]) -> None:
    (cli.cwd / "a.txt").write_text("a")
    put = [{"key": "set/a.txt", "source": {"path": "a.txt"}}, {"key": "set/b.txt", "source": {"data": "b"}}]
    manifest = {"project_id": project["project_id"], "assets": {"put": put}}
    (cli.cwd / "app.json").write_text(json.dumps(manifest))
    cli.ok("deploy", "apply", "--manifest", "app.json")
    assert [blob["key"] for blob in cli.ok("assets", "ls")["blobs"]] == ["set/a.txt", "set/b.txt"]
    manifest["assets"] = {"put": put[:1], "sync": {"prefix": "set/", "prune": True}}
    (cli.cwd / "app.json").write_text(json.dumps(manifest))
    cli.ok("deploy", "apply", "--manifest", "app.json")
    assert [blob["key"] for blob in cli.ok("assets", "ls")["blobs"]] == ["set/a.txt"]


def test_a_killed_upload_in_parts_goes_on_with_the_missing_ones(
    cli: Cli, project: dict[str, Any], gateway: dict[str, Any]
) -> None:
    piece = os.urandom(MIB)
    with (cli.cwd / "big.bin").open("wb") as handle:
        for number in range(260):
            handle.write(number.to_bytes(8, "big") + piece[8:])
    before = len(_stored_parts(gateway))
    process = cli.start("assets", "put", "big.bin")
    deadline = time.monotonic() + 60
    while len(_stored_parts(gateway)) == before and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.communicate()
    [ref] = cli.ok("assets", "put", "big.bin")
    assert ref["size_bytes"] == 260 * MIB
    sent = _stored_parts(gateway)[before:]
    assert sorted(part for _, part in sent) == ["1", "2", "3", "4", "5"]
    assert len({upload for upload, _ in sent}) == 1
    cli.ok("assets", "get", "big.bin", "-o", "back.bin")
    assert (cli.cwd / "back.bin").read_bytes() == (cli.cwd / "big.bin").read_bytes()


def _stored_parts(gateway: dict[str, Any]) -> list[tuple[str, str]]:
    """(upload id, part) of every part that the gateway has taken, by the lines of its log up to a request of ours."""
    log, ours = Path(gateway["data_dir"]) / "gateway.log", f"/until/{secrets.token_hex(8)}"
    httpx.get(f"{gateway['url']}{ours}", trust_env=False)
    while not log.exists() or ours not in (text := log.read_text()):
        time.sleep(0.01)
    return re.findall(r"PUT '/content/v1/uploads/(\w+)/(\d+)' 200 ", text)
