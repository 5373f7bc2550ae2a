"""What every namespace of the Python API shares: the client that it calls with, the scope that it calls in, its project."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from types import MethodType
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar, overload

from run402_cli.client import Client
from run402_cli.release.errors import ReleaseError
from run402_cli.state.keys import KeyCache
from run402_cli.state.profile import Profile, acting

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R", covariant=True)
Id = TypeVar("Id", bound="str | None")


class SdkClient(Client):
    """A client that says that Python code calls, not the command line."""

    client_header = 'surface="sdk"'


class Namespace(Generic[Id]):
    """A group of calls on one client: `Namespace[str]` is about one project, `Namespace[None]` is told which by each call."""

    def __init__(self, client: Client, say: Callable[[str], None], project_id: Id) -> None:
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


class Unbound(Protocol[P, R]):
    """A method as its class has it: `self`, the project, and the rest."""

    def __call__(_, self: Any, project_id: str, *args: P.args, **kwargs: P.kwargs) -> R: ...


class AnyProject(Protocol[P, R]):
    """The same, of a `Namespace[None]`: without `self`."""

    def __call__(self, project_id: str, *args: P.args, **kwargs: P.kwargs) -> R: ...


class of_project(Generic[P, R]):
    """Decorates a method whose first argument is the project: in a namespace that is about one, it is filled in."""

    def __init__(self, function: Unbound[P, R]) -> None:
        self._function = function

    @overload
    def __get__(self, instance: None, owner: type, /) -> Unbound[P, R]: ...
    @overload
    def __get__(self, instance: Namespace[None], owner: type, /) -> AnyProject[P, R]: ...
    @overload
    def __get__(self, instance: Namespace[str], owner: type, /) -> Callable[P, R]: ...
    def __get__(self, instance: Namespace[Any] | None, owner: type, /) -> Any:
        if instance is None:
            return self._function
        method = MethodType(self._function, instance)
        project_id = instance._project_id
        # A method of a method has the name, the help and the signature of the function, without the arguments bound.
        return method if project_id is None else MethodType(method, project_id)


def moved(method: Callable[Concatenate[Any, P], T]) -> Callable[Concatenate[Any, P], T]:
    """A method of another namespace as one of this: it needs nothing but what each of them has."""
    return method
