"""One way in: `deploy apply`, `up`, the Python API and the MCP server read a release alike, whatever it is written in."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO, TextIOWrapper
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from run402_cli import Run402, Run402Error, deploy
from run402_cli.main import _guarded
from run402_cli.mcp._files import files
from run402_cli.mcp.tools import deploys
from run402_cli.release import node
from run402_cli.release.errors import ReleaseError
from run402_cli.release.loading import Source, load
from run402_cli.release.manifest import NormalizedManifest, printable

BASE = "http://127.0.0.1:4999"
needs_node = pytest.mark.skipif(next(node.installed(), None) is None, reason="needs Node.js")

GOOD: dict[str, bytes] = {
    "plain": b'{"site": {"replace": {"index.html": "<h1>hi</h1>"}}}',
    "mark": b'\xef\xbb\xbf{"site": {"replace": {"index.html": "hi"}}}',
    "crlf": b'{\r\n "site": {\r\n  "replace": {"a.txt": "one\\r\\ntwo"}\r\n }\r\n}\r\n',
    "paths": b'{"site": {"replace": {"a.txt": {"path": "a.txt"}}}, "functions": {"patch": {"set": {"f": {"source": "x"}}}}}',
    "spellings": b'{"i18n": {"default_locale": "en", "locales": ["en"]}, "secrets": {"require": ["A"]}}',
}
BAD: dict[str, tuple[bytes, str]] = {
    "secret-set": (b'{"secrets": {"set": {"A": "s3cret"}}}', "UNSAFE_SECRET_MANIFEST"),
    "secret-list": (b'{"secrets": [{"key": "A", "value": "s3cret"}]}', "UNSAFE_SECRET_MANIFEST"),
    "secrets-before-fields": (b'{"sites": {}, "secrets": {"replace_all": {}}}', "UNSAFE_SECRET_MANIFEST"),
    "unknown-top": (b'{"site": {"replace": {"a": "b"}}, "subdomain": "x"}', "LOCAL_ERROR"),
    "unknown-alone": (b'{"sites": {}}', "LOCAL_ERROR"),
    "unknown-below": (b'{"site": {"files": {"a": "b"}}}', "LOCAL_ERROR"),
    "two-projects": (
        b'{"project": "a", "project_id": "b", "site": {"replace": {"a": "b"}}}',
        "RUN402_PROJECT_CONFLICT",
    ),
    "absent-sql": (b'{"database": {"migrations": [{"id": "1", "sql_path": "absent.sql"}]}}', "ENOENT"),
}
# What only a text can be: (document, code for `deploy apply` and Python, code for `up`).
TEXTS: dict[str, tuple[bytes, str, str]] = {
    "empty": (b"{}", "MANIFEST_EMPTY", "MANIFEST_EMPTY"),
    "nothing-in-it": (b'{"site": {"replace": {}}}', "MANIFEST_EMPTY", "MANIFEST_EMPTY"),
    "broken": (b'{"site": 1,}', "BAD_USAGE", "LOCAL_ERROR"),
    "broken-crlf": (b'{\r\n"site": 1\r\n"x": 2}', "BAD_USAGE", "LOCAL_ERROR"),
    "broken-mark": (b'\xef\xbb\xbf{"site": NaN}', "BAD_USAGE", "LOCAL_ERROR"),
}


@dataclass(frozen=True)
class Said:
    """What a door made of a document: the ReleaseSpec as printed, or code and message of its refusal."""

    spec: Any = None
    code: str = ""
    message: str = ""


Door = Callable[[bytes], Said]


@pytest.fixture
def doors(
    tmp_path: Path, config_dir: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> dict[str, Door]:
    """Each door of the program by name, as a function of a document's bytes. All of them are for prj_1."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RUN402_API_BASE", BASE)
    monkeypatch.setenv("RUN402_DELEGATE_TOKEN", "a delegate needs no wallet")
    monkeypatch.setenv("RUN402_DEPLOY_SKIP_SCAN", "1")
    caught: list[NormalizedManifest] = []

    def catch(_client: Any, manifest: NormalizedManifest, *_more: Any) -> dict[str, Any]:
        caught.append(manifest)
        return {}

    monkeypatch.setattr(deploy, "apply", catch)
    monkeypatch.setattr(deploy, "plan", catch)

    def command(*args: str, stdin: bytes = b"") -> Said:
        monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(stdin)))
        capfd.readouterr()
        code = _guarded([*args, "--project", "prj_1", "--print-spec"])
        out, err = capfd.readouterr()
        assert "s3cret" not in out + err
        if code == 0:
            return Said(json.loads(out))
        envelope = json.loads(err.splitlines()[-1])
        return Said(None, envelope["code"], envelope["message"])

    def python(manifest: Any) -> Said:
        try:
            with Run402(api_base=BASE) as r:
                r.deploy.plan(manifest, project_id="prj_1")
        except Run402Error as exc:
            return Said(None, exc.code, exc.message)
        return Said(printable(caught.pop().spec))

    def tool(manifest: dict[str, Any]) -> Said:
        client: Any = SimpleNamespace(profile=SimpleNamespace(active=SimpleNamespace(decided=False)))
        store: Any = None
        call = deploys.Call(client, {"project_id": "prj_1", **manifest}, store, frozenset(), files())
        try:
            deploys._deploy(call)
        except Run402Error as exc:
            return Said(None, exc.code, exc.message)
        return Said(printable(caught.pop().spec))

    def written(data: bytes, name: str = "m.json") -> str:
        path = tmp_path / name
        path.write_bytes(data)
        return str(path)

    def program(data: bytes) -> str:
        return written(b"export default " + _text(data).removeprefix("\ufeff").encode(), "m.mjs")

    return {
        "command-file": lambda data: command("deploy", "apply", "--manifest", written(data)),
        "command-stdin": lambda data: command("deploy", "apply", "--manifest", "-", stdin=data),
        "command-spec": lambda data: command("deploy", "apply", "--spec", _text(data)),
        "command-program": lambda data: command("deploy", "apply", "--manifest", program(data)),
        "python-file": lambda data: python(written(data)),
        "python-program": lambda data: python(program(data)),
        "python-mapping": lambda data: python(json.loads(_text(data).removeprefix("\ufeff"))),
        "up-file": lambda data: command("up", "--manifest", written(data)),
        "up-program": lambda data: command("up", "--manifest", program(data)),
        "tool": lambda data: tool(json.loads(_text(data).removeprefix("\ufeff"))),
    }


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _said(doors: dict[str, Door], data: bytes, *names: str) -> dict[str, Said]:
    has_node = next(node.installed(), None) is not None
    return {name: doors[name](data) for name in names or doors if has_node or "program" not in name}


@pytest.mark.parametrize("name", GOOD)
def test_every_door_gives_the_same_release(doors: dict[str, Door], name: str) -> None:
    said = _said(doors, GOOD[name])
    first = said["command-file"]
    assert first.spec is not None
    assert first.spec["project"] == "prj_1"
    assert {door: each for door, each in said.items() if each != first} == {}


# A field that is not in its schema, and so a project, never reaches the tool.
_TOOL_KEEPS_OUT = ("unknown-top", "unknown-alone", "secrets-before-fields", "two-projects")


@pytest.mark.parametrize("name", BAD)
def test_every_door_refuses_with_the_same_words(doors: dict[str, Door], name: str) -> None:
    data, code = BAD[name]
    said = _said(doors, data, *(door for door in doors if door != "tool" or name not in _TOOL_KEEPS_OUT))
    first = said["command-file"]
    assert first.code == code
    assert {door: each for door, each in said.items() if each != first} == {}


@pytest.mark.parametrize("name", TEXTS)
def test_texts_are_read_alike_up_to_the_code_of_up(doors: dict[str, Door], name: str) -> None:
    data, code, in_up = TEXTS[name]
    said = _said(doors, data, "command-file", "command-stdin", "command-spec", "python-file", "up-file")
    assert {door: each.code for door, each in said.items()} == dict.fromkeys(said, code) | {"up-file": in_up}
    # The words differ by where the text came from, never by what is wrong with it and where.
    assert len({each.message.rpartition("JSON: ")[2] for each in said.values()}) == 1
    assert said["command-file"].message == said["python-file"].message == said["up-file"].message


def test_relative_paths_start_where_the_manifest_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/m.json").write_bytes(GOOD["paths"])
    value = json.loads(GOOD["paths"])

    def where(source: Source) -> str:
        return str(load(source).normalized("prj_1").spec["site"]["replace"]["a.txt"]["path"])

    assert where(Source("manifest", path="sub/m.json")) == str(tmp_path / "sub/a.txt")
    assert where(Source("manifest", path=str(tmp_path / "sub/m.json"), workspace=True)) == str(tmp_path / "sub/a.txt")
    assert where(Source("manifest", path="sub/m.json", base_dir=tmp_path / "x")) == str(tmp_path / "x/a.txt")
    assert where(Source("stdin", text=_text(GOOD["paths"]))) == str(tmp_path / "a.txt")
    assert where(Source("spec", value=value)) == str(tmp_path / "a.txt")
    assert where(Source("spec", value=value, base_dir=tmp_path / "y")) == str(tmp_path / "y/a.txt")


def test_a_document_knows_its_file_and_the_project_it_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("m.json").write_text(
        '{"project_id": "prj_9", "routes": null, "assets": {"put": [{"key": "k", "source": "x"}]}}'
    )
    document = load(Source("manifest", path="m.json"))
    assert (document.project, document.own) == ("prj_9", tmp_path / "m.json")
    assert document.normalized(None).project == "prj_9"
    assert document.normalized("prj_9").own == tmp_path / "m.json"
    with pytest.raises(ReleaseError, match="prj_9"):
        document.normalized("prj_1")


def test_an_app_manifest_is_one_in_a_workspace_only(tmp_path: Path) -> None:
    path = tmp_path / "run402.json"
    path.write_text('{"app": {"id": "a"}, "release": {}, "secrets": {"set": {}}}')
    assert load(Source("manifest", path=str(path), workspace=True)).is_app
    with pytest.raises(ReleaseError) as caught:
        load(Source("manifest", path=str(path)))
    assert caught.value.code == "UNSAFE_SECRET_MANIFEST"


@needs_node
def test_what_a_program_prints_is_handed_over_before_its_document_is_judged(tmp_path: Path) -> None:
    path = tmp_path / "m.mjs"
    path.write_text('console.log("hello"); export default { secrets: { set: { A: "s3cret" } } }')
    printed: list[str] = []
    with pytest.raises(ReleaseError, match=r"secrets\.set"):
        load(Source("manifest", path=str(path)), printed.append)
    assert printed == ["hello"]
