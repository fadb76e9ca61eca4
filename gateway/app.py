"""Design §3: puts the gateway together and runs it; the only module that knows all the others."""

from __future__ import annotations

import asyncio
import gc
import signal
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.auth.authenticator import Authenticator
from gateway.auth.limiter import FailureLimiter
from gateway.auth.oauth.fetching import Fetcher
from gateway.auth.oauth.issuer import Issuer
from gateway.auth.setup import schemes
from gateway.auth.tickets import Tickets
from gateway.config import Address, Config, ServerUrl
from gateway.ext.registry import account_capabilities, methods, session_capabilities, types
from gateway.ext.smime import Smime
from gateway.ext.submission.addresses import AddressBook
from gateway.ext.submission.service import SignIn, Submission
from gateway.http.authorization import AuthorizationServer
from gateway.http.challenge import Challenges
from gateway.http.events import Report, event_handler
from gateway.http.health import create_admin_app
from gateway.http.observe import ObservedRegistry
from gateway.http.routes import create_app
from gateway.http.server import create_runner
from gateway.http.services import Capabilities, Services
from gateway.imap.connection import Endpoint
from gateway.jmap.limits import DEFAULTS
from gateway.mail.blob import open_blob
from gateway.obs.lag import watch_lag
from gateway.obs.log import get_logger
from gateway.push.service import WebPush
from gateway.sasl import Credentials, Master
from gateway.smime.trust import Trust
from gateway.smtp.connection import Server
from gateway.store import Durable, Store, StoreError, StoreUnavailable, open_store
from gateway.store.keyring import Keyring
from gateway.store.opening import open_windows
from gateway.store.windows import Windows
from gateway.sync.accounts import Accounts, Settings
from gateway.sync.memory import keep_pages
from gateway.sync.sieve_access import SieveSettings
from gateway.sync.way_in import MasterUser, SealedPasswords, WayIn
from gateway.webpush.vapid import Vapid

# On stopping, requests have this long to finish.
_SHUTDOWN_SECONDS = 20.0

# So often the room of expired uploads is freed.
_SWEEP_SECONDS = 600.0

# Connections that may wait to be accepted: aiohttp's 128 are refused by a crowd of clients.
_BACKLOG = 4096

log = get_logger(__name__)


async def serve(config: Config, announce: Callable[[str], None]) -> None:
    """Run until SIGTERM or SIGINT, then finish what is under way.

    `announce` is given the URL of the service once it answers. Raises OSError when a listener can
    not be opened, ssl.SSLError for CA files that are none, StoreError for a store that is no use.
    """
    keep_pages()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with running(config) as url:
        _settle_garbage()
        log.info("ready", url=url)
        announce(url)
        await stop.wait()
        log.info("stopping")
    log.info("stopped")


# A pass over all there is stops the event loop for a tenth of a second and more. Accounts that go
# out of memory do not need it: it is to come once in a million objects, not every few seconds.
_GARBAGE = (5_000, 10, 20)


def _settle_garbage() -> None:
    """Let the collector pass over what lives as long as the process: a pause for all users less."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GARBAGE)


@asynccontextmanager
async def running(config: Config) -> AsyncIterator[str]:
    """Serve inside the block, which gets the URL of the service; see `serve` for errors.

    At the end no more requests are taken, those under way are answered, the accounts are saved
    and their connections closed, and last the store.
    """
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(_beside(watch_lag()))
        settings = imap_settings(config)
        store = await _open_store(config)
        stack.push_async_callback(store.close)
        await stack.enter_async_context(_beside(_sweep(store.durable)))
        accounts = Accounts(settings, store)
        stack.push_async_callback(accounts.close)
        server = config.server
        web_push = make_web_push(config, store.durable, accounts)
        if web_push is not None:
            await stack.enter_async_context(_beside(web_push.run()))
        admin = create_admin_app(store.ping, _event_handler(config, accounts, web_push))
        await _listen(stack, admin, server.admin_listen)
        submission = make_submission(config, store.durable, accounts)
        if submission is not None:
            await stack.enter_async_context(_beside(submission.run()))
        windows = open_windows(*_store_place(config))
        stack.push_async_callback(windows.close)
        issuer = await stack.enter_async_context(open_issuer(config))
        tickets, smime = Tickets(store.durable), make_smime(config)
        services = make_services(
            config, accounts, windows, tickets, submission, smime, web_push, issuer
        )
        app = create_app(services)
        listening = await _listen(stack, app, server.listen)
        yield server.public_url or f"http://{listening}"


def _event_handler(config: Config, accounts: Accounts, web_push: WebPush | None) -> Handler | None:
    """What takes the reports of the mail server, if it is to make any."""
    secret = config.events.secret
    if secret is None:
        return None

    def heard(report: Report) -> None:
        for account in accounts.reported(report.username, report.mailboxes):
            account.mark_changed()
        if web_push is not None:
            web_push.reported(report.username, is_delivery=report.is_delivery)

    return event_handler(heard, secret.reveal())


def make_web_push(config: Config, durable: Durable, accounts: Accounts) -> WebPush | None:
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
    )


def make_services(
    config: Config,
    accounts: Accounts,
    windows: Windows,
    tickets: Tickets,
    submission: Submission | None = None,
    smime: Smime | None = None,
    web_push: WebPush | None = None,
    issuer: Issuer | None = None,
) -> Services:
    """What the endpoints work with."""

    def capabilities(account: Any) -> Capabilities:
        found = session_capabilities(account, submission, smime)
        return found | (web_push.capabilities if web_push is not None else {})

    auth = config.auth
    limiter = FailureLimiter(
        windows, per_minute=auth.failures_per_minute, per_day=auth.failures_per_day
    )
    authenticator = Authenticator(
        [*schemes(config, issuer, master_user(config))],
        accounts,
        limiter,
        cache_seconds=auth.cache_seconds,
    )
    return Services(
        server=config.server,
        limits=DEFAULTS,
        authenticator=authenticator,
        registry=ObservedRegistry(
            (*types(submission, smime), *(web_push.types if web_push is not None else ())),
            methods(submission),
            on_login_refused=authenticator.forget,
        ),
        capabilities=capabilities,
        account_capabilities=partial(account_capabilities, submission=submission, smime=smime),
        accounts=accounts,
        open_blob=open_blob,
        tickets=tickets,
        challenges=Challenges(
            config.server, has_passwords=auth.passwords, has_tokens=issuer is not None
        ),
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


def make_submission(config: Config, durable: Durable, accounts: Accounts) -> Submission | None:
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
    return Submission(durable, accounts, server, sign_in, book, any_from=identities.any_from)


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


async def _open_store(config: Config) -> Store:
    """The store. A Redis that is away may come back, and nothing in it is needed to start."""
    store = open_store(*_store_place(config))
    try:
        await store.ping()
    except StoreError as error:
        if not (isinstance(error, StoreUnavailable) and error.backend == "redis"):
            await store.close()
            raise
        log.warning("store unavailable", backend=error.backend, reason=error.reason)
    else:
        await _tell_risks(store.durable)
    return store


def _store_place(config: Config) -> tuple[str | None, bytes | None, Path]:
    url, secret = config.store.url, config.store.secret
    return (
        url.reveal() if url else None,
        secret.reveal().encode() if secret else None,
        config.server.data_dir,
    )


async def _tell_risks(durable: Durable) -> None:
    """Design §7: whoever set the store up should know what it may lose, which is uploads."""
    with suppress(StoreError):  # what it fails at now, it fails at when it is needed
        for risk in await durable.risks():
            log.warning("durable data at risk", reason=risk)


async def _sweep(durable: Durable) -> None:
    """Free the room of expired values now and then."""
    while True:
        with suppress(StoreError):
            await durable.sweep()
        await asyncio.sleep(_SWEEP_SECONDS)


@asynccontextmanager
async def _beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Have the work done beside everything else, inside the block."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait((task,))


async def _listen(stack: AsyncExitStack, app: web.Application, address: Address) -> Address:
    """Serve the app until the stack ends; gives the address with the port that was taken."""
    runner = create_runner(app, shutdown_seconds=_SHUTDOWN_SECONDS)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, address.host, address.port, backlog=_BACKLOG).start()
    return Address(address.host, runner.addresses[0][1])
