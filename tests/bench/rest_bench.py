"""Figures of REST: what a request costs beside a minimal handler with the same SQL on the same PostgreSQL. Prints JSON.

python tests/bench/rest_bench.py; needs the extra `core`. A benchmark, not a test: it asserts nothing. The two take turns,
block by block, so that both see the same machine. CPU is that of the server process and of all of PostgreSQL.
"""

from __future__ import annotations

import http.client
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
from psycopg.sql import SQL, Identifier

from run402_cli.core.daemon import launcher as process
from run402_cli.core.daemon.postgres import EmbeddedPostgres

BLOCKS, ROWS, BULK = 12, 1000, 1000
TABLE = (
    "CREATE TABLE items (id int PRIMARY KEY, name text, amount numeric, made timestamptz DEFAULT now(), done boolean)"
)
SEED = "INSERT INTO items SELECT n, 'item ' || n, n / 3.0, '2026-01-01', n %% 2 = 0 FROM generate_series(1, %s) AS n"
MINIMAL = """
import contextlib, socket, sys
import uvicorn
from psycopg_pool import AsyncConnectionPool
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

url, slot = sys.argv[1:]
pool = AsyncConnectionPool(url, min_size=1, max_size=10, open=False, kwargs={"autocommit": True, "prepare_threshold": 0})
ONE = f"SELECT coalesce(json_agg(t), '[]')::text FROM (SELECT * FROM {slot}.items WHERE id = %s) t"
LIST = f"SELECT coalesce(json_agg(t), '[]')::text FROM (SELECT * FROM {slot}.items ORDER BY id LIMIT %s) t"
ADD = f"INSERT INTO {slot}.bulk SELECT * FROM json_to_recordset(%s::json) AS r(id int, name text, amount numeric)"

async def answer(statement, value):
    async with pool.connection() as conn:
        cursor = await conn.execute(statement, (value,))
        body = (await cursor.fetchone())[0] if cursor.description else ""
    return Response(body, media_type="application/json")

async def one(request):
    return await answer(ONE, request.path_params["id"])

async def many(request):
    return await answer(LIST, int(request.query_params["limit"]))

async def add(request):
    return await answer(ADD, (await request.body()).decode())

@contextlib.asynccontextmanager
async def opened(app):
    async with pool:
        yield

routes = [Route("/items/{id:int}", one), Route("/items", many), Route("/bulk", add, methods=["POST"])]
# Only for one that says TCP asyncio turns Nagle's delay off.
listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
listener.bind(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
server = uvicorn.Server(uvicorn.Config(Starlette(routes=routes, lifespan=opened), log_level="warning"))
server.run(sockets=[listener])
"""

Call = Callable[[int], tuple[str, str, str | None]]


@dataclass
class Side:
    """One of the two servers: how it is asked, and what that cost."""

    port: int
    pid: int
    headers: dict[str, str]
    seconds: list[float] = field(default_factory=list)
    cpu: float = 0.0

    def __post_init__(self) -> None:
        self.conn = http.client.HTTPConnection("127.0.0.1", self.port)

    def ask(self, method: str, path: str, body: str | None) -> bytes:
        self.conn.request(method, path, body, self.headers)
        answer = self.conn.getresponse()
        content = answer.read()
        if answer.status >= 300:
            sys.exit(f"{method} {path}: {answer.status} {content[:500]!r}")
        return content

    def block(self, calls: list[tuple[str, str, str | None]], postmaster: psutil.Process) -> None:
        # A connection that waited for the other's block may be closed by now.
        self.conn.close()
        before = cpu_of(self.pid, postmaster)
        for method, path, body in calls:
            begin = time.perf_counter()
            self.ask(method, path, body)
            self.seconds.append(time.perf_counter() - begin)
        self.cpu += cpu_of(self.pid, postmaster) - before


def cpu_of(pid: int, postmaster: psutil.Process) -> float:
    """CPU seconds of a server and of PostgreSQL so far, ended backends included."""
    times = psutil.Process(pid).cpu_times()
    total = times.user + times.system + sum(postmaster.cpu_times()[2:4])
    for backend in postmaster.children():
        try:
            times = backend.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total


def compare(sides: dict[str, Side], postmaster: psutil.Process, count: int, calls: dict[str, Call]) -> dict[str, Any]:
    """Median time and mean CPU of a request, gateway to minimal handler."""
    for name, side in sides.items():
        side.seconds, side.cpu = [], 0.0
        side.conn.close()
        for number in range(20):
            side.ask(*calls[name](-1 - number))
    done = 0
    for _ in range(BLOCKS):
        for name, side in sides.items():
            side.block([calls[name](done + number) for number in range(count)], postmaster)
        done += count
    times = {name: statistics.median(side.seconds) for name, side in sides.items()}
    cpu = {name: side.cpu / len(side.seconds) for name, side in sides.items()}
    return {
        "time_ratio": round(times["gateway"] / times["minimal"], 2),
        "cpu_ratio": round(cpu["gateway"] / cpu["minimal"], 2),
        "milliseconds": {name: round(value * 1000, 3) for name, value in times.items()},
        "cpu_milliseconds": {name: round(value * 1000, 3) for name, value in cpu.items()},
    }


def rows_from(number: int) -> str:
    # Warm-up numbers are below zero, and no two bodies have a key in common.
    first = number * BULK
    return json.dumps([{"id": first + n, "name": f"name {n}", "amount": n} for n in range(BULK)])


def cases(sides: dict[str, Side], postmaster: psutil.Process) -> dict[str, Any]:
    by_id = compare(
        sides,
        postmaster,
        200,
        {
            "gateway": lambda n: ("GET", f"/rest/v1/items?id=eq.{n % ROWS + 1}", None),
            "minimal": lambda n: ("GET", f"/items/{n % ROWS + 1}", None),
        },
    )
    of_100 = compare(
        sides,
        postmaster,
        100,
        {
            "gateway": lambda n: ("GET", "/rest/v1/items?order=id&limit=100", None),
            "minimal": lambda n: ("GET", "/items?limit=100", None),
        },
    )
    bulk = compare(
        sides,
        postmaster,
        4,
        {
            "gateway": lambda n: ("POST", "/rest/v1/bulk", rows_from(2 * n)),
            "minimal": lambda n: ("POST", "/bulk", rows_from(2 * n + 1)),
        },
    )
    return {
        "select_by_id": {**by_id, "bar_time": 2.0, "bar_cpu": 2.0},
        "list_of_100": {**of_100, "bar_time": 1.7},
        "insert_1000_in_one_body": {**bulk, "bar_time": 1.3},
    }


def provision(client: httpx.Client, name: str) -> dict[str, Any]:
    made: dict[str, Any] = client.post("/projects/v1", json={"name": name}).raise_for_status().json()
    return made


def sql(client: httpx.Client, project: dict[str, Any], text: str) -> float:
    """Seconds that an SQL text took."""
    begin = time.perf_counter()
    url = f"/projects/v1/admin/{project['project_id']}/sql"
    client.post(url, content=text, headers=owner(project) | {"content-type": "text/plain"}).raise_for_status()
    return time.perf_counter() - begin


def owner(project: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {project['service_key']}"}


def expose(client: httpx.Client, project: dict[str, Any], tables: list[str]) -> float:
    """Seconds that a manifest with these tables took."""
    policy = {"policy": "public_read_write_UNRESTRICTED", "i_understand_this_is_unrestricted": True}
    manifest = {"version": "1", "tables": [{"name": name, "expose": True, **policy} for name in tables]}
    begin = time.perf_counter()
    url = f"/projects/v1/admin/{project['project_id']}/expose"
    client.post(url, json=manifest, headers=owner(project)).raise_for_status()
    return time.perf_counter() - begin


def ddl(client: httpx.Client, project: dict[str, Any], text: str) -> float:
    """Median seconds of a statement that creates something, of five."""
    return statistics.median(sql(client, project, text.format(n=n)) for n in range(5))


def growth(client: httpx.Client, side: Side, project: dict[str, Any], admin: psycopg.Connection) -> dict[str, Any]:
    """How a select by id, DDL and expose grow with the tables of a project, its rows, and other projects."""
    path = "/rest/v1/items?id=eq.7"

    def asked() -> float:
        side.seconds = []
        side.conn.close()
        for _ in range(1000):
            begin = time.perf_counter()
            side.ask("GET", path, None)
            side.seconds.append(time.perf_counter() - begin)
        return statistics.median(side.seconds)

    small, temporary = provision(client, "small"), "CREATE TEMP TABLE t{n} (id int)"
    sql(client, small, TABLE)
    one_exposed = expose(client, small, ["items"])
    few = {"select": asked()}
    sql(client, project, "".join(f"CREATE TABLE more_{n} (id int PRIMARY KEY, v text);" for n in range(500)))
    names = [f"more_{n}" for n in range(500)]
    exposed = expose(client, project, ["items", "bulk", *names])
    again = expose(client, project, ["items", "bulk", *names])
    changed = {"table": "CREATE TABLE made_{n} (id int)", "temporary_table": temporary}
    of_one = {what: ddl(client, small, text) for what, text in changed.items()}
    of_many = {what: ddl(client, project, text) for what, text in changed.items()}
    many_tables = asked()
    slot = Identifier(project["schema_slot"])
    more = SEED.replace("1, %s", "1001, 1000000").replace("%%", "%").replace("items", "{}.items", 1)
    admin.execute(SQL(more).format(slot))
    admin.execute(SQL("ANALYZE {}.items").format(slot))
    many_rows = asked()
    for n in range(200):
        other = provision(client, f"other {n}")
        sql(client, other, TABLE)
    return {
        "select_by_id": {
            "500_tables": round(many_tables / few["select"], 2),
            "1m_rows": round(many_rows / few["select"], 2),
            "200_projects": round(asked() / few["select"], 2),
            "bar": 1.2,
        },
        "ddl_with_500_exposed_tables": {
            **{what: round(of_many[what] / of_one[what], 2) for what in changed},
            "bar": 2.0,
        },
        "expose": {
            "500_tables_to_one": round(exposed / one_exposed, 1),
            "500_unchanged_to_one": round(again / one_exposed, 1),
        },
    }


@contextmanager
def minimal(url: str, slot: str) -> Iterator[subprocess.Popen[str]]:
    handler = subprocess.Popen([sys.executable, "-c", MINIMAL, url, slot], stdout=subprocess.PIPE, text=True)
    try:
        yield handler
    finally:
        handler.kill()
        handler.wait()


def report(*, growing: bool = True) -> dict[str, Any]:
    """The figures, from a gateway and a minimal handler of their own."""
    folder = Path(tempfile.mkdtemp(prefix="run402-rest-bench-"))
    postgres = EmbeddedPostgres(folder / "postgres", password="bench")
    data_dir = folder / "data"
    folder.chmod(0o711)
    try:
        postgres.start()
        url = postgres.url()
        running = process.start(process.StartOptions(port=0, data_dir=data_dir, open=True, database_url=url))
        with (
            httpx.Client(base_url=running["url"], timeout=300, trust_env=False) as client,
            psycopg.connect(url, autocommit=True) as admin,
        ):
            project = provision(client, "bench")
            sql(client, project, f"{TABLE}; {SEED.replace('%s', str(ROWS)).replace('%%', '%')};"
                "CREATE TABLE bulk (id int, name text, amount numeric)")  # fmt: skip
            expose(client, project, ["items", "bulk"])
            admin.execute("ANALYZE")
            found = postgres.postmaster()
            assert found is not None
            with minimal(url, project["schema_slot"]) as handler:
                assert handler.stdout is not None
                sides = {
                    "gateway": Side(running["port"], running["pid"],
                        {"apikey": project["anon_key"], "content-type": "application/json", "prefer": "return=minimal"}),
                    "minimal": Side(int(handler.stdout.readline()), handler.pid, {"content-type": "application/json"}),
                }  # fmt: skip
                figures = cases(sides, psutil.Process(found.pid))
            if growing:
                figures["growth"] = growth(client, sides["gateway"], project, admin)
            return figures
    finally:
        process.reset(data_dir)
        postgres.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    print(json.dumps({"rest": report(growing="--short" not in sys.argv)}, indent=2))
