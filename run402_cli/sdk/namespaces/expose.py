"""The older name of some calls of `projects`.

Made by docs/generate_sdk.py; edit that, or the functions that are called here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from run402_cli.sdk._namespace import Namespace
from run402_cli.sdk.namespaces.projects import ProjectProjects, Projects

if TYPE_CHECKING:
    from collections.abc import Callable

    from run402_cli.client import Client


class Expose(Namespace):
    """The older name of some calls of `projects`."""

    def __init__(self, client: Client, say: Callable[[str], None]) -> None:
        super().__init__(client, say)
        projects = Projects(client, say)
        self.apply = projects.apply_expose
        self.get = projects.get_expose
        self.validate = projects.validate_expose


class ProjectExpose(Namespace):
    """The older name of some calls of `projects`, of one project."""

    def __init__(self, client: Client, say: Callable[[str], None], project_id: str) -> None:
        super().__init__(client, say, project_id)
        projects = ProjectProjects(client, say, project_id)
        self.apply = projects.apply_expose
        self.get = projects.get_expose
        self.validate = projects.validate_expose
