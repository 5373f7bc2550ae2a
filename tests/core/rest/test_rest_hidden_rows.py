"""What the numbers and errors of REST tell about rows that policies hide: nothing."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from library_kit import Library

# More than count=estimated counts itself.
HIDDEN = 1500
DIAGNOSIS = "body=eq.diagnosis-x"


@pytest.fixture
def hidden(library: Library) -> Iterator[Library]:
    """Many rows of user-a, which the planner has statistics of."""
    library.sql(
        f"INSERT INTO notes (owner, body) SELECT 'user-a', 'diagnosis-x' FROM generate_series(1, {HIDDEN});"
        "CREATE VIEW all_notes WITH (security_invoker = true) AS SELECT id, body FROM notes;"
        "GRANT SELECT ON all_notes TO anon, authenticated, service_role"
    )
    library.sql("ANALYZE notes")
    yield library
    library.sql("DROP VIEW all_notes; TRUNCATE notes; ANALYZE notes")


def total(answer: httpx.Response) -> int:
    assert answer.status_code in (200, 206), answer.text
    return int(answer.headers["content-range"].partition("/")[2])


@pytest.mark.parametrize("kind", ["planned", "estimated", "exact"])
def test_counts_are_of_the_rows_that_the_caller_sees(hidden: Library, kind: str) -> None:
    headers = {"Prefer": f"count={kind}"}
    for path in ("/notes", "/all_notes"):
        assert total(hidden.service.get(f"{path}?{DIAGNOSIS}&limit=1", headers=headers)) > HIDDEN / 2, "no statistics"
        for wish in (DIAGNOSIS, "body=eq.diagnosis-y", "body=gt.c", "owner=eq.user-a"):
            if path == "/all_notes" and wish.startswith("owner"):
                continue
            for call in (hidden.user_b.get, hidden.user_b.head, hidden.anon.get):
                assert total(call(f"{path}?{wish}", headers=headers)) == 0, (path, wish)
        assert total(hidden.user_b.get(f"{path}?limit=0", headers=headers)) == 1
    assert total(hidden.user_a.get(f"/notes?{DIAGNOSIS}&limit=1", headers=headers)) == HIDDEN


def test_a_write_counts_what_it_touched(hidden: Library) -> None:
    for kind in ("planned", "estimated"):
        changed = hidden.user_b.patch(
            "/notes?body=gt.c", json={"body": "x"}, headers={"Prefer": f"count={kind},return=representation"}
        )
        assert total(changed) == 0


def test_errors_show_no_value_of_a_row_that_the_caller_does_not_see(library: Library) -> None:
    library.sql(
        "CREATE TABLE members (id int PRIMARY KEY, email text UNIQUE, token text DEFAULT 'hidden-default', CHECK (id > 0));"
        "INSERT INTO members VALUES (1, 'ada@example.com', 'hidden-token');"
        "GRANT SELECT (id), INSERT (id, email), UPDATE (id, email) ON members TO anon;"
        "GRANT SELECT, INSERT, UPDATE ON members TO authenticated;"
        "CREATE POLICY none ON members TO authenticated USING (false) WITH CHECK (true)"
    )
    try:
        minimal = {"Prefer": "return=minimal"}
        taken = library.anon.post("/members", json={"id": 2, "email": "ada@example.com"}, headers=minimal)
        assert (taken.status_code, taken.json()["code"], taken.json()["details"]) == (409, "23505", None)
        failing = library.anon.post("/members", json={"id": -1}, headers=minimal)
        assert (failing.json()["code"], "hidden" in failing.text) == ("23514", False)
        failing = library.anon.patch("/members?id=eq.1", json={"id": -1}, headers=minimal)
        assert (failing.json()["code"], "hidden" in failing.text) == ("23514", False)
        library.sql("ALTER TABLE members ENABLE ROW LEVEL SECURITY")
        taken = library.user_b.post("/members", json={"id": 1, "email": "b@example.com"}, headers=minimal)
        assert (taken.status_code, taken.json()["details"]) == (409, None)
        failing = library.user_b.post("/members", json={"id": -1}, headers=minimal)
        assert (failing.json()["code"], "hidden" in failing.text) == ("23514", False)
    finally:
        library.sql("DROP TABLE members")
