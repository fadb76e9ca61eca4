"""`python -m tests.bench.footprint PORT USER PASSWORD`: one account's size, as JSON, in octets."""

from __future__ import annotations

import asyncio
import gc
import json
import resource
import sys
import tempfile
from pathlib import Path

import uvloop

from gateway.imap.connection import Endpoint
from gateway.sasl import Credentials
from gateway.store import open_store
from gateway.sync.accounts import Accounts, Settings


async def _measure(port: int, username: str, password: str) -> dict[str, int]:
    with tempfile.TemporaryDirectory() as directory:
        store = open_store(f"sqlite://{directory}/store.db", None, Path(directory))
        accounts = Accounts(Settings(Endpoint("127.0.0.1", port, "plain"), None), store)
        gc.collect()
        before = _resident()
        account = await accounts.login(Credentials(username, password), "127.0.0.1")
        await account.fresh()
        data = await account.indexed()
        await account.attachments_known()
        await account.save()
        await asyncio.sleep(0)
        gc.collect()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        index = await store.load(account.id, "index")
        assert index is not None
        sizes = {
            "messages": int(data.emails.visible().sum()),
            "tables": data.index.nbytes,
            "strings": sum(column.nbytes for column in data.strings.values()),
            "account": data.nbytes,
            "resident": _resident() - before,
            "peak": peak - before,
            "stored_index": len(index),
            "stored": await store.size(account.id),
        }
        await accounts.close()
        await store.close()
        return sizes


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


if __name__ == "__main__":
    port, username, password = sys.argv[1:]
    json.dump(uvloop.run(_measure(int(port), username, password)), sys.stdout)
