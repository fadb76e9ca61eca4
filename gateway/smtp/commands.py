"""RFC 5321 §4.1.1, RFC 3461, RFC 4865, RFC 2852, RFC 6710: MAIL and RCPT, with their parameters.

Nothing that comes from elsewhere gets into a command but by a pattern here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import idna

from gateway.smtp.errors import BadAddress, BadParameter
from gateway.smtp.offer import Offer

_MAX_ADDRESS: Final = 320
# Dots in odd places are against RFC 5321 §4.1.2, and in use.
_LOCAL = re.compile(r"[^\x00-\x20\x7f-\x9f<>()\[\]\\,;:@\"\s\ud800-\udfff]{1,64}")
_QUOTED = re.compile(r"\"(?>(?:[^\x00-\x1f\x7f-\x9f\"\\\ud800-\udfff]|\\[\x20-\x7e])*)\"")
_DOMAIN = re.compile(r"[A-Za-z0-9](?>[A-Za-z0-9._-]{0,252})")
_LITERAL = re.compile(r"\[[A-Za-z0-9.:-]{1,64}\]")
_XTEXT_SAFE = re.compile(r"[!-*,-<>-~]")
_PRINTABLE = re.compile(r"[ -~]{1,500}")

Parameters = Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Mail:
    """RFC 5321 §4.1.1.2: whom the message is from, "" for nobody, and its parameters."""

    email: str
    parameters: Parameters


@dataclass(frozen=True, slots=True)
class Rcpt:
    """RFC 5321 §4.1.1.3: a recipient and its parameters."""

    email: str
    parameters: Parameters


def mail_command(mail: Mail, offer: Offer, *, envid: str, octets: int, is_8bit: bool) -> bytes:
    """MAIL. Raises BadAddress, BadParameter."""
    path = _path(mail.email, offer) if mail.email else ""
    words = [f"MAIL FROM:<{path}>"]
    if "SIZE" in offer:
        words.append(f"SIZE={octets}")
    if is_8bit and "8BITMIME" in offer:
        words.append("BODY=8BITMIME")
    if "DSN" in offer:
        words.append(f"ENVID={xtext(envid)}")
    given = {name: value for name, value in mail.parameters.items() if name != "ENVID"}
    words += _encoded(given, _MAIL, offer)
    return _line(words)


def needs_utf8(mail: Mail, recipients: list[Rcpt]) -> bool:
    """RFC 6531 §3.4: whether an address has to go as it is, in UTF-8."""
    return any(
        not _local(email).isascii() for email in (mail.email, *(r.email for r in recipients))
    )


def with_utf8(command: bytes) -> bytes:
    """RFC 6531 §3.4: MAIL of an envelope that needs SMTPUTF8."""
    return command.removesuffix(b"\r\n") + b" SMTPUTF8\r\n"


def rcpt_command(rcpt: Rcpt, offer: Offer) -> bytes:
    """RCPT. Raises BadAddress, BadParameter."""
    path = _path(rcpt.email, offer)
    words = [f"RCPT TO:<{path}>"]
    if "DSN" in offer and "ORCPT" not in rcpt.parameters and path.isascii():
        words.append(f"ORCPT=rfc822;{xtext(path)}")
    return _line([*words, *_encoded(rcpt.parameters, _RCPT, offer)])


def _line(words: list[str]) -> bytes:
    return (" ".join(words) + "\r\n").encode()


def _local(email: str) -> str:
    return email.rpartition("@")[0]


def _path(email: str, offer: Offer) -> str:
    """RFC 5321 §4.1.2, RFC 6531 §3.3: an address as it goes into a command."""
    local, _, domain = email.rpartition("@")
    if len(email) > _MAX_ADDRESS or not (_LOCAL.fullmatch(local) or _QUOTED.fullmatch(local)):
        raise BadAddress(email, "it is no address")
    if not local.isascii() and "SMTPUTF8" not in offer:
        raise BadAddress(email, "the submission server takes ASCII addresses only")
    if not domain.isascii():
        try:
            domain = idna.encode(domain, uts46=True).decode("ascii")
        except (idna.IDNAError, UnicodeError):
            raise BadAddress(email, "its domain is none") from None
    if not (_DOMAIN.fullmatch(domain) or _LITERAL.fullmatch(domain)):
        raise BadAddress(email, "its domain is none")
    return f"{local}@{domain}"


# --- parameters ---------------------------------------------------------------------------------


def xtext(text: str) -> str:
    """RFC 3461 §4: the text as xtext."""
    return "".join(
        c if _XTEXT_SAFE.fullmatch(c) else "".join(f"+{octet:02X}" for octet in c.encode())
        for c in text
    )


@dataclass(frozen=True, slots=True)
class _Parameter:
    """Whose extension a parameter is, and its value as it is sent: None for one that is wrong."""

    extension: str
    encoded: Callable[[str], str | None]


def _matching(pattern: str) -> Callable[[str], str | None]:
    compiled = re.compile(pattern, re.IGNORECASE | re.ASCII)  # else "ſ" were an "S"
    return lambda value: value if compiled.fullmatch(value) else None


def _orcpt(value: str) -> str | None:
    kind, colon, address = value.partition(";")
    if not (colon and re.fullmatch(r"[A-Za-z0-9-]{1,32}", kind) and _PRINTABLE.fullmatch(address)):
        return None
    return f"{kind};{xtext(address)}"


def _moment(value: str) -> str | None:
    if not re.fullmatch(r"[0-9T:.Z+-]{20,40}", value):
        return None
    try:
        return value if datetime.fromisoformat(value).tzinfo is not None else None
    except ValueError:
        return None


_MAIL: Final[Mapping[str, _Parameter]] = {
    "RET": _Parameter("DSN", _matching("FULL|HDRS")),
    "HOLDFOR": _Parameter("FUTURERELEASE", _matching("[0-9]{1,9}")),
    "HOLDUNTIL": _Parameter("FUTURERELEASE", _moment),
    "BY": _Parameter("DELIVERBY", _matching("-?[0-9]{1,9};[NR]T?")),
    "MT-PRIORITY": _Parameter("MT-PRIORITY", _matching("-?[0-9]")),
}
_RCPT: Final[Mapping[str, _Parameter]] = {
    "NOTIFY": _Parameter(
        "DSN", _matching("NEVER|(?:SUCCESS|FAILURE|DELAY)(?:,(?:SUCCESS|FAILURE|DELAY)){0,2}")
    ),
    "ORCPT": _Parameter("DSN", _orcpt),
}


def _encoded(given: Parameters, known: Mapping[str, _Parameter], offer: Offer) -> list[str]:
    words = []
    for name, value in given.items():
        parameter = known.get(name.upper())
        if parameter is None or parameter.extension not in offer:
            raise BadParameter(name, "the submission server does not take it")
        encoded = parameter.encoded(value) if value is not None else None
        if encoded is None:
            raise BadParameter(name, "this is no value for it")
        words.append(f"{name.upper()}={encoded}")
    return words
