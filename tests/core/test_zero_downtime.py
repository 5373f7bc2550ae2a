"""zero_downtime refuses what the release that is live would notice."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from deploy_kit import deploy, migration, plan

from run402_cli.core.releases.zero_downtime import problems


@pytest.mark.parametrize(
    "sql",
    [
        "create table a (n int not null); create index on a (n); alter table a add m int not null; drop table a",
        "create table if not exists app.a (n int); alter table only app.a drop column n",
        "alter table t add n int",
        "alter table t add column n int not null default 0",
        "alter table t add constraint c check (n > 0) not valid",
        "alter table t validate constraint c",
        "alter table t alter n set default 3",
        "alter table t alter n drop not null",
        "alter table t drop constraint c",
        "drop index i",
        "insert into t values ('drop table x')",
        "create or replace view v as select 1",
    ],
)
def test_changes_that_nobody_notices_pass(sql: str) -> None:
    assert problems(sql) == []


@pytest.mark.parametrize(
    ("sql", "line"),
    [
        ("drop table t", 1),
        ("select 1;\n\nalter table t drop column n", 3),
        ("alter table t drop n", 1),
        ("alter table t rename to u", 1),
        ("alter table t rename column a to b", 1),
        ("alter table t alter column n type text", 1),
        ("alter table t alter n set not null", 1),
        ("alter table t add n int not null", 1),
        ("alter table t add constraint c check (n > 0)", 1),
        ("alter table t add foreign key (n) references u", 1),
        ("create index i on t (n)", 1),
        ("create unique index on t (n)", 1),
        ("create index concurrently i on t (n)", 1),
        ("truncate t", 1),
        ("lock table t", 1),
        ("drop function f()", 1),
        ("drop materialized view v", 1),
        ("alter function f() rename to g", 1),
        ("reindex table t", 1),
        ("refresh materialized view v", 1),
    ],
)
def test_changes_that_lock_or_break_are_found(sql: str, line: int) -> None:
    assert [found[0] for found in problems(sql)] == [line]


def test_an_index_may_be_built_concurrently_outside_a_transaction() -> None:
    assert problems("create index concurrently i on t (n)", transactional=False) == []


def test_a_plan_says_which_migration_would_be_noticed(client: httpx.Client, project: dict[str, Any]) -> None:
    first = migration("001", "create table t (n int)")
    spec = {"project_id": project["project_id"], "database": {"migrations": [first], "zero_downtime": True}}
    deploy(client, spec)
    bad = migration("002", "select 1;\ndrop table t")
    spec["database"] = {"migrations": [first, bad], "zero_downtime": True}
    refused = plan(client, spec)
    assert (refused.status_code, refused.json()["code"]) == (422, "MIGRATION_NOT_ZERO_DOWNTIME")
    assert refused.json()["details"]["findings"] == [
        {"migration_id": "002", "line": 2, "problem": "drops a table that the live release may use"}
    ]
    spec["database"]["zero_downtime"] = False
    assert plan(client, spec).status_code == 200
