"""Which host a request names, which paths a web page may use there: facts about addresses, without any state.

Every project has an origin of its own, `<public id>.localhost`, and its subdomains have one each. The gateway itself, its
control plane and its pages are on the bare host only. docs/local-gateway.md, "Origins".
"""

from __future__ import annotations

import re

from starlette.datastructures import Headers

LOOPBACK_HOST = re.compile(r"(?:127\.0\.0\.1|\[::1\]|(?:[a-z0-9_-]+\.)*localhost)\.?(?::\d{1,5})?", re.IGNORECASE)
_BARE_HOST = re.compile(r"(?:127\.0\.0\.1|\[::1\]|localhost)\.?(?::\d{1,5})?", re.IGNORECASE)
_SITE_HOST = re.compile(r"([a-z0-9_-]+)\.localhost\.?(?::\d{1,5})?", re.IGNORECASE)
# A page of any origin may call these: a key and row-level security decide there, not the origin.
_ANY_PAGE = r"""
        /rest/v1(?:/.*)?
      | /auth/v1/(?:signup|token|logout|magic-link|otp|recover|providers|user(?:/password)?)
      | /functions/v1/(?!(?:runs|invoke)$)[^/]+"""
_CONTENT = r"""
        /projects/v1/[^/]+/static(?:/.*)?
      | /projects/v1/[^/]+/storage/(?:public|immutable|signed)/.*"""
# Everything a page may call: REST and sign-in ask for a key themselves, the others serve public bytes only.
_PUBLIC = re.compile(f"{_ANY_PAGE} | {_CONTENT} | /health | /capabilities/v1", re.VERBOSE)
# The paths that are the gateway's on the host of a site too; all others there are the site's own.
CONTROL_PLANE = re.compile(r"/(?:health|status|_run402(?:/.*)?|admin/api(?:/.*)?|[a-z-]+/v1(?:/.*)?)")
CORS_PATH = re.compile(_ANY_PAGE, re.VERBOSE)
_WORKERS = ("serviceworker", "sharedworker", "worker")


def is_public(path: str, headers: Headers) -> bool:
    """Is this one of the surfaces that a web page may use? On the host of a site that includes the site's own paths."""
    return bool(_PUBLIC.fullmatch(path)) or (site_label(headers) is not None and not CONTROL_PLANE.fullmatch(path))


def is_bare(headers: Headers) -> bool:
    """Is the Host the gateway's own: 127.0.0.1, [::1] or localhost?"""
    return is_bare_host(headers.get("host", ""))


def is_bare_host(host: str) -> bool:
    return bool(_BARE_HOST.fullmatch(host))


def site_label(headers: Headers) -> str | None:
    """`blog` for the Host `blog.localhost:4020`; None for any other kind of Host."""
    return label_of(headers.get("host", ""))


def label_of(host: str) -> str | None:
    found = _SITE_HOST.fullmatch(host)
    return found[1].lower() if found else None


def is_below_a_site(headers: Headers) -> bool:
    """Is the Host a name below localhost that is no site's? A browser would count `x.blog.localhost` to blog.localhost."""
    name = headers.get("host", "").lower().partition(":")[0].rstrip(".")
    return name.endswith(".localhost") and site_label(headers) is None


def from_browser(headers: Headers) -> bool:
    """Does a browser send this? Older ones tell by their name alone."""
    told = "origin" in headers or "sec-fetch-site" in headers or "sec-fetch-dest" in headers
    return told or headers.get("user-agent", "").startswith("Mozilla/")


def is_navigation(headers: Headers) -> bool:
    """Will a browser show the answer as a page, at top level or in a frame?"""
    mode = headers.get("sec-fetch-mode")
    if mode is None:
        return from_browser(headers) and "text/html" in headers.get("accept", "")
    return mode == "navigate"


def starts_worker(headers: Headers) -> bool:
    """Will a browser run the answer as a worker?"""
    return "service-worker" in headers or headers.get("sec-fetch-dest") in _WORKERS
