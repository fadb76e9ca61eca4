"""Fixtures of the ManageSieve tests."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.certificates import Certificates, make_certificates
from tests.servers.dovecot import Dovecot
from tests.servers.dovecot_config import Options
from tests.servers.mail_server import User


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Give an authority and a server certificate for 127.0.0.1 and localhost."""
    return make_certificates(Path(tmp_path_factory.mktemp("certificates")))


@pytest.fixture
def server_context(certificates: Certificates) -> ssl.SSLContext:
    """Give what a server presents its certificate with."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.certificate, certificates.key)
    return context


@pytest.fixture
def client_context(certificates: Certificates) -> ssl.SSLContext:
    """Give what trusts that server."""
    return ssl.create_default_context(cafile=str(certificates.authority))


@pytest.fixture(scope="session")
def pigeonhole() -> Iterator[Dovecot]:
    """Give the Dovecot with ManageSieve that all tests of one worker share."""
    with Dovecot(Options(sieve=True)) as server:
        yield server


@pytest.fixture
def sieveuser(pigeonhole: Dovecot) -> User:
    """Give a user of `pigeonhole` without scripts, whom no other test knows."""
    return pigeonhole.add_user()
