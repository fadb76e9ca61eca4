"""RFC 5322 §3.4, RFC 6532 §3.2: address lists as they are written.

A draft may have addresses that are none yet (RFC 8621 §4.6). They are written so that no reader
takes anything in them for another address, and are read as they were.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from gateway.mime import compose_words
from gateway.mime.compose_field import MAX_WORD, Unwritable, checked
from gateway.mime.limits import MAX_ADDRESSES

MAX_PATH = 254
"""RFC 5321 §4.5.3.1.3: octets of an address, at most."""

_ATEXT = r"A-Za-z0-9!#$%&'*+\-/=?^_`{|}~\u0080-\U0010ffff"
_DOT_ATOM = rf"[{_ATEXT}]++(?>(?:\.[{_ATEXT}]++)*)"
_LITERAL = r"\[[!-Z^-~]*+\]"
_QUOTED = r'"(?>(?:[^"\\]++|\\.)*)"'
_BARE = re.compile(rf"{_DOT_ATOM}@{_DOT_ATOM}")
# Also with dots where none may be, as some addresses in use have them.
_ADDR_SPEC = re.compile(rf"(?:[.{_ATEXT}]++|{_QUOTED})@(?:{_DOT_ATOM}|{_LITERAL})")
_UNFINISHED = re.compile(rf"[.@{_ATEXT}]*+")


def is_addr_spec(value: str) -> bool:
    """RFC 5322 §3.4.1, RFC 6532: whether mail can be sent there, as far as that can be seen."""
    try:
        return _ADDR_SPEC.fullmatch(checked(value)) is not None and len(value.encode()) <= MAX_PATH
    except Unwritable:
        return False


def addresses(value: Any) -> list[bytes]:
    """RFC 8621 §4.1.2.3: EmailAddress[] as words. Raises Unwritable."""
    if not isinstance(value, list) or not all(map(_is_address, value)):
        raise Unwritable("It is no EmailAddress[].")
    _check_number(len(value))
    return _joined(map(_mailbox, value))


def groups(value: Any) -> list[bytes]:
    """RFC 8621 §4.1.2.4: EmailAddressGroup[] as words. Raises Unwritable."""
    if not isinstance(value, list) or not all(map(_is_group, value)):
        raise Unwritable("It is no EmailAddressGroup[].")
    _check_number(sum(len(group["addresses"]) for group in value))
    return _joined(_group(group.get("name"), group["addresses"]) for group in value)


def _check_number(count: int) -> None:
    if count > MAX_ADDRESSES:
        raise Unwritable(f"It has more than {MAX_ADDRESSES} addresses.")


def _is_address(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() <= {"name", "email"}
        and isinstance(value.get("email"), str)
        and (value.get("name") is None or isinstance(value["name"], str))
    )


def _is_group(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() <= {"name", "addresses"}
        and (value.get("name") is None or isinstance(value["name"], str))
        and isinstance(value.get("addresses"), list)
        and all(map(_is_address, value["addresses"]))
    )


def _mailbox(address: dict[str, Any]) -> list[bytes]:
    name, email = checked(address.get("name") or "").strip(" \t"), checked(address["email"])
    email = email.strip(" \t")
    if len(email.encode()) > MAX_WORD:
        raise Unwritable(f"An address has more than {MAX_WORD} octets.")
    if not name and _BARE.fullmatch(email):
        return [f" {email}".encode()]
    if _ADDR_SPEC.fullmatch(email) or (name and _UNFINISHED.fullmatch(email)):
        return [*(compose_words.phrase(name) if name else ()), f" <{email}>".encode()]
    # What stands alone, and is no address, is read as one all the same.
    alone = f"{name} <{email}>" if name else email
    return compose_words.phrase(alone) if alone else []


def _group(name: str | None, members: Iterable[dict[str, Any]]) -> list[bytes]:
    shown = _joined(map(_mailbox, members))
    if name is None:
        return shown
    return _with(_with(compose_words.phrase(checked(name)), b":") + shown, b";")


def _joined(items: Iterable[list[bytes]]) -> list[bytes]:
    written = [item for item in items if item]
    return [word for item in written[:-1] for word in _with(item, b",")] + (
        written[-1] if written else []
    )


def _with(words: Sequence[bytes], special: bytes) -> list[bytes]:
    """`special` after the words; RFC 2047 §5(3): not right after an encoded-word."""
    separator = b" " if words[-1].endswith(b"?=") else b""
    return [*words[:-1], words[-1] + separator + special]
