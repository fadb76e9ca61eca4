"""RFC 8621 §7: the envelope of an EmailSubmission: as the client gives it, or made of the Email."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from gateway.ext.submission.addresses import Owned, Permitted, folded
from gateway.jmap.errors import SetError, invalid_properties
from gateway.mime import addresses

HOLDS: Final = frozenset({"HOLDFOR", "HOLDUNTIL"})
"""RFC 4865: the parameters by which clients ask for a later time."""

Fields = Sequence[tuple[str, bytes]]
"""Names and raw values of header fields."""


@dataclass(frozen=True, slots=True)
class Address:
    """An address with the parameters of MAIL or RCPT, their names in upper case, not encoded."""

    email: str
    parameters: Mapping[str, str | None]

    @property
    def shown(self) -> dict[str, Any]:
        """As JMAP has it."""
        return {"email": self.email, "parameters": dict(self.parameters) or None}


@dataclass(frozen=True, slots=True)
class Envelope:
    """RFC 8621 §7: who a message is from, and to whom it goes, each address once."""

    mail_from: Address
    rcpt_to: tuple[Address, ...]

    @property
    def shown(self) -> dict[str, Any]:
        """As JMAP has it."""
        return {"mailFrom": self.mail_from.shown, "rcptTo": [each.shown for each in self.rcpt_to]}

    @property
    def recipients(self) -> tuple[str, ...]:
        """The addresses it goes to."""
        return tuple(each.email for each in self.rcpt_to)

    def without_holds(self) -> Envelope:
        """The same for a message that has been held as long as it should be."""
        parameters = {n: v for n, v in self.mail_from.parameters.items() if n not in HOLDS}
        return replace(self, mail_from=Address(self.mail_from.email, parameters))


def read(value: Mapping[str, Any], identity_email: str) -> Envelope:
    """An envelope as JMAP has it; without a mailFrom, it is the identity's.

    Raises SetError invalidProperties. go-jmap writes `mailfrom`.
    """
    given = value.get("mailFrom", value.get("mailfrom"))
    mail_from = Address(identity_email, {}) if given is None else _address(given)
    listed = value.get("rcptTo")
    if not isinstance(listed, list) or not value.keys() <= {"mailFrom", "mailfrom", "rcptTo"}:
        raise _invalid()
    return Envelope(mail_from, _distinct(_address(each) for each in listed))


def _address(value: Any) -> Address:
    if not isinstance(value, dict) or not value.keys() <= {"email", "parameters"}:
        raise _invalid()
    email, parameters = value.get("email"), value.get("parameters") or {}
    if not (isinstance(email, str) and isinstance(parameters, dict)):
        raise _invalid()
    if not all(each is None or isinstance(each, str) for each in parameters.values()):
        raise _invalid()
    upper = {name.upper(): each for name, each in parameters.items()}
    if len(upper) < len(parameters):
        raise _invalid()
    return Address(email, upper)


def _invalid() -> SetError:
    return invalid_properties(["envelope"], "It is no Envelope (RFC 8621 section 7).")


def _distinct(listed: Iterable[Address]) -> tuple[Address, ...]:
    found: dict[str, Address] = {}
    for each in listed:
        found.setdefault(folded(each.email), each)
    return tuple(found.values())


def derived(fields: Fields, identity_email: str) -> Envelope:
    """The envelope that the header of a message gives. Raises SetError invalidEmail."""
    recipients = [
        Address(each["email"] or "", {})
        for name in ("to", "cc", "bcc")
        for value in values(fields, name)
        for each in addresses.addresses(value)
    ]
    sender = _sender(fields)
    # RFC 8621 §7: what the Identity does not allow gives way to what it is.
    if sender is None or not Permitted([Owned("", identity_email)]).permits(sender):
        sender = identity_email
    return Envelope(Address(sender, {}), _distinct(recipients))


def _sender(fields: Fields) -> str | None:
    """The address in Sender, else that in From."""
    for name in ("sender", "from"):
        found = values(fields, name)
        if not found:
            continue
        listed = [each["email"] for value in found for each in addresses.addresses(value)]
        if len(listed) > 1:
            raise SetError(
                "invalidEmail",
                "It says more than one address that it is from; give an envelope.",
                properties=[name],
            )
        if listed:
            return listed[0]
    return None


def values(fields: Fields, name: str) -> list[bytes]:
    """The raw values of the fields of that name, in lower case."""
    return [value for each, value in fields if each.lower() == name]


# --- RFC 4865: later ----------------------------------------------------------------------------


def release_time(envelope: Envelope, now: float, longest: float) -> float | None:
    """When it is to leave, in seconds since 1970; None: at once.

    Raises SetError invalidProperties for what is no time, or more than `longest` seconds ahead.
    """
    holds = {n: v for n, v in envelope.mail_from.parameters.items() if n in HOLDS}
    if not holds:
        return None
    if len(holds) > 1:
        raise invalid_properties(["envelope"], "HOLDFOR and HOLDUNTIL exclude each other.")
    ((name, value),) = holds.items()
    release = _held_for(value, now) if name == "HOLDFOR" else _held_until(value)
    if release is None:
        raise invalid_properties(["envelope"], f"{name} has no valid value.")
    if release - now > longest:
        raise invalid_properties(["envelope"], f"It may be held for {int(longest)} s at most.")
    return release


def _held_for(value: str | None, now: float) -> float | None:
    if value is None or not (value.isascii() and value.isdigit() and len(value) <= 9):
        return None
    return now + int(value)


def _held_until(value: str | None) -> float | None:
    """RFC 4865 §4: a date-time with an offset."""
    try:
        moment = datetime.fromisoformat(value or "")
    except ValueError:
        return None
    return moment.timestamp() if moment.tzinfo is not None else None
