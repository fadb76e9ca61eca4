"""draft-ietf-jmap-emailpush-02 §4: which new mail is to be pushed itself, and what of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, get_args

from gateway.jmap import filters, ijson
from gateway.jmap.errors import MethodError, SetError, invalid_properties, quoted
from gateway.jmap.kinds import OBJECT, STRING, STRING_LIST, map_of
from gateway.jmap.limits import Limits
from gateway.jmap.methods.get import properties_of
from gateway.jmap.spec import DataType, Filter
from gateway.mail.email_query import QUERY
from gateway.mail.filter_tree import FilterTree
from gateway.webpush.sender import Urgency

EMAIL_PUSH: Final = "urn:ietf:params:jmap:emailpush"
KIND: Final = map_of(STRING, OBJECT)
# Of all that a subscription says of new mail: it is in memory for as long as that is waited for.
_MOST_OCTETS: Final = 16_384
_MEMBERS: Final = frozenset({"filter", "properties", "urgency"})
_URGENCIES: Final[tuple[Urgency, ...]] = get_args(Urgency)


@dataclass(frozen=True, slots=True)
class EmailPushConfig:
    """That of one account. filter: as JSON, of any mail if None; properties: of Email."""

    filter: dict[str, Any] | None
    properties: tuple[str, ...]
    urgency: Urgency

    def members(self) -> dict[str, Any]:
        """The object of the draft; `config_of` is the inverse."""
        return {
            "filter": self.filter,
            "properties": list(self.properties),
            "urgency": self.urgency,
        }

    def parsed_filter(self, limits: Limits) -> Filter | None:
        """The filter, as Email/query checks it. Raises MethodError."""
        parsed = filters.parse(self.filter, QUERY, limits)
        FilterTree(parsed)
        return parsed


Configs = Mapping[str, EmailPushConfig]
"""By account id."""


def config_of(members: Mapping[str, Any]) -> EmailPushConfig:
    """A config of members that were checked."""
    return EmailPushConfig(
        members.get("filter"), tuple(members["properties"]), members.get("urgency", "normal")
    )


def configs_of(
    value: Mapping[str, Mapping[str, Any]], email: DataType, limits: Limits
) -> dict[str, EmailPushConfig]:
    """The value of `emailPush`, checked as the methods of `email` check such things.

    Which of the accounts there are is for others to say. Raises SetError invalidProperties.
    """
    if len(ijson.encode(value)) > _MOST_OCTETS:
        raise _invalid(f"It has more than {_MOST_OCTETS} octets.")
    return {account_id: _checked(members, email, limits) for account_id, members in value.items()}


def _checked(members: Mapping[str, Any], email: DataType, limits: Limits) -> EmailPushConfig:
    if unknown := members.keys() - _MEMBERS:
        raise _invalid(f"An EmailPushConfig has no properties {quoted(unknown)}.")
    if not STRING_LIST.accepts(members.get("properties")):
        raise _invalid("properties: A String[] is needed.")
    if members.get("urgency", "normal") not in _URGENCIES:
        raise _invalid(f"urgency: It is one of {quoted(_URGENCIES)}.")
    if email.get is None:
        raise ValueError(f"{email.name} can not be read")
    config = config_of(members)
    try:
        properties_of(list(config.properties), email, email.get, limits)
    except MethodError as error:
        raise _invalid(f"properties: {error.description}") from error
    try:
        config.parsed_filter(limits)
    except MethodError as error:
        raise _invalid(f"filter: {error.description}") from error
    return config


def _invalid(description: str) -> SetError:
    return invalid_properties(["emailPush"], description)
