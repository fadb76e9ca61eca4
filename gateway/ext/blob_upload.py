"""RFC 9404 §4.1: Blob/upload: blobs put together of text, base64 and octets of other blobs."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final

from gateway.ext.blob import BLOB, MAX_DATA_SOURCES, find
from gateway.jmap.arguments import Argument, check
from gateway.jmap.call import Call
from gateway.jmap.creation_ids import generations, references
from gateway.jmap.errors import SetError, quoted
from gateway.jmap.kinds import ID, OBJECT, UNSIGNED_INT, map_of
from gateway.jmap.methods.set import check_size
from gateway.jmap.registry import Method
from gateway.mail.backend import backend
from gateway.mail.blob import Blob
from gateway.sync.account import Account
from gateway.sync.errors import MessageGone
from gateway.sync.turns import off_loop
from gateway.sync.uploads import UploadTooLarge

_ARGUMENTS: Final = (Argument("accountId", ID), Argument("create", map_of(ID, OBJECT)))
_TEXT, _BASE64, _BLOB_ID = "data:asText", "data:asBase64", "blobId"
_SOURCES = (_TEXT, _BASE64, _BLOB_ID)
_MEDIA_TYPE = re.compile(r"[\w!#$&^.+-]{1,127}/[\w!#$&^.+-]{1,127}", re.ASCII)
_UNKNOWN_TYPE: Final = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class _Range:
    """Octets [start, stop) of a blob."""

    blob: Blob
    start: int
    stop: int


_Source = bytes | _Range


@backend
async def run(call: Call, arguments: dict[str, Any]) -> dict[str, Any]:
    """The response arguments of a Blob/upload."""
    checked = check(arguments, _ARGUMENTS)
    account = call.account(checked, BLOB).account
    objects: dict[str, dict[str, Any]] = checked["create"]
    check_size(len(objects), call.limits)
    created: dict[str, dict[str, Any]] = {}
    failed: dict[str, dict[str, Any]] = {}
    # Those that are made of others of the same call come after them.
    needs = {name: _needs(sent) & objects.keys() - {name} for name, sent in objects.items()}
    for name in (name for generation in generations(needs) for name in generation):
        try:
            created[name] = await _create(account, objects[name], call)
        except SetError as error:
            failed[name] = error.members()
        else:
            call.note_created(name, created[name]["id"])
    return {
        "accountId": checked["accountId"],
        "created": {name: created[name] for name in objects if name in created} or None,
        "notCreated": {name: failed[name] for name in objects if name in failed} or None,
    }


def _needs(sent: Mapping[str, Any]) -> set[str]:
    data = sent.get("data")
    sources = data if isinstance(data, list) else ()
    ids = (source.get(_BLOB_ID) for source in sources if isinstance(source, dict))
    return {name for id_ in ids for name in references(id_) if isinstance(id_, str)}


async def _create(account: Account, sent: Mapping[str, Any], call: Call) -> dict[str, Any]:
    """Put a blob together, and keep it. Raises SetError, ImapError and NotCommitted."""
    data, media_type = _checked(sent)
    try:
        sources = [await _source(account, each, f"data/{n}", call) for n, each in enumerate(data)]
        upload = await account.uploads.receive(
            media_type, _joined(sources), call.limits.max_size_upload
        )
    except UploadTooLarge as error:
        raise SetError("tooLarge", f"At most {error.limit} octets are kept.") from None
    except MessageGone:
        raise SetError("blobNotFound", "An Email that has a blob is gone.") from None
    return {"id": upload.blob_id, "type": upload.media_type, "size": upload.size}


def _checked(sent: Mapping[str, Any]) -> tuple[Sequence[dict[str, Any]], str]:
    """The DataSourceObjects and the type of an UploadObject. Raises SetError."""
    if unknown := sent.keys() - {"data", "type"}:
        raise _invalid(f"An UploadObject has no properties {quoted(unknown)}.", *sorted(unknown))
    data = sent.get("data")
    if not isinstance(data, list) or not all(isinstance(source, dict) for source in data):
        raise _invalid('"data" must be of type DataSourceObject[].', "data")
    if len(data) > MAX_DATA_SOURCES:
        raise SetError("tooLarge", f"A blob is made of at most {MAX_DATA_SOURCES} sources.")
    media_type = sent.get("type") or _UNKNOWN_TYPE
    if not isinstance(media_type, str) or _MEDIA_TYPE.fullmatch(media_type) is None:
        raise _invalid('"type" must be a media type.', "type")
    return data, media_type


async def _source(account: Account, sent: Mapping[str, Any], path: str, call: Call) -> _Source:
    """What a DataSourceObject stands for. Raises SetError, ImapError and NotCommitted."""
    given = [name for name in _SOURCES if sent.get(name) is not None]
    if len(given) != 1 or sent.keys() - {*_SOURCES, "offset", "length"}:
        raise _invalid(f"A DataSourceObject has one of {quoted(_SOURCES)}.", path)
    (name,) = given
    value = sent[name]
    if not isinstance(value, str):
        raise _invalid(f'"{name}" must be of type String.', f"{path}/{name}")
    if name == _BLOB_ID:
        return await _range(account, value, sent, path, call)
    if not {"offset", "length"}.isdisjoint(sent):
        raise _invalid("Only of blobs there are ranges.", path)
    try:
        return await off_loop(len(value), _decoded, value, name)
    except (UnicodeEncodeError, binascii.Error):
        raise _invalid("The data is not valid.", f"{path}/{name}") from None


def _decoded(value: str, name: str) -> bytes:
    return value.encode() if name == _TEXT else base64.b64decode(value, validate=True)


async def _range(
    account: Account, reference: str, sent: Mapping[str, Any], path: str, call: Call
) -> _Range:
    """The octets of another blob. Raises SetError, ImapError and NotCommitted."""
    for name in ("offset", "length"):
        if sent.get(name) is not None and not UNSIGNED_INT.accepts(sent[name]):
            raise _invalid(f'"{name}" must be of type UnsignedInt.', f"{path}/{name}")
    found = await find(account, reference, call)
    if found is None:
        raise SetError("blobNotFound", "There is no such blob.", notFound=[reference])
    blob_id, blob = found
    size = await blob.measure()
    start, length = sent.get("offset") or 0, sent.get("length")
    stop = size if length is None else start + length
    if start > size or stop > size:
        raise _invalid(f"The blob {blob_id} has {size} octets.", path)
    return _Range(blob, start, stop)


async def _joined(sources: Sequence[_Source]) -> AsyncIterator[bytes]:
    """The octets of all sources, as they are taken. Raises MessageGone, ImapError, NotCommitted."""
    for source in sources:
        if isinstance(source, bytes):
            yield source
            continue
        async with aclosing(source.blob.chunks(source.start, source.stop)) as chunks:
            async for chunk in chunks:
                yield chunk


def _invalid(text: str, *properties: str) -> SetError:
    return SetError("invalidProperties", text, properties=list(properties))


BLOB_UPLOAD: Final = Method("Blob/upload", BLOB, run)
