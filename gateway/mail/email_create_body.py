"""RFC 8621 §4.6: the body of an Email that is created, as bodyStructure or as lists of parts."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.jmap.kinds import STRING, STRING_LIST, Kind
from gateway.mail import email_create_header
from gateway.mail.email_create_header import Given
from gateway.mail.email_create_problems import Problems
from gateway.mime import (
    compose_field,
    compose_forms,
    compose_tree,
    contentfields,
    headers,
    parameters,
)
from gateway.mime.compose import Blob, NewPart
from gateway.mime.compose_field import Unwritable, checked
from gateway.mime.compose_parameters import parameterized, token
from gateway.mime.limits import MAX_DEPTH, MAX_PARTS

_LISTS: Final = ("textBody", "htmlBody", "attachments")
_MEDIA_TYPE = re.compile(r"[a-z0-9!#$&^_.+'-]++/[a-z0-9!#$&^_.+'-]++")
_LANGUAGE = re.compile(r"[A-Za-z0-9]{1,8}(?>(?:-[A-Za-z0-9]{1,8})*)")
_LOCATION = re.compile(r"[^\s\x00-\x20\x7f-\xa0]++")
# Octets of a location on one line; readers put the lines together (RFC 2557 §4.4).
_LOCATION_LINE = 70
_KINDS: Final[Mapping[str, Kind]] = {
    "partId": STRING,
    "blobId": STRING,  # what is no Id is the id of no blob
    "name": STRING,
    "type": STRING,
    "charset": STRING,
    "disposition": STRING,
    "cid": STRING,
    "language": STRING_LIST,
    "location": STRING,
    "subParts": Kind("EmailBodyPart[]", lambda value: isinstance(value, list)),
}
_PROPERTIES = frozenset(_KINDS) | {"size", "headers"}
# Properties that stand for a field that may also be given as `header:...`.
_FIELD_OF: Final[Mapping[str, str]] = {
    "type": "content-type",
    "charset": "content-type",
    "disposition": "content-disposition",
    "name": "content-disposition",
    "cid": "content-id",
    "language": "content-language",
    "location": "content-location",
}


@dataclass(slots=True)
class NewBody:
    """What is to be written; root_header: what the part that is the message adds to its header."""

    root: NewPart
    blob_ids: list[str]
    root_header: list[Given] = field(default_factory=list)


def read(email: Mapping[str, Any], problems: Problems) -> NewBody:
    """The body that the properties of an Email describe."""
    reader = _Reader(_values(email.get("bodyValues"), problems), problems)
    structure = email.get("bodyStructure")
    lists = [name for name in _LISTS if email.get(name) is not None]
    if structure is not None:
        for name in lists:
            problems.add(name, "There is a bodyStructure as well.")
        root = reader.part(structure, "bodyStructure") or NewPart("text/plain", "")
        return NewBody(root, reader.blob_ids, reader.headers.get("bodyStructure", []))
    text = reader.only(email.get("textBody"), "textBody", "text/plain")
    html = reader.only(email.get("htmlBody"), "htmlBody", "text/html")
    root = compose_tree.implied(text, html, reader.attachments(email.get("attachments")))
    body = NewBody(root, reader.blob_ids)
    for name, part in (("textBody", text), ("htmlBody", html)):
        if part is root:
            body.root_header = reader.headers.get(f"{name}/0", [])
    return body


def _values(given: Any, problems: Problems) -> dict[str, str]:
    """RFC 8621 §4.1.4: EmailBodyValues by partId."""
    values: dict[str, str] = {}
    if given is None:
        return values
    if not isinstance(given, dict):
        problems.add("bodyValues", "It is no String[EmailBodyValue].")
        return values
    for part_id, value in given.items():
        path = f"bodyValues/{part_id}"
        values[part_id] = ""
        if not isinstance(value, dict):
            problems.add(path, "It is no EmailBodyValue.")
            continue
        for name, member in value.items():
            if name in ("isEncodingProblem", "isTruncated"):
                if member is not None and member is not False:
                    problems.add(f"{path}/{name}", "It is false or not given.")
            elif name != "value":
                problems.add(f"{path}/{name}", "An EmailBodyValue has no such property.")
        if isinstance(text := value.get("value"), str):
            values[part_id] = text
        else:
            problems.add(f"{path}/value", "It is no String.")
    return values


class _Reader:
    """Reads EmailBodyParts, and notes what is wrong with them."""

    def __init__(self, values: Mapping[str, str], problems: Problems) -> None:
        self._values = values
        self._problems = problems
        self._count = 0
        self.blob_ids: list[str] = []
        self.headers: dict[str, list[Given]] = {}
        """The header properties of each part, by its path."""

    # --- textBody, htmlBody, attachments ---------------------------------------------------------

    def only(self, given: Any, name: str, type_: str) -> NewPart | None:
        """TextBody or htmlBody: exactly one part, of one type."""
        if given is None:
            return None
        if not isinstance(given, list) or len(given) != 1:
            self._problems.add(name, f"It is one part of type {type_}.")
            return None
        part = self.part(given[0], f"{name}/0", type_)
        if part is not None and part.type != type_:
            self._problems.add(f"{name}/0/type", f"It is {type_}.")
        return part

    def attachments(self, given: Any) -> list[NewPart]:
        """Any number of parts that are no multiparts."""
        if given is None:
            return []
        if not isinstance(given, list):
            self._problems.add("attachments", "It is no EmailBodyPart[].")
            return []
        parts = []
        for index, value in enumerate(given):
            part = self.part(value, f"attachments/{index}")
            if part is not None and isinstance(part.content, tuple):
                self._problems.add(f"attachments/{index}/subParts", "Attachments have none.")
            elif part is not None:
                parts.append(part)
        return parts

    # --- a part ----------------------------------------------------------------------------------

    def part(
        self, value: Any, path: str, default_type: str | None = None, depth: int = 0
    ) -> NewPart | None:
        """One EmailBodyPart with all below it; None if that is not even an object."""
        self._count += 1
        if self._count > MAX_PARTS or depth > MAX_DEPTH:
            text = f"An Email has at most {MAX_PARTS} parts in {MAX_DEPTH} levels."
            self._problems.add(path.partition("/")[0], text)
            return None
        if not isinstance(value, dict):
            self._problems.add(path, "It is no EmailBodyPart.")
            return None
        given = self._checked(value, path)
        fields = self._header(value, given, path)
        type_, of_type = self._type(given, fields, path, default_type or _default_type(given))
        disposition, of_disposition = self._disposition(given, fields, path)
        return NewPart(
            type=type_,
            content=self._content(given, type_, path, depth),
            parameters=of_type,
            name=self._name(given, path),
            disposition=disposition,
            disposition_parameters=of_disposition,
            cid=contentfields.cid(email_create_header.value(fields, "content-id") or b""),
            fields=tuple(
                (each.field, octets)
                for each in fields
                if each.field not in ("content-type", "content-disposition")
                for octets in each.written
            ),
        )

    def _checked(self, value: dict[str, Any], path: str) -> dict[str, Any]:
        """The properties of a part that are given and of their kind; ids also if they are not."""
        given: dict[str, Any] = {}
        for name, member in value.items():
            if name.startswith("header:") or member is None:
                continue
            if name not in _PROPERTIES:
                self._problems.add(f"{path}/{name}", "An EmailBodyPart has no such property.")
            elif name == "headers":
                self._problems.add(f"{path}/{name}", "Each field is a property of its own.")
            elif name == "size":
                if "partId" in value and value["partId"] is not None:
                    self._problems.add(f"{path}/{name}", "It follows from the bodyValue.")
            elif not _KINDS[name].accepts(member):
                self._problems.add(f"{path}/{name}", f"It is no {_KINDS[name].name}.")
                given |= {name: None} if name in ("partId", "blobId") else {}
            else:
                given[name] = member
        return given

    def _content(
        self, given: dict[str, Any], type_: str, path: str, depth: int
    ) -> str | Blob | tuple[NewPart, ...]:
        """One of bodyValues, of blobs, or sub-parts."""
        problems, part_id, blob_id = self._problems, given.get("partId"), given.get("blobId")
        if type_.startswith("multipart/"):
            return self._sub_parts(given, path, depth)
        if "subParts" in given:
            problems.add(f"{path}/subParts", "Only a multipart has any.")
        if ("partId" in given) == ("blobId" in given):
            problems.add(f"{path}/partId", "A part has either a partId or a blobId.")
            problems.add(f"{path}/blobId", "A part has either a partId or a blobId.")
        if blob_id is not None:
            self.blob_ids.append(blob_id)
            return Blob(blob_id)
        if part_id is None:
            return ""
        if part_id not in self._values:
            problems.add(f"{path}/partId", "It is not in bodyValues.")
        if "charset" in given:
            problems.add(f"{path}/charset", "The server chooses the charset of a bodyValue.")
        if not type_.startswith("text/"):
            problems.add(f"{path}/type", "A bodyValue is a text.")
        return self._values.get(part_id, "")

    def _sub_parts(self, given: dict[str, Any], path: str, depth: int) -> tuple[NewPart, ...]:
        for name in ("partId", "blobId", "charset"):
            if name in given:
                self._problems.add(f"{path}/{name}", "A multipart has none.")
        sub_parts = given.get("subParts")
        if not sub_parts:
            self._problems.add(f"{path}/subParts", "A multipart has one part at least.")
            return ()
        parts = (
            self.part(value, f"{path}/subParts/{index}", depth=depth + 1)
            for index, value in enumerate(sub_parts)
        )
        return tuple(part for part in parts if part is not None)

    # --- its header ------------------------------------------------------------------------------

    def _header(self, value: dict[str, Any], given: dict[str, Any], path: str) -> list[Given]:
        """All fields of a part but those that are made of several properties."""
        found = [
            email_create_header.read(f"{path}/{name}", name, member, self._problems)
            for name, member in value.items()
            if name.startswith("header:")
        ]
        properties = [each for each in found if each is not None]
        self.headers[path] = properties
        for name, field_name in _FIELD_OF.items():
            if name in given and any(each.field == field_name for each in properties):
                self._problems.add(f"{path}/{name}", "The same field is given twice.")
                for each in properties:
                    if each.field == field_name:
                        self._problems.add(each.path, "The same field is given twice.")
        email_create_header.check_once(properties, self._problems)
        return properties + self._content_fields(given, path)

    def _content_fields(self, given: dict[str, Any], path: str) -> list[Given]:
        """RFC 2392 Content-ID, RFC 3282 Content-Language, RFC 2557 Content-Location."""
        written = []
        for name, write in (("cid", _cid), ("language", _language), ("location", _location)):
            if name not in given:
                continue
            try:
                octets = write(given[name])
            except Unwritable as error:
                self._problems.add(f"{path}/{name}", str(error))
                continue
            written.append(Given(f"{path}/{name}", _FIELD_OF[name], (octets,) if octets else ()))
        return written

    def _type(
        self, given: dict[str, Any], fields: list[Given], path: str, default: str
    ) -> tuple[str, Mapping[str, str]]:
        """The media type and its parameters, from `type` or from the whole field."""
        raw = email_create_header.value(fields, "content-type")
        type_, found = parameters.parse(raw) if raw is not None else (None, {})
        source = path
        for each in fields:
            if each.field == "content-type":
                source = each.path
        if raw is None:
            type_, source = given.get("type", default), f"{path}/type"
        charset = given.get("charset")
        if charset is not None:
            found = {**found, "charset": charset}
        media_type = (type_ or "").lower()
        if not _MEDIA_TYPE.fullmatch(media_type):
            self._problems.add(source, "It is no media type.")
            return default, {}
        if charset is not None:
            self._check(f"{path}/charset", token, charset)
        self._check(source, parameterized, "Content-Type", media_type, found)
        return media_type, found

    def _disposition(
        self, given: dict[str, Any], fields: list[Given], path: str
    ) -> tuple[str | None, Mapping[str, str]]:
        """RFC 2183: the disposition and its parameters, from `disposition` or the whole field."""
        raw = email_create_header.value(fields, "content-disposition")
        found: Mapping[str, str] = {}
        if raw is None:
            disposition, source = given.get("disposition"), f"{path}/disposition"
        else:
            disposition, found = parameters.parse(raw)
            source = next(each.path for each in fields if each.field == "content-disposition")
        if disposition is None:
            return None, {}
        self._check(source, token, disposition)
        self._check(source, parameterized, "Content-Disposition", disposition, found)
        return disposition.lower(), found

    def _name(self, given: dict[str, Any], path: str) -> str | None:
        name: str = given.get("name", "")
        self._check(f"{path}/name", parameterized, "Content-Disposition", "inline", {"name": name})
        return name.strip() or None

    def _check(self, path: str, write: Callable[..., object], *arguments: Any) -> None:
        try:
            write(*arguments)
        except Unwritable as error:
            self._problems.add(path, str(error))


def _default_type(given: Mapping[str, Any]) -> str:
    """RFC 2045 §5.2 for texts; of everything else, what says least of it."""
    if "subParts" in given and not given.keys() & {"partId", "blobId"}:
        return "multipart/mixed"
    return "application/octet-stream" if "blobId" in given else "text/plain"


def _cid(value: str) -> bytes:
    return compose_forms.write("Content-ID", headers.message_ids, [value])


def _language(value: list[str]) -> bytes:
    if not all(map(_LANGUAGE.fullmatch, value)):
        raise Unwritable("It is no list of language tags.")
    tags = ", ".join(value)
    return compose_forms.write("Content-Language", headers.text, tags) if tags else b""


def _location(value: str) -> bytes:
    if not _LOCATION.fullmatch(checked(value)):
        raise Unwritable("It is no URI.")
    lines = [value[at : at + _LOCATION_LINE] for at in range(0, len(value), _LOCATION_LINE)]
    return compose_field.field("Content-Location", [f" {line}".encode() for line in lines])
