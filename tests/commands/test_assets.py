"""Command lines of run402 assets."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from pytest_httpx import HTTPXMock
from run_kit import BASE, Run

SHA = hashlib.sha256(b"aaa").hexdigest()


def gateway(httpx_mock: HTTPXMock, *, entries: bool = True) -> None:
    """Answers every deploy as ready, with nothing missing."""

    def plan(request: httpx.Request) -> httpx.Response:
        put = json.loads(request.content)["spec"]["assets"]["put"]
        listed = [
            {**entry, "status": "present", "asset_ref": {"url": f"https://x/{entry['key']}", "immutable_url": None}}
            for entry in put
        ]
        body = {"kind": "plan_response", "plan_id": "plan_1", "operation_id": "op_1", "missing_content": []}
        return httpx.Response(200, json={**body, **({"asset_entries": listed} if entries else {})})

    httpx_mock.add_callback(plan, url=f"{BASE}/apply/v1/plans", is_reusable=True)
    ready = {"operation_id": "op_1", "status": "ready", "release_id": "rel_1", "urls": {}}
    httpx_mock.add_response(url=f"{BASE}/apply/v1/plans/plan_1/commit", json=ready, is_reusable=True)
    events = {"events": []}
    httpx_mock.add_response(url=f"{BASE}/apply/v1/operations/op_1/events?limit=100", json=events, is_reusable=True)


def planned(httpx_mock: HTTPXMock) -> list[list[dict[str, Any]]]:
    """The put lists of the plans, in order."""
    bodies = [json.loads(r.content) for r in httpx_mock.get_requests() if r.url.path == "/apply/v1/plans"]
    return [body["spec"]["assets"]["put"] for body in bodies]


@pytest.mark.usefixtures("wallet")
class TestPut:
    def test_a_few_files_are_one_release_each(self, run: Run, httpx_mock: HTTPXMock) -> None:
        gateway(httpx_mock)
        for name in ("a.txt", "b.txt"):
            Path(name).write_bytes(b"aaa")
        refs = run("assets", "put", "a.txt", "b.txt", "--key", "docs/", "--meta", "tags=x,y").json
        assert [(ref["file"], ref["key"]) for ref in refs] == [("a.txt", "docs/a.txt"), ("b.txt", "docs/b.txt")]
        assert planned(httpx_mock) == [
            [
                {
                    "key": f"docs/{name}",
                    "sha256": SHA,
                    "size_bytes": 3,
                    "content_type": "text/plain",
                    "visibility": "public",
                    "immutable": False,
                    "metadata": {"tags": ["x", "y"]},
                }
            ]
            for name in ("a.txt", "b.txt")
        ]

    def test_many_files_share_releases(self, run: Run, httpx_mock: HTTPXMock) -> None:
        gateway(httpx_mock)
        names = [f"{number:03}.txt" for number in range(260)]
        for name in names:
            Path(name).write_bytes(b"aaa")
        lines = run("assets", "put", *names, "--stream", "--private").out.splitlines()
        assert [len(put) for put in planned(httpx_mock)] == [250, 10]
        events = [json.loads(line) for line in lines]
        assert [event["key"] for event in events if event["event"] == "done"] == names
        assert events[0] == {"event": "start", "key": "000.txt", "size_bytes": 3}
        assert "file" not in events[-1]

    def test_equal_keys_never_share_a_release(self, run: Run, httpx_mock: HTTPXMock) -> None:
        gateway(httpx_mock)
        for number in range(17):
            Path(str(number)).mkdir()
            Path(str(number), "same.txt").write_bytes(b"aaa")
        run("assets", "put", *(f"{number}/same.txt" for number in range(17)))
        assert [len(put) for put in planned(httpx_mock)] == [1] * 17

    def test_the_first_failing_file_ends_it_and_prints_nothing(self, run: Run, httpx_mock: HTTPXMock) -> None:
        gateway(httpx_mock)
        Path("a.txt").write_bytes(b"aaa")
        done = run("assets", "put", "a.txt", "gone.txt")
        assert done.error["code"] == "BAD_USAGE"
        assert len(planned(httpx_mock)) == 1

    def test_an_answer_without_the_asset_is_an_error(self, run: Run, httpx_mock: HTTPXMock) -> None:
        gateway(httpx_mock, entries=False)
        Path("a.txt").write_bytes(b"aaa")
        assert run("assets", "put", "a.txt").error["code"] == "LOCAL_ERROR"

    @pytest.mark.parametrize(
        ("args", "code"),
        [
            ([], "BAD_USAGE"),
            (["a.txt", "b.txt", "--key", "one"], "BAD_USAGE"),
            (["."], "BAD_USAGE"),
            (["a.txt", "--key", "../x"], "BAD_USAGE"),
            (["a.txt", "--meta", "=v"], "BAD_FLAG"),
            (["a.txt", "--meta", f"k={'x' * 5000}"], "INVALID_ASSET_METADATA"),
            (["a.txt", "--content-type", "text"], "BAD_FLAG"),
            (["a.txt", "--exif-policy", "drop"], "BAD_FLAG"),
            (["a.txt", "--concurrency", "0"], "BAD_FLAG"),
            (["a.txt", "--project", "prj_other"], "PROJECT_CREDENTIAL_NOT_FOUND"),
        ],
    )
    def test_bad_arguments_send_nothing(self, run: Run, args: list[str], code: str) -> None:
        Path("a.txt").write_bytes(b"aaa")
        assert run("assets", "put", *args).error["code"] == code


@pytest.mark.usefixtures("wallet")
class TestOthers:
    @pytest.mark.parametrize(
        ("args", "code"),
        [
            (["get", "k"], "BAD_USAGE"),
            (["get", "k", "l", "-o", "x"], "BAD_USAGE"),
            (["get", "../k", "-o", "x"], "BAD_USAGE"),
            (["rm"], "BAD_USAGE"),
            (["sign", "k", "--ttl", "59"], "BAD_FLAG"),
            (["rm", "k", "--sort", "size"], "BAD_FLAG"),
            (["ls", "--limit", "1001"], "BAD_FLAG"),
            (["ls", "--filter", "is_image=yes"], "BAD_FLAG"),
            (["ls", "--filter", "min_width=-1"], "BAD_FLAG"),
            (["ls", "--filter", "tag="], "BAD_FLAG"),
            (["ls", "--bogus"], "UNKNOWN_FLAG"),
        ],
    )
    def test_bad_arguments_send_nothing(self, run: Run, args: list[str], code: str) -> None:
        assert run("assets", *args).error["code"] == code

    def test_the_project_of_this_group_has_a_variable_of_its_own(
        self, run: Run, httpx_mock: HTTPXMock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("RUN402_PROJECT", "prj_env")
        assert run("assets", "ls").error["details"]["project_id"] == "prj_env"
        httpx_mock.add_response(url=f"{BASE}/storage/v1/blobs", json={"blobs": []})
        assert run("assets", "ls", "--project", "prj_1", "--no-resume").json == {"blobs": []}

    @pytest.mark.parametrize("flag", ["--output", "-o", "--stream", "--json", "--filter", "--sort=key:asc"])
    def test_each_takes_every_spelling_of_the_flags_of_the_others(
        self, run: Run, wallet: Path, httpx_mock: HTTPXMock, flag: str
    ) -> None:
        httpx_mock.add_response(json={"ok": True})
        value = [] if flag in ("--stream", "--json") or "=" in flag else ["k=v"]
        assert run("assets", "rm", "logo.png", flag, *value).exit == 0

    def test_sign_sends_the_time_only_when_given(self, run: Run, httpx_mock: HTTPXMock) -> None:
        httpx_mock.add_response(url=f"{BASE}/storage/v1/blob/a/b.txt/sign", json={"x": 1}, is_reusable=True)
        assert run("assets", "sign", "a/b.txt").json == {"x": 1}
        assert run("assets", "sign", "a/b.txt", "--ttl=600").json == {"x": 1}
        assert [json.loads(r.content) for r in httpx_mock.get_requests()] == [{}, {"ttl_seconds": 600}]

    def test_a_stale_url_is_exit_1_with_the_diagnosis_on_stdout(self, run: Run, httpx_mock: HTTPXMock) -> None:
        httpx_mock.add_response(json={"expected_sha256": "aa", "observed_sha256": "bb"})
        done = run("assets", "diagnose", "https://x.test/_blob/a")
        assert done.exit == 1
        assert json.loads(done.out)["observed_sha256"] == "bb"
        assert done.err.splitlines()[0] == ""
        assert done.err.splitlines()[1].startswith("# ")

    def test_get_prints_one_line(self, run: Run, httpx_mock: HTTPXMock) -> None:
        httpx_mock.add_response(
            url=f"{BASE}/storage/v1/blob/a.txt", content=b"aaa", headers={"ETag": f'"sha256-{SHA}"'}
        )
        done = run("assets", "get", "a.txt", "-o", "sub/a.txt")
        assert done.out == '{"key":"a.txt","project_id":"prj_1","output":"sub/a.txt"}\n'
        assert Path("sub/a.txt").read_bytes() == b"aaa"
