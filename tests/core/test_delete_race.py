"""A project that is deleted while something else writes to it: the other one gets an answer, never a 500."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from copies_kit import schemas
from deploy_kit import commit, migration, plan
from gateway_kit import CONTROL, Live

TABLES = [f"t{n}" for n in range(8)]
EXPOSE = {
    "version": "1",
    "tables": [{"name": name, "expose": True, "policy": "public_read_authenticated_write"} for name in TABLES],
}
OTHERS = {
    "expose": lambda client, project, service: client.post(
        f"/projects/v1/admin/{project['project_id']}/expose", json=EXPOSE, headers=service
    ),
    "sql": lambda client, project, service: client.post(
        f"/projects/v1/admin/{project['project_id']}/sql", content="alter table t3 add m int", headers=service
    ),
    "snapshot": lambda client, project, service: client.post(
        f"/projects/v1/{project['project_id']}/snapshots", json={}
    ),
    "branch": lambda client, project, service: client.post(f"/projects/v1/{project['project_id']}/branches", json={}),
}


@pytest.mark.parametrize("other", [*OTHERS, "commit"])
@pytest.mark.parametrize("repeat", range(3))
def test_what_runs_during_a_delete_is_done_or_refused(
    other: str, repeat: int, live: Live, client: httpx.Client
) -> None:
    project = client.post("/projects/v1", json={}).json()
    service = {"Authorization": f"Bearer {project['service_key']}"}
    script = "".join(f"create table {name} (id int primary key, owner text);" for name in TABLES)
    path = f"/projects/v1/admin/{project['project_id']}/sql"
    assert client.post(path, content=script, headers=service).status_code == 200
    more = {"migrations": [migration("1", "alter table t5 add m int")], "expose": EXPOSE}
    planned = plan(client, {"project_id": project["project_id"], "database": more}).json()

    def act() -> httpx.Response:
        with httpx.Client(base_url=live.base_url, headers=CONTROL, timeout=60, trust_env=False) as own:
            return commit(own, planned) if other == "commit" else OTHERS[other](own, project, service)

    def delete() -> httpx.Response:
        with httpx.Client(base_url=live.base_url, headers=CONTROL, timeout=60, trust_env=False) as own:
            return own.delete(f"/projects/v1/{project['project_id']}", headers=service)

    with ThreadPoolExecutor(4) as pool:
        acting: list[Any] = [pool.submit(act) for _ in range(2)]
        deleting = pool.submit(delete)
        answers = [future.result() for future in acting]
        deleted = deleting.result()
    assert {answer.status_code for answer in answers} <= {200, 201, 400, 401, 404, 409, 503}, [a.text for a in answers]
    if deleted.status_code == 503:
        deleted = delete()
    assert deleted.status_code == 200, deleted.text
    assert schemas(live.database_url, "project") == []
    assert schemas(live.database_url, "snapshot") == []
