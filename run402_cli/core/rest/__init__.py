"""The REST surface of a project: the PostgREST dialect over real tables, real roles and row-level security.

`query`, `preferences` and `body` read a request; `compile`, `mutate` and `routines` turn it into one parameterized
statement; `catalog` knows the schema; `execute` runs the statement as the caller's role; `handler` decides who calls and
answers. See docs/rest.md.
"""

from run402_cli.core.rest.handler import ROUTES, serve

__all__ = ["ROUTES", "serve"]
