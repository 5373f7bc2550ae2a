"""Each section at both doors: what the client sends a gateway takes, and what a gateway takes the client would send.

Where the two judge differently, APART says who refuses, which field and why, with an example.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from run402_cli.core.errors import GatewayError
from run402_cli.core.releases.release_request import read_spec
from run402_cli.release.errors import ReleaseError
from run402_cli.release.sections import SECTIONS
from run402_cli.release.state import materialize
from run402_cli.release.wire import Dialect, to_wire

REF = {"sha256": "a" * 64, "size": 1}
RUN = {"event_type": "e", "payload": {}, "retry": {"max_attempts": 2}, "expires_after_seconds": 60}
ROLE = {"table": "t", "idColumn": "i", "roleColumn": "r", "allowed": ["admin"]}
ID = {"id": "a", "checksum": "b" * 64}
SCHEDULE = {"id": "s", "type": "schedule", "cron": "0 * * * *", "timezone": "UTC", "run": RUN}
FUNCTION = {
    "runtime": "node22",
    "source": REF,
    "files": {"lib/a.js": REF},
    "entrypoint": "lib/a.js",
    "config": {"timeoutSeconds": 5, "memoryMb": 128},
    "deps": ["zod"],
    "triggers": [
        SCHEDULE,
        {"id": "m", "type": "email", "mailbox": "m", "events": ["delivery"], "run": {"event_type": "e"}},
    ],
    "schedule": "0 * * * *",
    "requireAuth": True,
    "requireRole": ROLE,
    "class": "standard",
    "capabilities": ["a"],
}
PRICING = {"mode": "always", "amount_usd_micros": 5, "pay_to": "org_default_payout", "networks": ["testnet"]}
PUT = {"key": "k", "sha256": "a" * 64, "size_bytes": 1, "content_type": "text/plain", "visibility": "public"}
# What is a ReleaseSpec and Core's wire form at once.
SAMPLES: dict[str, list[Any]] = {
    "database": [
        {
            "migrations": [
                {**ID, "sql": "x", "transaction": "none"},
                {"id": "b", "checksum": "b" * 64, "sql_ref": REF},
            ],
            "expose": {"tables": []},
            "zero_downtime": True,
        }
    ],
    "secrets": [{"require": ["A", "B_1"], "delete": ["C"]}],
    "functions": [{"replace": {"f": FUNCTION}}, {"patch": {"set": {"f": FUNCTION}, "delete": ["g"]}}],
    "site": [
        {"replace": {"a.html": REF, "b/c": REF}},
        {"patch": {"put": {"a.html": REF}, "delete": ["b"]}},
        {
            "replace": {"a.html": REF},
            "public_paths": {"mode": "explicit", "replace": {"/": {"asset": "a.html", "cache_class": "html"}}},
        },
    ],
    "subdomains": [{"set": ["a"]}, {"add": ["a"], "remove": ["b"]}],
    "routes": [
        {"replace": [{"pattern": "/f/*", "methods": ["GET"], "target": {"type": "function", "name": "f"}}]},
        {"replace": [{"pattern": "/f", "target": {"type": "function", "name": "f"}, "pricing": PRICING}]},
        {"replace": [{"pattern": "/a", "target": {"type": "static", "file": "a.html"}}]},
        None,
    ],
    "checks": [[{"name": "a", "http": {"path": "/", "method": "GET", "expect": {"status": [200]}}}]],
    "assets": [
        {
            "put": [{**PUT, "immutable": True, "metadata": {"a": 1}, "exif_policy": "keep"}],
            "delete": ["d"],
            "sync": {
                "prefix": "p/",
                "prune": True,
                "confirm": {"base_revision": "r", "delete_set_digest": "d", "expected_delete_count": 1},
            },
        }
    ],
    "i18n": [
        {"defaultLocale": "en", "locales": ["en", "pt-BR"], "detect": ["cookie:a"], "unknownLocalePolicy": "reject"},
        None,
    ],
}


def _migration(**fields: Any) -> dict[str, Any]:
    return {"database": {"migrations": [{**ID, "sql": "x", **fields}]}}


def _function(**fields: Any) -> dict[str, Any]:
    return {"functions": {"replace": {"f": {"source": REF, **fields}}}}


def _public(**fields: Any) -> dict[str, Any]:
    return {"site": {"public_paths": {"mode": "explicit", "replace": {"/": fields}}}}


def _put(**fields: Any) -> dict[str, Any]:
    return {"assets": {"put": [{**PUT, **fields}]}}


def _i18n(**fields: Any) -> dict[str, Any]:
    return {"i18n": {"defaultLocale": "en", "locales": ["en"], **fields}}


_A_FUNCTION = r"functions\.(replace|patch\.set)\.\w+\."
# Where one side alone refuses: which, the fields, and an example of each.
APART: list[tuple[str, str, list[dict[str, Any]]]] = [
    # The client sends what a library caller says of content and SQL as it is; a gateway looks at it.
    ("gateway", r"database\.migrations\.\d\.checksum", [_migration(checksum="x")]),
    ("gateway", r"database\.migrations\.\d\.id", [_migration(id="a" * 300)]),
    ("gateway", r"database\.migrations\.\d\.sql", [_migration(sql="")]),
    ("gateway", r"database\.migrations\.\d\.transaction", [_migration(transaction="x")]),
    (
        "gateway",
        r"database\.migrations\.\d\.sql_ref\.(sha256|size)",
        [{"database": {"migrations": [{**ID, "sql_ref": {**REF, "size": -1}}]}}],
    ),
    (
        "gateway",
        r"site\.(replace|patch\.put)\.[\w./]+\.(sha256|size)",
        [{"site": {"replace": {"a": {**REF, "size": -1}}}}],
    ),
    ("gateway", _A_FUNCTION + r"(source|files\.[\w./]+)\.(sha256|size)", [_function(source={**REF, "sha256": "x"})]),
    ("gateway", r"database\.zero_downtime", [{"database": {"expose": {"a": []}, "zero_downtime": None}}]),
    # What fits only with the rest of the section, or with the release before.
    ("gateway", r"site\.patch", [{"site": {"patch": {"put": {"a": REF}, "delete": ["a"]}}}]),
    (
        "gateway",
        r"site\.public_paths",
        [_public(asset="x")],
    ),
    ("gateway", r"site\.public_paths\.replace\./\.cache_class", [_public(asset="a.html", cache_class="x")]),
    ("gateway", r"functions(\.patch)?", [{"functions": {"patch": {"set": {"f": {"source": REF}}, "delete": ["f"]}}}]),
    ("gateway", r"subdomains", [{"subdomains": {"set": ["a"], "add": ["b"]}}]),
    ("gateway", r"routes", [{"routes": {"replace": [{"pattern": "/a", "target": {"type": "function", "name": "x"}}]}}]),
    (
        "gateway",
        r"routes\.replace\[\d\]\.pattern",
        [{"routes": {"replace": [{"pattern": "a", "target": {"type": "function", "name": "f"}}]}}],
    ),
    # A gateway knows what it can do; another may do more.
    ("gateway", r"functions\.a b", [{"functions": {"replace": {"a b": {"source": REF}}}}]),
    (
        "gateway",
        _A_FUNCTION + r"(runtime|class|entrypoint|requireAuth)",
        [_function(runtime="x"), _function(requireAuth=1)],
    ),
    (
        "gateway",
        _A_FUNCTION + r"(capabilities(\[\d\])?|deps\.\d|config\.\w+)",
        [_function(deps=[""]), _function(capabilities=1)],
    ),
    ("gateway", _A_FUNCTION + r"(require_role(\..*)?|triggers\.\d\.run\.retry\.\w+)", [_function(requireRole={})]),
    ("gateway", r"subdomains\.\w+\.\d", [{"subdomains": {"add": ["A"]}}]),
    ("gateway", r"checks(\..*)?", [{"checks": [1]}]),
    (
        "gateway",
        r"i18n\.(detect|locales\.\d|unknown_locale_policy)",
        [_i18n(locales=["en", "en-us"]), _i18n(unknownLocalePolicy="x")],
    ),
    ("gateway", r"assets\.put\.\d(\.\w+)?", [_put(sha256="x"), _put(content_type="x"), _put(key="/")]),
    ("gateway", r"assets\.(delete\.\d|sync\.prefix)", [{"assets": {"delete": [""]}}]),
    # To a gateway nothing, null and empty are often the same, and a name said twice is said.
    ("client", r"spec", [{"secrets": {}}, {"subdomains": {}}]),
    ("client", r"functions|assets|checks|database\.expose", [{"functions": None}, {"assets": None}, {"checks": None}]),
    ("client", _A_FUNCTION + r"(deps|triggers)", [_function(deps=False)]),
    ("client", r"secrets\.(require|delete)", [{"secrets": {"require": ["A", "A"]}}]),
    ("client", r"subdomains\.set", [{"subdomains": {"set": ["a", "b"]}}]),
    ("client", r"assets\.put\[\d\](\.(content_type|visibility|zz))?", [_put(zz=1), _put(visibility=None)]),
    (
        "client",
        r"assets\.(put|delete|sync)|assets\.sync\.confirm(\.\w+)?",
        [{"assets": {**_put()["assets"], "delete": None}}],
    ),
    # The client counts the fields of a cron expression; a gateway reads it when it plans the runs.
    ("client", _A_FUNCTION + r"triggers\.\d\.cron", [_function(triggers=[{**SCHEDULE, "cron": "0"}])]),
]

BASE = materialize(
    None,
    {
        "project": "p",
        "site": {"replace": {"a.html": REF}},
        "functions": {"replace": {"f": {"source": REF}, "g": {"source": REF}}},
    },
)


def _sent(sections: dict[str, Any]) -> tuple[dict[str, Any] | None, str]:
    """What the client sends, or the field that it refuses."""
    try:
        return to_wire({"project": "p", **sections}, Dialect.CORE).spec, ""
    except ReleaseError as error:
        return None, str(error.resource)


def _refused(spec: dict[str, Any]) -> str:
    """The field that a gateway refuses, or nothing."""
    try:
        materialize(BASE, read_spec(spec).document)
    except ReleaseError as error:
        return str(error.resource)
    except GatewayError as error:
        return str(error.fields.get("resource"))
    return ""


def _judged(sections: dict[str, Any]) -> tuple[str, str]:
    """Who alone refuses the sections, and which field; nobody, where the two agree."""
    spec, field = _sent(sections)
    if spec is not None:
        there = _refused(spec)
        return ("gateway", there) if there else ("", "")
    return ("", "") if _refused({"project": "p", **sections}) else ("client", field)


def _places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield at
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield from _places(item, (*at, key))


ODD = st.one_of(
    *(st.none(), st.booleans(), st.integers(-1, 1000), st.floats(allow_nan=False, allow_infinity=False)),
    *(
        st.text(max_size=3),
        st.sampled_from(["f", "a.html", "A", "en", "/a", "GET", {}, [], {"a": 1}, ["a"], ["a", "a"]]),
    ),
)


# The client has no rule for these of a function, and takes an odd value of a library caller for what it is not.
UNCHECKED = ("requireRole", "files", "capabilities")


@st.composite
def _changed(draw: st.DrawFn, section: str) -> Any:
    """A sample with one thing in it changed: another value, none, a field more, an item twice."""
    value = {section: copy.deepcopy(draw(st.sampled_from(SAMPLES[section])))}
    at = draw(st.sampled_from([place for place in _places(value) if place and place[-1] not in UNCHECKED]))
    parent: Any = value
    for key in at[:-1]:
        parent = parent[key]
    how = draw(st.sampled_from(["other", "none", "more", "twice"]))
    if how == "none" and len(at) > 1:
        del parent[at[-1]]
    elif how == "more" and isinstance(parent[at[-1]], dict):
        parent[at[-1]]["zz"] = draw(ODD)
    elif how == "twice" and isinstance(parent[at[-1]], list) and parent[at[-1]]:
        parent[at[-1]].append(copy.deepcopy(parent[at[-1]][0]))
    else:
        parent[at[-1]] = copy.deepcopy(draw(ODD))
    return value


def test_every_section_has_a_sample_that_both_take() -> None:
    assert set(SAMPLES) == {section.name for section in SECTIONS}
    for name, values in SAMPLES.items():
        for value in values:
            filled = {name: value} if value else {name: value, "site": {"replace": {"a.html": REF}}}
            spec, field = _sent(filled)
            assert spec is not None, (name, field)
            assert _refused(spec) == "", name


@pytest.mark.parametrize(("who", "field", "examples"), APART, ids=[f"{who}-{field}" for who, field, _ in APART])
def test_where_they_judge_apart(who: str, field: str, examples: list[dict[str, Any]]) -> None:
    assert examples
    for sections in examples:
        side, named = _judged(sections)
        assert side == who, sections
        assert re.fullmatch(field, named), named


@pytest.mark.parametrize("section", SAMPLES)
def test_both_doors_judge_a_section_alike(section: str) -> None:
    @settings(max_examples=300)
    @given(_changed(section))
    def judge(sections: Any) -> None:
        who, field = _judged(sections)
        known = any(who == side and re.fullmatch(pattern, field) for side, pattern, _ in APART)
        assert not who or known, (who, field, sections)

    judge()
