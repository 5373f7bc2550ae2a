"""The OpenAPI document at the root: what the caller may use, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from library_kit import Library

TOLD = """
COMMENT ON SCHEMA {schema} IS E'The library\\nIts books\\nand who reads them';
COMMENT ON TABLE books IS E'Books\\nOne row each.';
COMMENT ON COLUMN books.title IS 'as printed';
COMMENT ON FUNCTION add(int, int) IS E'Sums\\nof two';
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE TABLE defaults (id uuid PRIMARY KEY, word varchar(9) DEFAULT 'it''s', n int DEFAULT 42, f bool DEFAULT false,
  at timestamptz DEFAULT now(), how mood, list json[]);
CREATE TABLE parts (id int, day date) PARTITION BY RANGE (day);
CREATE TABLE parts_old PARTITION OF parts DEFAULT;
CREATE VIEW counted AS SELECT count(*) FROM books;
GRANT SELECT ON defaults, parts, parts_old, counted TO anon;
GRANT INSERT, UPDATE ON counted TO anon;
GRANT UPDATE (word) ON defaults TO anon;
CREATE FUNCTION many(VARIADIC list int[]) RETURNS int LANGUAGE sql STABLE AS 'SELECT 1';
"""


@pytest.fixture(scope="module")
def told(filled: Library) -> Library:
    filled.sql(TOLD)
    return filled


@pytest.fixture
def document(told: Library) -> dict[str, Any]:
    answer = told.anon.get("/")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/openapi+json; charset=utf-8")
    found: dict[str, Any] = answer.json()
    return found


def test_it_is_swagger_of_this_schema(document: dict[str, Any]) -> None:
    assert (document["swagger"], document["basePath"]) == ("2.0", "/rest/v1")
    assert document["info"]["title"] == "The library"
    assert document["info"]["description"] == "Its books\nand who reads them"
    references = [
        parameter["$ref"]
        for path in document["paths"].values()
        for method in path.values()
        for parameter in method.get("parameters", ())
        if "$ref" in parameter
    ]
    assert len(references) > 50
    for reference in references:
        assert reference.removeprefix("#/parameters/") in document["parameters"]


def test_what_may_be_sent_and_asked(told: Library) -> None:
    for media in ("application/openapi+json", "application/json", "*/*", "text/html, application/json;q=0.5"):
        for path in ("", "/"):
            assert told.anon.get(path, headers={"Accept": media}).status_code == 200
    head = told.anon.head("/")
    assert (head.status_code, head.content) == (200, b"")
    for path, media in (("/", "text/csv"), ("/books", "application/openapi+json")):
        refused = told.anon.get(path, headers={"Accept": media})
        assert (refused.status_code, refused.json()["code"]) == (406, "PGRST107")
    post = told.anon.post("/", json={})
    assert (post.status_code, post.json()["code"]) == (405, "PGRST117")
    options = told.anon.options("/")
    assert options.headers["allow"] == "OPTIONS,GET,HEAD"


def test_a_table_with_its_comments_keys_and_types(document: dict[str, Any]) -> None:
    books = document["definitions"]["books"]
    assert books["description"] == "Books\nOne row each."
    assert books["required"] == ["id", "title"]
    assert books["properties"]["id"] == {
        "format": "integer",
        "type": "integer",
        "description": "Note:\nThis is a Primary Key.<pk/>",
    }
    assert books["properties"]["title"] == {"format": "text", "type": "string", "description": "as printed"}
    assert "<fk table='authors' column='id'/>" in books["properties"]["author_id"]["description"]
    assert books["properties"]["meta"] == {"format": "jsonb"}
    assert books["properties"]["tags"]["items"] == {"type": "string"}
    assert "<fk" not in document["definitions"]["authors"]["properties"]["id"]["description"]
    assert "<fk table='authors'" in document["definitions"]["passports"]["properties"]["author_id"]["description"]
    assert "<fk table='authors'" in document["definitions"]["catalog"]["properties"]["writer"]["description"]
    assert "required" not in document["definitions"]["catalog"]
    get = document["paths"]["/books"]["get"]
    assert (get["summary"], get["description"]) == ("Books", "One row each.")
    assert {"$ref": "#/parameters/rowFilter.books.title"} in get["parameters"]


def test_defaults_lengths_and_labels(document: dict[str, Any]) -> None:
    columns = document["definitions"]["defaults"]["properties"]
    assert columns["word"] == {"format": "character varying", "type": "string", "maxLength": 9, "default": "it's"}
    assert columns["n"]["default"] == 42
    assert columns["f"]["default"] is False
    assert columns["at"]["default"] == "now()"
    assert columns["how"]["enum"] == ["good", "bad"]
    assert columns["list"] == {"format": "json[]", "type": "array", "items": {}}
    assert "default" not in document["definitions"]["books"]["properties"]["id"]


def test_only_what_the_role_may_do(told: Library, document: dict[str, Any]) -> None:
    paths = document["paths"]
    assert set(paths["/books"]) == {"get"}
    assert set(paths["/defaults"]) == {"get", "patch"}
    assert set(paths["/inbox"]) == {"post"}
    assert set(paths["/counted"]) == {"get"}, "PostgreSQL cannot write to it, whatever was granted"
    assert not {"/dark", "/rpc/secret", "/parts_old", "/rpc/full_title"} & set(paths)
    assert "/parts" in paths
    assert "dark" not in told.anon.get("/").text
    assert "secret" not in told.user_a.get("/").text
    user = told.user_a.get("/").json()["paths"]
    assert set(user["/books"]) == {"get", "post", "patch", "delete"}
    service = told.service.get("/").json()
    assert {"/dark", "/rpc/secret"} <= set(service["paths"])
    assert service["basePath"] == "/admin/v1/rest"


def test_functions_with_their_arguments(document: dict[str, Any]) -> None:
    add = document["paths"]["/rpc/add"]
    assert (add["post"]["summary"], add["post"]["description"]) == ("Sums", "of two")
    schema = add["post"]["parameters"][0]["schema"]
    assert schema["required"] == ["a"]
    assert schema["properties"]["b"] == {"format": "integer", "type": "integer"}
    assert [(p["name"], p["in"], p["required"]) for p in add["get"]["parameters"]] == [
        ("a", "query", True),
        ("b", "query", False),
    ]
    assert set(document["paths"]["/rpc/leave"]) == {"post"}, "it writes"
    assert document["paths"]["/rpc/echo"]["post"]["parameters"][0]["schema"] == {"format": "json"}
    assert "/rpc/many" not in document["paths"], "not granted"
    glue = document["paths"]["/rpc/glue"]["get"]["parameters"][0]
    assert (glue["type"], glue["collectionFormat"], glue["required"]) == ("array", "multi", False)


def test_a_key_to_a_table_that_is_not_for_the_role_does_not_name_it(told: Library) -> None:
    told.sql(
        "CREATE TABLE hints (id int PRIMARY KEY, d int REFERENCES dark, b int REFERENCES books);"
        "CREATE VIEW hints_view AS SELECT id, d, b FROM hints; GRANT SELECT ON hints, hints_view TO anon, service_role"
    )
    hidden, shown = told.anon.get("/"), told.service.get("/")
    assert (hidden.status_code, shown.status_code) == (200, 200)
    for name in ("hints", "hints_view"):
        of_anon = hidden.json()["definitions"][name]["properties"]
        assert "description" not in of_anon["d"]
        assert "`books.id`" in of_anon["b"]["description"]
        assert "`dark.id`" in shown.json()["definitions"][name]["properties"]["d"]["description"]
    assert "dark" not in hidden.text


@pytest.mark.parametrize("what", ["COLUMN books.title", "FUNCTION add(int, int)", "TABLE books"])
def test_comments_without_end_are_refused(told: Library, what: str) -> None:
    comment = f"DO $$ BEGIN EXECUTE 'COMMENT ON {what} IS ' || quote_literal(repeat('long ', 2000000)); END $$"
    told.sql(comment)
    try:
        answer = told.anon.get("/")
        assert (answer.status_code, answer.json()["code"]) == (400, "RESULT_TOO_LARGE"), answer.text[:300]
    finally:
        told.sql(f"COMMENT ON {what} IS NULL")
    assert told.anon.get("/").status_code == 200
