"""RFC 9661, RFC 8621 §8: the whole gateway, with a ManageSieve server beside the IMAP server."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.ext.sieve import SIEVE, VACATION
from tests.app import harness
from tests.app.harness import Client, client_of, settings
from tests.servers.dovecot import Dovecot
from tests.servers.mail_server import User
from tests.servers.process import free_port

SCRIPT = b'require ["fileinto"];\r\nfileinto "INBOX.target";\r\n'


@pytest.fixture(autouse=True)
def _using(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness, "USING", [*harness.USING, SIEVE])


async def _upload(client: Client, octets: bytes) -> str:
    response = await client.http.post(
        f"{client.url}/jmap/upload/{client.account_id}", data=octets, headers=client.headers
    )
    assert response.status == 201
    blob_id: str = (await response.json())["blobId"]
    return blob_id


@pytest.mark.parametrize("security", ["sieve", "sieve+starttls", "sieves"])
async def test_scripts_are_uploaded_and_downloaded(
    pigeonhole: Dovecot, sieveuser: User, tmp_path: Path, security: str
) -> None:
    port = pigeonhole.ports.sieves if security == "sieves" else pigeonhole.ports.sieve
    where = {
        "JMAP_GATEWAY_SIEVE__URL": f"{security}://localhost:{port}",
        "JMAP_GATEWAY_SIEVE__CA_FILE": str(pigeonhole.authority),
    }
    async with client_of(settings(pigeonhole, tmp_path, **where), sieveuser) as client:
        session = await client.session()
        assert session["capabilities"][SIEVE]["implementation"]
        assert session["capabilities"][VACATION] == {}
        [account] = session["accounts"].values()
        assert "fileinto" in account["accountCapabilities"][SIEVE]["sieveExtensions"]
        assert session["primaryAccounts"][VACATION] == session["primaryAccounts"][SIEVE]
        blob_id = await _upload(client, SCRIPT)
        create = {"k": {"name": "test1", "blobId": blob_id}}
        made = await client.call("SieveScript/set", create=create, onSuccessActivateScript="#k")
        assert made["created"]["k"]["isActive"]
        [script] = (await client.call("SieveScript/get", ids=None))["list"]
        path = f"/jmap/download/{client.account_id}/{script['blobId']}/test1.siv"
        response = await client.get(path, params={"type": "application/sieve"})
        assert response.status == 200
        assert response.headers["Content-Type"] == "application/sieve"
        assert await response.read() == SCRIPT
        await client.call("VacationResponse/set", update={"singleton": {"isEnabled": True}})
        [vacation] = (await client.call("VacationResponse/get", ids=None))["list"]
        assert vacation["isEnabled"]
        # What is advertised does not change while it is used.
        assert await client.session() == session


async def test_a_server_that_is_not_there_is_no_hindrance(
    dovecot: Dovecot, mailuser: User, tmp_path: Path
) -> None:
    where = {"JMAP_GATEWAY_SIEVE__URL": f"sieve://127.0.0.1:{free_port()}"}
    async with client_of(settings(dovecot, tmp_path, **where), mailuser) as client:
        session = await client.session()
        assert session["capabilities"].keys().isdisjoint({SIEVE, VACATION})
        response = await client.post(
            ["VacationResponse/get", {"accountId": client.account_id, "ids": None}, "0"],
            ["Mailbox/get", {"accountId": client.account_id, "ids": None}, "1"],
        )
        [[_, error, _], [name, _, _]] = (await response.json())["methodResponses"]
        assert error["type"] == "accountNotSupportedByMethod"
        assert name == "Mailbox/get"
