"""RFC 5652 §5: what is in a SignedData, as far as it is needed to verify it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from asn1crypto import cms
from cryptography import x509

# Of hostile messages no more is looked at.
MAX_OCTETS: Final = 20_000_000
_MAX_CERTIFICATES: Final = 40
_MAX_SIGNERS: Final = 5

# RFC 8551 §2.1; the others are not what they were.
DIGESTS: Final = frozenset({"sha256", "sha384", "sha512"})


class Unverifiable(Exception):
    """Why a signature does not hold, in words for people."""


@dataclass(frozen=True, slots=True)
class Signer:
    """RFC 5652 §5.3: a SignerInfo.

    attributes: DER of the signed attributes, None if there are none. algorithm: "rsassa_pkcs1v15",
    "rsassa_pss", "ecdsa", "ed25519" or another name of asn1crypto's.
    """

    issuer: bytes | None
    serial: int | None
    key_id: bytes | None
    digest: str
    algorithm: str
    pss_salt: int | None
    signature: bytes
    attributes: bytes | None
    message_digest: bytes | None
    content_type: str | None

    def is_of(self, certificate: x509.Certificate) -> bool:
        """Whether it is this certificate's key that has signed."""
        if self.key_id is not None:
            return _key_id(certificate) == self.key_id
        issuer = certificate.issuer.public_bytes()
        return certificate.serial_number == self.serial and issuer == self.issuer


@dataclass(frozen=True, slots=True)
class SignedData:
    """RFC 5652 §5.1. content: what is signed, None if that is elsewhere (detached)."""

    content: bytes | None
    content_type: str
    certificates: tuple[x509.Certificate, ...]
    signers: tuple[Signer, ...]


def parse(octets: bytes) -> SignedData | None:
    """What octets have in them, None for CMS of another kind. Raises Unverifiable."""
    if len(octets) > MAX_OCTETS:
        raise Unverifiable("The signature is too large.")
    try:
        info = cms.ContentInfo.load(octets, strict=False)
        if info["content_type"].native != "signed_data":
            return None
        return _signed_data(info["content"])
    except Unverifiable:
        raise
    # What octets of anybody's make of the library is no reason for anything but this.
    except Exception as error:
        raise Unverifiable("The signature can not be read.") from error


def _signed_data(data: Any) -> SignedData:
    choices, infos = data["certificates"] or [], data["signer_infos"]
    if len(choices) > _MAX_CERTIFICATES or len(infos) > _MAX_SIGNERS:
        raise Unverifiable("There are too many certificates or signers.")
    encapsulated = data["encap_content_info"]
    content = encapsulated["content"]
    return SignedData(
        content=_content(content),
        content_type=encapsulated["content_type"].native,
        certificates=tuple(
            x509.load_der_x509_certificate(each.chosen.dump())
            for each in choices
            if each.name == "certificate"
        ),
        signers=tuple(map(_signer, infos)),
    )


def _content(content: Any) -> bytes | None:
    native = content.native
    return native if native is None or isinstance(native, bytes) else bytes(content.contents)


def _signer(info: Any) -> Signer:
    sid = info["sid"]
    issuer = serial = key_id = None
    if sid.name == "subject_key_identifier":
        key_id = sid.native
    else:
        issuer, serial = sid.chosen["issuer"].dump(), sid.chosen["serial_number"].native
    algorithm = info["signature_algorithm"]
    attributes = info["signed_attrs"]
    values = {each["type"].native: each["values"] for each in attributes or ()}
    is_pss = algorithm.signature_algo == "rsassa_pss"
    return Signer(
        issuer=issuer,
        serial=serial,
        key_id=key_id,
        digest=info["digest_algorithm"]["algorithm"].native,
        algorithm=algorithm.signature_algo,
        pss_salt=algorithm["parameters"]["salt_length"].native if is_pss else None,
        signature=info["signature"].native,
        # RFC 5652 §5.4: what is signed is the DER of a SET OF.
        attributes=b"\x31" + attributes.dump(force=True)[1:] if attributes else None,
        message_digest=_single(values, "message_digest"),
        content_type=_single(values, "content_type"),
    )


def _single(values: dict[str, Any], name: str) -> Any:
    """RFC 5652 §11: the attribute must be there once, with one value."""
    found = values.get(name)
    return found[0].native if found is not None and len(found) == 1 else None


def _key_id(certificate: x509.Certificate) -> bytes | None:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    except x509.ExtensionNotFound:
        return None
    return extension.value.digest
