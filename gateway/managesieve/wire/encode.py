"""RFC 5804 §4, §1.6: commands. Everything that is sent is built here.

An `Argument` can only come from the functions below, each of which checks its grammar, so nothing
a user or a script says can end an argument, or a command, early.
"""

from __future__ import annotations

import base64
import re
from typing import NewType

Argument = NewType("Argument", bytes)

MAX_NUMBER = (1 << 32) - 1

_MAX_QUOTED = 1024
# UTF-8 may be quoted, but Cyrus does not take it so.
_QUOTABLE = re.compile(rb"[\x01-\x09\x0b\x0c\x0e-\x7f]*")
_COMMAND = re.compile(r"[A-Z]+")
# §1.6: no controls, no separators of lines or paragraphs.
_UNNAMABLE = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029]")


def command(name: str, *arguments: Argument) -> bytes:
    """A whole command with its CRLF."""
    if not _COMMAND.fullmatch(name):
        raise ValueError(f"not a command: {name!r}")
    return b" ".join((name.encode("ascii"), *arguments)) + b"\r\n"


def string(value: str | bytes) -> Argument:
    """A string: quoted where it can be, else a non-synchronising literal.

    Raises ValueError for lone surrogates.
    """
    octets = _octets(value) if isinstance(value, str) else value
    if len(octets) <= _MAX_QUOTED and _QUOTABLE.fullmatch(octets):
        quoted = octets.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
        if len(quoted) <= _MAX_QUOTED:  # whether the bound is before or after escaping is unsaid
            return Argument(b'"%s"' % quoted)
    return Argument(b"{%d+}\r\n%s" % (len(octets), octets))


def number(value: int) -> Argument:
    """A number. Raises ValueError outside of 32 bits."""
    if not 0 <= value <= MAX_NUMBER:
        raise ValueError(f"not a ManageSieve number: {value}")
    return Argument(b"%d" % value)


def script_name(name: str) -> Argument:
    """RFC 5804 §1.6: the name of a script. Raises ValueError for what can be none.

    How long it may be is the server's to say; it is sent as it is, in no other normal form, since
    that could be another script's name.
    """
    if not is_script_name(name):
        raise ValueError("not the name of a script: empty, or control characters in it")
    return string(name)


def is_script_name(name: str) -> bool:
    """RFC 5804 §1.6: whether a script may be called so."""
    return bool(name) and not _UNNAMABLE.search(name) and _has_octets(name)


def sasl(message: bytes) -> Argument:
    """RFC 5804 §2.1: a message of the client, in base64."""
    return string(base64.b64encode(message))


SASL_CANCEL = Argument(b'"*"')
"""RFC 5804 §2.1: ends the exchange."""


def sasl_response(argument: Argument) -> bytes:
    """An answer to a challenge, with its CRLF."""
    return argument + b"\r\n"


def _octets(value: str) -> bytes:
    try:
        return value.encode()
    except UnicodeEncodeError:
        raise ValueError("a lone surrogate can not be sent to a ManageSieve server") from None


def _has_octets(value: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in value)
