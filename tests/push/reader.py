"""WHATWG HTML §9.2.6: an event stream as a browser reads it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from aiohttp import ClientResponse

SECONDS = 30


@dataclass(frozen=True)
class Event:
    """`id` is what the client would send as Last-Event-ID from now on."""

    name: str
    data: str
    id: str

    @property
    def json(self) -> Any:
        return json.loads(self.data)


class Parser:
    """Reads lines; see §9.2.6 for the terms."""

    def __init__(self) -> None:
        self.last_event_id = ""
        self.retry: int | None = None
        self.comments = 0
        self._id = ""
        self._name = ""
        self._data: list[str] = []

    def feed(self, line: str) -> Event | None:
        if not line:
            return self._dispatch()
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match field:
            case "":
                self.comments += 1
            case "event":
                self._name = value
            case "data":
                self._data.append(value)
            case "id" if "\0" not in value:
                self._id = value
            case "retry" if value.isascii() and value.isdigit():
                self.retry = int(value)
        return None

    def _dispatch(self) -> Event | None:
        self.last_event_id = self._id
        data, self._data = self._data, []
        name, self._name = self._name, ""
        if not data:
            return None
        return Event(name or "message", "\n".join(data), self.last_event_id)


def parse(octets: bytes) -> Iterator[Event]:
    """Yield the events of a whole stream."""
    parser = Parser()
    for line in octets.decode().split("\n"):
        if (event := parser.feed(line)) is not None:
            yield event


class Reader:
    """Reads the events of a response as they come."""

    def __init__(self, response: ClientResponse) -> None:
        assert response.status == 200, response.status
        self.response = response
        self.parser = Parser()

    async def opened(self) -> Event | None:
        """Wait until the client has an id; give the event that came with it, if one did."""
        event = None
        async with asyncio.timeout(SECONDS):
            while not self.parser.last_event_id:
                line = await self.response.content.readuntil(b"\n")
                assert line, "the stream ended"
                event = self.parser.feed(line.decode().removesuffix("\n"))
        return event

    async def next(self) -> Event | None:
        """Wait for the next event; None at the end of the stream."""
        async with asyncio.timeout(SECONDS):
            while line := await self.response.content.readuntil(b"\n"):
                event = self.parser.feed(line.decode().removesuffix("\n"))
                if event is not None:
                    return event
        return None

    async def state(self) -> dict[str, dict[str, str]]:
        """Wait for the next state event; give the `changed` of its StateChange."""
        while (event := await self.next()) is not None:
            if event.name == "state":
                change = event.json
                assert change.pop("@type") == "StateChange"
                changed: dict[str, dict[str, str]] = change.pop("changed")
                assert not change
                return changed
        raise AssertionError("the stream ended")
