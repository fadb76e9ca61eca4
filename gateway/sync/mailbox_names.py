"""RFC 9051 §5.1, RFC 2342: the wire names that mailboxes are to have, level by level."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.imap.commands.list import Listed
from gateway.imap.commands.namespace import Namespaces
from gateway.imap.wire import modutf7
from gateway.sync.extent import OWN, Extent
from gateway.sync.mailbox_plan import Objection, Reason
from gateway.sync.mailboxes import Mailbox
from gateway.sync.paths import Layout, net_unicode


class NoName(Exception):
    """A mailbox can have no such name, or not there; `objection` says why."""

    def __init__(self, objection: Objection) -> None:
        super().__init__(objection.reason.value)
        self.objection = objection


@dataclass(frozen=True, slots=True)
class Root:
    """What the wire names at the top of an account begin with, and its delimiter."""

    prefix: bytes
    delimiter: str | None


def root_of(
    mailboxes: Mapping[str, Mailbox], namespaces: Namespaces | None, extent: Extent = OWN
) -> Root:
    """Where a new mailbox at the top of an account is to be."""
    if extent != OWN:
        return Root(modutf7.encode(extent.root + (extent.delimiter or "")), extent.delimiter)
    listed = [
        Listed(m.wire_name, m.wire, m.delimiter, frozenset())
        for m in mailboxes.values()
        if m.wire is not None
    ]
    home = Layout(namespaces or Namespaces(), listed).home
    told = (entry.delimiter for entry in listed if entry.delimiter)
    return Root(modutf7.encode(home.prefix), home.delimiter or next(told, None))


class WireNames:
    """The wire names of an account's mailboxes, as they are renamed."""

    def __init__(self, mailboxes: Mapping[str, Mailbox], root: Root) -> None:
        self._root = root
        self._mailboxes = mailboxes
        children = {m.parent_id: m.id for m in mailboxes.values()}
        self.by_id = {id_: self._found(id_, children) for id_ in mailboxes}
        self._leaves = {id_: self._leaf(id_) for id_ in mailboxes}

    def _found(self, id_: str, children: Mapping[str | None, str]) -> bytes:
        """That of a level that LIST left out is part of the names below it."""
        mailbox = self._mailboxes[id_]
        if mailbox.wire is not None or id_ not in children or mailbox.delimiter is None:
            return mailbox.wire or b""
        delimiter = mailbox.delimiter.encode()
        return self._found(children[id_], children).rstrip(delimiter).rpartition(delimiter)[0]

    def _leaf(self, id_: str) -> bytes:
        """The last level, as the server spells it."""
        delimiter = self.delimiter(id_)
        wire = self.by_id[id_]
        return wire.rstrip(delimiter).rpartition(delimiter)[2] if delimiter else wire

    def delimiter(self, id_: str | None) -> bytes:
        """What separates the levels below a mailbox; empty where there can be none."""
        mailbox = self._mailboxes.get(id_ or "")
        delimiter = mailbox.delimiter if mailbox is not None else self._root.delimiter
        return (delimiter or "").encode()

    def below(self, parent_id: str | None, name: str, id_: str | None = None) -> bytes:
        """The name of mailbox `id_`, or of a new one, below a parent. Raises NoName.

        A mailbox that only moves keeps the spelling of its name.
        """
        delimiter = self.delimiter(parent_id)
        leaf = self._leaves.get(id_ or "", b"")
        if not leaf or net_unicode(modutf7.decode(leaf)) != name:
            leaf = modutf7.encode(name)
        if delimiter and delimiter in leaf:
            raise NoName(Objection(Reason.NAME))
        if parent_id is None:
            return self._root.prefix + leaf
        if not delimiter:
            raise NoName(Objection(Reason.NO_CHILDREN))
        if parent_id not in self.by_id:
            raise NoName(Objection(Reason.NO_PARENT))
        parent = self.by_id[parent_id]
        # RFC 2342: below the prefix "INBOX." are no children of the inbox.
        if self._root.prefix.upper() == parent.upper() + delimiter == b"INBOX" + delimiter:
            parent = self._root.prefix + b"INBOX"
        return parent.removesuffix(delimiter) + delimiter + leaf

    def rename(self, id_: str, to: bytes) -> None:
        """A mailbox has another name, and so has what is below it."""
        old, delimiter = self.by_id[id_], self.delimiter(id_)
        start = old.removesuffix(delimiter) + delimiter
        for other, wire in self.by_id.items():
            if delimiter and wire.startswith(start):
                self.by_id[other] = to + delimiter + wire[len(start) :]
        self.by_id[id_] = to
