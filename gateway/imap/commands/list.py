"""RFC 9051 §6.3.9 LIST; RFC 5258 LIST-EXTENDED, RFC 5819 LIST-STATUS, RFC 6154 SPECIAL-USE.

RFC 9590 LIST-METADATA: for the ids that Cyrus has for mailboxes. XLIST is what Gmail had before
SPECIAL-USE, and Yandex and Zoho have still: LIST with roles, under other names for some of them,
and with a translated name for the inbox.
"""

# ruff: noqa: D102 -- gateway.imap.command says what the methods of a command do

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, cast

from gateway.imap.command import Command, Commander
from gateway.imap.commands.metadata import parse_unique_id, unique_id_for
from gateway.imap.commands.status import (
    Status,
    StatusOf,
    has_x_guid,
    items_for,
    mailbox_octets,
    parse_status,
)
from gateway.imap.errors import CommandRefused, ProtocolError
from gateway.imap.quirks import NO_LIST_RETURN, NO_X_GUID
from gateway.imap.wire import encode, modutf7
from gateway.imap.wire.encode import Encoded
from gateway.imap.wire.responses import Tagged, Untagged

MAX_MAILBOXES = 20_000
"""Of one user; who has more is told so, as each costs memory and a STATUS."""

EVERY = ("*",)
"""The pattern that all names match."""
_SUBSCRIBED = "\\subscribed"
_NOSELECT = "\\noselect"
_OF_XLIST = {"\\spam": "\\junk", "\\allmail": "\\all", "\\starred": "\\flagged"}


@dataclass(frozen=True, slots=True)
class Listed:
    """One mailbox name.

    `name` is decoded, `wire` is what to send; `delimiter` is None in a flat namespace;
    `attributes` are lower case with their backslash; `status` is None where nothing can be
    selected, or the server did not say.
    """

    name: str
    wire: bytes
    delimiter: str | None
    attributes: frozenset[str]
    status: Status | None = None

    @property
    def selectable(self) -> bool:
        """Whether it can be EXAMINEd."""
        return _NOSELECT not in self.attributes


class List(Command[list[Listed]]):
    """LIST "" with patterns, RFC 5258 return options and STATUS items; or LSUB or XLIST.

    `unique_id` is the return option that asks for the mailboxes' ids, if STATUS does not. More than
    one pattern is for servers with LIST-EXTENDED.
    """

    def __init__(
        self,
        returns: Sequence[str] = (),
        status: Sequence[str] = (),
        unique_id: Sequence[Encoded] = (),
        *,
        verb: Literal["LIST", "LSUB", "XLIST"] = "LIST",
        patterns: Sequence[str] = EVERY,
    ) -> None:
        self.name = verb  # type: ignore[misc]
        self._patterns = patterns
        self._returns = returns
        self._items = status
        self._unique_id = unique_id
        self._ids: dict[bytes, str | None] = {}
        self._listed: dict[bytes, Listed] = {}
        self._status: dict[bytes, Status] = {}

    def encode(self) -> Encoded:
        patterns = [encode.list_pattern(pattern) for pattern in self._patterns]
        asked = patterns[0] if len(patterns) == 1 else encode.parenthesised(*patterns)
        arguments = [encode.atom(self.name), encode.string(""), asked]
        options = [encode.item(option) for option in self._returns]
        if self._items:
            options.append(encode.item("STATUS"))
            options.append(encode.parenthesised(*map(encode.item, self._items)))
        options += self._unique_id
        if options:
            arguments += [encode.atom("RETURN"), encode.parenthesised(*options)]
        return encode.join(*arguments)

    def collect(self, response: Untagged) -> bool:
        if response.name == self.name:
            listed = parse_list(response)
            if listed is not None:
                self._listed[listed.wire] = listed
        elif response.name == "STATUS" and self._items:
            mailbox, status = parse_status(response)
            self._status[mailbox] = status
        elif response.name == "METADATA" and self._unique_id:
            mailbox, unique_id = parse_unique_id(response)
            self._ids[mailbox] = unique_id
        else:
            return False
        if max(len(self._listed), len(self._status), len(self._ids)) > MAX_MAILBOXES:
            raise ProtocolError(f"over {MAX_MAILBOXES} mailboxes")
        return True

    def finish(self, tagged: Tagged) -> list[Listed]:
        self.check(tagged)
        for wire, unique_id in self._ids.items():
            status = self._status.get(wire, None if self._items else Status())
            if status is not None:
                self._status[wire] = replace(status, mailbox_id=unique_id)
        return [
            replace(listed, status=self._status.get(wire) if listed.selectable else None)
            for wire, listed in self._listed.items()
        ]


def parse_list(response: Untagged) -> Listed | None:
    """A LIST, LSUB or XLIST response, which may come as news; None for the empty name, no mailbox.

    Attributes have the names of RFC 6154 and RFC 5258, and none says which mailbox is the inbox:
    it is the one called INBOX.
    """
    values = response.values
    if len(values) < 3 or not isinstance(values[0], list):
        raise ProtocolError("a LIST response without attributes, delimiter and name")
    given = (
        attribute.decode("ascii", "replace").lower()
        for attribute in values[0]
        if isinstance(attribute, bytes)
    )
    attributes = {_OF_XLIST.get(attribute, attribute) for attribute in given} - {"\\inbox"}
    if "\\nonexistent" in attributes:  # RFC 5258 §3.4
        attributes.add(_NOSELECT)
    delimiter, name = values[1], values[2]
    if isinstance(delimiter, list) or isinstance(name, list):
        raise ProtocolError("a LIST response with a list for a name")
    wire = mailbox_octets(name)
    if not wire:
        return None
    return Listed(
        name=modutf7.decode(wire),
        wire=wire,
        delimiter=delimiter.decode("ascii", "replace") if delimiter else None,
        attributes=frozenset(attributes),
    )


async def list_mailboxes(
    conn: Commander,
    before: Sequence[Command[None]] = (),
    patterns: Sequence[str] = EVERY,
    wanted: Callable[[Listed], bool] = lambda _: True,
) -> list[Listed]:
    """All mailboxes with their attributes, subscription and STATUS, in one round trip if possible.

    Commands in `before` are sent first, in the same go. Only names that match one of the patterns
    are listed; where STATUS is asked one by one, only for those wanted. Raises CommandRefused when
    the server refuses even a plain LIST.
    """
    if not lists_extended(conn):
        return await _list_plainly(conn, before, patterns, wanted)
    xlist = _xlist(conn)
    returns = ["SUBSCRIBED", "CHILDREN"]
    if "SPECIAL-USE" in conn.capabilities or "IMAP4REV2" in conn.capabilities:
        returns.append("SPECIAL-USE")
    with_status = lists_status(conn)
    while True:
        items = items_for(conn) if with_status else ()
        try:
            command = List(returns, items, unique_id_for(conn), patterns=patterns)
            listed = await _run(conn, before, command, xlist)
        except CommandRefused as refused:
            if refused.status == "BAD" and "X-GUID" in items:
                conn.quirks.add(NO_X_GUID)
                continue
            is_lacking = True
        else:
            is_lacking = not listed and patterns == EVERY  # all users have an inbox
        break
    if is_lacking:  # strato.de, ProtonMail Bridge
        conn.quirks.add(NO_LIST_RETURN)
        return await _list_plainly(conn, (), patterns, wanted)
    return listed if with_status else await _with_status(conn, listed, wanted)


def lists_extended(conn: Commander) -> bool:
    """RFC 5258: whether LIST takes several patterns, and return options."""
    extended = "LIST-EXTENDED" in conn.capabilities or "IMAP4REV2" in conn.capabilities
    return extended and NO_LIST_RETURN not in conn.quirks


def lists_status(conn: Commander) -> bool:
    """RFC 5819: whether LIST tells the STATUS of all that it lists."""
    announced = "LIST-STATUS" in conn.capabilities or "IMAP4REV2" in conn.capabilities
    return announced and lists_extended(conn)


async def list_names(conn: Commander, patterns: Sequence[str]) -> list[Listed]:
    """The mailboxes whose names match one of the patterns, with their attributes only.

    Raises CommandRefused.
    """
    found: dict[bytes, Listed] = {}
    for result in await conn.run_all(*(List(patterns=(pattern,)) for pattern in patterns)):
        if isinstance(result, CommandRefused):
            raise result
        found |= {listed.wire: listed for listed in result}
    return list(found.values())


def _xlist(conn: Commander) -> list[List]:
    """The command that tells the roles of mailboxes where only XLIST does."""
    announced = conn.capabilities
    needed = not {"SPECIAL-USE", "IMAP4REV2"} & announced and "XLIST" in announced
    return [List(verb="XLIST")] if needed else []


async def _run(
    conn: Commander, before: Sequence[Command[None]], command: List, xlist: list[List]
) -> list[Listed]:
    results = await conn.run_all(*before, command, *xlist)
    listed, *more = results[len(before) :]
    if isinstance(listed, CommandRefused):
        raise listed
    return _with_roles(cast("list[Listed]", listed), more)


def _with_roles(
    listed: list[Listed], told: Sequence[list[Listed] | CommandRefused]
) -> list[Listed]:
    """The attributes of LIST and those that XLIST told, if it did."""
    known = {each.wire: each for each in listed}
    for answer in told:
        if not isinstance(answer, CommandRefused):
            for each in answer:
                if each.wire in known:
                    attributes = known[each.wire].attributes | each.attributes
                    known[each.wire] = replace(known[each.wire], attributes=attributes)
    return list(known.values())


async def _list_plainly(
    conn: Commander,
    before: Sequence[Command[None]],
    patterns: Sequence[str],
    wanted: Callable[[Listed], bool],
) -> list[Listed]:
    lists = [List(patterns=(pattern,)) for pattern in patterns]
    lsubs = [List(verb="LSUB", patterns=(pattern,)) for pattern in patterns]
    results = await conn.run_all(*before, *lists, *lsubs, *_xlist(conn))
    answers = results[len(before) :]
    named, answers = answers[: len(lists)], answers[len(lists) :]
    subscribed, more = answers[: len(lsubs)], answers[len(lsubs) :]
    by_wire: dict[bytes, Listed] = {}
    for answer in named:
        if isinstance(answer, CommandRefused):
            raise answer
        by_wire |= {each.wire: each for each in answer}
    for answer in subscribed:
        if not isinstance(answer, CommandRefused):  # Exchange has no LSUB in some modes
            _mark_subscribed(by_wire, answer)
    return await _with_status(conn, _with_roles(list(by_wire.values()), more), wanted)


def _mark_subscribed(by_wire: dict[bytes, Listed], subscribed: Sequence[Listed]) -> None:
    for wire in (each.wire for each in subscribed if each.selectable):
        if wire in by_wire:
            attributes = by_wire[wire].attributes | {_SUBSCRIBED}
            by_wire[wire] = replace(by_wire[wire], attributes=attributes)


async def _with_status(
    conn: Commander, listed: list[Listed], wanted: Callable[[Listed], bool]
) -> list[Listed]:
    """Pipelined STATUS of all that can be selected and are wanted."""
    selectable = [each for each in listed if each.selectable and wanted(each)]
    if selectable and has_x_guid(conn) and "X-GUID" in items_for(conn):
        try:
            await conn.run(StatusOf(selectable[0].wire, items_for(conn)))
        except CommandRefused:
            conn.quirks.add(NO_X_GUID)
    items = items_for(conn)
    results = await conn.run_all(*(StatusOf(each.wire, items) for each in selectable))
    found = dict(zip((each.wire for each in selectable), results, strict=True))
    return [_figured(each, found.get(each.wire)) for each in listed]


def _figured(listed: Listed, status: object) -> Listed:
    """With the figures of a STATUS, if it had any; the id may have come with the LIST."""
    if not isinstance(status, Status):
        return replace(listed, status=None)
    known = listed.status.mailbox_id if listed.status else None
    return replace(listed, status=replace(status, mailbox_id=status.mailbox_id or known))
