"""Functions on real Node 22: bundles, workers, invocation, durable runs, schedules, logs, secrets.

A release's functions are rows of internal.core_function_bundles (`bundle_rows`); `build` turns a row into files that Node can
import; `workers` keeps processes that run `runner.mjs`; `invoke` is one call from gates to response; `runs` and
`schedules` make calls later. See docs/local-gateway-functions.md.
"""
