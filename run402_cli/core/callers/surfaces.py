"""Which paths a web page may use, and which host names are sites: facts about addresses, without any state."""

from __future__ import annotations

import re

from starlette.datastructures import Headers

LOOPBACK_HOST = re.compile(r"(?:127\.0\.0\.1|\[::1\]|(?:[a-z0-9_-]+\.)*localhost)\.?(?::\d{1,5})?", re.IGNORECASE)
# A page of any origin may call these: a key and row-level security decide there, not the origin.
_ANY_PAGE = r"""
        /rest/v1(?:/.*)?
      | /auth/v1/(?:signup|token|logout|magic-link|providers|user(?:/password)?)
      | /functions/v1/(?!(?:runs|invoke)$)[^/]+"""
# Everything a page may call: REST and sign-in ask for a key themselves, the others serve public bytes only.
PUBLIC = re.compile(
    rf"""{_ANY_PAGE}
      | /projects/v1/[^/]+/static(?:/.*)?
      | /projects/v1/[^/]+/storage/(?:public|immutable|signed)/.*
      | /health
      | /capabilities/v1""",
    re.VERBOSE,
)
# Everything else belongs to the gateway; on `<name>.localhost` the remaining paths are the site's own.
CONTROL_PLANE = re.compile(r"/(?:health|status|_run402(?:/.*)?|admin/api(?:/.*)?|[a-z-]+/v1(?:/.*)?)")
CORS_PATH = re.compile(_ANY_PAGE, re.VERBOSE)


def is_public(path: str, headers: Headers) -> bool:
    """Is this one of the surfaces that a web page may use? On `<name>.localhost` that includes the site's own paths."""
    return bool(PUBLIC.fullmatch(path)) or (site_label(headers) is not None and not CONTROL_PLANE.fullmatch(path))


def site_label(headers: Headers) -> str | None:
    """`blog` for the Host `blog.localhost:4020`; None for any other kind of Host."""
    name = headers.get("host", "").partition(":")[0].lower().rstrip(".")
    label, _, rest = name.partition(".")
    return label if rest == "localhost" and label else None
