"""A partitioned table is one relation; its partitions are none."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from library_kit import Library

TABLES = """
CREATE TABLE races (id int, year int, winner_id int REFERENCES authors, PRIMARY KEY (id, year)) PARTITION BY LIST (year);
CREATE TABLE races_2001 PARTITION OF races FOR VALUES IN (2001);
CREATE TABLE races_rest PARTITION OF races DEFAULT;
CREATE TABLE loose (id int NOT NULL, year int NOT NULL, winner_id int);
CREATE VIEW old_races WITH (security_invoker = true) AS SELECT * FROM races_2001;
GRANT SELECT, INSERT ON races, races_2001, races_rest, loose, old_races TO anon, service_role;
INSERT INTO races VALUES (1, 2001, 1), (2, 2002, 1);
INSERT INTO loose VALUES (3, 2003, 2);
"""


@pytest.fixture
def raced(library: Library) -> Iterator[Library]:
    library.sql(TABLES)
    yield library
    library.sql("DROP TABLE races, loose CASCADE")


def test_partitions_are_no_endpoints(raced: Library) -> None:
    anon = raced.anon
    assert anon.get("/races?select=id&order=id").json() == [{"id": 1}, {"id": 2}]
    for name in ("races_2001", "races_rest"):
        for method in ("GET", "POST", "DELETE"):
            answer = anon.request(method, f"/{name}", json={"id": 9, "year": 9})
            assert (answer.status_code, answer.json()["code"]) == (404, "PGRST205"), (method, name)
        assert anon.get(f"/authors?select=id,{name}(id)").json()["code"] == "PGRST200"
    assert anon.get("/authors?select=id,races(id)&id=eq.1").json() == [{"id": 1, "races": [{"id": 1}, {"id": 2}]}]
    assert anon.get("/old_races?select=id").json() == [{"id": 1}]
    assert not {"races_2001", "races_rest"} & set(anon.get("/").json()["definitions"])


def test_a_table_becomes_a_partition_and_a_table_again(raced: Library) -> None:
    assert raced.anon.get("/loose?select=id").json() == [{"id": 3}]
    raced.sql(
        "ALTER TABLE races DETACH PARTITION races_rest; ALTER TABLE races ATTACH PARTITION loose FOR VALUES IN (2003)"
    )
    assert raced.anon.get("/loose?select=id").json()["code"] == "PGRST205"
    assert raced.anon.get("/races_rest?select=id").json() == [{"id": 2}]
    assert raced.anon.get("/races?select=id&order=id").json() == [{"id": 1}, {"id": 3}]
