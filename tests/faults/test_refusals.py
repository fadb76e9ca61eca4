"""RFC 5530: the server answers NO to any command of a write, for any reason."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.faults.mailboxes import world
from tests.faults.runs import WRITES, Named, running
from tests.faults.scenes import SCENES, UNKNOWN, Blobs, gateway
from tests.servers.cutting import Cut
from tests.servers.dovecot import Dovecot
from tests.sync.hand import hand

_GROWS = re.compile(rb"UID (?:COPY|MOVE)|APPEND")
_STORES = re.compile(rb"UID STORE")


@pytest.mark.parametrize(
    ("refusal", "counted", "type_"),
    [
        (b"NO [OVERQUOTA] Quota exceeded", _GROWS, "overQuota"),
        (b"NO [NOPERM] Permission denied", WRITES, "forbidden"),
        (b"NO [LIMIT] Too many keywords", _STORES, "tooManyKeywords"),
        (b"NO [TOOBIG] Too large", _GROWS, "tooLarge"),
        (b"NO Not like this", WRITES, "forbidden"),
        (b"BAD Not like this", WRITES, "forbidden"),
    ],
    ids=["OVERQUOTA", "NOPERM", "LIMIT", "TOOBIG", "NO", "BAD"],
)
@pytest.mark.parametrize("name", SCENES)
async def test_what_is_refused_is_not_done_in_part(
    name: str,
    refusal: bytes,
    counted: re.Pattern[bytes],
    type_: str,
    server_named: Named,
    tmp_path: Path,
    blobs: Blobs,
) -> None:
    async with running(server_named("everything"), tmp_path, blobs) as run:
        run.proxy.counted = counted
        run.proxy.refusal = refusal
        async for _ in run.each(SCENES[name], Cut.REFUSED):
            assert {*run.outcomes.values()} <= {None, type_, *UNKNOWN}, run.command
            run.check()


async def test_there_is_room_for_all_copies_or_for_none(
    start_dovecot: Callable[..., Dovecot], tmp_path: Path, blobs: Blobs
) -> None:
    """RFC 9208: the last message fits into what is left of a quota, its second copy does not."""
    server = start_dovecot(
        extra="mail_plugins = quota\nplugin {\n  quota = count:User\n  quota_vsizes = yes\n"
        "  quota_rule = *:storage=1k\n  quota_grace = 0\n}"
    )
    user = server.add_user()
    with hand(server, user) as writer:
        writer.create("A", "B")
        writer.append("INBOX", 1)
    async with gateway(server.imap_port, user, tmp_path) as client:
        paths = await client.paths()
        was = world(server, user)
        two = {paths["A"]: True, paths["B"]: True}
        await client.query()
        (email,) = await client.emails(properties=["size"])
        refused: dict[str, Any] | None = None
        number = 1
        while refused is None:
            number += 1
            new = {"a": {"blobId": blobs(number), "mailboxIds": two}}
            refused = (await client.call("Email/import", emails=new))["notCreated"]
        assert refused["a"]["type"] == "overQuota"
        now = world(server, user)
        imported = {name: copies for name, copies in now.items() if name not in was}
        assert len(imported) == number - 2 > 0
        assert all([path for path, _ in copies] == ["A", "B"] for copies in imported.values())
        everywhere = dict.fromkeys(paths.values(), True)
        update = {email["id"]: {"mailboxIds": everywhere}}
        moved = await client.call("Email/set", update=update)
        assert moved["notUpdated"][email["id"]]["type"] == "overQuota"
        assert world(server, user) == now
