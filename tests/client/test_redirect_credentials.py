"""A redirect to another origin must not carry keys away: what answers may have been written by a stranger."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pytest_httpx import HTTPXMock

from run402_cli.client import Client
from run402_cli.errors import NetworkError
from run402_cli.services import functions, secrets
from run402_cli.services.pay import pay

ADDRESS = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
PRIVATE_KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
SECRETS = {"apikey", "authorization", "sign-in-with-x"}


@pytest.fixture
def keys(config_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUN402_API_BASE", "http://gateway.test")
    (config_dir / "allowance.json").write_text(json.dumps({"address": ADDRESS, "privateKey": PRIVATE_KEY}))
    (config_dir / "allowance.json").chmod(0o600)
    (config_dir / "credentials").mkdir()
    store = {"version": 1, "projects": {"prj_1": {"service_key": "svc_1", "anon_key": "anon_1"}}}
    (config_dir / "credentials" / "project-keys.v1.json").write_text(json.dumps(store))


@pytest.mark.parametrize(
    "place", ["http://elsewhere.test/x", "https://gateway.test:81/x", "http://gateway.test:81/x", "//elsewhere.test/x"]
)
def test_another_origin_receives_no_credentials(keys: None, httpx_mock: HTTPXMock, place: str) -> None:
    httpx_mock.add_response(url="http://gateway.test/functions/v1/hello", status_code=302, headers={"location": place})
    httpx_mock.add_response(json={"ok": True})
    with Client() as client:
        functions.invoke(client, "prj_1", "hello")
    first, second = httpx_mock.get_requests()
    assert {"apikey", "sign-in-with-x"} <= set(first.headers)
    assert not SECRETS & set(second.headers)


@pytest.mark.parametrize("place", ["http://elsewhere.test/x", "http://gateway.test:81/x", "http://127.0.0.1:4020/x"])
def test_another_origin_receives_no_body(keys: None, httpx_mock: HTTPXMock, place: str) -> None:
    httpx_mock.add_response(status_code=307, headers={"location": place})
    with Client() as client, pytest.raises(NetworkError) as caught:
        secrets.set_secret(client, "prj_1", "TOKEN", "hush")
    assert len(httpx_mock.get_requests()) == 1
    said = caught.value.envelope()
    assert (said["code"], said["safe_to_retry"]) == ("REDIRECT_REFUSED", False)
    assert "hush" not in json.dumps(said)
    httpx_mock.add_response(status_code=308, headers={"location": place})
    with Client() as client, pytest.raises(NetworkError):
        pay(client, "http://gateway.test/buy", method="PUT", body="hush")
    assert len(httpx_mock.get_requests()) == 2


@pytest.mark.parametrize("place", ["http://127.0.0.1:4020/health", "http://[::1]/", "http://x.localhost:4020/"])
def test_no_redirect_of_another_machine_leads_to_this_one(keys: None, httpx_mock: HTTPXMock, place: str) -> None:
    httpx_mock.add_response(status_code=302, headers={"location": place})
    with Client() as client, pytest.raises(NetworkError, match="an address of this machine"):
        pay(client, "http://seller.test/buy")
    assert len(httpx_mock.get_requests()) == 1


@pytest.mark.parametrize("place", ["http://gateway.test:80/other", "/other", "https://gateway.test/other"])
def test_the_same_origin_and_its_https_address_keep_them(keys: None, httpx_mock: HTTPXMock, place: str) -> None:
    httpx_mock.add_response(status_code=307, headers={"location": place})
    httpx_mock.add_response(json={"ok": True})
    with Client() as client:
        functions.invoke(client, "prj_1", "hello")
    assert httpx_mock.get_requests()[1].headers["apikey"] == "svc_1"
