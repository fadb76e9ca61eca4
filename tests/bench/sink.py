"""`python -m tests.bench.sink PORT`: aiohttp by itself, which reads uploads and forgets them."""

from __future__ import annotations

import sys

import uvloop
from aiohttp import web


async def _read(request: web.Request) -> web.Response:
    while await request.content.readany():
        pass
    return web.Response(status=201)


if __name__ == "__main__":
    uvloop.install()
    app = web.Application()
    app.router.add_post("/", _read)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None)
