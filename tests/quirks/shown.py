"""What an account shows of the one mailbox of a small server."""

from __future__ import annotations

from gateway.sync.account import Account
from tests.servers.small import Letter


def letters(*uids: int, flags: bytes = b"") -> tuple[Letter, ...]:
    """Messages that differ."""
    template = b"Subject: %d\r\nMessage-ID: <%d@x>\r\n\r\nHello.\r\n"
    return tuple(Letter(uid, template % (uid, uid), flags) for uid in uids)


async def inbox(account: Account) -> dict[int, set[str]]:
    """UID and keywords of each message that is shown."""
    await account.fresh()
    data = await account.indexed()
    keywords = data.index.keywords
    return {
        int(uid): set(keywords.keywords(keywords.unpack(bits)))
        for _, columns in data.selectable()
        for uid, bits in zip(columns.uids, columns.bits, strict=True)
    }
