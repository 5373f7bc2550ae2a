"""`Run402`, the entry of the Python API, and `Project`, the same for one project. See docs/how-to/python-sdk.md."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from run402_cli.errors import project_required
from run402_cli.sdk._namespace import SdkClient
from run402_cli.sdk.namespaces import Namespaces, ProjectNamespaces
from run402_cli.sdk.namespaces._general import General
from run402_cli.sdk.namespaces.projects import ProjectProjects
from run402_cli.state import profile

if TYPE_CHECKING:
    from run402_cli.client.http import httpx


def _silent(_text: str) -> None:
    """A listener that drops the note."""


class Run402(General, Namespaces):
    """The commands of run402 as methods: `r.projects.list()` is `run402 projects list`.

    Use it as a context manager, or close it. `wallet` is the name of a local wallet, `api_base` the address of a gateway,
    `config_dir` the configuration directory; what is None comes from the environment and the files, as for the command
    line. Several instances with different arguments may live in one process, and one may be used from several threads.
    `on_note` gets the plain one-line notes that some calls make; `transport` replaces the network in tests.

    Raises CommandError for a wallet that does not exist or an unusable address; calls raise the subclasses of Run402Error
    (docs/protocol/errors.md). Nothing is printed on stdout. docs/how-to/python-sdk.md
    """

    def __init__(
        self,
        *,
        wallet: str | None = None,
        api_base: str | None = None,
        config_dir: str | os.PathLike[str] | None = None,
        on_note: Callable[[str], None] = _silent,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        base = None if config_dir is None else Path(config_dir).absolute()
        chosen = profile.opened(wallet=wallet, api_base=api_base, base=base)
        super().__init__(SdkClient(chosen, transport=transport), on_note, None)

    @property
    def api_base(self) -> str:
        """The address that requests go to."""
        with self._scope():
            return self._client.api_base

    @property
    def wallet(self) -> str:
        """The name of the wallet that signs."""
        return self._client.profile.name

    def project(self, project_id: str | None = None) -> Project:
        """The same API for one project: no call needs its id again. It shares this object's connection.

        Without an id: RUN402_PROJECT_ID, else the active project. Raises CommandError PROJECT_REQUIRED without any.
        """
        with self._scope():
            found = project_id or os.environ.get("RUN402_PROJECT_ID") or self._client.profile.active.get()
        if not found:
            raise project_required()
        return Project(self._client, self._say, found)

    def close(self) -> None:
        """Close the connections. The object cannot be used afterwards."""
        self._client.close()

    def __enter__(self) -> Run402:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Run402(wallet={self.wallet!r}, config_dir={str(self._client.profile.base)!r})"


class Project(ProjectProjects[str], ProjectNamespaces):
    """One project: `r.project("prj_1").sql("select 1")`, `.secrets.set("KEY", "value")`. Made by `Run402.project`."""

    @property
    def id(self) -> str:
        """The project id, prj_..."""
        return self._project_id

    def __repr__(self) -> str:
        return f"Project({self._project_id!r})"
