"""RFC 8620 §2: everything the server can, as the JMAP core registers and announces it."""

from __future__ import annotations

from typing import Any, Final

from gateway.ext import sieve
from gateway.ext.blob import BLOB, account_capability
from gateway.ext.blob_get import BLOB_GET
from gateway.ext.blob_lookup import BLOB_LOOKUP, type_names
from gateway.ext.blob_upload import BLOB_UPLOAD
from gateway.ext.mdn import MDN
from gateway.ext.mdn_parse import MDN_PARSE
from gateway.ext.mdn_send import mdn_send
from gateway.ext.quota import QUOTA, QUOTA_CAPABILITY
from gateway.ext.sieve_script import SIEVE_SCRIPT
from gateway.ext.smime import SMIME, Smime
from gateway.ext.submission.service import Submission
from gateway.ext.submission.types import SUBMISSION
from gateway.ext.vacation_response import login_address, vacation_response
from gateway.jmap.limits import DEFAULTS
from gateway.jmap.methods.echo import ECHO
from gateway.jmap.registry import Method
from gateway.jmap.spec import DataType
from gateway.mail import registry as mail
from gateway.mail.blob_copy import BLOB_COPY
from gateway.mail.email import EMAIL
from gateway.sync.account import Account
from gateway.sync.shares import Share

TYPES: Final[tuple[DataType, ...]] = (*mail.TYPES, QUOTA, SIEVE_SCRIPT)
METHODS: Final[tuple[Method, ...]] = (
    ECHO,
    BLOB_COPY,
    BLOB_UPLOAD,
    BLOB_GET,
    BLOB_LOOKUP,
)


def types(submission: Submission | None = None, smime: Smime | None = None) -> tuple[DataType, ...]:
    """All types; those for sending where there is a submission server.

    With `smime`, Emails have what RFC 9219 tells of them.
    """
    found = tuple(email_type(smime) if each is EMAIL else each for each in TYPES)
    if submission is None:
        return (*found, vacation_response(login_address))
    return (*found, vacation_response(submission.addresses), *submission.types)


def email_type(smime: Smime | None) -> DataType:
    """Email, with what RFC 9219 tells of it if signatures are verified."""
    return smime.extended(EMAIL) if smime is not None else EMAIL


def methods(submission: Submission | None = None) -> tuple[Method, ...]:
    """All methods that are of no type; those of MDNs where these can be sent (RFC 9007 §1.3)."""
    if submission is None:
        return METHODS
    return (*METHODS, MDN_PARSE, mdn_send(submission.sending))


def session_capabilities(
    account: Account | None = None,
    submission: Submission | None = None,
    smime: Smime | None = None,
) -> dict[str, dict[str, Any]]:
    """What the Session object says of the server, without core.

    account: the own one of the user who asks, with what is there for that user.
    """
    capabilities = mail.session_capabilities() | {BLOB: {}, QUOTA_CAPABILITY: {}}
    if account is not None:
        capabilities |= sieve.session_capabilities(account)
    if smime is not None:
        capabilities[SMIME] = {}
    return capabilities | ({SUBMISSION: {}, MDN: {}} if submission is not None else {})


def account_capabilities(
    account: Account | Share,
    submission: Submission | None = None,
    smime: Smime | None = None,
) -> dict[str, dict[str, Any]]:
    """What the Session object says of one account: the user's own, or what others share.

    How much is used of what others share is theirs to know, and nobody sends for others.
    """
    capabilities = mail.account_capabilities(account)
    if smime is not None:
        capabilities[SMIME] = {}
    if isinstance(account, Account):
        capabilities |= sieve.account_capabilities(account)
        if submission is not None:
            capabilities |= {SUBMISSION: submission.capability, MDN: {}}
    if isinstance(account, Account) and account.quotas is not None and account.quotas.is_supported:
        capabilities[QUOTA_CAPABILITY] = {}
    return capabilities | {BLOB: account_capability(type_names(capabilities), DEFAULTS)}
