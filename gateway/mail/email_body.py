"""RFC 8621 §4.1.4, §4.2: the body of an Email, as Email/get and Email/parse show it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.jmap.errors import invalid_arguments, quoted
from gateway.jmap.kinds import BOOLEAN, STRING_LIST, UNSIGNED_INT, nullable
from gateway.jmap.spec import Argument
from gateway.mime import body, body_part
from gateway.mime.body_part import PartSource, Shape, UnknownProperties
from gateway.mime.structure import Part

ARGUMENTS: Final = (
    Argument("bodyProperties", nullable(STRING_LIST)),
    Argument("fetchTextBodyValues", BOOLEAN, False),
    Argument("fetchHTMLBodyValues", BOOLEAN, False),
    Argument("fetchAllBodyValues", BOOLEAN, False),
    Argument("maxBodyValueBytes", UNSIGNED_INT, 0),
)
"""What both methods take."""

LISTS: Final = ("textBody", "htmlBody", "attachments")
_MAX_BODY_PROPERTIES = 512  # as for properties: header properties can be invented without end


@dataclass(frozen=True, slots=True)
class BodyRequest:
    """What was asked of the bodies; `max_bytes` is 0 for no limit."""

    shape: Shape
    text_values: bool
    html_values: bool
    all_values: bool
    max_bytes: int


def body_request(arguments: Mapping[str, Any]) -> BodyRequest:
    """The checked ARGUMENTS. Raises MethodError invalidArguments."""
    names = arguments["bodyProperties"]
    if names is not None and len(names) > _MAX_BODY_PROPERTIES:
        raise invalid_arguments(f"At most {_MAX_BODY_PROPERTIES} bodyProperties can be named.")
    try:
        shape = body_part.shape(body_part.DEFAULT_PROPERTIES if names is None else names)
    except UnknownProperties as unknown:
        raise invalid_arguments(
            f"EmailBodyPart has no properties {quoted(unknown.names)}."
        ) from None
    return BodyRequest(
        shape,
        text_values=arguments["fetchTextBodyValues"],
        html_values=arguments["fetchHTMLBodyValues"],
        all_values=arguments["fetchAllBodyValues"],
        max_bytes=arguments["maxBodyValueBytes"],
    )


def parts_with_values(root: Part, request: BodyRequest) -> list[Part]:
    """The text parts whose values are asked for, each once, in the order of the message."""
    wanted: list[Part] = []
    if request.all_values:
        wanted = body.leaves(root)
    elif request.text_values or request.html_values:
        lists = body.body_lists(root)
        if request.text_values:
            wanted += lists.text
        if request.html_values:
            wanted += lists.html
    return list({part.part_id: part for part in wanted if part.type.startswith("text/")}.values())


def shown_parts(root: Part, properties: Collection[str]) -> list[Part]:
    """The parts that these properties of an Email show, each once."""
    shown: list[Part] = []
    if "bodyStructure" in properties:
        shown += _every(root)
    lists = body.body_lists(root)
    for name, parts in zip(LISTS, (lists.text, lists.html, lists.attachments), strict=True):
        if name in properties:
            shown += parts
    return list({id(part): part for part in shown}.values())


def _every(root: Part) -> list[Part]:
    return [root, *(part for child in root.children for part in _every(child))]


def describe(
    root: Part, source: PartSource, properties: Collection[str], shape: Shape
) -> dict[str, Any]:
    """Those of bodyStructure, textBody, htmlBody, attachments that are in `properties`."""
    shown: dict[str, Any] = {}
    if "bodyStructure" in properties:
        shown["bodyStructure"] = body_part.body_part(root, source, shape, with_sub_parts=True)
    if any(name in properties for name in LISTS):
        lists = body.body_lists(root)
        for name, parts in zip(LISTS, (lists.text, lists.html, lists.attachments), strict=True):
            if name in properties:
                shown[name] = [body_part.body_part(part, source, shape) for part in parts]
    return shown
