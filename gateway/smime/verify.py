"""RFC 8551 §3.5, RFC 9219 §4.1: whether a message is signed, and what the signature is worth.

It is the message as a whole that counts: a signed part among others vouches for nothing around it.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from gateway.mime import addresses as mime_addresses
from gateway.mime import headers, message, transfer
from gateway.mime.structure import Part
from gateway.smime import signed_data
from gateway.smime.signed_data import DIGESTS, SignedData, Signer, Unverifiable
from gateway.smime.trust import Trust, addresses

UNKNOWN: Final = "unknown"
VERIFIED: Final = "signed/verified"
FAILED: Final = "signed/failed"

_SIGNATURES: Final = frozenset({"application/pkcs7-signature", "application/x-pkcs7-signature"})
_MIME: Final = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime"})
_LEAST_RSA_BITS: Final = 2048
_HASHES: Final[Mapping[str, hashes.HashAlgorithm]] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """smimeStatus and smimeErrors (RFC 9219 §4.1), None for a message that is not S/MIME."""

    status: str | None
    errors: tuple[str, ...] = ()


def verify(octets: bytes, trust: Trust, at: datetime) -> Verdict:
    """What is to be said of a message as of a moment. Raises nothing, whatever the octets are."""
    whole = message.parse(octets)
    try:
        found = _signed(whole)
        if found is None:
            return Verdict(UNKNOWN if is_smime(whole.root) else None)
        data, content = found
        return _verdict(data, content, _authors(octets), trust, at)
    except Unverifiable as error:
        return Verdict(FAILED, (str(error),))


def is_smime(root: Part) -> bool:
    """Whether a message of this structure is S/MIME, or signed in another way."""
    return root.type in _MIME or root.type == "multipart/signed"


def _signed(whole: message.Message) -> tuple[SignedData, bytes] | None:
    """The signatures of a message, and what they are of. Raises Unverifiable."""
    root = whole.root
    if root.type in _MIME:
        return _opaque(whole, root)
    if root.type == "multipart/signed" and root.parameters.get("protocol", "") in _SIGNATURES:
        return _detached(whole, root)
    return None


def _opaque(whole: message.Message, part: Part) -> tuple[SignedData, bytes] | None:
    """RFC 8551 §3.5.2: application/pkcs7-mime, with the content inside."""
    data = signed_data.parse(_decoded(whole, part))
    if data is None or data.content is None:  # encrypted, or certificates alone
        return None
    return data, data.content


def _detached(whole: message.Message, root: Part) -> tuple[SignedData, bytes] | None:
    """RFC 8551 §3.5.3: multipart/signed, with the content before the signature."""
    if len(root.children) != 2 or root.children[1].type not in _SIGNATURES:
        raise Unverifiable("The message is not made as a signed one has to be.")
    data = signed_data.parse(_decoded(whole, root.children[1]))
    if data is None or data.content is not None:
        raise Unverifiable("The signature is of another kind than the message says.")
    return data, _canonical(whole.header(root.children[0]) + whole.content(root.children[0]))


def _decoded(whole: message.Message, part: Part) -> bytes:
    return transfer.decode(whole.content(part), part.encoding)[0]


def _canonical(octets: bytes) -> bytes:
    """RFC 8551 §3.1.1: lines end with CRLF, as they did when the message was signed."""
    return octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def _authors(octets: bytes) -> frozenset[str]:
    return frozenset(
        (each["email"] or "").casefold()
        for name, value in headers.fields(octets)
        if name.lower() == "from"
        for each in mime_addresses.addresses(value)
    )


# --- signers ------------------------------------------------------------------------------------


def _verdict(
    data: SignedData, content: bytes, authors: frozenset[str], trust: Trust, at: datetime
) -> Verdict:
    """One signer for whom everything holds is enough: others may have signed besides."""
    if not data.signers:
        return Verdict(FAILED, ("There is no signature in it.",))
    errors: list[str] = []
    for signer in data.signers:
        found = _errors(signer, data, content, authors, trust, at)
        if not found:
            return Verdict(VERIFIED)
        errors += found
    return Verdict(FAILED, tuple(dict.fromkeys(errors)))


def _errors(
    signer: Signer,
    data: SignedData,
    content: bytes,
    authors: frozenset[str],
    trust: Trust,
    at: datetime,
) -> list[str]:
    """Everything that is wrong with a signature, nothing if it holds."""
    certificate = next((each for each in data.certificates if signer.is_of(each)), None)
    if certificate is None:
        return ["The certificate of the signer is not in the message."]
    others = [each for each in data.certificates if each != certificate]
    checks: tuple[Callable[[], None], ...] = (
        partial(_check_content, signer, data.content_type, content),
        partial(_check_signature, signer, certificate, content),
        partial(_check_authors, certificate, authors),
        partial(trust.check, certificate, others, at),
    )
    errors = []
    for check in checks:
        try:
            check()
        except Unverifiable as error:
            errors.append(str(error))
    return errors


def _check_authors(certificate: x509.Certificate, authors: frozenset[str]) -> None:
    """RFC 8550 §3, RFC 9219 §4.1: that who it is from is who has signed."""
    if not authors:
        raise Unverifiable("The message does not say who it is from.")
    if not authors <= addresses(certificate):
        raise Unverifiable("The address in From is not one of the signer's.")


def _check_content(signer: Signer, content_type: str, content: bytes) -> None:
    """RFC 5652 §5.4, §5.6: that the signed digest is that of the content."""
    if signer.digest not in DIGESTS:
        name = signer.digest.upper().replace("SHA1", "SHA-1")
        raise Unverifiable(f"The signature is made with {name}, which is too weak.")
    if signer.attributes is None:
        return
    if signer.content_type != content_type or signer.message_digest is None:
        raise Unverifiable("The signature lacks what it has to say of the message.")
    if not hmac.compare_digest(hashlib.new(signer.digest, content).digest(), signer.message_digest):
        raise Unverifiable("The message is not as it was signed.")


def _check_signature(signer: Signer, certificate: x509.Certificate, content: bytes) -> None:
    """RFC 5652 §5.6: that the signature is the key's."""
    algorithm = _HASHES.get(signer.digest)
    if algorithm is None:
        return  # said already
    signed = signer.attributes if signer.attributes is not None else content
    try:
        _verify_key(signer, certificate.public_key(), signed, algorithm)
    except InvalidSignature:
        raise Unverifiable("The signature is not the signer's, or not of this message.") from None
    except (UnsupportedAlgorithm, ValueError, TypeError) as error:
        raise Unverifiable("The signature is of a kind that is not known.") from error


def _verify_key(
    signer: Signer, key: object, signed: bytes, algorithm: hashes.HashAlgorithm
) -> None:
    match key:
        case rsa.RSAPublicKey():
            if key.key_size < _LEAST_RSA_BITS:
                raise Unverifiable("The key of the signer is too short.")
            key.verify(signer.signature, signed, _padding(signer, algorithm), algorithm)
        case ec.EllipticCurvePublicKey() if signer.algorithm == "ecdsa":
            key.verify(signer.signature, signed, ec.ECDSA(algorithm))
        case ed25519.Ed25519PublicKey() if signer.algorithm == "ed25519":
            key.verify(signer.signature, signed)
        case _:
            raise ValueError(signer.algorithm)


def _padding(signer: Signer, algorithm: hashes.HashAlgorithm) -> padding.AsymmetricPadding:
    if signer.algorithm == "rsassa_pss":
        return padding.PSS(padding.MGF1(algorithm), signer.pss_salt or algorithm.digest_size)
    if signer.algorithm == "rsassa_pkcs1v15":
        return padding.PKCS1v15()
    raise ValueError(signer.algorithm)
