"""RFC 8621 §3: Threads of a mailing list, next to what the server's own THREAD finds (RFC 5256).

REFERENCES joins what names each other, whatever the subject, and then what has the same subject,
whatever it names. REFS does the first only. RFC 8621 §3 suggests that both must be the same: that
is REFS, divided by subject. Here a Thread is found from one message alone, so that its id is the
same whatever else is there.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from math import comb

from gateway.mime.threading import field_values, thread_root
from tests.bench.figures.indexing import new_account
from tests.bench.mailboxes import PROFILES, available
from tests.bench.report import Figure, Mark
from tests.bench.stage import Stage
from tests.servers.dovecot import Dovecot, User

_PROFILE = "list20k"
_TOKEN = re.compile(rb"[()]|\d+")

Partition = Mapping[int, Hashable]
"""What thread each message is in, by UID."""


@dataclass(frozen=True, slots=True)
class _Message:
    """What the gateway knows of one message: its thread, and what that was found by."""

    thread: int
    message_id: bytes
    root: bytes
    subject: bytes


@dataclass(frozen=True, slots=True)
class Agreement:
    """Two partitions of the same messages: pairs of one thread here, there, and in both.

    `alike` are the messages whose threads have the same messages here and there.
    """

    messages: int
    here: int
    there: int
    both: int
    alike: int

    @property
    def rand(self) -> float:
        """Of all pairs, those on which both say the same."""
        return 1 - (self.here + self.there - 2 * self.both) / comb(self.messages, 2)

    @property
    def jaccard(self) -> float:
        """Of the pairs that one of them joins, those that both join."""
        return self.both / (self.here + self.there - self.both)


def compare(here: Partition, there: Partition) -> Agreement:
    """Count the pairs of messages that are in one thread."""
    joint = {uid: (thread, there[uid]) for uid, thread in here.items()}
    sizes_here, sizes_there = Counter(here.values()), Counter(there.values())
    alike = sum(
        size
        for (thread, other), size in Counter(joint.values()).items()
        if sizes_here[thread] == sizes_there[other] == size
    )
    return Agreement(len(here), _pairs(here), _pairs(there), _pairs(joint), alike)


async def run(stage: Stage) -> list[Figure]:
    """Compare one mailbox of a list archive; nothing where the archive is not here."""
    if not available(PROFILES[_PROFILE]):
        return []
    server, user = stage.server(_PROFILE), stage.user(_PROFILE)
    messages = await _messages(server, user)
    here = {uid: message.thread for uid, message in messages.items()}
    references, refs = _server_threads(server, user, "REFERENCES", "REFS")
    suggested = {uid: (refs[uid], message.subject) for uid, message in messages.items()}
    notes = _disagreements(messages, compare(references, refs), refs, suggested)
    return [
        *_figures("REFERENCES", compare(here, references), Mark(">=", 99), notes),
        *_figures("REFS", compare(here, refs)),
        *_figures("REFS, divided by subject", compare(here, suggested)),
    ]


def _figures(
    name: str, agreement: Agreement, mark: Mark | None = None, notes: tuple[str, ...] = ()
) -> list[Figure]:
    both = agreement.both
    joined = agreement.here + agreement.there
    return [
        Figure(f"threads and {name}: pairs alike", "%", [100 * agreement.rand], mark, notes),
        Figure("- of those joined here, joined there", "%", [100 * both / agreement.here]),
        Figure("- of those joined there, joined here", "%", [100 * both / agreement.there]),
        Figure("- harmonic mean of these two", "%", [200 * both / joined]),
        Figure("- of those joined here or there, in both", "%", [100 * agreement.jaccard]),
        Figure("- messages in the same company", "%", [100 * agreement.alike / agreement.messages]),
    ]


async def _messages(server: Dovecot, user: User) -> dict[int, _Message]:
    """Read the mailbox as the gateway does."""
    found = {}
    async with new_account(server.ports.imap, user) as account:
        data = await account.indexed()
        every = (data.index.mailbox(number) for number in data.numbers.values())
        columns = next(columns for columns in every if len(columns.uids))
        for uid, row in zip(columns.uids.tolist(), columns.rows.tolist(), strict=True):
            header = data.headers.get(row) or b""
            (message_id,) = field_values(header, (b"message-id",))
            root, subject = thread_root(header)
            thread = int(data.emails.thread[row])
            found[uid] = _Message(thread, message_id.strip().strip(b"<>"), root, subject)
    return found


def _server_threads(server: Dovecot, user: User, *algorithms: str) -> list[dict[int, int]]:
    """Ask for RFC 5256 THREAD and forget what is whose answer."""
    found = []
    with server.imap(user) as client:
        client.select(readonly=True)
        for algorithm in algorithms:
            answer = client.uid("THREAD", algorithm, "UTF-8", "ALL")[1][0]
            threads: dict[int, int] = {}
            depth = thread = 0
            for token in _TOKEN.findall(answer):
                depth += {b"(": 1, b")": -1}.get(token, 0)
                thread += token == b")" and not depth
                if token.isdigit():
                    threads[int(token)] = thread
            found.append(threads)
    return found


def _disagreements(
    messages: Mapping[int, _Message], servers: Agreement, refs: Partition, suggested: Partition
) -> tuple[str, ...]:
    """Count the pairs that REFERENCES joins and the gateway does not, by the reason."""
    here = {uid: message.thread for uid, message in messages.items()}
    resolved = _resolved(messages)
    cut_short = compare(resolved, suggested).both - compare(here, suggested).both
    other_root = _pairs(suggested) - compare(here, suggested).both - cut_short
    return (
        f"{servers.here} pairs are joined there, {_pairs(here)} here",
        f"{servers.here - servers.both} only by their subject",
        f"{servers.both - _pairs(suggested)} name each other, but have other subjects",
        f"{cut_short} are of a thread in which References begins at a later message than the first"
        " (some programs keep the last ten); the server sees that from the messages between",
        f"{other_root} share no more than a message that is not here, or in between",
        f"{_pairs(here) - compare(here, refs).both} joined here are not joined by REFS",
    )


def _resolved(messages: Mapping[int, _Message]) -> dict[int, tuple[bytes, bytes]]:
    """Where each message would be if its root were looked for among all messages."""
    roots = {message.message_id: message.root for message in messages.values()}

    def first(root: bytes) -> bytes:
        seen = {root}
        while (further := roots.get(root, root)) not in seen:
            seen.add(further)
            root = further
        return root

    return {uid: (first(message.root), message.subject) for uid, message in messages.items()}


def _pairs(partition: Partition) -> int:
    return sum(comb(size, 2) for size in Counter(partition.values()).values())
