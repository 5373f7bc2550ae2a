"""The older name of some calls of `email`.

Made by docs/generate_sdk.py; edit that, or the functions that are called here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from run402_cli.sdk._namespace import Namespace
from run402_cli.sdk.namespaces.email import Email, ProjectEmail

if TYPE_CHECKING:
    from collections.abc import Callable

    from run402_cli.client import Client


class Mailboxes(Namespace):
    """The older name of some calls of `email`."""

    def __init__(self, client: Client, say: Callable[[str], None]) -> None:
        super().__init__(client, say)
        email = Email(client, say)
        self.list = email.mailboxes
        self.create = email.create
        self.info = email.info
        self.set_footer_policy = email.update
        self.set_defaults = email.defaults
        self.delete = email.delete


class ProjectMailboxes(Namespace):
    """The older name of some calls of `email`, of one project."""

    def __init__(self, client: Client, say: Callable[[str], None], project_id: str) -> None:
        super().__init__(client, say, project_id)
        email = ProjectEmail(client, say, project_id)
        self.list = email.mailboxes
        self.create = email.create
        self.info = email.info
        self.set_footer_policy = email.update
        self.set_defaults = email.defaults
        self.delete = email.delete
