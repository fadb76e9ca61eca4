"""RFC 8621 §1.5: what is in no mailbox is pushed as well."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.ext.sieve import SIEVE, VACATION
from tests.app import harness
from tests.app.harness import client_of, settings
from tests.push.test_dovecot import Watching
from tests.servers.dovecot import Dovecot
from tests.servers.mail_server import User
from tests.servers.smtp import AUTH, Script, smtp_server

SUBMISSION = "urn:ietf:params:jmap:submission"


@pytest.fixture
async def client(
    pigeonhole: Dovecot, sieveuser: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Watching]:
    """Give a client of a gateway that sends, and answers for those who are away."""
    monkeypatch.setattr(harness, "USING", [*harness.USING, SIEVE, VACATION, SUBMISSION])
    async with smtp_server(Script(AUTH)) as smtp:
        configured = settings(
            pigeonhole,
            tmp_path,
            JMAP_GATEWAY_SIEVE__URL=f"sieve://127.0.0.1:{pigeonhole.ports.sieve}",
            JMAP_GATEWAY_SMTP__URL=f"smtp://127.0.0.1:{smtp.port}",
            JMAP_GATEWAY_IDENTITIES__ADDRESSES="{local}@example.org",
        )
        async with client_of(configured, sieveuser) as client:
            await client.session()
            yield Watching.of(client, sieveuser)


@pytest.mark.checklist("K01")
async def test_identity_and_submission(client: Watching) -> None:
    await client.call("Email/query")
    (identity,) = (await client.call("Identity/get", ids=None))["list"]
    (inbox,) = (await client.call("Mailbox/query", filter={"role": "inbox"}))["ids"]
    reader = await client.open()
    await client.call("Identity/set", update={identity["id"]: {"name": "Jo"}})
    assert set(await client.heard(reader, {"Identity"})) == {"Identity"}
    draft = {
        "mailboxIds": {inbox: True},
        "from": [{"email": identity["email"]}],
        "to": [{"email": "rcpt@example.net"}],
        "subject": "hello",
    }
    created = (await client.call("Email/set", create={"d": draft}))["created"]
    submission = {"identityId": identity["id"], "emailId": created["d"]["id"]}
    answer = await client.call("EmailSubmission/set", create={"s": submission})
    assert "s" in answer["created"]
    await client.heard(reader, {"EmailSubmission"})


@pytest.mark.checklist("K01")
async def test_vacation_response(client: Watching) -> None:
    await client.call("Email/query")
    reader = await client.open()
    for is_enabled in (True, False):
        update = {"singleton": {"isEnabled": is_enabled, "textBody": "I am away."}}
        await client.call("VacationResponse/set", update=update)
        assert "VacationResponse" in await client.heard(reader, {"VacationResponse"})
