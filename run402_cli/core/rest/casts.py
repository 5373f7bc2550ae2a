"""The types that `select` may cast to: those whose values mean the same to everybody.

Types that look a name up in the catalog (regclass and its kin) would tell what is in other schemas, and a type of the
project's own may be made of one of them.
"""

from __future__ import annotations

from run402_cli.core.rest.errors import RestError

# By PostgreSQL's own name, the other names that SQL has for it.
_TYPES: dict[str, tuple[str, ...]] = {
    "text": (),
    "varchar": ("character varying",),
    "bpchar": (),
    "bool": ("boolean",),
    "int2": ("smallint",),
    "int4": ("integer", "int"),
    "int8": ("bigint",),
    "numeric": ("decimal",),
    "float4": ("real",),
    "float8": ("double precision", "float"),
    "money": (),
    "uuid": (),
    "bytea": (),
    "date": (),
    "interval": (),
    "time": ("time without time zone",),
    "timetz": ("time with time zone",),
    "timestamp": ("timestamp without time zone",),
    "timestamptz": ("timestamp with time zone",),
    "json": (),
    "jsonb": (),
    "jsonpath": (),
    "bit": (),
    "varbit": ("bit varying",),
    "inet": (),
    "cidr": (),
    "macaddr": (),
    "macaddr8": (),
    "tsvector": (),
    "tsquery": (),
    "point": (),
    "line": (),
    "lseg": (),
    "box": (),
    "path": (),
    "polygon": (),
    "circle": (),
    "int4range": (),
    "int8range": (),
    "numrange": (),
    "daterange": (),
    "tsrange": (),
    "tstzrange": (),
    "int4multirange": (),
    "int8multirange": (),
    "nummultirange": (),
    "datemultirange": (),
    "tsmultirange": (),
    "tstzmultirange": (),
}
_NAMES = {name: own for own, others in _TYPES.items() for name in (own, *others)}


def cast_type(given: str) -> str:
    """The type as it stands in a statement. 400 PGRST100 for one that is not in the list."""
    name, array = (given[:-2], "[]") if given.endswith("[]") else (given, "")
    own = _NAMES.get(" ".join(name.lower().split()))
    if own is None:
        raise RestError(
            400,
            "PGRST100",
            f"{given!r} is not a type that select can cast to.",
            details=f"It can cast to these and their arrays: {', '.join(_TYPES)}.",
            hint="Read the column without a cast, or as ::text; or make a view with the cast.",
        )
    return f"pg_catalog.{own}{array}"
