"""Design §6: a process that writes a log until it is killed, and prints what it was told is in."""

from __future__ import annotations

import asyncio
import itertools
import sys
from pathlib import Path

from gateway.store import StoreUnavailable, open_store

SECRET = b"0123456789abcdef0123456789abcdef"
ALICE = "alice@example.org"


async def write(url: str, name: str) -> None:
    store = open_store(url, SECRET, Path())
    for number in itertools.count():
        try:
            old = await store.load(ALICE, "head")
            new = f"{name}.{number}".encode()
            record = {f"log/{new.decode()}": old or b""}
            if await store.replace(ALICE, "head", old, {"head": new, **record}):
                print(new.decode(), flush=True)
        except StoreUnavailable as error:
            print(error, file=sys.stderr, flush=True)


if __name__ == "__main__":
    asyncio.run(write(*sys.argv[1:]))
