"""RFC 8620 §3: API requests as HTTP sees them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from limits import RateLimitItemPerMinute

from gateway.http import body, calls, uninterrupted
from gateway.imap.errors import AuthenticationFailed
from gateway.obs import metrics
from gateway.sync.budgets import Kind
from tests.http.harness import CORE, OTHER, USER, Backend, Client, Harness, basic, call, problem_of

ERROR = "urn:ietf:params:jmap:error:"
ECHO: list[Any] = ["Core/echo", {"a": 1}, "c0"]


def request_body(**members: Any) -> bytes:
    return json.dumps({"using": [CORE], "methodCalls": [ECHO], **members}).encode()


async def post(
    client: Client, octets: bytes | AsyncIterator[bytes], content_type: str = "application/json"
) -> Any:
    headers = {**basic(), "Content-Type": content_type}
    return await client.post("/jmap/api", data=octets, headers=headers)


@pytest.mark.checklist("C01", "C10")
async def test_request_is_answered_with_a_response(client: Client) -> None:
    response = await call(client, ECHO)
    assert response.status == 200
    assert response.headers["Content-Type"] == "application/json"
    answer = await response.json()
    assert answer.keys() == {"methodResponses", "sessionState"}
    assert answer["methodResponses"] == [ECHO]


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", "Application/JSON;charset=UTF-8"]
)
async def test_charset_of_json_is_no_matter(client: Client, content_type: str) -> None:
    assert (await post(client, request_body(), content_type)).status == 200


@pytest.mark.checklist("C02")
@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "x"])
async def test_other_content_types_are_not_json(client: Client, content_type: str) -> None:
    """RFC 8620 §3.6.1; a foreign page's form could send these with a remembered password."""
    problem = await problem_of(await post(client, request_body(), content_type), 415)
    assert problem["type"] == ERROR + "notJSON"


@pytest.mark.threat("R22")
async def test_content_encoding_is_refused(client: Client) -> None:
    headers = {**basic(), "Content-Type": "application/json", "Content-Encoding": "gzip"}
    response = await client.post("/jmap/api", data=b"\x1f\x8b", headers=headers)
    await problem_of(response, 415)


@pytest.mark.checklist("C11", "C12", "C13", "C16", "A07")
@pytest.mark.parametrize(
    ("octets", "type"),
    [
        (b"", "notJSON"),
        (b"{", "notJSON"),
        (b'{"using": [], "using": []}', "notJSON"),
        (b"\xff", "notJSON"),
        (b"[" * 100_000, "notJSON"),
        (b"{}", "notRequest"),
        (b"[]", "notRequest"),
        (request_body(methodCalls=[["Core/echo", {}]]), "notRequest"),
        (request_body(using=["urn:example:none"]), "unknownCapability"),
    ],
)
async def test_request_as_a_whole_is_refused(client: Client, octets: bytes, type: str) -> None:
    problem = await problem_of(await post(client, octets), 400)
    assert problem["type"] == ERROR + type


@pytest.mark.checklist("C14")
async def test_empty_using_opens_no_method(client: Client) -> None:
    response = await call(client, ECHO, ["Test/wait", {}, "c1"], using=[])
    assert (await response.json())["methodResponses"] == [
        ["error", {"type": "unknownMethod"}, "c0"],
        ["error", {"type": "unknownMethod"}, "c1"],
    ]


@pytest.mark.checklist("C15")
async def test_too_many_calls(harness: Harness) -> None:
    client = await harness.start(max_calls_in_request=2)
    assert (await call(client, ECHO, ECHO)).status == 200
    problem = await problem_of(await call(client, ECHO, ECHO, ECHO), 400)
    assert (problem["type"], problem["limit"]) == (ERROR + "limit", "maxCallsInRequest")


@pytest.mark.checklist("C15", "A15")
async def test_too_large_request(harness: Harness) -> None:
    octets = request_body()
    client = await harness.start(max_size_request=len(octets))
    assert (await post(client, octets)).status == 200
    problem = await problem_of(await post(client, octets + b" "), 400)
    assert (problem["type"], problem["limit"]) == (ERROR + "limit", "maxSizeRequest")


async def test_too_large_chunked_request_is_not_read_to_its_end(harness: Harness) -> None:
    """It never ends; the answer comes when the limit is reached."""
    client = await harness.start(max_size_request=100_000)
    answered = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b" " * 50_000
        await answered.wait()

    response = await post(client, endless())
    problem = await problem_of(response, 400)
    assert problem["limit"] == "maxSizeRequest"
    answered.set()


async def test_chunked_request_is_answered(client: Client) -> None:
    async def octets() -> AsyncIterator[bytes]:
        for octet in request_body():
            yield bytes([octet])

    response = await post(client, octets())
    assert (await response.json())["methodResponses"] == [ECHO]


async def test_sender_that_stops_is_not_waited_for(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 9110 §15.5.9."""
    monkeypatch.setattr(body, "_READ_SECONDS", 0.01)
    stopped = asyncio.Event()

    async def octets() -> AsyncIterator[bytes]:
        yield b"{"
        await stopped.wait()

    await problem_of(await post(client, octets()), 408)
    stopped.set()


async def test_what_is_not_http_is_refused_without_a_word_in_the_log(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """RFC 9112 §2.2; what such a client sent may be anything, credentials too."""
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
    writer.write(b"GET / HTTP/1.1\r\nAuthorization : canary\r\n\r\n")
    answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.0 400 ")
    assert b"Traceback" not in answer
    assert caplog.records == []


async def test_fifty_requests_of_one_user_are_all_answered(
    client: Client, backend: Backend
) -> None:
    """RFC 8620 §2: maxConcurrentRequests run, the others wait their turn."""
    requests = [
        asyncio.create_task(call(client, ["Test/wait", {}, str(number)])) for number in range(50)
    ]
    while backend.running < 8:
        await asyncio.sleep(0)
    backend.gate.set()
    answers = [await (await request).json() for request in requests]
    assert {answer["methodResponses"][0][2] for answer in answers} == set(map(str, range(50)))
    assert backend.most_running == 8


@pytest.mark.checklist("C15")
async def test_more_requests_than_can_wait_are_refused(
    harness: Harness, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "_WAITING", 1)
    client = await harness.start(max_concurrent_requests=1)
    waiting = [asyncio.create_task(call(client, ["Test/wait", {}, "0"])) for _ in range(3)]
    done, accepted = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    problem = await problem_of(done.pop().result(), 400)
    assert (problem["type"], problem["limit"]) == (ERROR + "limit", "maxConcurrentRequests")
    other = await client.get("/jmap/session", headers=basic())
    assert other.status == 200
    backend.gate.set()
    assert [(await request).status for request in accepted] == [200, 200]


@pytest.mark.checklist("C25")
async def test_unexpected_error_tells_no_internals(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    response = await call(client, ["Test/crash", {}, "0"], ECHO)
    assert response.status == 200
    failed, echoed = (await response.json())["methodResponses"]
    assert (failed[0], failed[1]["type"]) == ("error", "serverFail")
    assert "canary" not in await response.text()
    assert echoed == ECHO


async def test_login_the_mail_server_takes_back_is_asked_for_again(
    client: Client, backend: Backend
) -> None:
    """The call fails, and the next request needs the new password."""
    await call(client, ECHO)
    backend.passwords[USER] = "new"
    backend.broken = AuthenticationFailed("AUTHENTICATIONFAILED", "no")
    response = await call(client, ["Test/read", {}, "0"], ECHO)
    assert (await response.json())["methodResponses"] == [
        ["error", {"type": "forbidden"}, "0"],
        ECHO,
    ]
    backend.broken = None
    await problem_of(await call(client, ECHO), 401)
    session = await client.get("/jmap/session", headers=basic(USER, "new"))
    assert session.status == 200


async def test_methods_are_measured_by_name_and_outcome(client: Client) -> None:
    def count(name: str, outcome: str) -> float:
        labels = {"name": name, "outcome": outcome}
        sample = "jmap_gateway_method_call_seconds_count"
        return metrics.REGISTRY.get_sample_value(sample, labels) or 0

    before = count("Core/echo", "ok"), count("Test/crash", "serverFail")
    await call(client, ECHO, ["Test/crash", {}, "1"], ["No/such", {}, "2"])
    assert (count("Core/echo", "ok"), count("Test/crash", "serverFail")) == (
        before[0] + 1,
        before[1] + 1,
    )
    assert b"No/such" not in metrics.exposition()


@pytest.mark.checklist("C16")
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
async def test_other_methods_are_told_which_one_it_is(client: Client, method: str) -> None:
    response = await client.request(method, "/jmap/api", headers=basic())
    await problem_of(response, 405)
    assert "POST" in response.headers["Allow"]


async def test_method_of_a_client_that_went_away_ends(client: Client, backend: Backend) -> None:
    """RFC 9112 §9.5: nobody reads the answer, so the mail server need not work for it."""
    waiting = asyncio.create_task(call(client, ["Test/wait", {}, "c0"]))
    while not backend.running:
        await asyncio.sleep(0.001)
    waiting.cancel()
    while backend.running:
        await asyncio.sleep(0.001)
    assert not backend.gate.is_set()
    assert (await call(client, ECHO)).status == 200


# --- Requests that write -------------------------------------------------------------------------


async def left_alone(client: Client, backend: Backend, count: int = 1) -> None:
    """Begin so many requests that write, and hang up."""
    requests = [asyncio.create_task(call(client, WRITE)) for _ in range(count)]
    while backend.running < count:
        await asyncio.sleep(0.001)
    for request in requests:
        request.cancel()
    await asyncio.wait(requests)


WRITE: list[Any] = ["Test/write", {"n": 1}, "c0"]


async def test_request_that_writes_is_answered(client: Client, backend: Backend) -> None:
    """RFC 8620 §3.4: as any other."""
    backend.gate.set()
    answer = await (await call(client, ECHO, WRITE)).json()
    assert answer["methodResponses"] == [ECHO, WRITE]


async def test_client_that_hangs_up_does_not_interrupt_a_write(
    client: Client, backend: Backend
) -> None:
    """RFC 8620 §5.3: no object is left half changed, and nothing is forgotten."""
    await left_alone(client, backend)
    assert (await call(client, ECHO)).status == 200
    assert backend.running == 1
    backend.gate.set()
    while backend.running:
        await asyncio.sleep(0.001)
    assert backend.finished == 1


async def test_writes_of_clients_that_hung_up_hold_their_turns(
    harness: Harness, backend: Backend
) -> None:
    """RFC 8620 §2: maxConcurrentRequests is not got round by hanging up."""
    client = await harness.start(max_concurrent_requests=2)
    await left_alone(client, backend, count=2)
    waiting = asyncio.create_task(call(client, ECHO))
    done, _ = await asyncio.wait([waiting], timeout=0.05)
    assert not done
    backend.gate.set()
    assert (await waiting).status == 200


async def test_stopping_waits_for_the_writes_of_clients_that_hung_up(
    client: Client, backend: Backend
) -> None:
    """RFC 8620 §5.3: the server takes leave when what it began is done."""
    await left_alone(client, backend)
    stopping = asyncio.create_task(client.server.close())
    done, _ = await asyncio.wait([stopping], timeout=0.05)
    assert not done
    backend.gate.set()
    await stopping
    assert backend.finished == 1


async def test_stopping_does_not_wait_for_ever(
    client: Client, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 8620 §5.3: what is cut off is as if the server had been killed."""
    monkeypatch.setattr(uninterrupted, "_GRACE_SECONDS", 0.01)
    await left_alone(client, backend)
    await client.server.close()
    assert (backend.running, backend.finished) == (0, 0)


async def test_requests_of_a_user_have_a_budget(client: Client, backend: Backend) -> None:
    backend.budgets[Kind.REQUESTS] = RateLimitItemPerMinute(2)
    for _ in range(2):
        assert (await post(client, request_body())).status == 200
    response = await post(client, request_body())
    await problem_of(response, 429)
    assert 0 < int(response.headers["Retry-After"]) <= 60
    headers = {**basic(OTHER), "Content-Type": "application/json"}
    response = await client.post("/jmap/api", data=request_body(), headers=headers)
    assert response.status == 200
