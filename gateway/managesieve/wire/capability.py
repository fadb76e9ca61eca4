"""RFC 5804 §1.7: what a server says it can do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gateway.managesieve.errors import ProtocolError
from gateway.managesieve.wire.responses import text
from gateway.managesieve.wire.tokens import Line


@dataclass(frozen=True, slots=True)
class Capabilities:
    """The capabilities that a server tells, empty without one.

    sasl: mechanisms in upper case. extensions: of Sieve, as they stand in `require`. starttls:
    whether TLS can be started. max_redirects: of one run of a script, None without a limit that is
    told. notify: URI schemes of the notifications of "enotify", None without. external_lists: URI
    schemes of RFC 6134 "extlists", None without. language: of the texts for people. owner: the
    user's canonical name, after login. version: of the protocol, None before RFC 5804.
    """

    implementation: str = ""
    sasl: tuple[str, ...] = ()
    extensions: tuple[str, ...] = ()
    starttls: bool = False
    max_redirects: int | None = None
    notify: tuple[str, ...] | None = None
    external_lists: tuple[str, ...] | None = None
    language: str = "i-default"
    owner: str | None = None
    version: str | None = None


def capabilities(lines: Iterable[Line]) -> Capabilities:
    """From the lines of a greeting or of the answer to CAPABILITY. Unknown ones are passed over.

    Raises ProtocolError for lines that are not one or two strings.
    """
    values: dict[str, str] = {}
    for line in lines:
        if not 1 <= len(line) <= 2 or not all(isinstance(item, bytes) for item in line):
            raise ProtocolError(f"no capability: {line!r:.80}")
        name, *value = (text(item) for item in line if isinstance(item, bytes))
        values.setdefault(name.upper(), value[0] if value else "")
    redirects = values.get("MAXREDIRECTS", "")
    return Capabilities(
        implementation=values.get("IMPLEMENTATION", ""),
        sasl=tuple(values.get("SASL", "").upper().split()),
        extensions=tuple(values.get("SIEVE", "").split()),
        starttls="STARTTLS" in values,
        max_redirects=int(redirects) if _is_number(redirects) else None,
        notify=_words(values.get("NOTIFY")),
        external_lists=_words(values.get("EXTLISTS")),
        language=values.get("LANGUAGE", "") or "i-default",
        owner=values.get("OWNER"),
        version=values.get("VERSION"),
    )


def _is_number(value: str) -> bool:
    return value.isascii() and value.isdigit() and len(value) <= 10


def _words(value: str | None) -> tuple[str, ...] | None:
    return None if value is None else tuple(value.split())
