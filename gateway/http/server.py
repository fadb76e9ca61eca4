"""RFC 9112: how HTTP connections are served."""

from __future__ import annotations

import logging

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

# Idle connections, and those slow to send a request's head, are closed after this. Longer than
# proxies keep theirs (nginx: 60 s), so that no request meets a connection just being closed.
_KEEPALIVE_SECONDS = 75.0


def create_runner(app: web.Application, *, shutdown_seconds: float) -> web.AppRunner:
    """Serve the app; on cleanup, requests under way have that long to finish."""
    return web.AppRunner(
        app,
        keepalive_timeout=_KEEPALIVE_SECONDS,
        shutdown_timeout=shutdown_seconds,
        access_log=None,  # observe() logs requests, without their paths
        auto_decompress=False,  # require_json() refuses what is compressed
        # What a client that went away had asked for is not worth the mail server's time.
        handler_cancellation=True,
        logger=_logger(),
    )


def _logger() -> logging.Logger:
    """Where aiohttp tells what went wrong outside of handlers."""
    logger = logging.getLogger(__name__)
    if not logger.filters:
        logger.addFilter(_is_ours)
    return logger


def _is_ours(record: logging.LogRecord) -> bool:
    """Leave out octets that are not HTTP: the Internet is full of them, and they get their 400."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))
