"""RFC 9007 §2: the MDN objects that clients send, checked."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.jmap.kinds import BOOLEAN, STRING, Kind, is_id, map_of, nullable
from gateway.mail.email_create_problems import Problems
from gateway.mime.disposition import ACTION_MODES, KNOWN, SENDING_MODES, TYPES

# RFC 5322 §2.2: a field name; as long as lines leave room for a value.
_NAME: Final = re.compile(r"[!-9;-~]{1,64}")
_MAX_FIELDS: Final = 100


@dataclass(frozen=True, slots=True)
class NewMdn:
    """What a client gives of an MDN, with defaults.

    for_email_id: None if nothing has the creation id. further: fields of no RFC. given: which
    properties the client has given.
    """

    for_email_id: str | None
    subject: str | None
    text: str | None
    includes_original: bool
    reporting_ua: str | None
    action_mode: str
    sending_mode: str
    type: str
    final_recipient: str | None
    further: Mapping[str, str]
    given: frozenset[str]


def _is_reference(value: object) -> bool:
    """Whether it is an Id, or may stand for one (RFC 8620 §5.3)."""
    return isinstance(value, str) and is_id(value.removeprefix("#"))


_NULLABLE: Final = nullable(STRING)
_EXTENSIONS: Final = nullable(map_of(STRING, STRING))
_KINDS: Final[Mapping[str, Kind]] = {
    "forEmailId": Kind("Id", _is_reference),
    "subject": _NULLABLE,
    "textBody": _NULLABLE,
    "includeOriginalMessage": BOOLEAN,
    "reportingUA": _NULLABLE,
    "finalRecipient": _NULLABLE,
    "extensionFields": _EXTENSIONS,
}
_SERVER_SET: Final = frozenset({"mdnGateway", "originalRecipient", "originalMessageId", "error"})
_DISPOSITION: Final = {
    "actionMode": ACTION_MODES,
    "sendingMode": SENDING_MODES,
    "type": TYPES,
}


def read(mdn: Mapping[str, Any], resolve: Callable[[str], str | None]) -> NewMdn:
    """The MDN that a client describes; `resolve` gives the id that "#creationId" stands for.

    Raises SetError invalidProperties with all that are invalid.
    """
    problems = Problems()
    for name, value in mdn.items():
        if name in _SERVER_SET:
            if value is not None:
                problems.add(name, "The server sets it.")
        elif name != "disposition" and name not in _KINDS:
            problems.add(name, "MDN has no such property.")
    values = {"includeOriginalMessage": False, **mdn}
    for name, kind in _KINDS.items():
        if not kind.accepts(values.get(name)):
            problems.add(name, f"It must be of type {kind.name}.")
    _check_disposition(mdn.get("disposition"), problems)
    _check_extensions(values.get("extensionFields"), problems)
    problems.check()
    disposition = mdn["disposition"]
    return NewMdn(
        for_email_id=resolve(values["forEmailId"]),
        subject=values.get("subject"),
        text=values.get("textBody"),
        includes_original=values["includeOriginalMessage"],
        reporting_ua=values.get("reportingUA"),
        action_mode=disposition["actionMode"],
        sending_mode=disposition["sendingMode"],
        type=disposition["type"],
        final_recipient=values.get("finalRecipient"),
        further=values.get("extensionFields") or {},
        given=frozenset(name for name, value in mdn.items() if value is not None),
    )


def _check_disposition(value: Any, problems: Problems) -> None:
    if not isinstance(value, dict) or not value.keys() <= _DISPOSITION.keys():
        problems.add("disposition", "It must be a Disposition.")
        return
    for name, known in _DISPOSITION.items():
        if not isinstance(value.get(name), str) or value[name] not in known:
            problems.add(f"disposition/{name}", f"It must be one of {', '.join(sorted(known))}.")


def _check_extensions(value: Any, problems: Problems) -> None:
    """RFC 8098 §3.3: fields that no RFC has a meaning for, each once."""
    if not _EXTENSIONS.accepts(value):
        return
    names = list(value or ())
    if len(names) > _MAX_FIELDS or len({name.lower() for name in names}) < len(names):
        problems.add("extensionFields", f"They are at most {_MAX_FIELDS}, each with its own name.")
    if not all(map(_is_extension, names)):
        problems.add("extensionFields", "Some have names that no field can have, or others have.")


def _is_extension(name: str) -> bool:
    return _NAME.fullmatch(name) is not None and name.lower() not in KNOWN
