"""The Python API: whose wallet and gateway a call uses, what it sends and returns, and that nothing leaks out of it."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from pytest_httpx import HTTPXMock

import run402_cli
from run402_cli import ApiError, CommandError, NetworkError, Run402, Run402Error, ValidationError
from run402_cli.client.http import httpx
from run402_cli.state import profile

BASE = "http://127.0.0.1:4999"
KEY = "0x" + "11" * 32
ADDRESS = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"


def make_wallet(config: Path, name: str = "default") -> None:
    folder = config if name == "default" else config / "profiles" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "allowance.json").write_text(json.dumps({"address": ADDRESS, "privateKey": KEY}), encoding="utf-8")


def make_keys(r: Run402, project_id: str) -> None:
    r.credentials.import_keys(project_id, service_key=f"service-{project_id}", anon_key=f"anon-{project_id}")


def test_importing_the_package_imports_no_library_and_no_other_module_of_ours() -> None:
    code = "import sys, run402_cli; print([m for m in sys.modules if m.startswith('run402_cli.') or m in %r])"
    done = subprocess.run(
        [sys.executable, "-c", code % (("httpx", "typer", "pydantic", "json"),)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(run402_cli.__file__).parents[1],
    )
    assert done.stdout.strip() == "[]"


def test_every_public_name_resolves_and_others_are_attribute_errors() -> None:
    for name in run402_cli.__all__:
        assert getattr(run402_cli, name) is not None
    with pytest.raises(AttributeError, match="Run403"):
        _ = run402_cli.Run403  # type: ignore[attr-defined]


def test_a_call_goes_to_the_given_gateway_and_says_that_python_called(httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(url=f"{BASE}/health", json={"status": "ok"})
    with Run402(api_base=f"{BASE}/") as r:
        assert r.service.health() == {"status": "ok"}
        assert r.api_base == BASE
    request = httpx_mock.get_requests()[0]
    assert request.headers["Run402-Client"] == 'surface="sdk"'


def test_the_argument_wins_over_the_environment(httpx_mock: HTTPXMock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUN402_API_BASE", "http://127.0.0.1:1")
    httpx_mock.add_response(url=f"{BASE}/status", json={})
    with Run402(api_base=BASE) as r:
        r.service.status()


def test_an_unusable_address_is_refused_with_the_name_of_the_argument() -> None:
    with pytest.raises(CommandError) as caught:
        Run402(api_base="localhost:4020")
    assert caught.value.code == "BAD_ENV"
    assert "api_base" in caught.value.message


def test_an_unknown_wallet_is_refused_before_any_call() -> None:
    with pytest.raises(CommandError) as caught:
        Run402(wallet="nobody")
    assert caught.value.code == "WALLET_NOT_FOUND"


def test_two_instances_keep_their_files_apart_and_leave_the_environment_alone(
    tmp_path: Path, httpx_mock: HTTPXMock
) -> None:
    before = dict(os.environ)
    make_wallet(tmp_path / "one", "bot")
    httpx_mock.add_response(json={"rows": []}, is_reusable=True)
    with (
        Run402(config_dir=tmp_path / "one", wallet="bot", api_base=BASE) as one,
        Run402(config_dir=tmp_path / "two", api_base=BASE) as two,
    ):
        make_keys(one, "prj_1")
        assert [each["local_label"] for each in one.wallets.list()] == ["bot"]
        assert [each["local_label"] for each in two.wallets.list()] == []
        one.projects.sql("prj_1", "select 1")
        with pytest.raises(CommandError) as caught:
            two.projects.sql("prj_1", "select 1")
    assert caught.value.code == "PROJECT_CREDENTIAL_NOT_FOUND"
    assert (tmp_path / "one" / "profiles" / "bot").is_dir()
    assert dict(os.environ) == before
    assert profile._current is None


def test_a_new_wallet_goes_into_the_own_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUN402_WALLET_LABEL_SYNC", "0")
    with Run402(config_dir=tmp_path, api_base=BASE) as r:
        r.wallets.new("bot", mpp=False)
    assert (tmp_path / "profiles" / "bot" / "allowance.json").exists()
    with Run402(config_dir=tmp_path, wallet="bot") as r:
        assert r.wallet == "bot"


def test_a_human_session_of_another_directory_is_not_used(tmp_path: Path, httpx_mock: HTTPXMock) -> None:
    session = {"control_plane_session_token": "cps_other", "expires_at": 32_503_680_000_000}
    Path(os.environ["RUN402_CONFIG_DIR"], "control-plane-session.json").write_text(json.dumps(session))
    httpx_mock.add_response(json={"orgs": []})
    with Run402(api_base=BASE) as own:
        assert own._client.principal() is not None
    with Run402(config_dir=tmp_path, api_base=BASE) as r:
        answers = []
        thread = threading.Thread(target=lambda: answers.append(r._client.principal()))
        thread.start()
        thread.join()
        assert answers == [None]
        r.org.list()
    assert "Authorization" not in httpx_mock.get_requests()[0].headers


def test_a_project_puts_its_id_into_every_call(httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(json={"key": "K"}, is_reusable=True)
    with Run402(api_base=BASE) as r:
        make_keys(r, "prj_7")
        project = r.project("prj_7")
        project.secrets.set("K", "v")
        project.events.page(limit=3)
    secret, event = httpx_mock.get_requests()
    assert secret.url.path == "/projects/v1/admin/prj_7/secrets"
    assert secret.headers["Authorization"] == "Bearer service-prj_7"
    assert "prj_7" in str(event.url)


def test_the_active_project_is_the_default_and_none_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with Run402(api_base=BASE) as r:
        with pytest.raises(CommandError) as caught:
            r.project()
        assert caught.value.code == "PROJECT_REQUIRED"
        monkeypatch.setenv("RUN402_PROJECT_ID", "prj_env")
        assert r.project().id == "prj_env"


def test_errors_are_those_of_the_command_line(httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(status_code=404, json={"code": "NOT_FOUND", "message": "no such org"})
    httpx_mock.add_exception(httpx.ConnectError("refused"))
    with Run402(api_base=BASE) as r:
        with pytest.raises(ApiError) as refused:
            r.org.get("org_1")
        with pytest.raises(NetworkError):
            r.org.get("org_1")
        with pytest.raises(ValidationError):
            make_keys(r, "prj_1")
            r.secrets.set("prj_1", "not a name", "v")
    assert refused.value.http == 404
    assert refused.value.envelope()["code"] == "NOT_FOUND"


def test_a_bad_manifest_is_one_of_our_errors_and_sends_nothing(tmp_path: Path) -> None:
    path = tmp_path / "app.json"
    path.write_text("{not json", encoding="utf-8")
    manifests: list[Any] = [
        {"site": {"replase": {}}},
        {},
        path,
        tmp_path / "none.json",
        {"secrets": {"set": {"A": "b"}}},
    ]
    with Run402(api_base=BASE) as r:
        for manifest in manifests:
            with pytest.raises(Run402Error) as caught:
                r.deploy.apply(manifest, project_id="prj_1")
            assert caught.value.envelope()["status"] == "error"


def test_a_small_directory_needs_a_confirmation(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("hi", encoding="utf-8")
    with Run402(api_base=BASE) as r, pytest.raises(CommandError) as caught:
        r.sites.deploy_dir("prj_1", tmp_path)
    assert caught.value.code == "PRUNE_CONFIRMATION_REQUIRED"


def test_one_key_cannot_name_several_files() -> None:
    with Run402(api_base=BASE) as r, pytest.raises(CommandError, match="2 files"):
        r.assets.put("prj_1", ["a.txt", "b.txt"], key="one")


def test_every_attribute_opens_and_every_method_is_documented() -> None:
    with Run402(api_base=BASE) as r:
        for owner in (r, r.project("prj_1")):
            names = [name for name in dir(type(owner)) if not name.startswith("_")]
            spaces = [getattr(owner, name) for name in names if "namespaces" in type(getattr(owner, name)).__module__]
            assert len(spaces) > 20
            for space in (owner, *spaces):
                for name, method in inspect.getmembers(space, inspect.ismethod):
                    assert name.startswith("_") or method.__doc__, f"{type(space).__name__}.{name}"


def test_the_manifest_of_a_clone_chooses_no_project(tmp_path: Path, httpx_mock: HTTPXMock) -> None:
    (tmp_path / ".hg").mkdir()
    manifest = tmp_path / "run402.deploy.json"
    manifest.write_text(json.dumps({"project_id": "prj_2", "site": {"replace": {"index.html": "x"}}}))
    with Run402(api_base=BASE) as r:
        for call in (r.deploy.apply, r.deploy.plan, r.deploy.rehearse):
            with pytest.raises(ValidationError, match="nobody has confirmed") as caught:
                call(manifest)
            assert caught.value.code == "BINDING_NOT_CONFIRMED"
        assert httpx_mock.get_requests() == []
        httpx_mock.add_response(status_code=404, json={}, is_reusable=True)
        with pytest.raises(Run402Error):
            r.deploy.plan(manifest, project_id="prj_2")
        assert httpx_mock.get_requests()
        # Python named it for that call; it is not the user's word for the next one.
        with pytest.raises(ValidationError, match="nobody has confirmed"):
            r.deploy.plan(manifest)
