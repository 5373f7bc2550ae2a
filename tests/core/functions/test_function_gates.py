"""Gates: who may call a function, and what the function learns about the caller."""

from __future__ import annotations

from typing import Any

from functions_kit import Functions, handler

WHO = handler(
    "return Response.json({ id: req.headers.get('x-run402-user-id'), role: req.headers.get('x-run402-user-role') });"
)
GATE = {"table": "members", "id_column": "user_id", "role_column": "role", "allowed": ["admin", "owner"]}


def deploy(functions: Functions, **entry: Any) -> None:
    routes = {"replace": [{"pattern": "/api/*", "target": {"type": "function", "name": "api"}}]}
    functions.deploy({"api": WHO}, settings={"api": entry}, routes=routes)


def members(functions: Functions) -> None:
    sql = (
        "create table members (user_id text primary key, role text);"
        " insert into members values ('u1','admin'),('u2','guest')"
    )
    url = f"/projects/v1/admin/{functions.id}/sql"
    assert functions.client.post(url, content=sql, headers=functions.service).status_code == 200


def test_require_auth_lets_only_users_of_the_project_in(functions: Functions) -> None:
    deploy(functions, require_auth=True)
    other = functions.client.post("/projects/v1", json={"name": "other"}).json()
    stranger = Functions(functions.client, other).token("u1")
    refused: list[dict[str, str]] = [
        {},
        stranger,
        {"Authorization": "Bearer rubbish"},
        {"Authorization": functions.token("u1")["Authorization"][:-2] + "xx"},
        functions.token("u1", role="anon"),
        {"Authorization": f"Bearer {functions.project['anon_key']}"},
    ]
    for headers in refused:
        answer = functions.get("/api/x", headers=headers)
        assert (answer.status_code, answer.json()["error"]) == (401, "authentication_required")
    assert functions.get("/api/x", headers=functions.token("u1")).json() == {"id": "u1", "role": None}
    assert functions.call("api").status_code == 401
    assert functions.call("api", headers=functions.token("u1")).json()["id"] == "u1"


def test_require_role_asks_the_projects_table_every_time(functions: Functions) -> None:
    members(functions)
    deploy(functions, require_role=GATE)
    assert functions.get("/api/x").status_code == 401
    for user in ("u2", "u3", "'; drop table members; --"):
        answer = functions.get("/api/x", headers=functions.token(user))
        assert (answer.status_code, answer.json()["error"]) == (403, "ROLE_FORBIDDEN")
        assert answer.json()["allowed_roles"] == ["admin", "owner"]
    assert functions.get("/api/x", headers=functions.token("u1")).json() == {"id": "u1", "role": "admin"}
    url = f"/projects/v1/admin/{functions.id}/sql"
    functions.client.post(url, content="update members set role = 'guest'", headers=functions.service)
    assert functions.get("/api/x", headers=functions.token("u1")).status_code == 403


def test_a_gate_without_its_table_stays_closed(functions: Functions) -> None:
    deploy(functions, require_role=GATE)
    answer = functions.get("/api/x", headers=functions.token("u1"))
    assert (answer.status_code, answer.json()["error"]) == (500, "role_gate_unavailable")


def test_a_page_load_can_be_sent_to_the_sign_in_page(functions: Functions) -> None:
    members(functions)
    deploy(functions, require_role={**GATE, "on_deny": "redirect", "sign_in_path": "/login"})
    page = functions.get("/api/x?a=1", headers={"accept": "text/html"})
    assert page.status_code == 303
    assert page.headers["location"].startswith("/login?returnTo=")
    assert functions.get("/api/x", headers={"accept": "application/json"}).status_code == 401


def test_gates_of_one_release_agree(functions: Functions) -> None:
    other = {**GATE, "table": "staff"}
    answer = functions.plan(
        functions.spec(
            {"a": WHO, "b": WHO + "\n"}, settings={"a": {"require_role": GATE}, "b": {"require_role": other}}
        )
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "DEPLOY_INVALID_ROLE_GATE")


def test_runs_and_schedules_pass_gates(functions: Functions) -> None:
    deploy(functions, require_auth=True)
    run_id = functions.create_run("api", "k").json()["run_id"]
    assert functions.wait_for(run_id, "succeeded", "failed", "retrying")["status"] == "succeeded"


LEAVES = """
CREATE TABLE people (user_id text PRIMARY KEY, role text); INSERT INTO people VALUES ('u1', 'admin');
CREATE FUNCTION leave(role text) RETURNS text LANGUAGE plpgsql AS $f$
BEGIN PERFORM set_config('my.flag', role, false); RETURN role; END $f$;
CREATE VIEW members AS SELECT user_id, leave(role) AS role FROM people;
CREATE FUNCTION left_behind() RETURNS text LANGUAGE sql AS $f$ SELECT current_setting('my.flag', true) $f$;
"""


def test_what_a_gates_view_runs_leaves_nothing_in_the_session(functions: Functions) -> None:
    """Also where statements stay prepared there."""
    url = f"/projects/v1/admin/{functions.id}/sql"
    assert functions.client.post(url, content=LEAVES, headers=functions.service).status_code == 200
    deploy(functions, require_role=GATE)
    rest = "/admin/v1/rest"
    for _ in range(2):
        assert functions.client.get(f"{rest}/people", headers=functions.service).status_code == 200
    assert functions.get("/api/x", headers=functions.token("u1")).json() == {"id": "u1", "role": "admin"}
    answer = functions.client.post(f"{rest}/rpc/left_behind", headers=functions.service, json={})
    assert (answer.status_code, answer.json() or None) == (200, None)
