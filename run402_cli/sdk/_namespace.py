"""What every namespace of the Python API shares: the client that it calls with, and the scope that it calls in."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Concatenate, ParamSpec, TypeVar

from run402_cli.client import Client
from run402_cli.release.errors import ReleaseError
from run402_cli.state.keys import KeyCache
from run402_cli.state.profile import Profile, acting

P = ParamSpec("P")
T = TypeVar("T")


class SdkClient(Client):
    """A client that says that Python code calls, not the command line."""

    client_header = 'surface="sdk"'


class Namespace:
    """A group of calls on one client. `_project_id` is what calls of a project-scoped namespace are about."""

    def __init__(self, client: Client, say: Callable[[str], None], project_id: str = "") -> None:
        self._client = client
        self._say = say
        self._project_id = project_id

    @contextlib.contextmanager
    def _scope(self) -> Iterator[None]:
        """Inside, files of this client's own configuration are read, and manifest errors are this program's."""
        with acting(self._client.profile.scope):
            try:
                yield
            except ReleaseError as exc:
                from run402_cli.deploy.errors import from_release

                raise from_release(exc) from exc

    def _call(self, function: Callable[Concatenate[Client, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        with self._scope():
            return function(self._client, *args, **kwargs)

    def _call_profile(self, function: Callable[Concatenate[Profile, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        with self._scope():
            return function(self._client.profile, *args, **kwargs)

    def _call_keys(self, function: Callable[Concatenate[KeyCache, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        with self._scope():
            return function(self._client.profile.keys, *args, **kwargs)

    def _call_plain(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        with self._scope():
            return function(*args, **kwargs)
