"""Writes in which nothing of the project runs end with their statement, and say what PostgreSQL says of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from library_kit import Library

MINIMAL = {"Prefer": "return=minimal, count=exact"}


@pytest.fixture
def marks(library: Library) -> Iterator[Library]:
    library.sql(
        "CREATE TABLE marks (id int PRIMARY KEY, note text CHECK (note <> 'bad')); GRANT ALL ON marks TO service_role, anon"
    )
    yield library
    library.sql("DROP TABLE marks; DROP TABLE IF EXISTS heard; DROP FUNCTION IF EXISTS hear")


def rows(library: Library) -> list[int]:
    return [row["id"] for row in library.service.get("/marks?select=id&order=id").json()]


def test_each_kind_of_write_says_how_many_rows_it_touched(marks: Library) -> None:
    ask = marks.service
    added = ask.post("/marks", json=[{"id": n, "note": "a"} for n in range(1, 6)], headers=MINIMAL)
    assert (added.status_code, added.headers["content-range"], added.content) == (201, "*/5", b"")
    again = {"Prefer": "resolution=ignore-duplicates, return=minimal, count=exact"}
    added = ask.post("/marks", json=[{"id": n} for n in (5, 6)], headers=again)
    assert (added.status_code, added.headers["content-range"]) == (201, "*/1")
    changed = ask.patch("/marks?id=lt.4", json={"note": "b"}, headers=MINIMAL)
    assert (changed.status_code, changed.headers["content-range"]) == (204, "0-2/3")
    gone = ask.delete("/marks?id=in.(1,2,9)", headers=MINIMAL)
    assert (gone.status_code, gone.headers["content-range"]) == (204, "*/2")
    put = ask.put("/marks?id=eq.3", json={"id": 3, "note": "c"}, headers=MINIMAL)
    assert put.status_code in (200, 204)
    assert rows(marks) == [3, 4, 5, 6]


def test_what_is_refused_leaves_nothing(marks: Library) -> None:
    ask = marks.service
    assert ask.post("/marks", json=[{"id": 1}, {"id": 2, "note": "bad"}], headers=MINIMAL).status_code == 400
    assert ask.post("/marks", json=[{"id": 1}, {"id": 1}], headers=MINIMAL).status_code == 409
    assert rows(marks) == []
    ask.post("/marks", json=[{"id": 1}, {"id": 2}], headers=MINIMAL)
    strict = {"Prefer": "return=minimal, handling=strict, max-affected=1"}
    assert ask.delete("/marks?id=gt.0", headers=strict).status_code == 400
    assert ask.delete("/marks?id=gt.0", headers={"Prefer": "return=minimal, tx=rollback"}).status_code == 204
    one = {**MINIMAL, "Accept": "application/vnd.pgrst.object+json"}
    assert ask.delete("/marks?id=gt.0", headers=one).status_code == 406
    assert ask.put("/marks?id=eq.7", json={"id": 8}, headers=MINIMAL).status_code == 400
    assert rows(marks) == [1, 2]


def test_a_trigger_that_comes_later_has_its_say(marks: Library) -> None:
    assert marks.service.post("/marks", json={"id": 1}, headers=MINIMAL).status_code == 201
    marks.sql("""CREATE FUNCTION hear() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      EXECUTE 'CREATE TABLE IF NOT EXISTS heard (id int)'; PERFORM set_config('response.status', '202', true);
      PERFORM set_config('request.left', 'x', false); RETURN NEW; END $$;
      CREATE TRIGGER hear BEFORE INSERT ON marks FOR EACH ROW EXECUTE FUNCTION hear();
      ALTER FUNCTION hear SECURITY DEFINER; GRANT EXECUTE ON FUNCTION hear TO service_role, anon""")
    assert marks.service.post("/marks", json={"id": 2}, headers=MINIMAL).status_code == 202
    # What the trigger made is known to the next request.
    assert marks.service.get("/heard").status_code != 404
    assert rows(marks) == [1, 2]


def test_rows_that_a_policy_hides_are_not_counted(marks: Library) -> None:
    marks.service.post("/marks", json=[{"id": n} for n in range(6)], headers=MINIMAL)
    marks.sql("ALTER TABLE marks ENABLE ROW LEVEL SECURITY; CREATE POLICY low ON marks TO anon USING (id < 2)")
    gone = marks.anon.delete("/marks?id=gte.0", headers=MINIMAL)
    assert (gone.status_code, gone.headers["content-range"]) == (204, "*/2")
    assert marks.anon.post("/marks", json={"id": 9}, headers=MINIMAL).status_code in (401, 403)
    assert rows(marks) == [2, 3, 4, 5]
