"""Design §3: puts the gateway together and runs it; the only package that knows all the others."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.app.garbage import collect_what_grows
from gateway.app.parts import (
    imap_settings,
    make_authenticator,
    make_budgets,
    make_services,
    make_smime,
    make_submission,
    make_web_push,
    open_issuer,
)
from gateway.auth.tickets import Tickets
from gateway.config import Address, Config
from gateway.http.events import Report, event_handler
from gateway.http.health import create_admin_app
from gateway.http.routes import create_app
from gateway.http.server import create_runner
from gateway.obs.lag import watch_lag
from gateway.obs.log import get_logger
from gateway.push.service import WebPush
from gateway.store import Durable, Store, StoreError, StoreUnavailable, open_store
from gateway.store.opening import open_windows
from gateway.sync.accounts import Accounts
from gateway.sync.memory import keep_pages

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
    async with running(config) as url, _beside(collect_what_grows()):
        log.info("ready", url=url)
        announce(url)
        await stop.wait()
        log.info("stopping")
    log.info("stopped")


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
        smime = make_smime(config)
        web_push = make_web_push(config, store.durable, accounts, smime)
        if web_push is not None:
            await stack.enter_async_context(_beside(web_push.run()))
        admin = create_admin_app(store.ping, _event_handler(config, accounts, web_push))
        await _listen(stack, admin, server.admin_listen)
        windows = open_windows(*_store_place(config))
        stack.push_async_callback(windows.close)
        budgets = make_budgets(config, windows)
        submission = make_submission(config, store.durable, accounts, budgets)
        if submission is not None:
            await stack.enter_async_context(_beside(submission.run()))
        issuer = await stack.enter_async_context(open_issuer(config))
        services = make_services(
            config,
            accounts,
            make_authenticator(config, accounts, windows, issuer),
            budgets,
            Tickets(store.durable),
            submission=submission,
            smime=smime,
            web_push=web_push,
            issuer=issuer,
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
