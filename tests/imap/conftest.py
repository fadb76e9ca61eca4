"""Fixtures of the IMAP tests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop

from tests.servers.certificates import Certificates, make_certificates


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Give an authority and a server certificate for 127.0.0.1 and localhost."""
    return make_certificates(Path(tmp_path_factory.mktemp("certificates")))


@pytest.fixture
def uvloop_run() -> Iterator[Callable[[Coroutine[Any, Any, Any]], Any]]:
    """Give a function that runs a coroutine on a uvloop event loop."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        yield runner.run
