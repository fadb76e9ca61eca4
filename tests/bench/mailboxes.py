"""The mailboxes that are measured: made once over IMAP, kept on disk, given to each run as copies.

A run may change flags and let Dovecot write its caches; what is kept is never touched by that.
"""

from __future__ import annotations

import lzma
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import islice
from pathlib import Path
from typing import Literal

from tests.bench.imap_socket import ImapSocket
from tests.bench.messages import Letter, letters
from tests.bench.vocabulary import Dice
from tests.servers.dovecot import Dovecot, Message, User
from tests.servers.dovecot_config import Options

VERSION = 1
"""Raised with every change of what is generated, so that old mailboxes are not taken for new."""

PASS_ONE = (
    b"UID FETCH 1:* (UID FLAGS MODSEQ INTERNALDATE RFC822.SIZE X-GUID BODY.PEEK[HEADER.FIELDS "
    b"(Date Subject From Sender Reply-To To Cc Bcc Message-ID In-Reply-To References)])"
)
_IMMUTABLE = re.compile(r"u\.\d+|\d+\.M\d+.*")
_LIST_ARCHIVE = Path("../shared/corpus/lists/linux-man-2019-2026.mboxrd.xz")
_LIST_LENGTH = 20_000
Format = Literal["sdbox", "maildir"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One kind of account.

    Attributes:
        name: also the name of the user, or of the users with a number behind.
        count: messages of each user.
        mailboxes: into how many mailboxes the conversations are put, INBOX being the largest.
        users: how many there are.
        source: gives the letters for a seed.
    """

    name: str
    count: int
    mailboxes: int = 1
    users: int = 1
    format: Format = "sdbox"
    source: Callable[[int, int], Iterator[Letter]] = letters

    def usernames(self) -> list[str]:
        """Return the local parts of the users' names."""
        if self.users == 1:
            return [self.name]
        return [f"{self.name}{number}" for number in range(self.users)]

    def mailbox_of(self, letter: Letter) -> int:
        """Return the number of the mailbox that a letter's conversation is kept in."""
        dice = Dice(letter.conversation)
        return 0 if dice.chance(0.3) else dice.below(self.mailboxes)


def list_archive(seed: int, count: int) -> Iterator[Letter]:
    """Yield the oldest letters of a real mailing list; nothing when the archive is not here."""
    dice = Dice(seed)
    with suppress(FileNotFoundError), lzma.open(_LIST_ARCHIVE, "rb") as archive:
        text = archive.read()
        bodies = text.split(b"From mboxrd@z Thu Jan  1 00:00:00 1970\n")[1:]
        for number, body in enumerate(islice(bodies, count)):
            octets = re.sub(rb"(?m)^>(>*From )", rb"\1", body).replace(b"\n", b"\r\n")
            flags = ("\\Seen",) if dice.chance(0.8) else ()
            yield Letter(number, Message(octets, flags, _date_of(body)))


def _date_of(message: bytes) -> datetime:
    found = re.search(rb"(?mi)^Date:(.*)$", message)
    with suppress(ValueError):
        moment = parsedate_to_datetime(found[1].decode("ascii", "replace") if found else "")
        return moment.astimezone(UTC)
    return datetime(2019, 1, 1, tzinfo=UTC)


PROFILES = {
    profile.name: profile
    for profile in (
        Profile(name="inbox100k", count=100_000),
        Profile(name="inbox20k", count=20_000),
        Profile(name="maildir20k", count=20_000, format="maildir"),
        Profile(name="folders100k", count=100_000, mailboxes=50),
        Profile(name="list20k", count=_LIST_LENGTH, source=list_archive),
        Profile(name="crowd", count=50, users=200),
    )
}


def directory() -> Path:
    """Return where the mailboxes are kept."""
    given = os.environ.get("JMAP_GATEWAY_BENCH_DIR")
    base = Path(given) if given else Path.home() / ".cache" / "jmap-gateway-bench"
    return base / f"v{VERSION}"


def available(profile: Profile) -> bool:
    """Whether the profile's letters can be had here."""
    return profile.source is not list_archive or _LIST_ARCHIVE.exists()


def provide(server: Dovecot, profile: Profile) -> list[User]:
    """Give a server the users of a profile, with mailboxes as they were made and caches warm."""
    kept = directory() / profile.name
    if not kept.exists():
        _make(profile, kept)
    users = [server.add_user(name) for name in profile.usernames()]
    for user in users:
        with server.imap(user) as client:
            client.select()
        home = server.directory / "home" / user.username
        owner = home.stat()  # each server has a user id of its own
        shutil.rmtree(home)
        _copy(kept / user.username, home, owner.st_uid, owner.st_gid)
    return users


def _make(profile: Profile, kept: Path) -> None:
    started = time.monotonic()
    print(f"making the mailboxes of {profile.name} ...", file=sys.stderr)
    kept.parent.mkdir(parents=True, exist_ok=True)
    making = Path(tempfile.mkdtemp(prefix=f"{profile.name}-", dir=kept.parent))
    making.chmod(0o755)
    with Dovecot(Options(mail_format=profile.format)) as server:
        for seed, name in enumerate(profile.usernames()):
            _fill(server, server.add_user(name), profile, seed)
        server.stop()
        for home in (server.directory / "home").iterdir():
            shutil.move(home, making / home.name)
            _open_to_all(making / home.name)
    try:
        making.rename(kept)
    except OSError:  # somebody else has made them meanwhile
        shutil.rmtree(making)
    print(f"... took {time.monotonic() - started:.0f} s", file=sys.stderr)


def _fill(server: Dovecot, user: User, profile: Profile, seed: int) -> None:
    names = ["INBOX", *(f"Folder {number:02d}" for number in range(1, profile.mailboxes))]
    by_mailbox: dict[int, list[Message]] = {}
    if profile.mailboxes > 1:
        for letter in profile.source(seed, profile.count):
            by_mailbox.setdefault(profile.mailbox_of(letter), []).append(letter.message)
        server.create(user, *names[1:])
    with ImapSocket(server.ports.imap, user) as connection:
        # With modification sequences from the start, as a server has them that knows clients.
        connection.run(b"ENABLE QRESYNC")
        if profile.mailboxes == 1:
            of_all = (letter.message for letter in profile.source(seed, profile.count))
            connection.append("INBOX", of_all)
        for number, messages in sorted(by_mailbox.items()):
            connection.append(names[number], messages)
        for name in names:
            connection.run(f'EXAMINE "{name}"'.encode())
            for command in (PASS_ONE, b"UID FETCH 1:* BODYSTRUCTURE", b"UID FETCH 1:* PREVIEW"):
                connection.run(command)


def _copy(source: Path, target: Path, uid: int, gid: int) -> None:
    """Copy a user's mail; the files of messages, which never change, as links if possible."""
    target.mkdir(mode=0o700)
    for entry in os.scandir(source):
        to = target / entry.name
        if entry.is_dir(follow_symlinks=False):
            _copy(Path(entry.path), to, uid, gid)
        elif not (_IMMUTABLE.fullmatch(entry.name) and _link(entry.path, to)):
            shutil.copy2(entry.path, to)
            os.chown(to, uid, gid)
    shutil.copystat(source, target)
    os.chown(target, uid, gid)


def _link(source: str, target: Path) -> bool:
    try:
        os.link(source, target)
    except OSError:  # another file system
        return False
    return True


def _open_to_all(home: Path) -> None:
    """Let every server read the files of messages, whose links all have one owner."""
    for path in home.rglob("*"):
        if _IMMUTABLE.fullmatch(path.name) and path.is_file():
            path.chmod(0o644)
