"""What the tests of the extensions share with those of the mail types, and scripts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.ext import blob_lookup, sieve_script, vacation_response
from gateway.mail import blob
from tests.ext.scripting import Person
from tests.mail.conftest import Connect, _ask_the_server_each_time, client, connect
from tests.servers import cyrus_config
from tests.servers.cyrus import Cyrus
from tests.servers.dovecot import Dovecot
from tests.servers.dovecot_config import Options

__all__ = ["_ask_the_server_each_time", "client", "connect"]


@pytest.fixture
def _scripts_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the next call see what another program did with scripts."""
    monkeypatch.setattr(sieve_script, "_SECONDS", 0.0)
    monkeypatch.setattr(vacation_response, "_SECONDS", 0.0)
    monkeypatch.setattr(blob, "_SCRIPT_SECONDS", 0.0)
    monkeypatch.setattr(blob_lookup, "_SECONDS", 0.0)


@pytest.fixture(scope="session")
def without_include() -> Iterator[Dovecot]:
    """Give a Dovecot whose Sieve can not include scripts."""
    options = Options(sieve=True, extra="plugin {\n sieve_extensions = -include\n}")
    with Dovecot(options) as server:
        yield server


@pytest.fixture
async def person(_scripts_at_once: None, connect: Connect, pigeonhole: Dovecot) -> Person:
    """Give a user of `pigeonhole` without scripts."""
    return await Person.of(connect, pigeonhole)


@pytest.fixture(scope="session")
def filtering_cyrus() -> Iterator[Cyrus]:
    """Give a Cyrus with ManageSieve, whose users have addresses."""
    with Cyrus(cyrus_config.Options(sieve=True, virtdomains="userid")) as server:
        yield server


@pytest.fixture(params=["pigeonhole", "without_include", "filtering_cyrus"])
async def anyone(
    request: pytest.FixtureRequest, _scripts_at_once: None, connect: Connect
) -> Person:
    """Give a user of a server with include, of one without it, and of a Cyrus."""
    return await Person.of(connect, request.getfixturevalue(request.param))
