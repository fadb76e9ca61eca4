"""RFC 5804 §1.2, §1.3, §2.7: what the lines of a response say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple, cast

from gateway.managesieve.errors import ProtocolError
from gateway.managesieve.wire.tokens import Atom, Item, Line

Status = Literal["OK", "NO", "BYE"]


@dataclass(frozen=True, slots=True)
class Code:
    """RFC 5804 §1.3: a response code; `name` is in upper case, with its further levels."""

    name: str
    arguments: tuple[Item, ...] = ()

    def within(self, name: str) -> bool:
        """Whether it is this code or a more detailed one: QUOTA/MAXSIZE is within QUOTA."""
        return self.name == name or self.name.startswith(name + "/")

    @property
    def text(self) -> str | None:
        """The first argument, a string or atom: the URL of REFERRAL, the string of TAG or SASL."""
        first = self.arguments[0] if self.arguments else None
        return text(first) if isinstance(first, bytes | Atom) else None


@dataclass(frozen=True, slots=True)
class Completion:
    """The line that ends a response; `text` is for people and may be of several lines."""

    status: Status
    code: Code | None = None
    text: str = ""


class Listed(NamedTuple):
    """RFC 5804 §2.7: the name of a script, and whether it is the active one."""

    name: str
    active: bool


def is_completion(line: Line) -> bool:
    """Whether a line ends a response. Raises ProtocolError for one that is not of data either."""
    first = line[0] if line else None
    if isinstance(first, bytes):
        return False
    if isinstance(first, Atom) and first.upper() in ("OK", "NO", "BYE"):
        return True
    raise ProtocolError(f"no response: {line!r:.80}")


def completion(line: Line) -> Completion:
    """Read a line that ends a response. Raises ProtocolError for what is none."""
    if not is_completion(line):
        raise ProtocolError(f"no response: {line!r:.80}")
    status = cast("Status", cast("Atom", line[0]).upper())
    rest = list(line[1:])
    code = None
    if rest and isinstance(rest[0], tuple):
        code = _code(rest.pop(0))
    said = b""
    if rest and isinstance(rest[0], bytes):
        said = cast("bytes", rest.pop(0))
    if rest:
        raise ProtocolError(f"no response: {line!r:.80}")
    return Completion(status, code, text(said))


def _code(items: Item) -> Code:
    if not isinstance(items, tuple) or not items or not isinstance(items[0], Atom):
        raise ProtocolError(f"no response code: {items!r:.80}")
    return Code(items[0].upper(), items[1:])


def string(line: Line) -> bytes:
    """The octets of a line that is one string: a script, a challenge. Raises ProtocolError."""
    if len(line) != 1 or not isinstance(line[0], bytes):
        raise ProtocolError(f"expected a string: {line!r:.80}")
    return line[0]


def scripts(lines: Iterable[Line]) -> list[Listed]:
    """RFC 5804 §2.7: the scripts that LISTSCRIPTS gives, in its order.

    Raises ProtocolError, also for names that are not UTF-8 and for more than one active script:
    what is made of the list must not be a guess.
    """
    found = []
    for line in lines:
        match line:
            case (bytes(name),):
                found.append(Listed(_name(name), False))
            case (bytes(name), Atom() as word) if word.upper() == "ACTIVE":
                found.append(Listed(_name(name), True))
            case _:
                raise ProtocolError(f"no script: {line!r:.80}")
    if sum(script.active for script in found) > 1:
        raise ProtocolError("more than one script is active")
    return found


def _name(octets: bytes) -> str:
    try:
        return octets.decode()
    except UnicodeDecodeError:
        raise ProtocolError(f"a script's name is not UTF-8: {octets!r:.80}") from None


def text(said: bytes | str) -> str:
    """What is said to people. Which octets are wrong in it is no reason not to show the rest."""
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
