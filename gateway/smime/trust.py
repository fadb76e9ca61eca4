"""RFC 5280 §6, RFC 8550 §4: certificates that lead to an authority which is trusted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final, TypeVar

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from gateway.smime.signed_data import Unverifiable

Extension = TypeVar("Extension", bound=x509.ExtensionType)

SYSTEM: Final = Path("/etc/ssl/certs/ca-certificates.crt")
_MAX_DEPTH: Final = 6
_SMTP_UTF8_MAILBOX: Final = x509.ObjectIdentifier("1.3.6.1.5.5.7.8.9")
_UTF8_STRING: Final = 0x0C


class Trust:
    """The authorities whose certificates are believed."""

    def __init__(self, authorities: Sequence[x509.Certificate]) -> None:
        self._store = Store(list(authorities))
        self.count = len(authorities)

    @classmethod
    def read(cls, file: Path) -> Trust:
        """Those of a file of PEM. Raises ValueError if there are none in it."""
        try:
            authorities = x509.load_pem_x509_certificates(file.read_bytes())
        except OSError as error:
            raise ValueError(f"{file}: {error.strerror}") from error
        except ValueError as error:
            raise ValueError(f"{file}: no certificates ({error})") from error
        return cls(authorities)

    def check(
        self, certificate: x509.Certificate, others: Sequence[x509.Certificate], at: datetime
    ) -> None:
        """Whether a certificate may sign mail, and could be believed then. Raises Unverifiable."""
        check_usage(certificate)
        if at < certificate.not_valid_before_utc:
            raise Unverifiable("The certificate of the signer was not valid yet.")
        if at > certificate.not_valid_after_utc:
            raise Unverifiable("The certificate of the signer has expired.")
        any_leaf = ExtensionPolicy.permit_all()
        # The profile for the web wants what mail authorities do not have; this is RFC 5280's.
        authority = (
            ExtensionPolicy.permit_all()
            .require_present(x509.BasicConstraints, Criticality.AGNOSTIC, _is_authority)
            .may_be_present(x509.KeyUsage, Criticality.AGNOSTIC, _signs_certificates)
        )
        builder = (
            PolicyBuilder()
            .store(self._store)
            .time(at)
            .max_chain_depth(_MAX_DEPTH)
            .extension_policies(ca_policy=authority, ee_policy=any_leaf)
        )
        try:
            builder.build_client_verifier().verify(certificate, list(others))
        except (VerificationError, ValueError) as error:
            raise Unverifiable(
                "The certificate of the signer does not lead to an authority that is trusted."
            ) from error


def _is_authority(
    _policy: object, _certificate: x509.Certificate, extension: x509.BasicConstraints | None
) -> None:
    if extension is None or not extension.ca:
        raise ValueError("not an authority")


def _signs_certificates(
    _policy: object, _certificate: x509.Certificate, extension: x509.KeyUsage | None
) -> None:
    if extension is not None and not extension.key_cert_sign:
        raise ValueError("may not sign certificates")


def check_usage(certificate: x509.Certificate) -> None:
    """RFC 8550 §4.4.2, §4.4.4. Raises Unverifiable for a certificate that is for other things."""
    usage = _extension(certificate, x509.KeyUsage)
    if usage is not None and not (usage.digital_signature or usage.content_commitment):
        raise Unverifiable("The certificate of the signer is not for signatures.")
    purposes = _extension(certificate, x509.ExtendedKeyUsage)
    for_mail = (ExtendedKeyUsageOID.EMAIL_PROTECTION, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE)
    if purposes is not None and not any(each in purposes for each in for_mail):
        raise Unverifiable("The certificate of the signer is not for mail.")


def addresses(certificate: x509.Certificate) -> frozenset[str]:
    """RFC 8550 §3: the addresses a certificate is for, folded; RFC 9598 for those in UTF-8."""
    found: list[str] = []
    names = _extension(certificate, x509.SubjectAlternativeName)
    if names is not None:
        found += names.get_values_for_type(x509.RFC822Name)
        for other in names.get_values_for_type(x509.OtherName):
            if other.type_id == _SMTP_UTF8_MAILBOX:
                found.append(_utf8(other.value))
    for attribute in certificate.subject.get_attributes_for_oid(NameOID.EMAIL_ADDRESS):
        found.append(str(attribute.value))
    return frozenset(each.casefold() for each in found if "@" in each)


def _utf8(der: bytes) -> str:
    if len(der) < 2 or der[0] != _UTF8_STRING or der[1] != len(der) - 2:
        return ""
    return der[2:].decode("utf-8", "replace")


def _extension(certificate: x509.Certificate, kind: type[Extension]) -> Extension | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
    except ValueError as error:
        raise Unverifiable("The certificate of the signer can not be read.") from error
