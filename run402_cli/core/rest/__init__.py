"""The REST surface of a project: the PostgREST dialect over real tables, real roles and row-level security.

`query`, `preferences` and `body` read a request; `compile`, `mutate` and `routines` turn it into one parameterized
statement; `catalog` knows the schema; `execute` runs the statement as the caller's role; `access` decides who calls, `handler`
answers. See docs/rest.md.
"""
