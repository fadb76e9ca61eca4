"""Design §4: the ladder of servers, and what an oracle has to know of each to read it raw."""

from __future__ import annotations

from dataclasses import dataclass

from tests.oracle.raw_reader import Identity
from tests.servers import cyrus_config
from tests.servers.cyrus import Cyrus
from tests.servers.dovecot import Dovecot
from tests.servers.dovecot_config import Options
from tests.servers.mail_server import MailServer
from tests.sync.conftest import LADDER

_DERIVED = ("no-guids", "cyrus-no-ids")


@dataclass(frozen=True, slots=True)
class Step:
    """One server of the ladder."""

    name: str
    options: Options | cyrus_config.Options

    @property
    def is_dovecot(self) -> bool:
        """Whether it is a Dovecot."""
        return isinstance(self.options, Options)

    @property
    def identity(self) -> Identity:
        """What names its messages."""
        if self.name in _DERIVED:
            return ""
        if self.is_dovecot:
            return "X-GUID"
        return "DIGEST.SHA1" if "OBJECTID" in self.options.without else "EMAILID"

    def server(self) -> MailServer:
        """The server, not yet started."""
        if isinstance(self.options, Options):
            return Dovecot(self.options)
        return Cyrus(self.options)


def step(name: str) -> Step:
    """The step of a name; KeyError if there is none."""
    return Step(name, LADDER[name])


NAMES = tuple(LADDER)
