"""What is printed of a value, written back, is the same value: text for text, by each way out and in."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from e2e_kit import Cli

COLUMNS = {
    "n": "numeric",
    "b": "bigint",
    "f": "float8",
    "j": "json",
    "jb": "jsonb",
    "ts": "timestamp",
    "tz": "timestamptz",
    "d": "date",
    "ns": "numeric[]",
    "t": "text",
}
CHANCE = random.Random(20)


def digits(most: int) -> str:
    whole = str(CHANCE.randrange(10 ** CHANCE.choice((1, 9, most))))
    return CHANCE.choice(("", "-")) + whole + CHANCE.choice(("", f".{CHANCE.randrange(10**9):09d}", ".10", ".0"))


def document(depth: int = 0) -> str:
    kind = CHANCE.random()
    if depth > 2 or kind < 0.5:
        exponent = CHANCE.choice(("", "", "e3", "E+20", "e-400" if depth > 1 else "e7"))
        return CHANCE.choice(
            (digits(30) + exponent, "9007199254740993", "1e400", '"a,\u00e9"', "null" if depth else "[null]", "true")
        )
    items = [document(depth + 1) for _ in range(3)]
    return f"[{','.join(items)}]" if kind < 0.75 else f'{{"a":{items[0]},"b":{items[1]},"c":{items[2]}}}'


def row(number: int) -> str:
    micros = CHANCE.choice(("", ".5", ".123", ".123456", ".000001"))
    moment = (
        f"{CHANCE.choice((1, 1970, 2026, 9999)):04d}-03-0{CHANCE.randrange(1, 9)} 10:00:0{CHANCE.randrange(10)}{micros}"
    )
    values = {
        "n": CHANCE.choice((digits(60), "NaN", "Infinity")),
        "b": str(CHANCE.randrange(-(2**63), 2**63)),
        "f": CHANCE.choice((repr(CHANCE.random()), "1e300", "-0", "5e-324", "Infinity", "0.1")),
        "j": document(),
        "jb": document(),
        "ts": moment,
        "tz": f"{moment}+00",
        "d": moment[:10],
        "ns": f"{{{digits(30)},NULL,{digits(30)}}}",
        "t": CHANCE.choice(("", "NULL", "a,\"b\"\n'c'", "\\.", "\u00e9\U0001f600", " x ")),
    }
    return ",".join([str(number), *("'" + value.replace("'", "''") + "'" for value in values.values())])


@pytest.fixture
def db(cli: Cli, request: pytest.FixtureRequest) -> Cli:
    cli.ok("projects", "provision", "--name", request.node.name)
    table = "id int primary key, " + ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
    rows = ",\n".join(f"({row(number)})" for number in range(60))
    Path(cli.cwd, "rows.sql").write_text(
        f"create table vals ({table}); create table back ({table}); insert into vals values {rows};"
        f"insert into vals (id) values (1000)"
    )
    cli.ok("projects", "sql", "--file", "rows.sql")
    return cli


def assert_same(cli: Cli, *, spelled: bool = True) -> None:
    """Each value as PostgreSQL writes it; blanks of json do not count, nor how its numbers are `spelled` where jq was."""
    texts = [f"{name}::text" for name in COLUMNS if name != "j"] + [r"regexp_replace(j::text, '\s', '', 'g')"] * spelled
    texts += ["j::jsonb::text"]
    for text in texts:
        column = text.replace("regexp_replace(", "").split("::")[0]
        sides = [text.replace(f"{column}::", f"{side}.{column}::") for side in "vb"]
        differ = cli.ok(
            "projects",
            "sql",
            f"select v.id, {sides[0]} as before, {sides[1]} as after from vals v full join back b using (id)"
            f" where {sides[0]} is distinct from {sides[1]}",
        )
        assert differ["rows"] == [], column
    assert cli.ok("projects", "sql", "select count(*)::int as n from back")["rows"] == [{"n": 61}]


def test_rest_out_and_in(db: Cli) -> None:
    printed = db("projects", "rest", "vals", "--key-type", "service")
    Path(db.cwd, "rows.json").write_text(printed.out, encoding="utf-8")
    write = ("projects", "rest", "back", "--method", "POST", "--body-file", "rows.json", "--key-type", "service")
    db.ok(*write, "--return", "minimal")
    assert_same(db)


@pytest.mark.parametrize("shape", [("--format", "jsonl"), ("--jq", ".rows[]")])
def test_sql_out_and_load_in(db: Cli, shape: tuple[str, ...]) -> None:
    printed = db("projects", "sql", "select * from vals", *shape)
    Path(db.cwd, "rows.ndjson").write_text(printed.out, encoding="utf-8")
    assert db.ok("projects", "load", "back", "rows.ndjson")["rows"] == 61
    assert_same(db, spelled=shape[0] != "--jq")


def test_csv_out_and_in(db: Cli) -> None:
    columns = ", ".join(f"{name}::text" if name in ("ns", "j", "jb") else name for name in ("id", *COLUMNS))
    printed = db("projects", "sql", f"select {columns} from vals", "--format", "csv")
    Path(db.cwd, "rows.csv").write_bytes(printed.out.encode())
    assert db.ok("projects", "load", "back", "rows.csv")["rows"] == 61
    assert_same(db)


def test_parameters_out_and_in(db: Cli) -> None:
    printed = db("projects", "sql", "select * from vals")
    Path(db.cwd, "params.json").write_text(f"[{printed.out}]", encoding="utf-8")
    insert = "insert into back select * from json_populate_recordset(null::back, $1::json -> 'rows')"
    db.ok("projects", "sql", insert, "--params-file", "params.json")
    assert_same(db)
