"""Writers, novels and shelves beside the library: two keys' lengths of embedding, a key into the own table, a many-to-many."""

from __future__ import annotations

from library_kit import Library

SCHEMA = """
CREATE TABLE writers (id int PRIMARY KEY, name text, editor_id int REFERENCES writers, rival_id int UNIQUE REFERENCES writers);
CREATE TABLE novels (id int PRIMARY KEY, title text, pages int, writer_id int REFERENCES writers);
CREATE TABLE shelves (id int PRIMARY KEY, label text);
CREATE TABLE novel_shelf (
  novel_id int REFERENCES novels, shelf_id int REFERENCES shelves, PRIMARY KEY (novel_id, shelf_id));
INSERT INTO writers VALUES (1, 'Ada', NULL), (2, 'Bo', 1), (3, 'Cy', 1);
INSERT INTO novels VALUES (1, 'N1', 100, 1), (2, 'N2', 50, 1), (3, 'N3', 70, 2), (4, 'N4', NULL, NULL);
INSERT INTO shelves VALUES (1, 's1'), (2, 's2'), (3, 's3');
INSERT INTO novel_shelf VALUES (1, 1), (2, 1), (3, 2);
GRANT SELECT ON writers, novels, shelves, novel_shelf TO anon;
GRANT ALL ON writers, novels, shelves, novel_shelf TO authenticated, service_role;
"""


def add_novels(library: Library) -> None:
    library.sql(SCHEMA)
