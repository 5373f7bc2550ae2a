"""Where bytes go: transports are made when the first request needs them.

A TLS context costs 20 ms and a plain-http loopback request needs none; the proxy settings of the environment
(HTTP_PROXY, HTTPS_PROXY, NO_PROXY) and SSL_CERT_FILE are honoured.
"""

from __future__ import annotations

import threading
from urllib.request import getproxies, proxy_bypass

from run402_cli.client._httpx import httpx

# As many as uploads may run at a time (`--concurrency`); httpx would close all but 20 after each answer.
_LIMITS = httpx.Limits(max_connections=100, max_keepalive_connections=100)


class LazyTransport(httpx.BaseTransport):
    """Route each request to a transport for its scheme and proxy, created once. Safe to use from several threads."""

    def __init__(self) -> None:
        self._transports: dict[tuple[bool, str | None], httpx.HTTPTransport] = {}
        self._proxies = getproxies()
        self._lock = threading.Lock()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self._transport(request.url).handle_request(request)

    def _transport(self, url: httpx.URL) -> httpx.HTTPTransport:
        proxy = self._proxy(url)
        # Without TLS on either hop a context without trusted roots is enough: nothing is ever verified with it.
        tls = url.scheme == "https" or (proxy is not None and proxy.startswith("https"))
        key = (tls, proxy)
        with self._lock:
            if key not in self._transports:
                self._transports[key] = httpx.HTTPTransport(verify=tls, proxy=proxy, limits=_LIMITS)
            return self._transports[key]

    def _proxy(self, url: httpx.URL) -> str | None:
        if not self._proxies or proxy_bypass(url.host):
            return None
        proxy = self._proxies.get(url.scheme) or self._proxies.get("all")
        if proxy and "://" not in proxy:
            proxy = f"http://{proxy}"
        return proxy or None

    def close(self) -> None:
        for transport in self._transports.values():
            transport.close()
