"""The pages of the gateway for a person at this machine: one frame, one style, one set of headers.

htpy makes the HTML and escapes every text and attribute; nothing here or in the pages is marked as safe but the style. The
pages run no script, and are sandboxed: nothing that is shown at the gateway's own host has its origin.
See docs/local-gateway.md, "The console".
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import Any

import htpy as h
from markupsafe import Markup
from starlette.responses import HTMLResponse, Response

from run402_cli.core.callers.person import place

CELL_CHARS = 300
# Kept on one line.
SHORT_CHARS = 32
STYLE = """
:root{color-scheme:light dark;--ink:#1f2328;--dim:#59636e;--line:#d8dee4;--soft:#f4f6f8;--paper:#fff;--link:#0757c2;
--bad:#b3261e}
@media(prefers-color-scheme:dark){:root{--ink:#e3e6ea;--dim:#98a1ab;--line:#343a42;--soft:#1d2126;--paper:#131619;
--link:#7db4ff;--bad:#ff8f86}}
*{box-sizing:border-box}
body{margin:0;font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper)}
header,main{max-width:76rem;margin:0 auto;padding:0 1.25rem}
header{display:flex;flex-wrap:wrap;gap:.2rem 1.1rem;align-items:baseline;padding-top:.9rem;padding-bottom:.9rem;
border-bottom:1px solid var(--line)}
header strong{font-size:1.05rem}main{padding-bottom:4rem}
nav{display:flex;flex-wrap:wrap;gap:.2rem 1.1rem;margin:.9rem 0 0}
a{color:var(--link);text-decoration:none;overflow-wrap:anywhere}a:hover,a:focus-visible{text-decoration:underline}
a[aria-current]{color:var(--ink);font-weight:600;text-decoration:none}
h1{font-size:1.5rem;line-height:1.25;margin:1.4rem 0 .4rem;overflow-wrap:anywhere}
h2{font-size:1.1rem;margin:2rem 0 .5rem}p{margin:.5rem 0;max-width:46rem}.dim,th{color:var(--dim)}.bad{color:var(--bad)}
.scroll{overflow-x:auto;border:1px solid var(--line);border-radius:6px}
table{border-collapse:collapse;width:100%;font-size:.92rem}
th{font-weight:600;white-space:nowrap;background:var(--soft)}
td,th{text-align:left;padding:.4rem .75rem;border-bottom:1px solid var(--line);vertical-align:top}
tr:last-child>*{border-bottom:0}td{unicode-bidi:isolate;overflow-wrap:anywhere;min-width:11rem}
td.short{min-width:4.5rem;white-space:nowrap;font-variant-numeric:tabular-nums}td code{white-space:nowrap}
table.facts th{width:1%;min-width:9rem}
pre,code,textarea{font:.88rem/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
pre{white-space:pre-wrap;overflow-wrap:anywhere;background:var(--soft);border:1px solid var(--line);border-radius:6px;
padding:.8rem 1rem;margin:.5rem 0}
textarea{display:block;width:100%;min-height:8rem;padding:.7rem .8rem;color:inherit;background:var(--soft);
border:1px solid var(--line);border-radius:6px;resize:vertical}
button{font:inherit;margin:.6rem 0;padding:.35rem 1.2rem;color:#fff;background:#0757c2;border:0;border-radius:6px;
cursor:pointer}
iframe{width:100%;height:24rem;background:#fff;border:1px solid var(--line);border-radius:6px}
.more{display:flex;gap:1.2rem;margin:.7rem 0}
"""
_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
_SANDBOX = "sandbox allow-forms allow-popups allow-popups-to-escape-sandbox allow-top-navigation-by-user-activation"
_POLICY = "default-src 'none'; style-src {style}; {more}base-uri 'none'; form-action 'self'; frame-ancestors 'none'; {sandbox}"
HEADERS = {
    "Content-Security-Policy": _POLICY.format(style=f"'sha256-{_HASH}'", more="", sandbox=_SANDBOX),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}
# A mail brings its own style and pictures, for the frame in which it is shown.
MAIL_HEADERS = {
    **HEADERS,
    "Content-Security-Policy": _POLICY.format(style="'unsafe-inline'", more="img-src data:; ", sandbox=_SANDBOX),
}
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)\.\d{3}Z")


def root() -> str:
    """The address of the first page, for whoever asks."""
    return place.get()


def mail() -> str:
    return f"{root()}mail"


def page(
    title: str,
    *content: h.Node,
    nav: Sequence[tuple[str, str]] = (),
    here: str = "",
    status: int = 200,
    headers: dict[str, str] = HEADERS,
) -> Response:
    """One page. `nav` are (text, address) pairs below the top line; `here` is the address that is not offered again."""
    top = [("Projects", root()), ("Mail", mail()), ("Payments", f"{root()}payments")]
    made = h.html(lang="en")[
        h.head[
            h.meta(charset="utf-8"),
            h.meta(name="viewport", content="width=device-width"),
            h.title[f"{clean(title)} · run402"],
            h.style[Markup(STYLE)],
        ],
        h.body[
            h.header[h.strong["local gateway of run402"], links(top, here)],
            h.main[h.nav[links(nav, here)] if nav else None, h.h1[clean(title)], content],
        ],
    ]
    return HTMLResponse(str(made), status, headers)


def links(pairs: Iterable[tuple[str, str]], here: str = "") -> list[h.Element]:
    return [h.a(href=address, aria_current="page" if address == here else None)[text] for text, address in pairs]


def clean(value: Any) -> str:
    """A value as text, without characters that steer a terminal or hide."""
    return _CONTROL.sub("\ufffd", str(value))


def cell(value: Any, *, limit: int = CELL_CHARS) -> h.Node:
    """What stands in a cell: markup of ours as it is, anything else as text, shortened."""
    if isinstance(value, h.BaseElement):
        return value
    if value is None or value == "":
        return h.span(".dim")["–" if value is None else "(empty)"]
    if isinstance(value, bool):
        return "yes" if value else "no"
    if moment := _TIME.fullmatch(str(value)):
        return h.time(datetime=moment[0])[f"{moment[1]} {moment[2]} UTC"]
    text = clean(value)
    return text if len(text) <= limit else f"{text[:limit]}…"


def table(names: Sequence[str], rows: Iterable[Sequence[Any]], *, empty: str) -> h.Node:
    """Rows below their names; the text `empty` when there are none."""
    made = [h.tr[[_cell(value) for value in row]] for row in rows]
    if not made:
        return h.p(".dim")[empty]
    return h.div(".scroll")[h.table[h.thead[h.tr[[h.th[clean(name)] for name in names]]], h.tbody[made]]]


def _cell(value: Any) -> h.Element:
    short = isinstance(value, int | float) or (isinstance(value, str) and len(value) <= SHORT_CHARS)
    return h.td(class_="short" if short else None)[cell(value)]


def facts(pairs: Iterable[tuple[str, Any]]) -> h.Node:
    """Name and value, one pair a line."""
    lines = [h.tr[h.th(scope="row")[clean(name)], h.td[cell(value, limit=2000)]] for name, value in pairs]
    return h.div(".scroll")[h.table(".facts")[h.tbody[lines]]]
