"""RFC 8620 §8: users do not learn from the service who else there is."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from aiohttp import ClientSession

from gateway.app import running
from tests.app.harness import Client, settings
from tests.servers.dovecot import Dovecot

SECONDS = 30.0


@pytest.mark.threat("R10", "R31")
async def test_an_account_of_somebody_else_is_as_one_that_is_not(
    dovecot: Dovecot, tmp_path: Path
) -> None:
    ann, bob = dovecot.add_user(), dovecot.add_user()
    async with (
        asyncio.timeout(SECONDS),
        running(settings(dovecot, tmp_path)) as url,
        ClientSession() as http,
    ):
        of_ann, of_bob = Client(http, url, ann), Client(http, url, bob)
        await of_ann.session()
        await of_bob.session()
        made_up = of_bob.account_id[:-4] + "aaaa"
        answers = []
        for account_id in (of_bob.account_id, made_up):
            response = await of_ann.post(["Email/query", {"accountId": account_id}, "0"])
            answers.append((await response.json())["methodResponses"])
        assert answers[0] == answers[1]
        assert answers[0][0][1]["type"] == "accountNotFound"


@pytest.mark.threat("R31")
@pytest.mark.parametrize("capability", ["principals", "principals:owner"])
async def test_there_is_no_list_of_users(dovecot: Dovecot, tmp_path: Path, capability: str) -> None:
    user = dovecot.add_user()
    async with (
        asyncio.timeout(SECONDS),
        running(settings(dovecot, tmp_path)) as url,
        ClientSession() as http,
    ):
        client = Client(http, url, user)
        session = await client.session()
        assert f"urn:ietf:params:jmap:{capability}" not in session["capabilities"]
        for method in ("Principal/query", "Principal/get", "Principal/getAvailability"):
            response = await client.post([method, {"accountId": client.account_id}, "0"])
            [[name, error, _]] = (await response.json())["methodResponses"]
            assert (name, error["type"]) == ("error", "unknownMethod")
