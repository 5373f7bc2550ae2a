"""The older name of some calls of `projects`.

Made by docs/generate_sdk.py; edit that, or the functions that are called here.
"""

from __future__ import annotations

from run402_cli.sdk._namespace import Id, Namespace, moved, of_project
from run402_cli.sdk.namespaces.projects import ProjectProjects, Projects


class ProjectExpose(Namespace[Id]):
    """The older name of some calls of `projects`."""

    apply = of_project(ProjectProjects.apply_expose)
    get = of_project(ProjectProjects.get_expose)
    validate = moved(ProjectProjects.validate_expose)


class Expose(Namespace[None]):
    """The older name of some calls of `projects`."""

    apply = of_project(Projects.apply_expose)
    get = of_project(Projects.get_expose)
    validate = moved(Projects.validate_expose)
