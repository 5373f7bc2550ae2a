"""Which proxy a request goes through: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, judged in one place.

Whoever opens a connection asks here. What stays on this machine (127.0.0.0/8, ::1, localhost, *.localhost) never goes
through a proxy. NO_PROXY knows `*`, a host (with everything below it), `.suffix`, host:port and networks such as 10.0.0.0/8.
See docs/protocol/conventions.md, "Proxies".
"""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit

from run402_cli.errors import EnvironmentFault

SCHEMES = ("http", "https", "socks5", "socks5h")
_PORTS = {"http": 80, "https": 443}
_SYSTEM = "the system's proxy settings"


def is_loopback(host: str) -> bool:
    """Whether a host name or address can only mean this machine: 0.0.0.0 and `127.1` lead to it, too."""
    name = host.strip("[]").rstrip(".").lower()
    return name == "localhost" or name.endswith(".localhost") or is_loopback_address(name) or _leads_here(name)


def is_loopback_address(text: str) -> bool:
    """Whether this is an address, never a name, of this machine alone."""
    address = _unmapped(_address(text))
    return address is not None and address.is_loopback


def _leads_here(text: str) -> bool:
    """For the unspecified address, and what resolvers take for an IPv4 address beside four decimal numbers: 0x7f.1."""
    address = _unmapped(_address(text) or _old_form(text))
    return address is not None and (address.is_loopback or address.is_unspecified)


def _unmapped(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address | None,
) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _old_form(text: str) -> ipaddress.IPv4Address | None:
    import socket

    try:
        return ipaddress.IPv4Address(socket.inet_aton(text)) if text[:1].isdigit() and text.isascii() else None
    except (OSError, ValueError):
        return None


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy as the environment names it. `variable` is where it comes from; `text` may hold a password."""

    variable: str
    text: str

    @property
    def shown(self) -> str:
        """Scheme, host and port: never user and password."""
        parts = self._parts()
        if parts is None:
            return f"{self._scheme()}://..."
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")

    @property
    def socks(self) -> bool:
        """Whether it is a SOCKS proxy."""
        return self._scheme().startswith("socks")

    @property
    def problem(self) -> str | None:
        """Why it cannot be used; None when it can."""
        scheme = self._scheme()
        if scheme not in SCHEMES:
            known = ", ".join(SCHEMES)
            return f"the scheme {scheme!r} is not supported" if _is_word(scheme) else f"its scheme is none of {known}"
        return "it is not a proxy address" if self._parts() is None else None

    def url(self) -> str:
        """The whole address. EnvironmentFault (BAD_ENV) that names the variable when it cannot be used."""
        if self.problem is not None:
            raise self.unusable(self.problem)
        return self._with_scheme()

    def unusable(self, why: str) -> EnvironmentFault:
        """The error for it."""
        return EnvironmentFault(
            f"{self.variable} names a proxy that cannot be used: {why}.",
            hint=f"Supported are {', '.join(SCHEMES)}, as in http://proxy.example:3128. Correct or unset {self.variable}, "
            "or name the host in NO_PROXY. Local gateways are never reached through a proxy.",
            details={"variable": self.variable, "proxy": self.shown},
        )

    def _with_scheme(self) -> str:
        return self.text if "://" in self.text else f"http://{self.text}"

    def _scheme(self) -> str:
        return self._with_scheme().partition("://")[0].lower()

    def _parts(self) -> SplitResult | None:
        text = self._with_scheme()
        if not text.isascii() or not text.isprintable() or " " in text:
            return None
        try:
            parts = urlsplit(text)
            good = bool(parts.hostname) and _HOST.fullmatch(parts.hostname or "") is not None and parts.port != 0
        except ValueError:
            return None
        return parts if good else None


_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+(%[A-Za-z0-9._-]+)?")


def _is_word(scheme: str) -> bool:
    return re.fullmatch(r"[a-z][a-z0-9+.-]{0,15}", scheme) is not None


class Proxies:
    """The proxies of the environment, else of the system, as they were when this was made."""

    def __init__(self) -> None:
        self._by_scheme = _from_environment() or _from_system()
        self._exceptions = _no_proxy()

    @property
    def found(self) -> list[Proxy]:
        """Every proxy that is named."""
        return list(self._by_scheme.values())

    @property
    def exceptions(self) -> list[str]:
        """The entries of NO_PROXY."""
        return list(self._exceptions)

    def for_address(self, scheme: str, host: str, port: int | None) -> Proxy | None:
        """The proxy for a request, or None: directly."""
        if not self._by_scheme or is_loopback(host):
            return None
        found = self._by_scheme.get(scheme) or self._by_scheme.get("all")
        if found is None or self._is_exception(host, port or _PORTS.get(scheme)):
            return None
        if found.variable == _SYSTEM:
            from urllib.request import proxy_bypass

            return None if proxy_bypass(host) else found
        return found

    def _is_exception(self, host: str, port: int | None) -> bool:
        name = host.strip("[]").rstrip(".").lower()
        return any(_matches(entry, name, port) for entry in self._exceptions)


def _from_environment() -> dict[str, Proxy]:
    found: dict[str, Proxy] = {}
    for scheme in ("http", "https", "all"):
        # The lower-case spelling wins, as everywhere. Below CGI a client can set HTTP_PROXY with a header of its own.
        names = (
            [f"{scheme}_proxy"] if "REQUEST_METHOD" in os.environ else [f"{scheme}_proxy", f"{scheme}_proxy".upper()]
        )
        for name in names:
            text = os.environ.get(name, "").strip()
            if text:
                found[scheme] = Proxy(name, text)
                break
    return found


def _from_system() -> dict[str, Proxy]:
    if os.name == "posix" and not _is_mac():
        return {}
    from urllib.request import getproxies

    return {scheme: Proxy(_SYSTEM, text) for scheme, text in getproxies().items() if scheme in ("http", "https", "all")}


def _is_mac() -> bool:
    import sys

    return sys.platform == "darwin"


def _no_proxy() -> list[str]:
    text = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    return [entry for entry in re.split(r"[,\s]+", text.lower()) if entry]


def _matches(entry: str, name: str, port: int | None) -> bool:
    if entry == "*":
        return True
    host, wanted = _split(entry)
    if wanted is not None and wanted != port:
        return False
    address = _address(name)
    if address is not None:
        network = _network(host)
        return network is not None and address in network
    suffix = host.removeprefix("*").strip(".")
    return bool(suffix) and (name == suffix or name.endswith("." + suffix))


def _split(entry: str) -> tuple[str, int | None]:
    """(host or network, port) of an entry; an IPv6 address has its port after brackets."""
    bracketed = re.fullmatch(r"\[([^\]]*)\](?::(\d+))?", entry)
    if bracketed:
        return bracketed[1], int(bracketed[2]) if bracketed[2] else None
    host, colon, port = entry.rpartition(":")
    if colon and ":" not in host and port.isdigit():
        return host, int(port)
    return entry, None


def _network(text: str) -> Any:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
