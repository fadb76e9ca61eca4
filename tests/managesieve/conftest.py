"""Fixtures of the ManageSieve tests."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from tests.servers.certificates import Certificates, make_certificates


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
