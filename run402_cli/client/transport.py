"""Where bytes go: transports are made when the first request needs them.

A TLS context costs 20 ms and a plain-http loopback request needs none. Which proxy is used says run402_cli/proxies.py;
SSL_CERT_FILE and SSL_CERT_DIR are honoured. Every connection of this program but the gateway's own is opened here.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator

from run402_cli.client import deadline, redirects
from run402_cli.client.http import httpx, load_core
from run402_cli.errors import EnvironmentFault
from run402_cli.partial_imports import later
from run402_cli.proxies import Proxies, Proxy, is_loopback_address

# As many as uploads may run at a time (`--concurrency`); httpx would close all but 20 after each answer.
_LIMITS = httpx.Limits(max_connections=100, max_keepalive_connections=100)
_PROXY = "run402_proxy"
# Of a 402 only: whether it came from a loopback address, whatever the name was.
NEAR = "run402_near"
_TLS_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE")


class LazyTransport(httpx.BaseTransport):
    """Route each request to a transport for its scheme and proxy, created once. Safe to use from several threads."""

    def __init__(self) -> None:
        self._transports: dict[tuple[bool, Proxy | None], httpx.HTTPTransport] = {}
        self._proxies = Proxies()
        self._lock = threading.Lock()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        proxy = self._proxies.for_address(request.url.scheme, request.url.host, request.url.port)
        request.extensions[_PROXY] = proxy
        transport = self._transport(request.url.scheme, proxy)
        # Behind a proxy nobody here sees where a name leads.
        before = deadline.not_here.set(None if proxy is not None else request.extensions.get(redirects.NOT_HERE))
        try:
            response = self._sent(transport, request)
        finally:
            deadline.not_here.reset(before)
        if response.status_code == 402 and proxy is None and (stream := response.extensions.get("network_stream")):
            response.extensions[NEAR] = is_loopback_address(deadline.address(stream))
        return response

    def _sent(self, transport: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
        if request.url.host != "localhost" and not request.url.host.endswith(".localhost"):
            return transport.handle_request(request)
        try:
            return transport.handle_request(_at(request, "127.0.0.1"))
        except httpx.ConnectError as exc:
            with contextlib.suppress(httpx.ConnectError):
                return transport.handle_request(_at(request, "::1"))
            raise exc

    def _transport(self, scheme: str, proxy: Proxy | None) -> httpx.HTTPTransport:
        # Without TLS on either hop a context without trusted roots is enough: nothing is ever verified with it.
        tls = scheme == "https" or (proxy is not None and proxy.url().startswith("https"))
        key = (tls, proxy)
        with self._lock:
            if key not in self._transports:
                load_core(socks=any(each.socks for each in self._proxies.found))
                self._transports[key] = _made(tls, proxy)
            return self._transports[key]

    def close(self) -> None:
        for transport in self._transports.values():
            transport.close()


def _at(request: httpx.Request, address: str) -> httpx.Request:
    """A request for `localhost` or below it to one address of this machine (RFC 6761), whatever its resolver says."""
    names = {**request.extensions, "sni_hostname": request.url.host}
    url = request.url.copy_with(host=address)
    return httpx.Request(request.method, url, headers=request.headers, stream=request.stream, extensions=names)


def _made(tls: bool, proxy: Proxy | None) -> httpx.HTTPTransport:
    address = None if proxy is None else proxy.url()
    try:
        with later(*(() if tls else ("certifi",))):  # its list of roots, which costs 4 ms to find
            made = httpx.HTTPTransport(verify=tls, proxy=address, limits=_LIMITS)
            deadline.watch(made)
            return made
    except OSError as exc:
        named = [f"{name}={os.environ[name]}" for name in _TLS_VARIABLES if os.environ.get(name)]
        raise EnvironmentFault(
            f"The certificates for TLS cannot be loaded: {exc.strerror or exc}.",
            hint=f"Correct or unset {' and '.join(named)}." if named else "Check the certificates of this Python.",
        ) from exc
    except (ImportError, ValueError, httpx.InvalidURL) as exc:
        if proxy is None:
            raise
        why = "this installation has no SOCKS support" if isinstance(exc, ImportError) else "it is not a proxy address"
        raise proxy.unusable(why) from None  # their texts may repeat user and password


def reason(exc: Exception) -> str:
    """What went wrong in words, with the proxy (without its password) when the request went through one."""
    text = str(exc) or type(exc).__name__
    proxy = _proxy_of(exc)
    return text if proxy is None else f"{text} (through the proxy {proxy.shown} of {proxy.variable})"


def refused_directly(exc: BaseException) -> bool:
    """Whether the very address that was asked refused the connection: then nothing listens there."""
    if not isinstance(exc, httpx.ConnectError) or _proxy_of(exc) is not None:
        return False
    return any(isinstance(cause, ConnectionRefusedError) for cause in _causes(exc))


def _proxy_of(exc: BaseException) -> Proxy | None:
    try:
        request = exc.request if isinstance(exc, httpx.RequestError) else None
    except RuntimeError:  # no request is known
        return None
    proxy = request.extensions.get(_PROXY) if request is not None else None
    return proxy if isinstance(proxy, Proxy) else None


def _causes(exc: BaseException) -> Iterator[BaseException]:
    found: BaseException | None = exc
    while found is not None:
        yield found
        found = found.__cause__ or found.__context__
