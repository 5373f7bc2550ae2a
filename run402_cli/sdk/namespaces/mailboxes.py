"""The older name of some calls of `email`.

Made by docs/generate_sdk.py; edit that, or the functions that are called here.
"""

from __future__ import annotations

from run402_cli.sdk._namespace import Id, Namespace, of_project
from run402_cli.sdk.namespaces.email import ProjectEmail


class Mailboxes(Namespace[Id]):
    """The older name of some calls of `email`."""

    list = of_project(ProjectEmail.mailboxes)
    create = of_project(ProjectEmail.create)
    info = of_project(ProjectEmail.info)
    set_footer_policy = of_project(ProjectEmail.update)
    set_defaults = of_project(ProjectEmail.defaults)
    delete = of_project(ProjectEmail.delete)
