"""RFC 7162 §3.1.4, §3.2.6: UID FETCH of flags that changed, as columns, and of what vanished."""

# ruff: noqa: D102 -- gateway.imap.command says what the methods of a command do

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from gateway.imap import refusals
from gateway.imap.command import Command
from gateway.imap.commands.fetch_columns import FetchColumns
from gateway.imap.errors import CommandRefused
from gateway.imap.wire import encode
from gateway.imap.wire.encode import Encoded, SequenceSet
from gateway.imap.wire.fetchshape import Columns, Shape
from gateway.imap.wire.items import Item
from gateway.imap.wire.responses import Tagged, Untagged
from gateway.imap.wire.sequences import Range, parse_ranges


@dataclass(slots=True)
class FlagChanges:
    """Messages with their flags, and ranges of UIDs that are gone. lacks: some were refused."""

    columns: Columns = field(default_factory=Columns)
    vanished: list[Range] = field(default_factory=list)
    lacks: bool = False


class FetchChanges(Command[FlagChanges]):
    """UID FETCH of a set, of all messages or of those that changed since a mod-sequence.

    `vanished` needs QRESYNC enabled and `changed_since`. A refusal carries what had come as
    `partial`: Exchange says NO when one message of many is gone.
    """

    name: ClassVar[str] = "FETCH"
    bulk: ClassVar[bool] = True
    may_lack: ClassVar[bool] = True

    def __init__(
        self,
        uids: SequenceSet,
        asked: Sequence[Item],
        changed_since: int | None = None,
        *,
        vanished: bool = False,
    ) -> None:
        self._uids = uids
        self._asked = asked
        self._changed_since = changed_since
        self._wants_vanished = vanished
        self._rows = FetchColumns(uids, asked, Shape(asked))
        self._found = FlagChanges()

    def encode(self) -> Encoded:
        if self._changed_since is None:
            return self._rows.encode()
        modifier = [encode.atom("CHANGEDSINCE"), encode.number(self._changed_since)]
        if self._wants_vanished:
            modifier.append(encode.atom("VANISHED"))
        return encode.join(self._rows.encode(), encode.parenthesised(*modifier))

    def take(self, chunk: bytes) -> bytes:
        return self._rows.take(chunk)

    def collect(self, response: Untagged) -> bool:
        if response.name != "VANISHED":
            return self._rows.collect(response)
        values = response.values
        if not self._wants_vanished or len(values) != 2 or not isinstance(values[1], bytes):
            return False
        self._found.vanished += parse_ranges(values[1])
        return True

    def finish(self, tagged: Tagged) -> FlagChanges:
        try:
            self._found.columns = self._rows.finish(tagged)
        except CommandRefused as refused:
            if isinstance(refused.partial, Columns):
                self._found.columns = refused.partial
            refused.partial = self._found
            raise
        return self._found

    def smaller(self, refused: CommandRefused) -> Sequence[FetchChanges] | None:
        present = set(map(int, self._found.columns.uid))
        sets = refusals.remaining(self._uids, present, refused)
        if sets is None:
            return None
        since, vanished = self._changed_since, self._wants_vanished
        return [FetchChanges(packed, self._asked, since, vanished=vanished) for packed in sets]

    def merged(self, parts: Sequence[FlagChanges], lacks: bool) -> FlagChanges:
        columns = self._rows.merged([part.columns for part in parts], lacks)
        vanished = [span for part in parts for span in part.vanished]
        return FlagChanges(columns, vanished, lacks)

    def unclaimed(self) -> Sequence[Untagged]:
        return self._rows.unclaimed()
