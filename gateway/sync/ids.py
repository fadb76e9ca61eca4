"""RFC 8620 §1.2, RFC 8621 §§2-4, RFC 8474: ids that come out the same without any store.

Every id is a function of what the IMAP server says, so that a lost cache costs a
resynchronisation and never an id. Ids start with a letter (RFC 8620 §1.2 advises against a
leading digit or dash); where the server's own identifier has characters outside the Id
alphabet it is hashed.
"""

from __future__ import annotations

import re
from base64 import b32decode, b32encode, urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b

EMAIL_DIGEST_OCTETS = 12
THREAD_DIGEST_OCTETS = 8
UPLOAD_OCTETS = 16
"""Random ones: nobody guesses which uploads there are."""

_ID = re.compile(r"[A-Za-z0-9_-]{1,255}")
_GUID = re.compile(r"[0-9a-f]{32}")  # Dovecot's begin with a letter or a digit, as it comes
_MAX_KEPT = 128
_MAX_ID = 255
_SECTION = r"[1-9][0-9]*(?:_[1-9][0-9]*)*"
_PART_BLOB = re.compile(rf"p({_SECTION}(?:m{_SECTION})*)-([A-Za-z0-9_-]+)")
_PACKED_BLOB = re.compile(r"q([A-Z2-7]+)-([A-Za-z0-9_-]+)")
_SCRIPT_BLOB = re.compile(r"s[A-Za-z0-9_-]{21}[AQgw]")
# Of an upload, the way comes last.
_UPLOAD = r"u[A-Za-z0-9_-]{21}[AQgw]"
_UPLOAD_BLOB = re.compile(rf"({_UPLOAD})(?:-({_SECTION}(?:m{_SECTION})*)|_([A-Z2-7]+))?")


def is_id(value: str) -> bool:
    """True when value obeys the Id syntax of RFC 8620 §1.2."""
    return _ID.fullmatch(value) is not None


def is_kept(given: str) -> bool:
    """True for a server's identifier that is used as it is: blob ids made of it are Ids too."""
    return is_id(given) and len(given) <= _MAX_KEPT


def _text(prefix: str, octets: bytes) -> str:
    return prefix + urlsafe_b64encode(octets).rstrip(b"=").decode("ascii")


def _digest(domain: bytes, size: int, *parts: bytes) -> bytes:
    """Hash length-prefixed parts, so that no two lists of parts give the same input."""
    state = blake2b(digest_size=size, person=domain)
    for part in parts:
        state.update(len(part).to_bytes(4, "big"))
        state.update(part)
    return state.digest()


def account_id(backend: str, username: str) -> str:
    """Account id of a canonical user name on one IMAP server ("host:port")."""
    return _text("a", _digest(b"account", 12, backend.encode(), username.encode()))


def shared_account_id(backend: str, username: str, extent: str) -> str:
    """Account id of what others share with a user; `extent` says which of it (RFC 8620 §1.6.2).

    Each user has one of their own for it, as each sees and may do something else there.
    """
    return _text("a", _digest(b"share", 12, backend.encode(), username.encode(), extent.encode()))


def mailbox_id(given: str | None, name: str, uidvalidity: int) -> str:
    """Mailbox id: the server's own (RFC 8474 MAILBOXID, Dovecot's GUID), else derived."""
    if given is not None and is_kept(given):
        return "B" + given if _GUID.fullmatch(given) or not given[0].isalpha() else given
    source = given.encode() if given else b"%d\0%s" % (uidvalidity, name.encode())
    return _text("B", _digest(b"mailbox", 12, source))


def email_digest(identity: bytes) -> bytes:
    """96 bits over the server's identifier of a message (X-GUID, X-GM-MSGID, fingerprint)."""
    return blake2b(identity, digest_size=EMAIL_DIGEST_OCTETS, person=b"email").digest()


def email_id(digest: bytes) -> str:
    """Email id of a digest made by email_digest()."""
    return _text("E", digest)


def email_digest_of(id_: str) -> bytes | None:
    """Inverse of email_id(); None for anything it can not have made."""
    if len(id_) != 17 or id_[0] != "E" or not is_id(id_):
        return None
    return urlsafe_b64decode(id_[1:])


@lru_cache(maxsize=4096)
def thread_digest(seed: bytes) -> bytes:
    """64 bits over the root Message-ID and the base subject (RFC 8621 §3)."""
    return blake2b(seed, digest_size=THREAD_DIGEST_OCTETS).digest()


def thread_id(key: int) -> str:
    """Thread id of a 64-bit thread key."""
    return _text("T", key.to_bytes(THREAD_DIGEST_OCTETS, "big"))


def thread_key_of(id_: str) -> int | None:
    """Inverse of thread_id(); None for anything it can not have made."""
    if len(id_) != 12 or id_[0] != "T" or not is_id(id_):
        return None
    key = int.from_bytes(urlsafe_b64decode(id_[1:] + "="), "big")
    return key if thread_id(key) == id_ else None


def script_id(name: str, ordinal: int) -> str:
    """SieveScript id of a name; the ordinal is 0 unless that id is another script's already."""
    return _text("S", _digest(b"script", 12, name.encode(), b"%d" % ordinal))


# --- RFC 8620 §6.2, RFC 8621 §4.1.4: blobs --------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BlobRef:
    """What a blobId stands for.

    `whole` is the blob id of a message or an upload. `sections` is the way from there: () for the
    whole itself, ("2",) for its part 2, ("2", "1.2") for part 1.2 of the message that is part 2.
    """

    whole: str
    sections: tuple[str, ...]

    @property
    def email_id(self) -> str | None:
        """The Email that the blob is, or is a part of; None for an upload."""
        return self.whole[1:] if self.whole.startswith("m") else None


class UnnamedPart(ValueError):
    """The part is in so many attached messages that no Id can say where it is."""


def message_blob_id(email_id_: str) -> str:
    """Blob id of the whole message."""
    return "m" + email_id_


def upload_blob_id(random: bytes) -> str:
    """Blob id of an upload, made of UPLOAD_OCTETS random octets."""
    return _text("u", random)


def is_upload_blob_id(blob_id: str) -> bool:
    """True for what upload_blob_id() can have made."""
    return re.fullmatch(_UPLOAD, blob_id) is not None


def script_blob_id(content: bytes) -> str:
    """Blob id of a Sieve script: of its octets, whichever script they are of (RFC 9661 §2.1)."""
    return _text("s", _digest(b"script-blob", 16, content))


def is_script_blob_id(blob_id: str) -> bool:
    """True for what script_blob_id() can have made."""
    return _SCRIPT_BLOB.fullmatch(blob_id) is not None


def part_blob_id(blob_id: str, section: str) -> str:
    """Blob id of a part of a message; of its octets, transfer-decoded.

    blob_id: of the message. section: of the part in it, as in IMAP ("1.2"). Raises UnnamedPart,
    which parts of an Email itself never do, and ValueError if `blob_id` is no blob id.
    """
    if blob_id.startswith("m"):  # of each part of each Email that is shown
        return _part_blob_id(BlobRef(blob_id, (section,)))
    ref = parse_blob_id(blob_id)
    if ref is None:
        raise ValueError(f"not a blob id: {blob_id!r}")
    return _part_blob_id(BlobRef(ref.whole, (*ref.sections, section)))


def parse_blob_id(blob_id: str) -> BlobRef | None:
    """Inverse of message_blob_id(), upload_blob_id() and part_blob_id(); None for anything else."""
    if not is_id(blob_id):
        return None
    if blob_id[0] == "m" and len(blob_id) > 1:
        return BlobRef(blob_id, ())
    if match := _PART_BLOB.fullmatch(blob_id):
        return BlobRef(message_blob_id(match[2]), _unfold(match[1]))
    if match := _PACKED_BLOB.fullmatch(blob_id):
        return _packed(BlobRef(message_blob_id(match[2]), _unpack(match[1])), blob_id)
    if match := _UPLOAD_BLOB.fullmatch(blob_id):
        if match[3]:
            return _packed(BlobRef(match[1], _unpack(match[3])), blob_id)
        return BlobRef(match[1], _unfold(match[2]) if match[2] else ())
    return None


def _packed(ref: BlobRef, blob_id: str) -> BlobRef | None:
    """The same, if it is what the id was made of: what fits is not packed, and in one way only."""
    return ref if ref.sections and _part_blob_id(ref) == blob_id else None


def _part_blob_id(ref: BlobRef) -> str:
    """`p2m1_2-<EmailId>` and `<UploadId>-2m1_2`, or packed where that would not be an Id.

    Packed they are `q...-<EmailId>` and `<UploadId>_...`.
    """
    way = "m".join(section.replace(".", "_") for section in ref.sections)
    plain = f"{ref.whole}-{way}" if ref.email_id is None else f"p{way}-{ref.email_id}"
    if len(plain) <= _MAX_ID:
        return plain
    way = _pack(ref.sections)
    packed = f"{ref.whole}_{way}" if ref.email_id is None else f"q{way}-{ref.email_id}"
    if len(packed) > _MAX_ID:
        raise UnnamedPart(f"{len(ref.sections)} messages deep")
    return packed


def _unfold(way: str) -> tuple[str, ...]:
    return tuple(section.replace("_", ".") for section in way.split("m"))


def _pack(sections: tuple[str, ...]) -> str:
    """In base 32: each number in base 128, with the high bit on all digits but its last; 0 between.

    With the limits of gateway.mime.limits on levels and parts, of whose numbers few can be large,
    a section of an Email is at most 71 octets: it fits with any Email id (_MAX_KEPT).
    """
    octets = bytearray()
    for section in sections:
        if octets:
            octets.append(0)
        for number in map(int, section.split(".")):
            digits = [number & 127]
            while number := number >> 7:
                digits.append(number & 127 | 128)
            octets += bytes(reversed(digits))
    return b32encode(octets).rstrip(b"=").decode("ascii")


def _unpack(packed: str) -> tuple[str, ...]:
    """Inverse of _pack(); () for anything else."""
    try:
        octets = b32decode(packed + "=" * (-len(packed) % 8))
    except ValueError:
        return ()
    sections: list[list[int]] = [[]]
    number = 0
    for octet in octets:
        number = number << 7 | octet & 127
        if octet & 128:
            continue
        if number:
            sections[-1].append(number)
        else:
            sections.append([])
        number = 0
    return tuple(".".join(map(str, section)) for section in sections) if all(sections) else ()
