"""RFC 9051: what is on the server, read by a client of its own that knows nothing of the gateway.

Also what follows from it for JMAP (RFC 8621 §4.1.1): which copies are one Email, keywords of any
copy and $seen of all of them, nothing that has \\Deleted, and the Thread by the first reference.
"""

from __future__ import annotations

import base64
import re
from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from datetime import datetime
from email.parser import BytesHeaderParser
from typing import Literal

from tests.oracle.imap_wire import Answer, Imap
from tests.oracle.view import Box, Mail, View, counts, threads_of

# What tells that copies are the same message; "" where that is only what they look like.
Identity = Literal["X-GUID", "EMAILID", "DIGEST.SHA1", ""]

_LIST = re.compile(rb'\((?P<attributes>[^)]*)\) "." (?P<name>.*)')
_FETCHED = re.compile(rb"\d+ FETCH \(")
_UIDVALIDITY = re.compile(rb"UIDVALIDITY (\d+)")
_UID = re.compile(rb"\bUID (\d+)")
_FLAGS = re.compile(rb"FLAGS \(([^)]*)\)")
_SIZE = re.compile(rb"RFC822\.SIZE (\d+)")
_DATE = re.compile(rb'INTERNALDATE "([^"]+)"')
_FIELDS = b"BODY.PEEK[HEADER.FIELDS (FROM MESSAGE-ID REFERENCES IN-REPLY-TO)]"
_NUMBER = re.compile(r"<m(\d+)@")
_SYSTEM = {"\\seen": "$seen", "\\flagged": "$flagged", "\\answered": "$answered"}
_SYSTEM["\\draft"] = "$draft"
_ROLES = ("trash", "sent", "drafts", "junk", "archive")


@dataclass(frozen=True, slots=True)
class Copy:
    """A message in a mailbox."""

    name: str
    uid: int
    number: int
    identity: Hashable
    root: str
    flags: frozenset[str]
    received: int
    octets: int

    @property
    def deleted(self) -> bool:
        """Whether it has \\Deleted."""
        return "\\deleted" in self.flags

    @property
    def keywords(self) -> frozenset[str]:
        """Its flags as JMAP calls them."""
        kept = self.flags - {"\\recent", "\\deleted"}
        return frozenset(_SYSTEM.get(flag, flag) for flag in kept)


@dataclass(frozen=True, slots=True)
class Listed:
    """A name of LIST, as on the wire."""

    name: str
    attributes: frozenset[str]
    is_subscribed: bool


@dataclass(frozen=True, slots=True)
class Raw:
    """Everything the server has for an account; `validities` are those of what can be selected."""

    listed: list[Listed]
    copies: list[Copy]
    validities: dict[str, int]

    def contents(self) -> Counter[tuple[str, int]]:
        """How often each message is in each mailbox, whatever its flags."""
        return Counter((copy.name, copy.number) for copy in self.copies)

    def groups(self) -> dict[Hashable, list[Copy]]:
        """The copies of each Email."""
        found: dict[Hashable, list[Copy]] = {}
        for copy in self.copies:
            if not copy.deleted:
                found.setdefault(copy.identity, []).append(copy)
        return found

    def mails(self) -> list[tuple[Mail, Hashable]]:
        """All Emails, each with what its Thread is called."""
        return [(_mail(group), _thread(group)) for group in self.groups().values()]

    def view(self) -> View:
        """What JMAP has to show."""
        mails = self.mails()
        listed = {path_of(entry.name): entry for entry in self.listed}
        roles = {path: _role(path, entry) for path, entry in listed.items()}
        trash = next((path for path, role in roles.items() if role == "trash"), None)
        boxes = {}
        for path in _with_parents(listed):
            shown = path in listed and listed[path].is_subscribed
            # Nobody subscribes to the inbox, and everybody sees it.
            shown = shown or path == "INBOX"
            boxes[path] = Box(roles.get(path), shown, *counts(path, mails, trash))
        return View(Counter(mail for mail, _ in mails), boxes, threads_of(mails))


def read(client: Imap, identity: Identity, also: Iterable[str] = ()) -> Raw:
    """Read all there is, and what is in some mailboxes that LIST may leave out for a while.

    Raises OSError, imap_wire.Refused.
    """
    listed = _listed(client)
    names = [entry.name for entry in listed if not entry.attributes & _NOT_SELECTABLE]
    names = list(dict.fromkeys((*names, *also)))
    item = f"{identity} ".encode() if identity else b""
    fetch = b"UID FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE %s%s)" % (item, _FIELDS)
    volley = [c for name in names for c in (b"EXAMINE " + _quoted(name), fetch)]
    answers = client.volley([*volley, b"UNSELECT"])
    copies, validities = [], {}
    for position, name in enumerate(names):
        examined, fetched = answers[2 * position : 2 * position + 2]
        validity = _UIDVALIDITY.search(b" ".join(parts[0] for parts in examined.untagged))
        if not examined.ok or validity is None:
            continue  # listed, but gone
        validities[name] = int(validity[1])
        copies += [_copy(name, parts, identity) for parts in _rows(fetched)]
    return Raw(listed, copies, validities)


_NOT_SELECTABLE = {"\\noselect", "\\nonexistent"}


def _listed(client: Imap) -> list[Listed]:
    every, subscribed = client.volley([b'LIST "" "*"', b'LSUB "" "*"'])
    shown = {_name(match) for match in map(_LIST.match, subscribed.lines(b"LSUB")) if match}
    return [
        Listed(_name(match), _words(match["attributes"]), _name(match) in shown)
        for match in map(_LIST.match, every.lines(b"LIST"))
        if match
    ]


def _name(match: re.Match[bytes]) -> str:
    return match["name"].decode().strip('"').replace('\\"', '"').replace("\\\\", "\\")


def _words(octets: bytes) -> frozenset[str]:
    return frozenset(octets.decode().lower().split())


def _quoted(name: str) -> bytes:
    return b'"%s"' % name.encode()


def _rows(answer: Answer) -> list[list[bytes]]:
    """FETCH responses that are of a whole message; others tell of flags by the way."""
    return [p for p in answer.untagged if _FETCHED.match(p[0]) and len(p) > 1]


def _copy(name: str, parts: list[bytes], identity: Identity) -> Copy:
    header = BytesHeaderParser().parsebytes(parts[1])
    line = b" ".join((parts[0], *parts[2:]))
    number = _NUMBER.search(str(header["From"]))
    found = {key: pattern.search(line) for key, pattern in _ITEMS.items()}
    assert number, line
    assert all(found.values()), line
    flags, size, date, uid = (match[1] for match in found.values() if match)
    received = datetime.strptime(date.decode().strip(), "%d-%b-%Y %H:%M:%S %z")
    names = [str(header[f] or "").split() for f in ("References", "In-Reply-To", "Message-ID")]
    root = next((ids[0] for ids in names if ids), "")
    named: Hashable = (int(number[1]), int(size), received)
    if identity:
        match = re.search(rb"%s \(?([^\s()]+)" % re.escape(identity.encode()), line)
        assert match, line
        named = match[1]
    return Copy(
        name,
        int(uid),
        int(number[1]),
        named,
        root,
        _words(flags),
        int(received.timestamp()),
        int(size),
    )


_ITEMS = {"flags": _FLAGS, "size": _SIZE, "date": _DATE, "uid": _UID}


def _mail(group: list[Copy]) -> Mail:
    union = frozenset[str]().union(*(copy.keywords for copy in group))
    seen = all("$seen" in copy.keywords for copy in group)
    return Mail(
        group[0].number,
        group[0].octets,
        group[0].received,
        frozenset(path_of(copy.name) for copy in group),
        union if seen else union - {"$seen"},
    )


def _thread(group: list[Copy]) -> Hashable:
    return group[0].root or group[0].identity


def _role(path: str, entry: Listed) -> str | None:
    """RFC 6154 §2."""
    if path == "INBOX":
        return "inbox"
    return next((role for role in _ROLES if "\\" + role in entry.attributes), None)


def _with_parents(paths: dict[str, Listed]) -> set[str]:
    """All levels: JMAP shows those that LIST leaves out, too."""
    split = [path.split("/") for path in paths]
    return {"/".join(levels[: n + 1]) for levels in split for n in range(len(levels))}


def path_of(name: str) -> str:
    """RFC 3501 §5.1.3: a name in modified UTF-7 as JMAP has it, the inbox as IMAP has it."""
    return re.sub(r"&([^-]*)-", _decoded, name)


def _decoded(match: re.Match[str]) -> str:
    if not match[1]:
        return "&"
    text = match[1].replace(",", "/")
    return base64.b64decode(text + "=" * (-len(text) % 4)).decode("utf-16-be")
