"""Design §2: /healthz and /metrics."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp.test_utils import TestClient, TestServer

from gateway.http.health import create_admin_app
from gateway.store.base import StoreUnavailable
from tests.http.harness import Client, problem_of


class FakeStore:
    broken = False

    async def ping(self) -> None:
        if self.broken:
            raise StoreUnavailable("redis", "secret reason")


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


@pytest.fixture
async def admin(store: FakeStore) -> AsyncIterator[Client]:
    async with TestClient(TestServer(create_admin_app(store.ping))) as client:
        yield client


async def test_process_is_live_and_ready_while_the_store_answers(
    admin: Client, store: FakeStore
) -> None:
    assert (await admin.get("/healthz/live")).status == 200
    assert (await admin.get("/healthz/ready")).status == 200
    store.broken = True
    assert (await admin.get("/healthz/live")).status == 200
    problem = await problem_of(await admin.get("/healthz/ready"), 503)
    assert "secret" not in str(problem)


async def test_metrics_are_in_the_format_of_prometheus(admin: Client) -> None:
    response = await admin.get("/metrics")
    assert response.headers["Content-Type"].startswith("text/plain; version=")
    assert "# TYPE jmap_gateway_http_request_seconds histogram" in await response.text()


@pytest.mark.threat("R32")
async def test_nothing_else_is_there(admin: Client) -> None:
    await problem_of(await admin.get("/jmap/session"), 404)
