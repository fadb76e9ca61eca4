"""RFC 6750, RFC 7628: users sign in with access tokens of a real OpenID provider."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, encode_basic_auth
from joserfc.jwk import RSAKey

from gateway.app import running
from tests.app.harness import MAIL, USING, settings
from tests.app.sharing import letter
from tests.servers.dovecot import Dovecot
from tests.servers.mail_server import User
from tests.servers.openid import AUDIENCE, CLIENT, MAIL_SCOPE, OLD, OPAQUE, OpenIdProvider

SECONDS = 60.0
MASTER = ("gateway", "the-password-of-the-master")


@pytest.fixture(scope="module")
def provider() -> Iterator[OpenIdProvider]:
    """Give a provider for all tests here."""
    with OpenIdProvider() as server:
        yield server


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """Give a directory that Dovecot's own users may read, too."""
    with tempfile.TemporaryDirectory(prefix="oauth-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        yield directory


@pytest.fixture
async def mail_server(
    provider: OpenIdProvider, start_dovecot: Callable[..., Dovecot], open_directory: Path
) -> Dovecot:
    """Give a Dovecot that checks the provider's tokens itself, and has a master user."""
    await _write_keys(provider, open_directory)
    client, secret = CLIENT
    host = provider.issuer.removeprefix("http://")
    about = "username_attribute = email\nactive_attribute = active\nactive_value = true\n"
    (open_directory / "asks").write_text(
        f"introspection_url = http://{client}:{secret}@{host}/token/introspection\n"
        f"introspection_mode = post\n{about}"
    )
    (open_directory / "knows").write_text(
        f"introspection_mode = local\nusername_attribute = email\n"
        f"local_validation_key_dict = fs:posix:prefix={open_directory}/\n"
    )
    checks = "".join(
        f"passdb {{\n driver = oauth2\n mechanisms = oauthbearer xoauth2\n args = {file}\n}}\n"
        for file in (open_directory / "knows", open_directory / "asks")
    )
    mechanisms = "auth_mechanisms = plain login oauthbearer xoauth2\n"
    master = f"passdb {{\n driver = static\n args = password={MASTER[1]}\n master = yes\n}}\n"
    return start_dovecot(sieve=True, extra=mechanisms + checks + master)


async def _write_keys(provider: OpenIdProvider, directory: Path) -> None:
    """Where Dovecot looks for the keys of the provider."""
    async with ClientSession() as http:
        document = await (await http.get(f"{provider.issuer}/jwks")).json()
    for key in document["keys"]:
        if key["kty"] == "RSA":
            file = directory / "default" / key.get("alg", "RS256") / key["kid"]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(RSAKey.import_key(key).as_pem(private=False))


class Service:
    """The gateway as clients with tokens see it."""

    def __init__(self, http: ClientSession, url: str) -> None:
        self.http = http
        self.url = url

    async def session(self, token: str) -> tuple[int, dict[str, Any]]:
        """The status, and the Session object or the problem."""
        headers = {"Authorization": f"Bearer {token}"}
        response = await self.http.get(f"{self.url}/jmap/session", headers=headers)
        return response.status, await response.json()

    async def call(self, token: str, method: str, **arguments: Any) -> tuple[str, Any]:
        """The name and the arguments of the answer to a call on the user's own account."""
        _, session = await self.session(token)
        call = [method, {"accountId": session["primaryAccounts"][MAIL], **arguments}, "0"]
        response = await self.http.post(
            f"{self.url}/jmap/api",
            json={"using": USING, "methodCalls": [call]},
            headers={"Authorization": f"Bearer {token}"},
        )
        [[name, answer, _]] = (await response.json())["methodResponses"]
        return name, answer


@asynccontextmanager
async def service(
    server: Dovecot, provider: OpenIdProvider, directory: Path, **environment: str
) -> AsyncIterator[Service]:
    """Start a gateway that takes tokens of the provider."""
    config = settings(server, directory, JMAP_GATEWAY_OAUTH__ISSUER=provider.issuer, **environment)
    async with asyncio.timeout(SECONDS), running(config) as url, ClientSession() as http:
        yield Service(http, url)


BY_INTROSPECTION = {
    "JMAP_GATEWAY_OAUTH__CHECK": "introspection",
    "JMAP_GATEWAY_OAUTH__CLIENT_ID": CLIENT[0],
    "JMAP_GATEWAY_OAUTH__CLIENT_SECRET": CLIENT[1],
}
BY_SIGNATURE = {"JMAP_GATEWAY_OAUTH__AUDIENCE": AUDIENCE}
AS_MASTER = {
    "JMAP_GATEWAY_OAUTH__SIGN_IN": "master",
    "JMAP_GATEWAY_IMAP__MASTER_USER": MASTER[0],
    "JMAP_GATEWAY_IMAP__MASTER_PASSWORD": MASTER[1],
}


@pytest.fixture
def user(mail_server: Dovecot) -> User:
    """Give a user with a message."""
    user = mail_server.add_user()
    mail_server.append(user, "INBOX", letter("hello"))
    return user


async def _subjects(service: Service, token: str) -> list[str]:
    name, found = await service.call(token, "Email/query")
    assert name == "Email/query", found
    _, got = await service.call(token, "Email/get", ids=found["ids"], properties=["subject"])
    return [email["subject"] for email in got["list"]]


@pytest.mark.parametrize(
    ("resource", "environment"),
    [
        (None, BY_INTROSPECTION),
        (None, {"JMAP_GATEWAY_OAUTH__CHECK": "userinfo"}),
        (AUDIENCE, BY_SIGNATURE | AS_MASTER),
        (OPAQUE, BY_INTROSPECTION | BY_SIGNATURE | AS_MASTER),
        (OLD, BY_SIGNATURE),
        (OLD, {"JMAP_GATEWAY_OAUTH__CHECK": "server"}),
    ],
    ids=["introspection", "userinfo", "signature-master", "introspection-master",
         "signature", "server"],
)  # fmt: skip
async def test_a_token_opens_its_users_mail(
    mail_server: Dovecot,
    provider: OpenIdProvider,
    user: User,
    tmp_path: Path,
    resource: str | None,
    environment: dict[str, str],
) -> None:
    scope = f"openid email offline_access {MAIL_SCOPE}"
    tokens = await provider.sign_in(user.username, scope, resource)
    async with service(mail_server, provider, tmp_path, **environment) as jmap:
        status, session = await jmap.session(tokens.access)
        assert (status, session["username"]) == (200, user.username), session
        assert await _subjects(jmap, tokens.access) == ["hello"]
        status, _ = await jmap.session(tokens.access[:-4] + "AAAA")
        assert status == 401


SCOPES = "openid email offline_access"


async def test_a_token_for_reading_changes_nothing(
    mail_server: Dovecot, provider: OpenIdProvider, user: User, tmp_path: Path
) -> None:
    reads = await provider.sign_in(user.username, f"{SCOPES} mail.read")
    environment = BY_INTROSPECTION | {"JMAP_GATEWAY_OAUTH__READ_SCOPES": "mail.read"}
    async with service(mail_server, provider, tmp_path, **environment) as jmap:
        _, session = await jmap.session(reads.access)
        assert [each["isReadOnly"] for each in session["accounts"].values()] == [True]
        assert await _subjects(jmap, reads.access) == ["hello"]
        name, error = await jmap.call(reads.access, "Email/set", destroy=["x"])
        assert (name, error["type"]) == ("error", "accountReadOnly")
        upload = session["uploadUrl"].format(accountId=session["primaryAccounts"][MAIL])
        headers = {"Authorization": f"Bearer {reads.access}"}
        response = await jmap.http.post(upload, data=b"octets", headers=headers)
        assert response.status == 403
        everything = await provider.sign_in(user.username, f"{SCOPES} {MAIL_SCOPE}")
        response = await jmap.http.post(
            upload, data=b"octets", headers={"Authorization": f"Bearer {everything.access}"}
        )
        assert response.status == 201


async def test_a_token_for_something_else_opens_nothing(
    mail_server: Dovecot, provider: OpenIdProvider, user: User, tmp_path: Path
) -> None:
    tokens = await provider.sign_in(user.username, SCOPES)
    async with service(mail_server, provider, tmp_path, **BY_INTROSPECTION) as jmap:
        headers = {"Authorization": f"Bearer {tokens.access}"}
        response = await jmap.http.get(f"{jmap.url}/jmap/session", headers=headers)
        assert response.status == 403
        [challenge] = response.headers.getall("WWW-Authenticate")
        assert 'error="insufficient_scope"' in challenge
        assert f'scope="{MAIL_SCOPE}"' in challenge


async def test_a_revoked_token_opens_nothing_when_it_is_asked_about_again(
    mail_server: Dovecot, provider: OpenIdProvider, user: User, tmp_path: Path
) -> None:
    tokens = await provider.sign_in(user.username, f"{SCOPES} {MAIL_SCOPE}")
    environment = BY_INTROSPECTION | {"JMAP_GATEWAY_AUTH__CACHE_SECONDS": "0"}
    async with service(mail_server, provider, tmp_path, **environment) as jmap:
        assert (await jmap.session(tokens.access))[0] == 200
        await provider.revoke(tokens)
        assert (await jmap.session(tokens.access))[0] == 401


async def test_clients_find_the_issuer_and_sign_in_without_knowing_it(
    mail_server: Dovecot, provider: OpenIdProvider, user: User, tmp_path: Path
) -> None:
    """RFC 9728 §5: from the challenge to the metadata of whom to ask for a token."""
    async with service(mail_server, provider, tmp_path, **BY_INTROSPECTION) as jmap:
        response = await jmap.http.get(f"{jmap.url}/.well-known/jmap")
        assert response.status == 401
        bearer, basic = response.headers.getall("WWW-Authenticate")
        assert basic.startswith("Basic ")
        url = bearer.partition('resource_metadata="')[2].rstrip('"')
        metadata = await (await jmap.http.get(url)).json()
        assert metadata["resource"] == f"{jmap.url}/.well-known/jmap"
        assert metadata["authorization_servers"] == [provider.issuer]
        assert metadata["scopes_supported"] == [MAIL_SCOPE]
        response = await jmap.http.get(f"{jmap.url}/.well-known/oauth-authorization-server")
        assert (await response.json())["issuer"] == provider.issuer


async def test_the_scripts_of_a_user_are_reached_with_the_token_too(
    mail_server: Dovecot, provider: OpenIdProvider, user: User, tmp_path: Path
) -> None:
    tokens = await provider.sign_in(user.username, f"{SCOPES} {MAIL_SCOPE}")
    environment = BY_INTROSPECTION | {
        "JMAP_GATEWAY_SIEVE__URL": f"sieve://127.0.0.1:{mail_server.ports.sieve}"
    }
    async with service(mail_server, provider, tmp_path, **environment) as jmap:
        _, session = await jmap.session(tokens.access)
        [account] = session["accounts"].values()
        assert "urn:ietf:params:jmap:vacationresponse" in account["accountCapabilities"]


async def test_nobody_signs_in_with_a_password_where_that_is_off(
    mail_server: Dovecot, provider: OpenIdProvider, user: User, tmp_path: Path
) -> None:
    environment = BY_INTROSPECTION | {"JMAP_GATEWAY_AUTH__PASSWORDS": "false"}
    async with service(mail_server, provider, tmp_path, **environment) as jmap:
        response = await jmap.http.get(
            f"{jmap.url}/jmap/session",
            headers={"Authorization": encode_basic_auth(user.username, user.password)},
        )
        assert response.status == 401
        [challenge] = response.headers.getall("WWW-Authenticate")
        assert challenge.startswith("Bearer ")
