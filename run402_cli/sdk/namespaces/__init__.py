"""The namespaces as attributes; each module is imported when its attribute is first used.

Made by docs/generate_sdk.py; edit that, or the functions that are called here.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from run402_cli.sdk._namespace import Namespace

if TYPE_CHECKING:
    from run402_cli.sdk.namespaces.admin import Admin, ProjectAdmin
    from run402_cli.sdk.namespaces.agent import Agent
    from run402_cli.sdk.namespaces.ai import Ai, ProjectAi
    from run402_cli.sdk.namespaces.allowance import Allowance
    from run402_cli.sdk.namespaces.apps import Apps, ProjectApps
    from run402_cli.sdk.namespaces.archives import Archives, ProjectArchives
    from run402_cli.sdk.namespaces.assets import Assets, ProjectAssets
    from run402_cli.sdk.namespaces.auth import Auth, ProjectAuth
    from run402_cli.sdk.namespaces.billing import Billing
    from run402_cli.sdk.namespaces.branches import Branches, ProjectBranches
    from run402_cli.sdk.namespaces.cache import Cache
    from run402_cli.sdk.namespaces.cdn import Cdn, ProjectCdn
    from run402_cli.sdk.namespaces.ci import Ci, ProjectCi
    from run402_cli.sdk.namespaces.claims import Claims
    from run402_cli.sdk.namespaces.contracts import Contracts, ProjectContracts
    from run402_cli.sdk.namespaces.credentials import Credentials, ProjectCredentials
    from run402_cli.sdk.namespaces.delegates import Delegates, ProjectDelegates
    from run402_cli.sdk.namespaces.deploy import Deploy, ProjectDeploy
    from run402_cli.sdk.namespaces.domains import Domains, ProjectDomains
    from run402_cli.sdk.namespaces.email import Email, ProjectEmail
    from run402_cli.sdk.namespaces.email_webhooks import EmailWebhooks, ProjectEmailWebhooks
    from run402_cli.sdk.namespaces.errors import Errors, ProjectErrors
    from run402_cli.sdk.namespaces.escalations import Escalations
    from run402_cli.sdk.namespaces.events import Events, ProjectEvents
    from run402_cli.sdk.namespaces.expose import Expose, ProjectExpose
    from run402_cli.sdk.namespaces.function_runs import FunctionRuns, ProjectFunctionRuns
    from run402_cli.sdk.namespaces.functions import Functions, ProjectFunctions
    from run402_cli.sdk.namespaces.grants import Grants, ProjectGrants
    from run402_cli.sdk.namespaces.identity import Identity
    from run402_cli.sdk.namespaces.image import Image
    from run402_cli.sdk.namespaces.jobs import Jobs, ProjectJobs
    from run402_cli.sdk.namespaces.logs import Logs, ProjectLogs
    from run402_cli.sdk.namespaces.mailboxes import Mailboxes, ProjectMailboxes
    from run402_cli.sdk.namespaces.notifications import Notifications
    from run402_cli.sdk.namespaces.operator import Operator
    from run402_cli.sdk.namespaces.org import Org
    from run402_cli.sdk.namespaces.projects import Projects
    from run402_cli.sdk.namespaces.rooms import ProjectRooms, Rooms
    from run402_cli.sdk.namespaces.secrets import ProjectSecrets, Secrets
    from run402_cli.sdk.namespaces.service import Service
    from run402_cli.sdk.namespaces.sites import ProjectSites, Sites
    from run402_cli.sdk.namespaces.snapshots import ProjectSnapshots, Snapshots
    from run402_cli.sdk.namespaces.subdomains import ProjectSubdomains, Subdomains
    from run402_cli.sdk.namespaces.tier import Tier
    from run402_cli.sdk.namespaces.transfer import ProjectTransfer, Transfer
    from run402_cli.sdk.namespaces.wallets import Wallets


class Namespaces(Namespace):
    """The attributes of Run402."""

    @cached_property
    def admin(self) -> Admin:
        """What platform administrators may do to projects and organizations."""
        from run402_cli.sdk.namespaces.admin import Admin

        return Admin(self._client, self._say)

    @cached_property
    def agent(self) -> Agent:
        """The contact record of the wallet, and messages to the developers of Run402."""
        from run402_cli.sdk.namespaces.agent import Agent

        return Agent(self._client, self._say)

    @cached_property
    def ai(self) -> Ai:
        """Translation and moderation for a project."""
        from run402_cli.sdk.namespaces.ai import Ai

        return Ai(self._client, self._say)

    @cached_property
    def allowance(self) -> Allowance:
        """The wallet's money: balance, limits, ledger, promo codes."""
        from run402_cli.sdk.namespaces.allowance import Allowance

        return Allowance(self._client, self._say)

    @cached_property
    def apps(self) -> Apps:
        """Published apps: browse, fork, publish."""
        from run402_cli.sdk.namespaces.apps import Apps

        return Apps(self._client, self._say)

    @cached_property
    def archives(self) -> Archives:
        """Portable archives of a project."""
        from run402_cli.sdk.namespaces.archives import Archives

        return Archives(self._client, self._say)

    @cached_property
    def assets(self) -> Assets:
        """Files in content-addressed storage."""
        from run402_cli.sdk.namespaces.assets import Assets

        return Assets(self._client, self._say)

    @cached_property
    def auth(self) -> Auth:
        """Users of the project's own application."""
        from run402_cli.sdk.namespaces.auth import Auth

        return Auth(self._client, self._say)

    @cached_property
    def billing(self) -> Billing:
        """Balance, ledger and card checkouts of an organization."""
        from run402_cli.sdk.namespaces.billing import Billing

        return Billing(self._client, self._say)

    @cached_property
    def branches(self) -> Branches:
        """Copies of a project to try things on."""
        from run402_cli.sdk.namespaces.branches import Branches

        return Branches(self._client, self._say)

    @cached_property
    def cache(self) -> Cache:
        """The origin cache of server-rendered pages."""
        from run402_cli.sdk.namespaces.cache import Cache

        return Cache(self._client, self._say)

    @cached_property
    def cdn(self) -> Cdn:
        """Freshness of public asset URLs."""
        from run402_cli.sdk.namespaces.cdn import Cdn

        return Cdn(self._client, self._say)

    @cached_property
    def ci(self) -> Ci:
        """GitHub Actions workflows that deploy without a secret."""
        from run402_cli.sdk.namespaces.ci import Ci

        return Ci(self._client, self._say)

    @cached_property
    def claims(self) -> Claims:
        """Advisory claims on what a session is working on."""
        from run402_cli.sdk.namespaces.claims import Claims

        return Claims(self._client, self._say)

    @cached_property
    def contracts(self) -> Contracts:
        """Ethereum signers in a KMS, and calls through them."""
        from run402_cli.sdk.namespaces.contracts import Contracts

        return Contracts(self._client, self._say)

    @cached_property
    def credentials(self) -> Credentials:
        """Project credentials on the gateway, and the project keys cached here."""
        from run402_cli.sdk.namespaces.credentials import Credentials

        return Credentials(self._client, self._say)

    @cached_property
    def delegates(self) -> Delegates:
        """Scoped, revocable tokens for agents."""
        from run402_cli.sdk.namespaces.delegates import Delegates

        return Delegates(self._client, self._say)

    @cached_property
    def deploy(self) -> Deploy:
        """Releases: apply, plan, rehearse, promote, and what happened."""
        from run402_cli.sdk.namespaces.deploy import Deploy

        return Deploy(self._client, self._say)

    @cached_property
    def domains(self) -> Domains:
        """Own domains for the web and e-mail of a project."""
        from run402_cli.sdk.namespaces.domains import Domains

        return Domains(self._client, self._say)

    @cached_property
    def email(self) -> Email:
        """A project's mailboxes and their messages."""
        from run402_cli.sdk.namespaces.email import Email

        return Email(self._client, self._say)

    @cached_property
    def email_webhooks(self) -> EmailWebhooks:
        """Webhooks of a mailbox."""
        from run402_cli.sdk.namespaces.email_webhooks import EmailWebhooks

        return EmailWebhooks(self._client, self._say)

    @cached_property
    def errors(self) -> Errors:
        """Errors of functions by identity."""
        from run402_cli.sdk.namespaces.errors import Errors

        return Errors(self._client, self._say)

    @cached_property
    def escalations(self) -> Escalations:
        """Page the humans of an organization."""
        from run402_cli.sdk.namespaces.escalations import Escalations

        return Escalations(self._client, self._say)

    @cached_property
    def events(self) -> Events:
        """What happened to a project or an organization."""
        from run402_cli.sdk.namespaces.events import Events

        return Events(self._client, self._say)

    @cached_property
    def expose(self) -> Expose:
        """The older name of some calls of `projects`."""
        from run402_cli.sdk.namespaces.expose import Expose

        return Expose(self._client, self._say)

    @cached_property
    def function_runs(self) -> FunctionRuns:
        """Durable runs of functions."""
        from run402_cli.sdk.namespaces.function_runs import FunctionRuns

        return FunctionRuns(self._client, self._say)

    @cached_property
    def functions(self) -> Functions:
        """Deploy, call and inspect serverless functions."""
        from run402_cli.sdk.namespaces.functions import Functions

        return Functions(self._client, self._say)

    @cached_property
    def grants(self) -> Grants:
        """Single capabilities on a project for wallets that are no members."""
        from run402_cli.sdk.namespaces.grants import Grants

        return Grants(self._client, self._say)

    @cached_property
    def identity(self) -> Identity:
        """Public links between the wallet and a Nostr key."""
        from run402_cli.sdk.namespaces.identity import Identity

        return Identity(self._client, self._say)

    @cached_property
    def image(self) -> Image:
        """AI image generation, paid per call."""
        from run402_cli.sdk.namespaces.image import Image

        return Image(self._client, self._say)

    @cached_property
    def jobs(self) -> Jobs:
        """Platform-managed jobs."""
        from run402_cli.sdk.namespaces.jobs import Jobs

        return Jobs(self._client, self._say)

    @cached_property
    def logs(self) -> Logs:
        """Log entries of one request, across functions."""
        from run402_cli.sdk.namespaces.logs import Logs

        return Logs(self._client, self._say)

    @cached_property
    def mailboxes(self) -> Mailboxes:
        """The older name of some calls of `email`."""
        from run402_cli.sdk.namespaces.mailboxes import Mailboxes

        return Mailboxes(self._client, self._say)

    @cached_property
    def notifications(self) -> Notifications:
        """What operators are told."""
        from run402_cli.sdk.namespaces.notifications import Notifications

        return Notifications(self._client, self._say)

    @cached_property
    def operator(self) -> Operator:
        """The human behind the wallets."""
        from run402_cli.sdk.namespaces.operator import Operator

        return Operator(self._client, self._say)

    @cached_property
    def org(self) -> Org:
        """Organizations, members, invites, audit."""
        from run402_cli.sdk.namespaces.org import Org

        return Org(self._client, self._say)

    @cached_property
    def projects(self) -> Projects:
        """Projects: provision, SQL, REST, usage, members' roles."""
        from run402_cli.sdk.namespaces.projects import Projects

        return Projects(self._client, self._say)

    @cached_property
    def rooms(self) -> Rooms:
        """Who works on the same project, and messages between them."""
        from run402_cli.sdk.namespaces.rooms import Rooms

        return Rooms(self._client, self._say)

    @cached_property
    def secrets(self) -> Secrets:
        """Write-only environment variables of functions."""
        from run402_cli.sdk.namespaces.secrets import Secrets

        return Secrets(self._client, self._say)

    @cached_property
    def service(self) -> Service:
        """Public health of the gateway."""
        from run402_cli.sdk.namespaces.service import Service

        return Service(self._client, self._say)

    @cached_property
    def sites(self) -> Sites:
        """Static sites."""
        from run402_cli.sdk.namespaces.sites import Sites

        return Sites(self._client, self._say)

    @cached_property
    def snapshots(self) -> Snapshots:
        """Snapshots of a project's data."""
        from run402_cli.sdk.namespaces.snapshots import Snapshots

        return Snapshots(self._client, self._say)

    @cached_property
    def subdomains(self) -> Subdomains:
        """Names below run402.com."""
        from run402_cli.sdk.namespaces.subdomains import Subdomains

        return Subdomains(self._client, self._say)

    @cached_property
    def tier(self) -> Tier:
        """The plan that the wallet's organization pays for."""
        from run402_cli.sdk.namespaces.tier import Tier

        return Tier(self._client, self._say)

    @cached_property
    def transfer(self) -> Transfer:
        """Hand a project over."""
        from run402_cli.sdk.namespaces.transfer import Transfer

        return Transfer(self._client, self._say)

    @cached_property
    def wallets(self) -> Wallets:
        """Named local wallets."""
        from run402_cli.sdk.namespaces.wallets import Wallets

        return Wallets(self._client, self._say)


class ProjectNamespaces(Namespace):
    """The attributes of a project."""

    @cached_property
    def admin(self) -> ProjectAdmin:
        """What platform administrators may do to projects and organizations."""
        from run402_cli.sdk.namespaces.admin import ProjectAdmin

        return ProjectAdmin(self._client, self._say, self._project_id)

    @cached_property
    def ai(self) -> ProjectAi:
        """Translation and moderation for a project."""
        from run402_cli.sdk.namespaces.ai import ProjectAi

        return ProjectAi(self._client, self._say, self._project_id)

    @cached_property
    def apps(self) -> ProjectApps:
        """Published apps: browse, fork, publish."""
        from run402_cli.sdk.namespaces.apps import ProjectApps

        return ProjectApps(self._client, self._say, self._project_id)

    @cached_property
    def archives(self) -> ProjectArchives:
        """Portable archives of a project."""
        from run402_cli.sdk.namespaces.archives import ProjectArchives

        return ProjectArchives(self._client, self._say, self._project_id)

    @cached_property
    def assets(self) -> ProjectAssets:
        """Files in content-addressed storage."""
        from run402_cli.sdk.namespaces.assets import ProjectAssets

        return ProjectAssets(self._client, self._say, self._project_id)

    @cached_property
    def auth(self) -> ProjectAuth:
        """Users of the project's own application."""
        from run402_cli.sdk.namespaces.auth import ProjectAuth

        return ProjectAuth(self._client, self._say, self._project_id)

    @cached_property
    def branches(self) -> ProjectBranches:
        """Copies of a project to try things on."""
        from run402_cli.sdk.namespaces.branches import ProjectBranches

        return ProjectBranches(self._client, self._say, self._project_id)

    @cached_property
    def cdn(self) -> ProjectCdn:
        """Freshness of public asset URLs."""
        from run402_cli.sdk.namespaces.cdn import ProjectCdn

        return ProjectCdn(self._client, self._say, self._project_id)

    @cached_property
    def ci(self) -> ProjectCi:
        """GitHub Actions workflows that deploy without a secret."""
        from run402_cli.sdk.namespaces.ci import ProjectCi

        return ProjectCi(self._client, self._say, self._project_id)

    @cached_property
    def contracts(self) -> ProjectContracts:
        """Ethereum signers in a KMS, and calls through them."""
        from run402_cli.sdk.namespaces.contracts import ProjectContracts

        return ProjectContracts(self._client, self._say, self._project_id)

    @cached_property
    def credentials(self) -> ProjectCredentials:
        """Project credentials on the gateway, and the project keys cached here."""
        from run402_cli.sdk.namespaces.credentials import ProjectCredentials

        return ProjectCredentials(self._client, self._say, self._project_id)

    @cached_property
    def delegates(self) -> ProjectDelegates:
        """Scoped, revocable tokens for agents."""
        from run402_cli.sdk.namespaces.delegates import ProjectDelegates

        return ProjectDelegates(self._client, self._say, self._project_id)

    @cached_property
    def deploy(self) -> ProjectDeploy:
        """Releases: apply, plan, rehearse, promote, and what happened."""
        from run402_cli.sdk.namespaces.deploy import ProjectDeploy

        return ProjectDeploy(self._client, self._say, self._project_id)

    @cached_property
    def domains(self) -> ProjectDomains:
        """Own domains for the web and e-mail of a project."""
        from run402_cli.sdk.namespaces.domains import ProjectDomains

        return ProjectDomains(self._client, self._say, self._project_id)

    @cached_property
    def email(self) -> ProjectEmail:
        """A project's mailboxes and their messages."""
        from run402_cli.sdk.namespaces.email import ProjectEmail

        return ProjectEmail(self._client, self._say, self._project_id)

    @cached_property
    def email_webhooks(self) -> ProjectEmailWebhooks:
        """Webhooks of a mailbox."""
        from run402_cli.sdk.namespaces.email_webhooks import ProjectEmailWebhooks

        return ProjectEmailWebhooks(self._client, self._say, self._project_id)

    @cached_property
    def errors(self) -> ProjectErrors:
        """Errors of functions by identity."""
        from run402_cli.sdk.namespaces.errors import ProjectErrors

        return ProjectErrors(self._client, self._say, self._project_id)

    @cached_property
    def events(self) -> ProjectEvents:
        """What happened to a project or an organization."""
        from run402_cli.sdk.namespaces.events import ProjectEvents

        return ProjectEvents(self._client, self._say, self._project_id)

    @cached_property
    def expose(self) -> ProjectExpose:
        """The older name of some calls of `projects`."""
        from run402_cli.sdk.namespaces.expose import ProjectExpose

        return ProjectExpose(self._client, self._say, self._project_id)

    @cached_property
    def function_runs(self) -> ProjectFunctionRuns:
        """Durable runs of functions."""
        from run402_cli.sdk.namespaces.function_runs import ProjectFunctionRuns

        return ProjectFunctionRuns(self._client, self._say, self._project_id)

    @cached_property
    def functions(self) -> ProjectFunctions:
        """Deploy, call and inspect serverless functions."""
        from run402_cli.sdk.namespaces.functions import ProjectFunctions

        return ProjectFunctions(self._client, self._say, self._project_id)

    @cached_property
    def grants(self) -> ProjectGrants:
        """Single capabilities on a project for wallets that are no members."""
        from run402_cli.sdk.namespaces.grants import ProjectGrants

        return ProjectGrants(self._client, self._say, self._project_id)

    @cached_property
    def jobs(self) -> ProjectJobs:
        """Platform-managed jobs."""
        from run402_cli.sdk.namespaces.jobs import ProjectJobs

        return ProjectJobs(self._client, self._say, self._project_id)

    @cached_property
    def logs(self) -> ProjectLogs:
        """Log entries of one request, across functions."""
        from run402_cli.sdk.namespaces.logs import ProjectLogs

        return ProjectLogs(self._client, self._say, self._project_id)

    @cached_property
    def mailboxes(self) -> ProjectMailboxes:
        """The older name of some calls of `email`."""
        from run402_cli.sdk.namespaces.mailboxes import ProjectMailboxes

        return ProjectMailboxes(self._client, self._say, self._project_id)

    @cached_property
    def rooms(self) -> ProjectRooms:
        """Who works on the same project, and messages between them."""
        from run402_cli.sdk.namespaces.rooms import ProjectRooms

        return ProjectRooms(self._client, self._say, self._project_id)

    @cached_property
    def secrets(self) -> ProjectSecrets:
        """Write-only environment variables of functions."""
        from run402_cli.sdk.namespaces.secrets import ProjectSecrets

        return ProjectSecrets(self._client, self._say, self._project_id)

    @cached_property
    def sites(self) -> ProjectSites:
        """Static sites."""
        from run402_cli.sdk.namespaces.sites import ProjectSites

        return ProjectSites(self._client, self._say, self._project_id)

    @cached_property
    def snapshots(self) -> ProjectSnapshots:
        """Snapshots of a project's data."""
        from run402_cli.sdk.namespaces.snapshots import ProjectSnapshots

        return ProjectSnapshots(self._client, self._say, self._project_id)

    @cached_property
    def subdomains(self) -> ProjectSubdomains:
        """Names below run402.com."""
        from run402_cli.sdk.namespaces.subdomains import ProjectSubdomains

        return ProjectSubdomains(self._client, self._say, self._project_id)

    @cached_property
    def transfer(self) -> ProjectTransfer:
        """Hand a project over."""
        from run402_cli.sdk.namespaces.transfer import ProjectTransfer

        return ProjectTransfer(self._client, self._say, self._project_id)
