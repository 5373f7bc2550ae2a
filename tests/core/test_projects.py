from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import psycopg
import pytest
from gateway_kit import CONTROL

if TYPE_CHECKING:
    from gateway_kit import Live


def test_health_names_the_mode_and_the_process(client: httpx.Client) -> None:
    body = client.get("/health").json()
    assert body["status"] == "ok"
    assert body["mode"] == "core"
    assert body["checks"]["database"] == "ok"
    assert body["pid"] > 0
    document = client.get("/capabilities/v1").json()
    assert body["supported_features"] == len(document["supported_features"])
    assert body["unsupported_features"] == len(document["unsupported_features"])


def test_status_reports_version_and_uptime(client: httpx.Client) -> None:
    body = client.get("/status").json()
    assert body["status"] == "operational"
    assert body["uptime_seconds"] >= 0
    assert body["deployment"]["version"]
    assert set(body["operator"]) == {"name", "contact"}


def test_project_is_created_with_keys_schema_and_endpoints(client: httpx.Client, project: dict[str, Any]) -> None:
    suffix = project["project_id"].removeprefix("prj_")
    assert project["schema_slot"] == f"project_{suffix}"
    assert project["anon_key"].startswith("r402_anon_")
    assert project["service_key"].startswith("r402_service_")
    assert project["active_release_id"] is None
    assert project["endpoints"]["rest_url"].endswith("/rest/v1")
    read = client.get(f"/projects/v1/{project['project_id']}").json()
    assert {key: read[key] for key in project} == project
    assert read["name"] == "test"
    assert read["effective_status"] == "active"
    assert read["last_deploy"] is None
    assert read["usage"]["storage_bytes"] == 0


@pytest.mark.parametrize(
    ("name", "expected"), [(None, "local-project"), ("  ", "local-project"), (" Ünï ", "Ünï"), ("x" * 120, "x" * 120)]
)
def test_names_are_trimmed_and_have_a_default(client: httpx.Client, name: str | None, expected: str) -> None:
    created = client.post("/projects/v1", json={"name": name, "tier": "hobby"}).json()
    assert client.get(f"/projects/v1/{created['project_id']}").json()["name"] == expected


@pytest.mark.parametrize("name", [7, ["x"], "x" * 121, "a\x00b", "a\nb"])
def test_bad_names_are_refused(client: httpx.Client, name: Any) -> None:
    response = client.post("/projects/v1", json={"name": name})
    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")
    assert client.get("/projects/v1").json()["projects"] == []


@pytest.mark.parametrize("content", [b"{bad", b"[1]", b'"x"', b"\xff\xff", b"[" * 100_000, b'{"name": "\\ud800"}'])
def test_malformed_bodies_are_refused(client: httpx.Client, content: bytes) -> None:
    response = client.post("/projects/v1", content=content)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")


def test_an_idempotency_key_makes_one_project(client: httpx.Client) -> None:
    headers = {"Idempotency-Key": "provision:shop"}
    first = client.post("/projects/v1", json={"name": "shop", "tier": "prototype"}, headers=headers)
    again = client.post("/projects/v1", json={"tier": "prototype", "name": "shop"}, headers=headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert "existing" not in first.json()
    assert again.json() == {**first.json(), "existing": True}
    other = client.post("/projects/v1", json={"name": "another"}, headers=headers)
    assert (other.status_code, other.json()["error"]) == (409, "idempotency_key_conflict")
    assert len(client.get("/projects/v1").json()["projects"]) == 1


def named(client: httpx.Client, name: str, **more: Any) -> dict[str, Any]:
    answer = client.post("/projects/v1", json={"name": name, **more}, headers={"Idempotency-Key": f"provision:{name}"})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def test_a_name_means_the_project_that_is_called_so_now(client: httpx.Client) -> None:
    alpha = named(client, "alpha")
    assert named(client, "alpha", tier="team")["project_id"] == alpha["project_id"]
    assert named(client, "alpha")["service_key"] == alpha["service_key"]
    client.patch(f"/projects/v1/{alpha['project_id']}", json={"name": "beta"})
    fresh = named(client, "alpha")
    assert fresh["project_id"] != alpha["project_id"]
    assert named(client, "beta")["project_id"] == alpha["project_id"]
    taken = client.patch(f"/projects/v1/{alpha['project_id']}", json={"name": "alpha"})
    assert (taken.status_code, taken.json()["code"]) == (409, "PROJECT_NAME_TAKEN")
    assert client.patch(f"/projects/v1/{alpha['project_id']}", json={"name": "beta"}).status_code == 200
    explicit = client.post("/projects/v1", json={"name": "beta"}, headers={"Idempotency-Key": "mine"}).json()
    again = client.post("/projects/v1", json={"name": "beta"}, headers={"Idempotency-Key": "mine"}).json()
    assert explicit["project_id"] == again["project_id"] != alpha["project_id"]


def test_one_name_at_the_same_time_makes_one_project(live: Live, client: httpx.Client) -> None:
    def create(_number: int) -> str:
        with httpx.Client(base_url=live.base_url, headers=CONTROL, trust_env=False, timeout=30) as session:
            return str(named(session, "at-once")["project_id"])

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(create, range(8)))) == 1
    assert len(client.get("/projects/v1").json()["projects"]) == 1


def test_concurrent_requests_with_one_key_make_one_project(live: Live, client: httpx.Client) -> None:
    answers: list[httpx.Response] = []

    def create() -> None:
        with httpx.Client(base_url=live.base_url, headers=CONTROL, trust_env=False, timeout=30) as session:
            answers.append(session.post("/projects/v1", json={"name": "a"}, headers={"Idempotency-Key": "k"}))

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["project_id"] for answer in answers}) == 1
    assert len(client.get("/projects/v1").json()["projects"]) == 1


def test_a_key_is_free_again_after_its_project_was_deleted(client: httpx.Client) -> None:
    headers = {"Idempotency-Key": "k"}
    first = client.post("/projects/v1", json={"name": "a"}, headers=headers).json()
    client.delete(f"/projects/v1/{first['project_id']}", headers={"Authorization": f"Bearer {first['service_key']}"})
    second = client.post("/projects/v1", json={"name": "a"}, headers=headers)
    assert second.status_code == 201
    assert second.json()["project_id"] != first["project_id"]


def test_the_list_pages_and_shows_no_keys(client: httpx.Client) -> None:
    created = [client.post("/projects/v1", json={"name": f"p{n}"}).json()["project_id"] for n in range(5)]
    found: list[str] = []
    params: dict[str, Any] = {"limit": 2}
    while True:
        page = client.get("/projects/v1", params=params).json()
        assert len(page["projects"]) <= 2
        found += [row["id"] for row in page["projects"]]
        assert not any("key" in name for row in page["projects"] for name in row)
        if not page["has_more"]:
            assert page["next_cursor"] is None
            break
        params["after"] = page["next_cursor"]
    assert found == created
    row = client.get("/projects/v1").json()["projects"][0]
    assert (row["name"], row["status"], row["site_url"], row["custom_domains"]) == ("p0", "active", None, [])


def test_the_list_checks_its_parameters(client: httpx.Client) -> None:
    org = client.get("/projects/v1/" + client.post("/projects/v1", json={}).json()["project_id"]).json()["org_id"]
    assert len(client.get("/projects/v1", params={"org_id": org}).json()["projects"]) == 1
    for params, status in [
        ({"org_id": "nope"}, 400),
        ({"org_id": "11111111-1111-4111-8111-111111111111"}, 403),
        ({"limit": "0"}, 400),
        ({"limit": "201"}, 400),
        ({"limit": "x"}, 400),
        ({"after": "nope"}, 400),
        ({"after": "prj_0000000000000000"}, 404),
    ]:
        assert client.get("/projects/v1", params=params).status_code == status, params


def test_rename_changes_the_name(client: httpx.Client, project: dict[str, Any]) -> None:
    path = f"/projects/v1/{project['project_id']}"
    assert client.patch(path, json={"name": " Shop "}).json() == {"project_id": project["project_id"], "name": "Shop"}
    assert client.get(path).json()["name"] == "Shop"
    for bad in [None, "", "  ", 5, "x" * 201, "a\x07"]:
        assert client.patch(path, json={"name": bad}).status_code == 400
    assert client.get(path).json()["name"] == "Shop"


def test_a_name_that_is_taken_asks_for_another(client: httpx.Client, project: dict[str, Any]) -> None:
    other = client.post("/projects/v1", json={"name": "taken by another"}).json()["project_id"]
    refused = client.patch(f"/projects/v1/{project['project_id']}", json={"name": "taken by another"})
    assert (refused.status_code, refused.json()["project_id"]) == (409, other)
    command = f"run402 projects rename --name <name> --project {project['project_id']}"
    assert [action["command"] for action in refused.json()["next_actions"]] == [command]


def test_a_name_in_place_of_an_id_is_told_its_id(client: httpx.Client) -> None:
    alpha = named(client, "alpha")
    refused = client.get("/projects/v1/alpha")
    assert (refused.status_code, refused.json()["project_id"]) == (400, alpha["project_id"])
    assert f"run402 projects use {alpha['project_id']}" in refused.json()["message"]
    client.post("/projects/v1", json={"name": "alpha"})
    assert "project_id" not in client.get("/projects/v1/alpha").json()


def test_unknown_and_malformed_ids(client: httpx.Client) -> None:
    missing = client.get("/projects/v1/prj_0000000000000000")
    assert missing.status_code == 404
    assert missing.json()["error"] == "project_not_found"
    assert missing.json()["project_id"] == "prj_0000000000000000"
    for bad in ["nope", "prj_ABC", "prj_%00", "prj_x'%3B--", "prj_" + "x" * 97]:
        response = client.get(f"/projects/v1/{bad}")
        assert (response.status_code, response.json()["error"]) == (400, "invalid_project_id"), bad


def test_usage_grows_with_rows(client: httpx.Client, project: dict[str, Any], service: dict[str, str]) -> None:
    base = f"/projects/v1/admin/{project['project_id']}"
    assert client.get(f"{base}/usage").status_code == 401
    assert client.get(f"{base}/usage", headers=service).json()["storage_bytes"] == 0
    sql = "create table t (x text); insert into t select repeat('x', 1000) from generate_series(1, 100)"
    assert client.post(f"{base}/sql", content=sql, headers=service).status_code == 200
    body = client.get(f"{base}/usage", headers=service).json()
    assert 100_000 < body["storage_bytes"] < body["storage_limit_bytes"]
    assert (body["effective_status"], body["organization_lifecycle_state"]) == ("active", "active")


def test_delete_removes_schema_rows_and_references(
    live: Live, client: httpx.Client, project: dict[str, Any], service: dict[str, str]
) -> None:
    path = f"/projects/v1/{project['project_id']}"
    other = client.post("/projects/v1", json={"name": "stays"}).json()
    sql = "create table t (id int); create view v as select * from t"
    assert client.post(f"/projects/v1/admin/{project['project_id']}/sql", content=sql, headers=service).is_success
    references = live.gateway.settings.content_dir / "refs" / project["project_id"] / "ab"
    references.mkdir(parents=True)
    (references / ("ab" * 32)).touch()
    assert client.delete(path).status_code == 401
    assert client.delete(path, headers={"apikey": other["service_key"]}).status_code == 401
    assert client.delete(path, headers=service).is_success
    assert client.get(path).status_code == 404
    assert client.delete(path, headers=service).status_code == 404
    assert not references.parent.exists()
    with psycopg.connect(live.database_url) as conn:
        schemas = conn.execute("select nspname from pg_namespace where nspname like 'project\\_%'").fetchall()
    assert schemas == [(other["schema_slot"],)]


def test_unknown_routes_and_methods_answer_json(client: httpx.Client) -> None:
    missing = client.get("/nope")
    assert (missing.status_code, missing.json()["error"]) == (404, "not_found")
    wrong = client.put("/projects/v1")
    assert (wrong.status_code, wrong.json()["error"]) == (405, "method_not_allowed")
    assert {"GET", "POST"} <= set(wrong.headers["allow"].split(", "))
    ssr = client.get("/ssr/page")
    assert (ssr.status_code, ssr.json()["capability"]) == (422, "astro.ssr")


def test_an_unexpected_exception_is_a_500_and_the_gateway_lives(
    live: Live, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("run402_cli.core.projects.routes.summary_view", broken)
    client.post("/projects/v1", json={})
    response = client.get("/projects/v1")
    assert (response.status_code, response.json()["error"]) == (500, "internal_error")
    assert "secret detail" not in response.text
    monkeypatch.undo()
    assert client.get("/projects/v1").status_code == 200


def test_killed_connections_are_replaced(live: Live, client: httpx.Client, postgres_url: str) -> None:
    client.post("/projects/v1", json={})
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        name = psycopg.conninfo.conninfo_to_dict(live.database_url)["dbname"]
        admin.execute("select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = %s", (name,))
    assert len(client.get("/projects/v1").json()["projects"]) == 1
