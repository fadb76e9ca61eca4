"""Design §3: the parts of the gateway, made as the configuration says."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from limits import RateLimitItemPerHour, RateLimitItemPerMinute

from gateway.auth.authenticator import Authenticator
from gateway.auth.limiter import FailureLimiter
from gateway.auth.oauth.fetching import Fetcher
from gateway.auth.oauth.issuer import Issuer
from gateway.auth.setup import schemes
from gateway.auth.tickets import Tickets
from gateway.config import Config, ServerUrl
from gateway.ext import registry
from gateway.ext.smime import Smime
from gateway.ext.submission.addresses import AddressBook
from gateway.ext.submission.service import SignIn, Submission
from gateway.http.authorization import AuthorizationServer
from gateway.http.challenge import Challenges
from gateway.http.observe import ObservedRegistry
from gateway.http.services import Capabilities, Services
from gateway.imap.connection import Endpoint
from gateway.jmap.limits import DEFAULTS
from gateway.mail.blob import open_blob
from gateway.push.service import WebPush
from gateway.sasl import Credentials, Master
from gateway.smime.trust import Trust
from gateway.smtp.connection import Server
from gateway.store import Durable
from gateway.store.keyring import Keyring
from gateway.store.windows import Windows
from gateway.sync.account import Account
from gateway.sync.accounts import Accounts, Settings
from gateway.sync.budgets import Budgets, Kind
from gateway.sync.shares import Share
from gateway.sync.sieve_access import SieveSettings
from gateway.sync.way_in import MasterUser, SealedPasswords, WayIn
from gateway.webpush.vapid import Vapid


def make_web_push(
    config: Config, durable: Durable, accounts: Accounts, smime: Smime | None
) -> WebPush | None:
    """What pushes to phones and browsers, if something tells of users who are away.

    Raises OSError, ValueError and ssl.SSLError for files that are no use.
    """
    push, reports = config.push, config.events.secret is not None
    way_in: WayIn | None = None
    if (master := master_user(config)) is not None:
        way_in = MasterUser(master)
    elif push.password_keys is not None:
        keys = [key.encode() for key in push.password_keys.reveal_each()]
        way_in = SealedPasswords(durable, Keyring(keys))
    elif not reports:
        return None
    vapid = None
    if push.server_key is not None:
        vapid = Vapid.load(push.server_key.read_bytes(), push.contact)
    return WebPush(
        durable,
        accounts,
        way_in,
        reports=reports,
        networks=push.networks,
        ssl_context=ssl.create_default_context(cafile=push.ca_file),
        vapid=vapid,
        contact=push.contact,
        email=registry.email_type(smime),
    )


def make_authenticator(
    config: Config, accounts: Accounts, windows: Windows, issuer: Issuer | None
) -> Authenticator[Account]:
    """Who lets users in."""
    auth = config.auth
    limiter = FailureLimiter(
        windows, per_minute=auth.failures_per_minute, per_day=auth.failures_per_day
    )
    ways = [*schemes(config, issuer, master_user(config))]
    return Authenticator(ways, accounts, limiter, cache_seconds=auth.cache_seconds)


def make_budgets(config: Config, windows: Windows) -> Budgets:
    """How much users may have of what."""
    budgets = config.budgets
    limits = {
        Kind.MESSAGES: RateLimitItemPerHour(budgets.messages_per_hour),
        Kind.RECIPIENTS: RateLimitItemPerHour(budgets.recipients_per_hour),
        Kind.UPLOADS: RateLimitItemPerHour(budgets.uploads_per_hour),
        Kind.REQUESTS: RateLimitItemPerMinute(budgets.requests_per_minute),
    }
    return Budgets(windows, {kind: limit for kind, limit in limits.items() if limit.amount})


def make_services(
    config: Config,
    accounts: Accounts,
    authenticator: Authenticator[Account],
    budgets: Budgets,
    tickets: Tickets,
    *,
    submission: Submission | None,
    smime: Smime | None,
    web_push: WebPush | None,
    issuer: Issuer | None,
) -> Services:
    """What the endpoints work with."""

    def capabilities(account: Any) -> Capabilities:
        found = registry.session_capabilities(account, submission, smime)
        return found | (web_push.capabilities if web_push is not None else {})

    def of_account(account: Account | Share) -> Capabilities:
        found = registry.account_capabilities(account, submission, smime)
        return found | (web_push.account_capabilities if web_push is not None else {})

    return Services(
        server=config.server,
        limits=DEFAULTS,
        authenticator=authenticator,
        registry=ObservedRegistry(
            (*registry.types(submission, smime), *(web_push.types if web_push is not None else ())),
            registry.methods(submission),
            on_login_refused=authenticator.forget,
        ),
        capabilities=capabilities,
        account_capabilities=of_account,
        accounts=accounts,
        open_blob=open_blob,
        tickets=tickets,
        challenges=Challenges(
            config.server, has_passwords=config.auth.passwords, has_tokens=issuer is not None
        ),
        budgets=budgets,
        authorization=_authorization(config, issuer),
    )


def _authorization(config: Config, issuer: Issuer | None) -> AuthorizationServer | None:
    if issuer is None:
        return None
    scopes = (*config.oauth.scopes, *config.oauth.read_scopes)
    return AuthorizationServer(issuer.url, scopes, issuer.metadata)


@asynccontextmanager
async def open_issuer(config: Config) -> AsyncIterator[Issuer | None]:
    """Who issues access tokens, if anybody does. Raises ssl.SSLError for a CA file that is none."""
    oauth = config.oauth
    if oauth.issuer is None:
        yield None
        return
    fetcher = Fetcher(ssl.create_default_context(cafile=oauth.ca_file))
    try:
        yield Issuer(oauth.issuer, fetcher)
    finally:
        await fetcher.close()


def make_submission(
    config: Config, durable: Durable, accounts: Accounts, budgets: Budgets
) -> Submission | None:
    """What sends, if there is a submission server.

    Raises ValueError for a file of aliases that is none, ssl.SSLError.
    """
    smtp, identities = config.smtp, config.identities
    if smtp.url is None:
        return None
    context = tls_context(smtp.url, smtp.ca_file)
    server = Server(
        smtp.url, context, smtp.connect_timeout, smtp.command_timeout, smtp.data_timeout
    )
    relay = None
    if smtp.relay_user is not None and smtp.relay_password is not None:
        relay = Credentials(smtp.relay_user, smtp.relay_password.reveal())
    sign_in = SignIn(
        as_user=smtp.sign_in == "user",
        relay=relay if smtp.sign_in == "relay" else None,
        master=master_user(config) if smtp.sign_in == "master" else None,
    )
    book = AddressBook(identities.addresses, identities.aliases)
    return Submission(
        durable, accounts, server, sign_in, book, budgets, any_from=identities.any_from
    )


def make_smime(config: Config) -> Smime | None:
    """What verifies signatures. Raises ValueError for a file without authorities."""
    authorities = config.smime.authorities
    return Smime(Trust.read(authorities)) if authorities is not None else None


def master_user(config: Config) -> Master | None:
    """The user of the mail server who may act for all others, if there is one."""
    imap = config.imap
    if imap.master_user is None or imap.master_password is None:
        return None
    return Master(imap.master_user, imap.master_password.reveal())


def imap_settings(config: Config) -> Settings:
    """How the mail server is reached."""
    imap = config.imap
    return Settings(
        endpoint=Endpoint(imap.url.host, imap.url.port, imap.url.security),
        ssl_context=tls_context(imap.url, imap.ca_file),
        connections=imap.connections_per_account,
        connect_seconds=imap.connect_timeout,
        silence_seconds=imap.command_timeout,
        idle_seconds=imap.idle_seconds,
        memory_bytes=config.cache.memory_bytes,
        server_events=config.events.secret is not None,
        upload_quota=config.uploads.quota_bytes,
        sieve=sieve_settings(config),
        logins_per_second=imap.logins_per_second,
    )


def sieve_settings(config: Config) -> SieveSettings | None:
    """How the ManageSieve server is reached, if there is one."""
    sieve = config.sieve
    if sieve.url is None:
        return None
    return SieveSettings(
        sieve.url,
        tls_context(sieve.url, sieve.ca_file),
        connect_seconds=sieve.connect_timeout,
        command_seconds=sieve.command_timeout,
    )


def tls_context(url: ServerUrl, ca_file: Path | None) -> ssl.SSLContext | None:
    """RFC 8314 §4, §5: TLS 1.2 or later, with a certificate that verifies; None for plain text.

    Raises ssl.SSLError if `ca_file` has no certificates.
    """
    if url.security == "plain":
        return None
    context = ssl.create_default_context(cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
