"""Which representation an Accept header asks for, among those that a request can have. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from run402_cli.core.rest.errors import RestError

Format = Literal["json", "array", "object", "csv"]

_BUILT_IN: dict[str, Format] = {
    "application/json": "json",
    "application/vnd.pgrst.array+json": "array",
    "application/vnd.pgrst.array": "array",
    "application/vnd.pgrst.object+json": "object",
    "application/vnd.pgrst.object": "object",
    "text/csv": "csv",
    "*/*": "json",
    "application/*": "json",
    "text/*": "csv",
}
_NAMES: dict[Format, str] = {
    "json": "application/json",
    "array": "application/vnd.pgrst.array+json",
    "object": "application/vnd.pgrst.object+json",
    "csv": "text/csv",
}
# Nobody replaces these.
_VENDOR = "application/vnd.pgrst."
_PLANS: dict[str, Literal["text", "json"]] = {
    "application/vnd.pgrst.plan": "text",
    "application/vnd.pgrst.plan+text": "text",
    "application/vnd.pgrst.plan+json": "json",
}
_PLAN_OPTIONS = ("analyze", "verbose", "settings", "buffers", "wal")
_TEXTS = frozenset({"text/plain", "text/csv", "text/xml", "application/json", "application/geo+json"})
_ENTRY = re.compile(r'(?:[^,"]|"[^"]*"?)+')
_PART = re.compile(r'(?:[^;"]|"[^"]*"?)+')
# A domain of such a name is a media type.
MEDIA_NAME = r"^([A-Za-z0-9.-]+/[A-Za-z0-9.+-]+|\*/\*)$"


@dataclass(frozen=True, slots=True)
class Handler:
    """A media type that the project makes itself: a domain has its name.

    `aggregate` (schema, name) makes a value of that domain from all rows; None when a function returns the value itself.
    `relation` is the table or view whose rows it takes; None for rows of any kind. `binary`: the domain is one over bytea.
    """

    media: str
    binary: bool
    aggregate: tuple[str, str] | None = None
    relation: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """EXPLAIN in place of the answer."""

    format: Literal["text", "json"]
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """The representation asked for. With a `plan` it is that of the answer which the plan is about."""

    format: Format = "json"
    strip_nulls: bool = False
    handler: Handler | None = None
    plan: Plan | None = None

    @property
    def content_type(self) -> str:
        if self.plan is not None:
            options = f"; options={'|'.join(self.plan.options)}" if self.plan.options else ""
            return f'{_VENDOR}plan+{self.plan.format}; for="{self._media}"{options}; charset=utf-8'
        charset = "; charset=utf-8" if self.handler is None or self._media in _TEXTS else ""
        return f"{self._media}{charset}"

    @property
    def _media(self) -> str:
        if self.handler is not None:
            return "application/octet-stream" if self.handler.media == "*/*" else self.handler.media
        if self.strip_nulls:
            return f"{_NAMES[self.format]};nulls=stripped"
        return _NAMES["json" if self.format == "array" else self.format]


def negotiate(
    header: str | None, *, own: Sequence[Handler] = (), general: Sequence[Handler] = (), plans: bool = False
) -> Answer:
    """The best media type that there is, by quality, then by order. 406 PGRST107 when there is none.

    `own` are handlers for just this table or function, `general` those for rows of any kind. `plans`: may the caller see them?
    """
    accept = (header or "").strip() or "*/*"
    for media, parameters in ranked(accept):
        if media in _PLANS:
            found = _planned(_PLANS[media], parameters, own, general) if plans else None
        else:
            found = _found(media, parameters, own, general)
        if found is not None:
            return found
    hint = "Ask for application/json, application/vnd.pgrst.object+json or text/csv."
    if not plans and "vnd.pgrst.plan" in accept:
        hint = "Plans tell what policies hide: ask for them at /admin/v1/rest with the service key."
    raise RestError(406, "PGRST107", f"None of these media types are available: {accept[:200]}", hint=hint)


def ranked(header: str) -> list[tuple[str, list[str]]]:
    """The media types of an Accept header with their parameters: by quality, then in the order in which they stand."""
    found = []
    for position, entry in enumerate(_ENTRY.findall(header)):
        media, *parameters = [part.strip().lower() for part in _PART.findall(entry)] or [""]
        quality = 1.0
        for parameter in parameters:
            if re.fullmatch(r"q=[01](\.[0-9]{0,3})?", parameter):
                quality = float(parameter[2:])
        if media and quality > 0:
            found.append((-quality, position, media, parameters))
    return [(media, parameters) for _, _, media, parameters in sorted(found, key=lambda entry: entry[:2])]


def _found(media: str, parameters: Sequence[str], own: Sequence[Handler], general: Sequence[Handler]) -> Answer | None:
    if not media.startswith(_VENDOR):
        for wanted, handlers in (("*/*", own), (media, own), (media, general)):
            for handler in handlers:
                if handler.media == wanted:
                    return Answer(handler=handler)
    kind = _BUILT_IN.get(media)
    if kind is None:
        return None
    return Answer(kind, "nulls=stripped" in parameters and kind in ("array", "object"))


def _planned(
    kind: Literal["text", "json"], parameters: Sequence[str], own: Sequence[Handler], general: Sequence[Handler]
) -> Answer | None:
    """The plan of the answer in the media type of `for`, JSON without it."""
    told = dict(parameter.partition("=")[::2] for parameter in parameters)
    media, *inner = [part.strip() for part in told.get("for", '"application/json"').strip('"').split(";")]
    found = _found(media, inner, own, general) if media not in _PLANS else None
    if found is None:
        return None
    asked = told.get("options", "").split("|")
    return replace(found, plan=Plan(kind, tuple(option for option in _PLAN_OPTIONS if option in asked)))
