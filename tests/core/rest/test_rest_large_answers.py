"""An answer has a most in bytes; more is refused before it is sent, with the way to page."""

from __future__ import annotations

from library_kit import Library

MOST = 16 * 1024 * 1024


def test_a_larger_answer_is_refused_and_its_hint_fits(library: Library) -> None:
    library.sql(
        """CREATE TABLE wide (id int PRIMARY KEY, t text);
        INSERT INTO wide SELECT i, repeat('x', 1000) FROM generate_series(1, 18000) i;
        CREATE FUNCTION all_wide() RETURNS SETOF wide LANGUAGE sql STABLE AS 'SELECT * FROM wide';
        CREATE FUNCTION one_long(n int) RETURNS text LANGUAGE sql STABLE AS $$ SELECT repeat('x', n) $$;
        GRANT EXECUTE ON FUNCTION all_wide(), one_long(int) TO service_role;
        GRANT ALL ON wide TO service_role"""
    )
    for path in ("/wide", "/rpc/all_wide", f"/rpc/one_long?n={MOST}"):
        refused = library.service.get(path)
        assert (refused.status_code, refused.json()["code"]) == (400, "RESULT_TOO_LARGE")
    limit = library.service.get("/wide").json()["hint"].partition("limit=")[2].partition("&")[0]
    page = library.service.get(f"/wide?limit={limit}&order=id")
    assert (page.status_code, len(page.json())) == (200, int(limit))
    assert len(library.service.get(f"/rpc/one_long?n={MOST - 2}").content) == MOST
    csv = library.service.get("/wide?select=id", headers={"Accept": "text/csv"})
    assert len(csv.content.splitlines()) == 18001

    shown = library.service.patch("/wide?id=gt.0", json={"t": "y" * 1000}, headers={"Prefer": "return=representation"})
    assert (shown.status_code, shown.json()["code"]) == (400, "RESULT_TOO_LARGE")
    assert library.service.get("/wide?select=id&t=like.y*&limit=1").json() == [], "nothing was changed"
    silent = library.service.patch("/wide?id=gt.0", json={"t": "y" * 1000}, headers={"Prefer": "return=minimal"})
    assert silent.status_code == 204
    assert library.service.get("/wide?select=id&t=like.x*&limit=1").json() == []
