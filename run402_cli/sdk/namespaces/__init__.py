"""The namespaces as attributes; each module is imported when its attribute is first used.

Made by docs/generate_sdk.py; edit that, or the functions that are called here.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from run402_cli.sdk._namespace import Id, Namespace

if TYPE_CHECKING:
    from run402_cli.sdk.namespaces.admin import Admin, ProjectAdmin
    from run402_cli.sdk.namespaces.agent import Agent
    from run402_cli.sdk.namespaces.ai import Ai
    from run402_cli.sdk.namespaces.allowance import Allowance
    from run402_cli.sdk.namespaces.apps import Apps, ProjectApps
    from run402_cli.sdk.namespaces.archives import Archives, ProjectArchives
    from run402_cli.sdk.namespaces.assets import Assets
    from run402_cli.sdk.namespaces.auth import Auth, ProjectAuth
    from run402_cli.sdk.namespaces.billing import Billing
    from run402_cli.sdk.namespaces.branches import Branches
    from run402_cli.sdk.namespaces.cache import Cache
    from run402_cli.sdk.namespaces.cdn import Cdn
    from run402_cli.sdk.namespaces.ci import Ci, ProjectCi
    from run402_cli.sdk.namespaces.claims import Claims
    from run402_cli.sdk.namespaces.contracts import Contracts, ProjectContracts
    from run402_cli.sdk.namespaces.credentials import Credentials, ProjectCredentials
    from run402_cli.sdk.namespaces.delegates import Delegates
    from run402_cli.sdk.namespaces.deploy import Deploy, ProjectDeploy
    from run402_cli.sdk.namespaces.domains import Domains
    from run402_cli.sdk.namespaces.email import Email, ProjectEmail
    from run402_cli.sdk.namespaces.email_webhooks import EmailWebhooks
    from run402_cli.sdk.namespaces.errors import Errors
    from run402_cli.sdk.namespaces.escalations import Escalations
    from run402_cli.sdk.namespaces.events import Events, ProjectEvents
    from run402_cli.sdk.namespaces.expose import Expose, ProjectExpose
    from run402_cli.sdk.namespaces.function_runs import FunctionRuns
    from run402_cli.sdk.namespaces.functions import Functions
    from run402_cli.sdk.namespaces.grants import Grants
    from run402_cli.sdk.namespaces.identity import Identity
    from run402_cli.sdk.namespaces.image import Image
    from run402_cli.sdk.namespaces.jobs import Jobs
    from run402_cli.sdk.namespaces.logs import Logs
    from run402_cli.sdk.namespaces.mailboxes import Mailboxes
    from run402_cli.sdk.namespaces.notifications import Notifications
    from run402_cli.sdk.namespaces.operator import Operator
    from run402_cli.sdk.namespaces.org import Org
    from run402_cli.sdk.namespaces.projects import Projects
    from run402_cli.sdk.namespaces.rooms import ProjectRooms, Rooms
    from run402_cli.sdk.namespaces.secrets import Secrets
    from run402_cli.sdk.namespaces.service import Service
    from run402_cli.sdk.namespaces.sites import Sites
    from run402_cli.sdk.namespaces.snapshots import Snapshots
    from run402_cli.sdk.namespaces.subdomains import Subdomains
    from run402_cli.sdk.namespaces.tier import Tier
    from run402_cli.sdk.namespaces.transfer import ProjectTransfer, Transfer
    from run402_cli.sdk.namespaces.wallets import Wallets


class SharedNamespaces(Namespace[Id]):
    """The attributes of both."""

    @cached_property
    def ai(self) -> Ai[Id]:
        """Translation and moderation for a project."""
        from run402_cli.sdk.namespaces.ai import Ai

        return Ai(self._client, self._say, self._project_id)

    @cached_property
    def assets(self) -> Assets[Id]:
        """Files in content-addressed storage."""
        from run402_cli.sdk.namespaces.assets import Assets

        return Assets(self._client, self._say, self._project_id)

    @cached_property
    def branches(self) -> Branches[Id]:
        """Copies of a project to try things on."""
        from run402_cli.sdk.namespaces.branches import Branches

        return Branches(self._client, self._say, self._project_id)

    @cached_property
    def cdn(self) -> Cdn[Id]:
        """Freshness of public asset URLs."""
        from run402_cli.sdk.namespaces.cdn import Cdn

        return Cdn(self._client, self._say, self._project_id)

    @cached_property
    def delegates(self) -> Delegates[Id]:
        """Scoped, revocable tokens for agents."""
        from run402_cli.sdk.namespaces.delegates import Delegates

        return Delegates(self._client, self._say, self._project_id)

    @cached_property
    def domains(self) -> Domains[Id]:
        """Own domains for the web and e-mail of a project."""
        from run402_cli.sdk.namespaces.domains import Domains

        return Domains(self._client, self._say, self._project_id)

    @cached_property
    def email_webhooks(self) -> EmailWebhooks[Id]:
        """Webhooks of a mailbox."""
        from run402_cli.sdk.namespaces.email_webhooks import EmailWebhooks

        return EmailWebhooks(self._client, self._say, self._project_id)

    @cached_property
    def errors(self) -> Errors[Id]:
        """Errors of functions by identity."""
        from run402_cli.sdk.namespaces.errors import Errors

        return Errors(self._client, self._say, self._project_id)

    @cached_property
    def function_runs(self) -> FunctionRuns[Id]:
        """Durable runs of functions."""
        from run402_cli.sdk.namespaces.function_runs import FunctionRuns

        return FunctionRuns(self._client, self._say, self._project_id)

    @cached_property
    def functions(self) -> Functions[Id]:
        """Deploy, call and inspect serverless functions."""
        from run402_cli.sdk.namespaces.functions import Functions

        return Functions(self._client, self._say, self._project_id)

    @cached_property
    def grants(self) -> Grants[Id]:
        """Single capabilities on a project for wallets that are no members."""
        from run402_cli.sdk.namespaces.grants import Grants

        return Grants(self._client, self._say, self._project_id)

    @cached_property
    def jobs(self) -> Jobs[Id]:
        """Platform-managed jobs."""
        from run402_cli.sdk.namespaces.jobs import Jobs

        return Jobs(self._client, self._say, self._project_id)

    @cached_property
    def logs(self) -> Logs[Id]:
        """Log entries of one request, across functions."""
        from run402_cli.sdk.namespaces.logs import Logs

        return Logs(self._client, self._say, self._project_id)

    @cached_property
    def mailboxes(self) -> Mailboxes[Id]:
        """The older name of some calls of `email`."""
        from run402_cli.sdk.namespaces.mailboxes import Mailboxes

        return Mailboxes(self._client, self._say, self._project_id)

    @cached_property
    def secrets(self) -> Secrets[Id]:
        """Write-only environment variables of functions."""
        from run402_cli.sdk.namespaces.secrets import Secrets

        return Secrets(self._client, self._say, self._project_id)

    @cached_property
    def sites(self) -> Sites[Id]:
        """Static sites."""
        from run402_cli.sdk.namespaces.sites import Sites

        return Sites(self._client, self._say, self._project_id)

    @cached_property
    def snapshots(self) -> Snapshots[Id]:
        """Snapshots of a project's data."""
        from run402_cli.sdk.namespaces.snapshots import Snapshots

        return Snapshots(self._client, self._say, self._project_id)

    @cached_property
    def subdomains(self) -> Subdomains[Id]:
        """Names below run402.com."""
        from run402_cli.sdk.namespaces.subdomains import Subdomains

        return Subdomains(self._client, self._say, self._project_id)


class Namespaces(SharedNamespaces[None]):
    """The attributes of Run402."""

    @cached_property
    def admin(self) -> Admin:
        """What platform administrators may do to projects and organizations."""
        from run402_cli.sdk.namespaces.admin import Admin

        return Admin(self._client, self._say, self._project_id)

    @cached_property
    def agent(self) -> Agent:
        """The contact record of the wallet, and messages to the developers of Run402."""
        from run402_cli.sdk.namespaces.agent import Agent

        return Agent(self._client, self._say, self._project_id)

    @cached_property
    def allowance(self) -> Allowance:
        """The wallet's money: balance, limits, ledger, promo codes."""
        from run402_cli.sdk.namespaces.allowance import Allowance

        return Allowance(self._client, self._say, self._project_id)

    @cached_property
    def apps(self) -> Apps:
        """Published apps: browse, fork, publish."""
        from run402_cli.sdk.namespaces.apps import Apps

        return Apps(self._client, self._say, self._project_id)

    @cached_property
    def archives(self) -> Archives:
        """Portable archives of a project."""
        from run402_cli.sdk.namespaces.archives import Archives

        return Archives(self._client, self._say, self._project_id)

    @cached_property
    def auth(self) -> Auth:
        """Users of the project's own application."""
        from run402_cli.sdk.namespaces.auth import Auth

        return Auth(self._client, self._say, self._project_id)

    @cached_property
    def billing(self) -> Billing:
        """Balance, ledger and card checkouts of an organization."""
        from run402_cli.sdk.namespaces.billing import Billing

        return Billing(self._client, self._say, self._project_id)

    @cached_property
    def cache(self) -> Cache:
        """The origin cache of server-rendered pages."""
        from run402_cli.sdk.namespaces.cache import Cache

        return Cache(self._client, self._say, self._project_id)

    @cached_property
    def ci(self) -> Ci:
        """GitHub Actions workflows that deploy without a secret."""
        from run402_cli.sdk.namespaces.ci import Ci

        return Ci(self._client, self._say, self._project_id)

    @cached_property
    def claims(self) -> Claims:
        """Advisory claims on what a session is working on."""
        from run402_cli.sdk.namespaces.claims import Claims

        return Claims(self._client, self._say, self._project_id)

    @cached_property
    def contracts(self) -> Contracts:
        """Ethereum signers in a KMS, and calls through them."""
        from run402_cli.sdk.namespaces.contracts import Contracts

        return Contracts(self._client, self._say, self._project_id)

    @cached_property
    def credentials(self) -> Credentials:
        """Project credentials on the gateway, and the project keys cached here."""
        from run402_cli.sdk.namespaces.credentials import Credentials

        return Credentials(self._client, self._say, self._project_id)

    @cached_property
    def deploy(self) -> Deploy:
        """Releases: apply, plan, rehearse, promote, and what happened."""
        from run402_cli.sdk.namespaces.deploy import Deploy

        return Deploy(self._client, self._say, self._project_id)

    @cached_property
    def email(self) -> Email:
        """A project's mailboxes and their messages."""
        from run402_cli.sdk.namespaces.email import Email

        return Email(self._client, self._say, self._project_id)

    @cached_property
    def escalations(self) -> Escalations:
        """Page the humans of an organization."""
        from run402_cli.sdk.namespaces.escalations import Escalations

        return Escalations(self._client, self._say, self._project_id)

    @cached_property
    def events(self) -> Events:
        """What happened to a project or an organization."""
        from run402_cli.sdk.namespaces.events import Events

        return Events(self._client, self._say, self._project_id)

    @cached_property
    def expose(self) -> Expose:
        """The older name of some calls of `projects`."""
        from run402_cli.sdk.namespaces.expose import Expose

        return Expose(self._client, self._say, self._project_id)

    @cached_property
    def identity(self) -> Identity:
        """Public links between the wallet and a Nostr key."""
        from run402_cli.sdk.namespaces.identity import Identity

        return Identity(self._client, self._say, self._project_id)

    @cached_property
    def image(self) -> Image:
        """AI image generation, paid per call."""
        from run402_cli.sdk.namespaces.image import Image

        return Image(self._client, self._say, self._project_id)

    @cached_property
    def notifications(self) -> Notifications:
        """What operators are told."""
        from run402_cli.sdk.namespaces.notifications import Notifications

        return Notifications(self._client, self._say, self._project_id)

    @cached_property
    def operator(self) -> Operator:
        """The human behind the wallets."""
        from run402_cli.sdk.namespaces.operator import Operator

        return Operator(self._client, self._say, self._project_id)

    @cached_property
    def org(self) -> Org:
        """Organizations, members, invites, audit."""
        from run402_cli.sdk.namespaces.org import Org

        return Org(self._client, self._say, self._project_id)

    @cached_property
    def projects(self) -> Projects:
        """Projects: provision, SQL, REST, usage, members' roles."""
        from run402_cli.sdk.namespaces.projects import Projects

        return Projects(self._client, self._say, self._project_id)

    @cached_property
    def rooms(self) -> Rooms:
        """Who works on the same project, and messages between them."""
        from run402_cli.sdk.namespaces.rooms import Rooms

        return Rooms(self._client, self._say, self._project_id)

    @cached_property
    def service(self) -> Service:
        """Public health of the gateway."""
        from run402_cli.sdk.namespaces.service import Service

        return Service(self._client, self._say, self._project_id)

    @cached_property
    def tier(self) -> Tier:
        """The plan that the wallet's organization pays for."""
        from run402_cli.sdk.namespaces.tier import Tier

        return Tier(self._client, self._say, self._project_id)

    @cached_property
    def transfer(self) -> Transfer:
        """Hand a project over."""
        from run402_cli.sdk.namespaces.transfer import Transfer

        return Transfer(self._client, self._say, self._project_id)

    @cached_property
    def wallets(self) -> Wallets:
        """Named local wallets."""
        from run402_cli.sdk.namespaces.wallets import Wallets

        return Wallets(self._client, self._say, self._project_id)


class ProjectNamespaces(SharedNamespaces[str]):
    """The attributes of a project."""

    @cached_property
    def admin(self) -> ProjectAdmin[str]:
        """What platform administrators may do to projects and organizations."""
        from run402_cli.sdk.namespaces.admin import ProjectAdmin

        return ProjectAdmin(self._client, self._say, self._project_id)

    @cached_property
    def apps(self) -> ProjectApps[str]:
        """Published apps: browse, fork, publish."""
        from run402_cli.sdk.namespaces.apps import ProjectApps

        return ProjectApps(self._client, self._say, self._project_id)

    @cached_property
    def archives(self) -> ProjectArchives[str]:
        """Portable archives of a project."""
        from run402_cli.sdk.namespaces.archives import ProjectArchives

        return ProjectArchives(self._client, self._say, self._project_id)

    @cached_property
    def auth(self) -> ProjectAuth[str]:
        """Users of the project's own application."""
        from run402_cli.sdk.namespaces.auth import ProjectAuth

        return ProjectAuth(self._client, self._say, self._project_id)

    @cached_property
    def ci(self) -> ProjectCi[str]:
        """GitHub Actions workflows that deploy without a secret."""
        from run402_cli.sdk.namespaces.ci import ProjectCi

        return ProjectCi(self._client, self._say, self._project_id)

    @cached_property
    def contracts(self) -> ProjectContracts[str]:
        """Ethereum signers in a KMS, and calls through them."""
        from run402_cli.sdk.namespaces.contracts import ProjectContracts

        return ProjectContracts(self._client, self._say, self._project_id)

    @cached_property
    def credentials(self) -> ProjectCredentials[str]:
        """Project credentials on the gateway, and the project keys cached here."""
        from run402_cli.sdk.namespaces.credentials import ProjectCredentials

        return ProjectCredentials(self._client, self._say, self._project_id)

    @cached_property
    def deploy(self) -> ProjectDeploy[str]:
        """Releases: apply, plan, rehearse, promote, and what happened."""
        from run402_cli.sdk.namespaces.deploy import ProjectDeploy

        return ProjectDeploy(self._client, self._say, self._project_id)

    @cached_property
    def email(self) -> ProjectEmail[str]:
        """A project's mailboxes and their messages."""
        from run402_cli.sdk.namespaces.email import ProjectEmail

        return ProjectEmail(self._client, self._say, self._project_id)

    @cached_property
    def events(self) -> ProjectEvents[str]:
        """What happened to a project or an organization."""
        from run402_cli.sdk.namespaces.events import ProjectEvents

        return ProjectEvents(self._client, self._say, self._project_id)

    @cached_property
    def expose(self) -> ProjectExpose[str]:
        """The older name of some calls of `projects`."""
        from run402_cli.sdk.namespaces.expose import ProjectExpose

        return ProjectExpose(self._client, self._say, self._project_id)

    @cached_property
    def rooms(self) -> ProjectRooms[str]:
        """Who works on the same project, and messages between them."""
        from run402_cli.sdk.namespaces.rooms import ProjectRooms

        return ProjectRooms(self._client, self._say, self._project_id)

    @cached_property
    def transfer(self) -> ProjectTransfer[str]:
        """Hand a project over."""
        from run402_cli.sdk.namespaces.transfer import ProjectTransfer

        return ProjectTransfer(self._client, self._say, self._project_id)
