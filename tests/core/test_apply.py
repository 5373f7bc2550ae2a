"""Plan and commit in both dialects, against a live gateway and a real PostgreSQL."""

from __future__ import annotations

from typing import Any

import httpx
import psycopg
import pytest
from deploy_kit import commit, deploy, migration, plan, ref, sha256, site, stage, upload
from gateway_kit import CONTROL, Live

INDEX = b"<!doctype html><h1>Guestbook</h1>"
CSS = b"body{color:red}"
NOTES = "create table notes (id bigint generated always as identity primary key, body text not null);"
PUBLIC_NOTES = {
    "version": "1",
    "tables": [
        {
            "name": "notes",
            "expose": True,
            "policy": "public_read_write_UNRESTRICTED",
            "i_understand_this_is_unrestricted": True,
        }
    ],
}


def core(project: dict[str, Any], **sections: Any) -> dict[str, Any]:
    return {"project": project["project_id"], **sections}


def cloud(project: dict[str, Any], **sections: Any) -> dict[str, Any]:
    return {"project_id": project["project_id"], **sections}


def sql(client: httpx.Client, project: dict[str, Any], text: str) -> list[dict[str, Any]]:
    answer = client.post(
        f"/projects/v1/admin/{project['project_id']}/sql",
        content=text,
        headers={"Authorization": f"Bearer {project['service_key']}", "Content-Type": "text/plain"},
    )
    assert answer.status_code == 200, answer.text
    rows: list[dict[str, Any]] = answer.json()["rows"]
    return rows


class TestCoreDialect:
    def test_migration_site_and_expose_go_live_together(self, client: httpx.Client, project: dict[str, Any]) -> None:
        spec = core(
            project,
            database={"migrations": [migration("001_notes", NOTES)], "expose": PUBLIC_NOTES},
            site={"replace": site({"index.html": INDEX, "style.css": CSS}, core=True)},
        )
        planned = plan(client, spec)
        assert planned.status_code == 201, planned.text
        body = planned.json()
        assert body["noop"] is False
        assert body["base_release_id"] is None
        assert body["release_spec_digest"].startswith("run402-apply-request-v1:")
        assert body["target_release_id"] == "rel_" + body["target_release_digest"].partition(":")[2][:24]
        assert {entry["present"] for entry in body["missing_content"]} == {False}
        stage(client, project, INDEX, CSS)
        done = commit(client, body)
        assert done.status_code == 200, done.text
        assert done.json() | {"status": "committed", "release_id": body["target_release_id"]} == done.json()
        page = client.get(f"/projects/v1/{project['project_id']}/static/")
        assert page.content == INDEX
        headers = {"apikey": project["anon_key"]}
        assert client.post("/rest/v1/notes", json={"body": "hi"}, headers=headers).status_code == 201
        assert client.get("/rest/v1/notes?select=body", headers=headers).json() == [{"body": "hi"}]

    def test_the_same_deploy_again_is_a_noop_with_the_same_release(
        self, client: httpx.Client, project: dict[str, Any]
    ) -> None:
        spec = core(
            project,
            database={"migrations": [migration("001", NOTES)], "expose": PUBLIC_NOTES},
            site={"replace": site({"index.html": INDEX}, core=True)},
        )
        first = deploy(client, spec, INDEX)
        again = plan(client, spec).json()
        assert again["noop"] is True
        assert [entry["present"] for entry in again["missing_content"]] == [True]
        done = commit(client, again).json()
        assert (done["status"], done["release_id"]) == ("noop", first["release_id"])
        assert done["endpoints"] == client.get(f"/projects/v1/{project['project_id']}").json()["endpoints"]

    @pytest.mark.parametrize("lacks", ["nothing", "i18n"])
    def test_a_release_that_an_older_gateway_digested_is_the_same_release(
        self, client: httpx.Client, project: dict[str, Any], live: Live, lacks: str
    ) -> None:
        spec = core(project, site={"replace": site({"index.html": INDEX}, core=True)})
        first = deploy(client, spec, INDEX)
        with psycopg.connect(live.database_url) as admin:
            admin.execute("UPDATE internal.core_releases SET digest = 'of before'")
            admin.execute("UPDATE internal.core_releases SET state = state - %s::text", (lacks,))
        again = plan(client, spec).json()
        assert (again["noop"], again["target_release_id"]) == (True, first["release_id"])

    def test_a_committed_plan_answers_the_same_again(self, client: httpx.Client, project: dict[str, Any]) -> None:
        planned = plan(client, core(project, database={"migrations": [migration("001", NOTES)]})).json()
        assert commit(client, planned).json() == commit(client, planned).json()
        assert sql(client, project, "select count(*)::int as n from notes") == [{"n": 0}]

    def test_content_that_was_not_staged_is_named(self, client: httpx.Client, project: dict[str, Any]) -> None:
        planned = plan(client, core(project, site={"replace": site({"index.html": INDEX}, core=True)})).json()
        refused = commit(client, planned)
        assert (refused.status_code, refused.json()["error"]) == (409, "content_digest_missing")
        assert refused.json()["missing"] == [sha256(INDEX)]
        stage(client, project, INDEX)
        assert commit(client, planned).status_code == 200

    def test_content_of_another_project_does_not_count(self, client: httpx.Client, project: dict[str, Any]) -> None:
        other = client.post("/projects/v1", json={"name": "other"}).json()
        stage(client, other, INDEX)
        planned = plan(client, core(project, site={"replace": site({"index.html": INDEX}, core=True)})).json()
        assert planned["missing_content"][0]["present"] is False
        assert commit(client, planned).json()["error"] == "content_digest_missing"

    def test_another_digest_in_the_commit_is_refused(self, client: httpx.Client, project: dict[str, Any]) -> None:
        planned = plan(client, core(project, secrets={"delete": ["OLD"]})).json()
        refused = commit(client, planned, release_spec_digest="run402-apply-request-v1:" + "0" * 64)
        assert (refused.status_code, refused.json()["error"]) == (409, "release_spec_digest_mismatch")

    def test_unknown_plan_and_project(self, client: httpx.Client) -> None:
        assert commit(client, {"plan_id": "plan_" + "0" * 24}).json()["error"] == "plan_not_found"
        assert plan(client, {"project": "prj_0000000000000000", "secrets": {}}).status_code == 404

    def test_a_spec_of_the_wrong_shape_names_the_field(self, client: httpx.Client, project: dict[str, Any]) -> None:
        cases = [
            ({"zzz": 1}, "spec.zzz"),
            ({"site": {}}, "site"),
            ({"site": {"replace": {"../x": ref(b"x")}}}, "site.replace.../x"),
            ({"site": {"replace": {"/x": ref(b"x")}}}, "site.replace./x"),
            ({"site": {"replace": {"a\\b": ref(b"x")}}}, "site.replace.a\\b"),
            ({"site": {"replace": {"a": {"sha256": "zz", "size": 1}}}}, "site.replace.a.sha256"),
            ({"site": {"patch": {"put": {"a": ref(b"x")}, "delete": ["a"]}}}, "site.patch"),
            ({"site": {"public_paths": {"mode": "explicit"}}}, "site.public_paths.replace"),
            ({"database": {"migrations": [{"id": "1", "checksum": "0" * 64}]}}, "database.migrations.0"),
            ({"database": {"migrations": [migration("a", "x"), migration("a", "y")]}}, "database.migrations.1.id"),
            ({"secrets": {"require": ["lower"]}}, "secrets.require.0"),
            ({"subdomains": {"set": ["Bad_"]}}, "subdomains.set.0"),
            ({"base": {"release": "current", "release_id": "r"}}, "base"),
            (
                {"routes": {"replace": [{"pattern": "/a", "target": {"type": "static", "file": "gone.html"}}]}},
                "routes",
            ),
        ]
        for sections, resource in cases:
            refused = plan(client, core(project, **sections))
            assert refused.status_code == 400, refused.text
            body = refused.json()
            assert (body["error"], body["code"]) == ("invalid_release_spec", "RUN402_CORE_INVALID_SPEC")
            assert body["resource"] == resource

    def test_malformed_bodies_are_a_400(self, client: httpx.Client) -> None:
        cases = ['{"spec": {"project": "p', "[]", '{"spec": 3}', '{"spec": {"project":"a\\u0000"}}']
        for text in cases:
            assert client.post("/apply/v1/plans", content=text).status_code == 400

    def test_a_fingerprinted_file_cannot_change(self, client: httpx.Client, project: dict[str, Any]) -> None:
        deploy(client, core(project, site={"replace": site({"app-1a2b3c4d5e.js": b"one"}, core=True)}), b"one")
        refused = plan(client, core(project, site={"replace": site({"app-1a2b3c4d5e.js": b"two"}, core=True)}))
        assert refused.status_code == 409
        assert refused.json()["code"] == "STATIC_IMMUTABLE_PATH_CHANGED"
        page = client.get(f"/projects/v1/{project['project_id']}/static/app-1a2b3c4d5e.js")
        assert page.content == b"one"

    def test_a_required_secret_must_exist(self, client: httpx.Client, project: dict[str, Any]) -> None:
        planned = plan(client, core(project, secrets={"require": ["API_KEY"]})).json()
        refused = commit(client, planned)
        assert (refused.status_code, refused.json()["error"]) == (422, "missing_required_secret")
        assert refused.json()["secret_name"] == "API_KEY"

    def test_patch_adds_and_removes_single_files(self, client: httpx.Client, project: dict[str, Any]) -> None:
        deploy(
            client, core(project, site={"replace": site({"index.html": INDEX, "old.css": CSS}, core=True)}), INDEX, CSS
        )
        patch = {"put": site({"new.html": b"new"}, core=True), "delete": ["old.css"]}
        deploy(client, core(project, site={"patch": patch}), b"new")
        root = f"/projects/v1/{project['project_id']}/static"
        codes = [client.get(f"{root}/{name}").status_code for name in ("index.html", "new.html", "old.css")]
        assert codes == [200, 200, 404]


class TestMigrations:
    def test_failing_sql_says_where_and_changes_nothing(self, client: httpx.Client, project: dict[str, Any]) -> None:
        bad = "create table a (id int);\ninsert into a values (1);\nselect nope from a;"
        planned = plan(client, core(project, database={"migrations": [migration("bad", bad)]})).json()
        refused = commit(client, planned)
        assert refused.status_code == 400
        body = refused.json()
        assert (body["code"], body["migration_id"], body["sqlstate"]) == ("MIGRATION_FAILED", "bad", "42703")
        assert body["line"] == 3
        assert bad[body["position"] - 1 :].startswith("nope")
        assert 'column "nope" does not exist' in body["message"]
        assert body["operation_id"].startswith("op_")
        assert body["rolled_back"] is True
        assert sql(client, project, "select to_regclass('a')::text as t") == [{"t": None}]
        assert client.get(f"/projects/v1/{project['project_id']}").json()["active_release_id"] is None

    def test_earlier_migrations_stay_and_a_corrected_one_goes_on(
        self, client: httpx.Client, project: dict[str, Any]
    ) -> None:
        good = migration("1", "create table a (n int); insert into a values (1);")
        broken = {"migrations": [good, migration("2", "insert into missing values (1)")]}
        assert commit(client, plan(client, core(project, database=broken)).json()).status_code == 400
        fixed = {"migrations": [good, migration("2", "insert into a values (2)")]}
        assert commit(client, plan(client, core(project, database=fixed)).json()).status_code == 200
        assert sql(client, project, "select n from a order by n") == [{"n": 1}, {"n": 2}]

    def test_an_applied_migration_with_other_sql_is_refused_at_plan(
        self, client: httpx.Client, project: dict[str, Any]
    ) -> None:
        deploy(client, core(project, database={"migrations": [migration("1", NOTES)]}))
        refused = plan(client, core(project, database={"migrations": [migration("1", "select 1")]}))
        assert (refused.status_code, refused.json()["code"]) == (409, "MIGRATION_CHECKSUM_MISMATCH")

    def test_a_wrong_checksum_is_refused(self, client: httpx.Client, project: dict[str, Any]) -> None:
        lying = {"id": "1", "checksum": "0" * 64, "sql": "select 1"}
        refused = plan(client, core(project, database={"migrations": [lying]}))
        assert (refused.status_code, refused.json()["error"]) == (409, "migration_checksum_mismatch")

    def test_begin_and_commit_around_a_script_are_harmless(self, client: httpx.Client, project: dict[str, Any]) -> None:
        text = "-- dump\nBEGIN;\ncreate table b (n int);\nCOMMIT;\n"
        deploy(client, core(project, database={"migrations": [migration("1", text)]}))
        assert sql(client, project, "select count(*)::int as n from b") == [{"n": 0}]

    @pytest.mark.parametrize("text", ["create table c (n int); commit; select 1", "rollback", "copy c from stdin"])
    def test_what_would_break_the_transaction_is_refused(
        self, client: httpx.Client, project: dict[str, Any], text: str
    ) -> None:
        refused = commit(client, plan(client, core(project, database={"migrations": [migration("1", text)]})).json())
        assert (refused.status_code, refused.json()["code"]) == (400, "MIGRATION_FAILED")
        assert sql(client, project, "select to_regclass('c')::text as t") == [{"t": None}]

    def test_session_settings_do_not_leak_to_later_requests(
        self, client: httpx.Client, project: dict[str, Any]
    ) -> None:
        text = "set search_path = ''; reset role; set statement_timeout = '9s'; set timezone = 'Asia/Tokyo'"
        deploy(client, core(project, database={"migrations": [migration("1", text)]}))
        look = "create table seen as select current_setting('statement_timeout') as t, current_setting('timezone') as z"
        deploy(client, core(project, database={"migrations": [migration("2", look)]}))
        seen = sql(client, project, "select * from seen")
        assert seen[0]["t"] == "0"
        assert seen[0]["z"] != "Asia/Tokyo"

    def test_transaction_none_runs_statement_by_statement(self, client: httpx.Client, project: dict[str, Any]) -> None:
        deploy(client, core(project, database={"migrations": [migration("1", NOTES)]}))
        text = "create index concurrently notes_body on notes (body);\nselect 1; -- two"
        deploy(client, core(project, database={"migrations": [migration("2", text, transaction="none")]}))
        assert sql(client, project, "select to_regclass('notes_body')::text as t") == [{"t": "notes_body"}]

    def test_transaction_none_that_fails_needs_repair_and_runs_again(
        self, client: httpx.Client, project: dict[str, Any]
    ) -> None:
        text = "create table if not exists d (n int);\nselect * from later;"
        spec = core(project, database={"migrations": [migration("1", text, transaction="none")]})
        planned = plan(client, spec).json()
        refused = commit(client, planned).json()
        assert (refused["code"], refused["rolled_back"], refused["line"]) == ("MIGRATION_FAILED", False, 2)
        assert client.get(f"/apply/v1/operations/{planned['operation_id']}").json()["status"] == "needs_repair"
        sql(client, project, "create table later (n int)")
        assert client.post(f"/apply/v1/operations/{planned['operation_id']}/resume").json()["status"] == "ready"

    def test_new_tables_stay_dark_without_an_expose_manifest(
        self, client: httpx.Client, project: dict[str, Any]
    ) -> None:
        deploy(client, core(project, database={"migrations": [migration("1", NOTES)]}))
        answer = client.get("/rest/v1/notes", headers={"apikey": project["anon_key"]})
        assert answer.status_code in (401, 403, 404)

    def test_an_expose_manifest_with_unknown_tables_stops_before_anything_runs(
        self, client: httpx.Client, project: dict[str, Any]
    ) -> None:
        manifest = {"version": "1", "tables": [{**PUBLIC_NOTES["tables"][0], "name": "ghosts"}]}
        refused = plan(client, core(project, database={"migrations": [migration("1", NOTES)], "expose": manifest}))
        assert (refused.status_code, refused.json()["code"]) == (400, "EXPOSE_MANIFEST_INVALID")
        assert [issue["type"] for issue in refused.json()["errors"]] == ["missing-table"]
        assert sql(client, project, "select to_regclass('notes')::text as t") == [{"t": None}]


class TestCloudDialect:
    def test_plan_upload_commit(self, client: httpx.Client, project: dict[str, Any]) -> None:
        text = NOTES.encode()
        spec = cloud(
            project,
            database={
                "migrations": [{"id": "001", "checksum": sha256(text), "sql_ref": ref(text, "application/sql")}],
                "expose": PUBLIC_NOTES,
            },
            site={"replace": site({"index.html": INDEX, "style.css": CSS})},
        )
        planned = plan(client, spec, idempotency_key="k1")
        assert planned.status_code == 200, planned.text
        body = planned.json()
        assert (body["kind"], body["is_noop"], body["warnings"]) == ("plan_response", False, [])
        assert [entry["sha256"] for entry in body["missing_content"]] == sorted(map(sha256, (INDEX, CSS, text)))
        assert body["migrations"]["new"] == [{"id": "001", "checksum_hex": sha256(text), "transaction": "default"}]
        assert [entry["path"] for entry in body["site"]["added"]] == ["index.html", "style.css"]
        assert body["static_assets"]["newly_uploaded_cas_bytes"] == len(INDEX) + len(CSS)
        upload(client, project, INDEX, CSS, text)
        done = commit(client, body, idempotency_key="k1")
        assert done.status_code == 200, done.text
        result = done.json()
        assert (result["operation_id"], result["status"]) == (body["operation_id"], "ready")
        assert httpx.get(result["urls"]["project"], trust_env=False).content == INDEX
        events = client.get(
            f"/apply/v1/operations/{body['operation_id']}/events?limit=3", headers={"apikey": project["anon_key"]}
        ).json()
        rest = client.get(f"/apply/v1/operations/{body['operation_id']}/events?cursor={events['cursor']}").json()
        recorded = events["events"] + rest["events"]
        assert [event["phase"] for event in recorded][-1] == "ready"
        assert {event["type"] for event in recorded} == {"commit.phase.detail"}
        assert all(event["id"].isdigit() for event in recorded)
        assert "cursor" not in rest

    def test_a_dry_run_stores_nothing(self, client: httpx.Client, project: dict[str, Any]) -> None:
        answer = plan(client, cloud(project, site={"replace": site({"index.html": INDEX})}), "?dry_run=true").json()
        assert (answer["plan_id"], answer["operation_id"]) == (None, None)
        listed = client.get("/apply/v1/operations", headers={"apikey": project["anon_key"]}).json()
        assert listed == {"operations": [], "cursor": None}

    def test_the_same_idempotency_key_gives_the_same_plan(self, client: httpx.Client, project: dict[str, Any]) -> None:
        spec = cloud(project, site={"replace": site({"index.html": INDEX})})
        first = plan(client, spec, idempotency_key="k").json()
        assert plan(client, spec, idempotency_key="k").json()["plan_id"] == first["plan_id"]
        assert plan(client, spec, idempotency_key="other").json()["plan_id"] != first["plan_id"]
        changed = cloud(project, site={"replace": site({"index.html": CSS})})
        assert plan(client, changed, idempotency_key="k").json()["plan_id"] != first["plan_id"]

    def test_an_oversized_spec_comes_as_content(self, client: httpx.Client, project: dict[str, Any]) -> None:
        import json

        spec = cloud(project, site={"replace": site({"index.html": INDEX})})
        data = json.dumps(spec).encode()
        body = {
            "spec": {"project_id": project["project_id"]},
            "manifest_ref": {"sha256": sha256(data), "size": len(data)},
        }
        assert client.post("/apply/v1/plans", json=body).json()["error"] == "content_digest_missing"
        upload(client, project, data)
        answer = client.post("/apply/v1/plans", json=body).json()
        assert [entry["path"] for entry in answer["site"]["added"]] == ["index.html"]

    def test_a_reviewed_plan_is_committed_as_reviewed(self, client: httpx.Client, project: dict[str, Any]) -> None:
        spec = cloud(project, site={"replace": site({"index.html": INDEX})})
        reviewed = plan(client, spec, mode="reviewed_plan").json()
        assert reviewed["plan_fingerprint"].startswith("run402-reviewed-plan-v1:")
        required = {"plan_id": reviewed["plan_id"], "plan_fingerprint": reviewed["plan_fingerprint"]}
        wrong = plan(client, spec, required_plan={**required, "plan_fingerprint": "x"})
        assert (wrong.status_code, wrong.json()["code"]) == (409, "PLAN_FINGERPRINT_MISMATCH")
        other = cloud(project, site={"replace": site({"index.html": CSS})})
        assert plan(client, other, required_plan=required).json()["code"] == "PLAN_MISMATCH"
        accepted = plan(client, spec, required_plan=required).json()
        assert accepted["plan_id"] == reviewed["plan_id"]
        upload(client, project, INDEX)
        assert commit(client, accepted, required_plan=required).json()["status"] == "ready"

    def test_a_reviewed_plan_is_stale_once_another_release_is_active(
        self, client: httpx.Client, project: dict[str, Any]
    ) -> None:
        spec = cloud(project, site={"replace": site({"index.html": INDEX})})
        reviewed = plan(client, spec, mode="reviewed_plan").json()
        deploy(client, cloud(project, site={"replace": site({"a.css": CSS})}), CSS)
        refused = plan(client, spec, required_plan={"plan_id": reviewed["plan_id"]})
        assert (refused.status_code, refused.json()["code"]) == (409, "PLAN_STALE")

    def test_dropping_a_table_asks_for_confirmation(self, client: httpx.Client, project: dict[str, Any]) -> None:
        deploy(client, cloud(project, database={"migrations": [migration("1", NOTES)]}))
        answer = plan(client, cloud(project, database={"migrations": [migration("2", "drop table notes")]})).json()
        assert [(w["code"], w["requires_confirmation"]) for w in answer["warnings"]] == [
            ("RUN402_CORE_MIGRATION_SCHEMA_SHRINKING", True)
        ]

    def test_a_missing_secret_is_a_blocking_warning(self, client: httpx.Client, project: dict[str, Any]) -> None:
        answer = plan(client, cloud(project, secrets={"require": ["API_KEY"]})).json()
        assert [(w["code"], w["affected"]) for w in answer["warnings"]] == [("MISSING_REQUIRED_SECRET", ["API_KEY"])]


class TestReviewAcrossDialects:
    """`--plan` speaks one dialect and `--require-plan` the other."""

    def test_both_say_the_same_about_what_goes(self, client: httpx.Client, project: dict[str, Any]) -> None:
        deploy(client, cloud(project, site={"replace": site({"index.html": INDEX, "more.css": CSS})}), INDEX, CSS)
        shown = [
            plan(client, {name: project["project_id"], "site": {"replace": site({"index.html": INDEX})}}).json()
            for name in ("project", "project_id")
        ]
        core, other = shown
        assert [w["code"] for w in core["warnings"]] == ["RUN402_CORE_DESTRUCTIVE_SITE_BULK_REMOVAL"]
        assert core["warnings"] == other["warnings"] == core["diff"]["warnings"]
        keys = ("is_noop", "summary", "migrations", "site", "functions", "secrets", "subdomains", "routes")
        assert {key: core["diff"][key] for key in keys} == {key: other[key] for key in keys}
        assert core["diff"]["site"]["removed"] == ["more.css"]

    def specs(self, project: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        sql = "create table t (n int)"
        by_ref = {"id": "1", "checksum": sha256(sql.encode()), "sql_ref": ref(sql.encode(), "application/sql")}
        files = {"index.html": INDEX}
        reviewed = cloud(project, site={"replace": site(files)}, database={"migrations": [by_ref]})
        applied = core(
            project, site={"replace": site(files, core=True)}, database={"migrations": [migration("1", sql)]}
        )
        return reviewed, applied

    def test_the_reviewed_plan_is_applied(self, client: httpx.Client, project: dict[str, Any]) -> None:
        reviewed, applied = self.specs(project)
        seen = plan(client, reviewed, mode="reviewed_plan").json()
        wanted = {key: seen[key] for key in ("plan_id", "plan_fingerprint")}
        again = plan(client, applied, required_plan=wanted)
        assert again.json()["plan_id"] == seen["plan_id"], again.text
        stage(client, project, INDEX)
        done = commit(client, again.json(), required_plan=wanted)
        assert (done.status_code, done.json()["status"]) == (200, "ready"), done.text

    def test_another_manifest_is_not(self, client: httpx.Client, project: dict[str, Any]) -> None:
        reviewed, applied = self.specs(project)
        seen = plan(client, reviewed, mode="reviewed_plan").json()
        applied["site"]["replace"]["more.html"] = ref(b"more", core=True)
        refused = plan(client, applied, required_plan={"plan_id": seen["plan_id"]})
        assert (refused.status_code, refused.json()["code"]) == (409, "PLAN_MISMATCH")


class TestConcurrency:
    @pytest.mark.parametrize("make", [core, cloud])
    def test_of_two_plans_against_one_base_the_second_conflicts_and_may_retry(
        self, client: httpx.Client, project: dict[str, Any], make: Any
    ) -> None:
        stage(client, project, b"one", b"two")
        first = plan(client, make(project, site={"replace": {"a.txt": ref(b"one")}})).json()
        text = "create table should_not_exist (n int)"
        second_spec = make(
            project, site={"replace": {"a.txt": ref(b"two")}}, database={"migrations": [migration("x", text)]}
        )
        second = plan(client, second_spec).json()
        assert commit(client, first).status_code == 200
        refused = commit(client, second)
        assert refused.status_code == 409
        body = refused.json()
        assert (body["code"], body["safe_to_retry"]) == ("BASE_RELEASE_CONFLICT", True)
        assert sql(client, project, "select to_regclass('should_not_exist')::text as t") == [{"t": None}]
        assert commit(client, plan(client, second_spec).json()).status_code == 200
        assert client.get(f"/projects/v1/{project['project_id']}/static/a.txt").content == b"two"

    def test_many_deploys_at_once_leave_one_winner_per_base(
        self, live: Any, client: httpx.Client, project: dict[str, Any]
    ) -> None:
        from concurrent.futures import ThreadPoolExecutor

        bodies = [f"v{n}".encode() for n in range(8)]
        stage(client, project, *bodies)
        plans = [plan(client, cloud(project, site={"replace": {"a.txt": ref(data)}})).json() for data in bodies]

        def run(planned: dict[str, Any]) -> int:
            with httpx.Client(base_url=live.base_url, headers=CONTROL, timeout=60, trust_env=False) as session:
                return commit(session, planned).status_code

        with ThreadPoolExecutor(8) as pool:
            codes = sorted(pool.map(run, plans))
        assert codes == [200] + [409] * 7

    def test_the_same_plan_committed_twice_at_once_runs_its_migration_once(
        self, live: Any, client: httpx.Client, project: dict[str, Any]
    ) -> None:
        from concurrent.futures import ThreadPoolExecutor

        text = "create table once (n int); insert into once values (1); select pg_sleep(0.2)"
        planned = plan(client, cloud(project, database={"migrations": [migration("1", text)]})).json()

        def run(_: int) -> str:
            with httpx.Client(base_url=live.base_url, headers=CONTROL, timeout=60, trust_env=False) as session:
                return str(commit(session, planned).json()["status"])

        with ThreadPoolExecutor(4) as pool:
            assert set(pool.map(run, range(4))) == {"ready"}
        assert sql(client, project, "select count(*)::int as n from once") == [{"n": 1}]


class TestResume:
    def test_an_interrupted_operation_goes_on_without_repeating_migrations(
        self, client: httpx.Client, project: dict[str, Any], database_url: str
    ) -> None:
        import psycopg

        text = "create table log (n int); insert into log values (1);"
        planned = plan(client, cloud(project, database={"migrations": [migration("1", text)]})).json()
        commit(client, planned)
        # What a gateway killed between the migration and the activation leaves behind.
        with psycopg.connect(database_url, autocommit=True) as admin:
            admin.execute("UPDATE internal.core_projects SET active_release_id = NULL")
            admin.execute("DELETE FROM internal.core_releases")
            admin.execute("UPDATE internal.core_apply_plans SET status = 'planned'")
            admin.execute("UPDATE internal.core_operations SET status = 'migrating', release_id = NULL")
        resumed = client.post(f"/apply/v1/operations/{planned['operation_id']}/resume")
        assert resumed.status_code == 200, resumed.text
        assert (resumed.json()["status"], resumed.json()["release_id"]) == ("ready", planned["target_release_id"])
        assert resumed.json()["urls"]["project"]
        assert sql(client, project, "select n from log") == [{"n": 1}]

    def test_an_interrupted_bare_migration_is_reported_once_then_runs_again(
        self, client: httpx.Client, project: dict[str, Any], database_url: str
    ) -> None:
        import psycopg

        text = "create table if not exists log (n int)"
        spec = cloud(project, database={"migrations": [migration("1", text, transaction="none")]})
        planned = plan(client, spec).json()
        with psycopg.connect(database_url, autocommit=True) as admin:
            admin.execute(
                "INSERT INTO internal.core_applied_migrations VALUES (%s, '1', %s, 'running')",
                (project["project_id"], sha256(text.encode())),
            )
        refused = commit(client, planned)
        assert (refused.status_code, refused.json()["error"]) == (409, "migration_interrupted")
        assert commit(client, planned).json()["status"] == "ready"

    def test_a_plan_that_was_never_committed_is_not_resumable(
        self, client: httpx.Client, project: dict[str, Any]
    ) -> None:
        planned = plan(client, cloud(project, site={"replace": site({"index.html": INDEX})})).json()
        refused = client.post(f"/apply/v1/operations/{planned['operation_id']}/resume")
        assert (refused.status_code, refused.json()["code"]) == (409, "NOT_RESUMABLE")
