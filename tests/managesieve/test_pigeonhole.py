"""RFC 5804: every command, on the ManageSieve server of Dovecot."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest

from gateway.config.values import Security
from gateway.managesieve import errors, scripts
from gateway.managesieve.connection import Connection, probe
from gateway.managesieve.errors import AuthenticationFailed
from gateway.sasl import Credentials
from tests.managesieve.peers import url
from tests.servers.dovecot import Dovecot
from tests.servers.mail_server import User

KEEP = b"keep;\r\n"


@pytest.fixture
async def connection(pigeonhole: Dovecot, sieveuser: User) -> AsyncIterator[Connection]:
    opened = await Connection.open(url(pigeonhole.ports.sieve), None)
    await opened.login(Credentials(sieveuser.username, sieveuser.password))
    yield opened
    await opened.close()


async def test_its_capabilities(pigeonhole: Dovecot) -> None:
    found = await probe(url(pigeonhole.ports.sieve), None)
    assert "Pigeonhole" in found.implementation
    assert {"vacation", "date", "relational", "include", "fileinto"} <= {*found.extensions}
    assert found.version == "1.0"
    assert found.starttls
    assert "PLAIN" in found.sasl


async def test_the_life_of_a_script(connection: Connection) -> None:
    assert await scripts.list_scripts(connection) == []
    content = b'# "quoted" \\ caf\xc3\xa9\r\n' + KEEP
    assert await scripts.put_script(connection, "main", content) is None
    assert await scripts.list_scripts(connection) == [("main", False)]
    assert await scripts.get_script(connection, "main") == content
    await scripts.set_active(connection, "main")
    assert await scripts.list_scripts(connection) == [("main", True)]
    await scripts.rename_script(connection, "main", "other")
    assert await scripts.list_scripts(connection) == [("other", True)]
    with pytest.raises(errors.ScriptActive):
        await scripts.delete_script(connection, "other")
    await scripts.set_active(connection, "")
    await scripts.set_active(connection, "")
    await scripts.delete_script(connection, "other")
    assert await scripts.list_scripts(connection) == []
    await scripts.noop(connection)


@pytest.mark.parametrize(
    "name", ['a "b" \\c', "urlaub größe", "日本語", "LOGOUT", "a" * 128, "(x) {5}"]
)
async def test_names(connection: Connection, name: str) -> None:
    await scripts.put_script(connection, name, KEEP)
    await scripts.set_active(connection, name)
    assert await scripts.list_scripts(connection) == [(name, True)]
    assert await scripts.get_script(connection, name) == KEEP


@pytest.mark.parametrize(
    "octets", [KEEP, b"", b"# " + b"x" * 70_000 + b"\r\n", b'/* "\\ {5}\r\n */']
)
async def test_a_script_comes_back_octet_for_octet(connection: Connection, octets: bytes) -> None:
    await scripts.put_script(connection, "a", octets)
    assert await scripts.get_script(connection, "a") == octets


async def test_what_is_not_there(connection: Connection) -> None:
    for act in (
        scripts.get_script(connection, "none"),
        scripts.set_active(connection, "none"),
        scripts.delete_script(connection, "none"),
        scripts.rename_script(connection, "none", "other"),
    ):
        with pytest.raises(errors.ScriptNotFound):
            await act


async def test_what_is_there_already(connection: Connection) -> None:
    await scripts.put_script(connection, "a", KEEP)
    await scripts.put_script(connection, "b", KEEP)
    with pytest.raises(errors.ScriptExists):
        await scripts.rename_script(connection, "a", "b")


async def test_a_script_that_is_not_valid(connection: Connection) -> None:
    for act in (
        scripts.put_script(connection, "a", b"keep;\r\nbogus;\r\n"),
        scripts.check_script(connection, b"keep;\r\nbogus;\r\n"),
    ):
        with pytest.raises(errors.ScriptInvalid, match=r"line 2.*bogus"):
            await act
    assert await scripts.list_scripts(connection) == []
    assert await scripts.check_script(connection, KEEP) is None
    warned = await scripts.check_script(connection, b"keep; # no end")
    assert warned is not None
    assert "line 1" in warned


async def test_quotas(start_dovecot: Callable[..., Dovecot]) -> None:
    limits = "plugin {\n sieve_quota_max_scripts = 2\n sieve_max_script_size = 1k\n}"
    server = start_dovecot(sieve=True, extra=limits)
    user = server.add_user()
    connection = await Connection.open(url(server.ports.sieve), None)
    await connection.login(Credentials(user.username, user.password))
    await scripts.have_space(connection, "a", 1000)
    with pytest.raises(errors.ScriptTooLarge):
        await scripts.have_space(connection, "a", 2000)
    with pytest.raises(errors.ScriptTooLarge):
        await scripts.put_script(connection, "a", b"#" * 2000 + b"\r\n")
    for name in ("a", "b"):
        await scripts.put_script(connection, name, KEEP)
    with pytest.raises(errors.TooManyScripts):
        await scripts.put_script(connection, "c", KEEP)
    with pytest.raises(errors.TooManyScripts):
        await scripts.have_space(connection, "c", 5)
    await connection.close()


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_over_tls(pigeonhole: Dovecot, sieveuser: User, security: Security) -> None:
    ports = pigeonhole.ports
    port = ports.sieves if security == "tls" else ports.sieve
    connection = await Connection.open(url(port, security), pigeonhole.ssl_context())
    assert not connection.capabilities.starttls
    await connection.login(Credentials(sieveuser.username, sieveuser.password))
    await scripts.put_script(connection, "a", KEEP)
    assert await scripts.list_scripts(connection) == [("a", False)]
    await connection.close()


async def test_a_wrong_password(pigeonhole: Dovecot, sieveuser: User) -> None:
    connection = await Connection.open(url(pigeonhole.ports.sieve), None)
    with pytest.raises(AuthenticationFailed):
        await connection.login(Credentials(sieveuser.username, "wrong"))
    await connection.login(Credentials(sieveuser.username, sieveuser.password))
    await connection.close()


async def test_a_master_user_acts_for_another(start_dovecot: Callable[..., Dovecot]) -> None:
    master = "passdb {\n driver = static\n args = password=master\n master = yes\n}"
    server = start_dovecot(sieve=True, extra=master)
    user = server.add_user()
    for credentials in (
        Credentials(user.username, "master", master="gateway"),
        Credentials(user.username, user.password),
    ):
        connection = await Connection.open(url(server.ports.sieve), None)
        await connection.login(credentials)
        await scripts.put_script(connection, "shared", KEEP)
        assert await scripts.list_scripts(connection) == [("shared", False)]
        await connection.close()


async def test_a_server_that_goes_away(start_dovecot: Callable[..., Dovecot]) -> None:
    server = start_dovecot(sieve=True)
    user = server.add_user()
    connection = await Connection.open(url(server.ports.sieve), None)
    await connection.login(Credentials(user.username, user.password))
    server.stop()
    with pytest.raises(errors.ConnectionLost):
        await scripts.noop(connection)
    server.start()
    connection = await Connection.open(url(server.ports.sieve), None)
    await connection.login(Credentials(user.username, user.password))
    await connection.close()
