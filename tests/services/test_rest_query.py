"""rest_query as a library function: mapping parameters, values as bodies, both keys."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_httpx import HTTPXMock

from run402_cli.client import Client
from run402_cli.errors import CommandError
from run402_cli.services import projects

BASE = "http://gateway.test"
WORD = st.text(st.characters(codec="utf-8", exclude_characters="\r"), min_size=1, max_size=20)


@pytest.fixture
def client(config_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    monkeypatch.setenv("RUN402_API_BASE", BASE)
    with Client() as opened:
        opened.profile.keys.upsert("prj_1", {"anon_key": "anon", "service_key": "svc"})
        opened.profile.keys.upsert("prj_2", {"anon_key": "", "service_key": "svc"})
        yield opened


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=WORD.filter(lambda name: name not in (".", "..")), key=WORD, value=WORD)
def test_any_table_and_parameter_arrive_as_they_were_given(
    client: Client, httpx_mock: HTTPXMock, table: str, key: str, value: str
) -> None:
    httpx_mock.reset()
    httpx_mock.add_response(json=[])
    projects.rest_query(client, "prj_1", table, params={key: value})
    url = httpx_mock.get_requests()[0].url
    assert url.raw_path.count(b"/") == 3
    assert url.path == f"/rest/v1/{table}"
    assert parse_qs(url.query.decode(), strict_parsing=True) == {key: [value]}


def test_a_value_is_sent_as_json_with_the_service_key(client: Client, httpx_mock: HTTPXMock) -> None:
    httpx_mock.add_response(method="PATCH", url=f"{BASE}/admin/v1/rest/items?id=eq.1", json=[{"id": 1}])
    answer = projects.rest_query(
        client, "prj_1", "items", query="id=eq.1", method="PATCH", body={"t": "é"}, key_type="service"
    )
    assert answer == [{"id": 1}]
    request = httpx_mock.get_requests()[0]
    assert json.loads(request.content) == {"t": "é"}
    assert request.headers["apikey"] == "svc"
    assert request.headers["content-type"] == "application/json"


@pytest.mark.parametrize("project_id", ["prj_none", "prj_2"])
def test_without_a_cached_anon_key_nothing_is_sent(client: Client, project_id: str) -> None:
    with pytest.raises(CommandError) as caught:
        projects.rest_query(client, project_id, "items")
    assert caught.value.code == "PROJECT_CREDENTIAL_NOT_FOUND"


@pytest.mark.parametrize(("returning", "sent"), [(None, "representation"), ("minimal", "minimal")])
@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE"])
def test_a_write_says_which_rows_it_wants_back(
    client: Client, httpx_mock: HTTPXMock, method: str, returning: str | None, sent: str
) -> None:
    httpx_mock.add_response(status_code=204)
    assert projects.rest_query(client, "prj_1", "items", method=method, returning=returning) == ""
    assert httpx_mock.get_requests()[0].headers["prefer"] == f"return={sent}"


@pytest.mark.parametrize(
    ("table", "method", "returning"),
    [("items", "GET", "minimal"), ("rpc/add", "POST", "minimal"), ("items", "POST", "headers-only")],
)
def test_return_is_refused_where_it_has_no_effect(client: Client, table: str, method: str, returning: str) -> None:
    with pytest.raises(CommandError) as caught:
        projects.rest_query(client, "prj_1", table, method=method, returning=returning)
    assert caught.value.code == ("BAD_USAGE" if returning == "minimal" else "BAD_FLAG")
    assert "--return" in caught.value.message
