"""RFC 8621 §6, §9.6: which addresses are a user's to send from, as the operator has it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from gateway.mime import addresses
from gateway.obs.log import get_logger

_ANY: Final = "*"

log = get_logger(__name__)


class Owned(NamedTuple):
    """An address of a user, or with `*` for its local part all of a domain; a name to show."""

    name: str
    email: str

    @property
    def is_single(self) -> bool:
        """Whether it is one address."""
        return not self.email.startswith(f"{_ANY}@")


class Permitted:
    """The addresses that a user may send from."""

    def __init__(self, owned: Iterable[Owned]) -> None:
        self._folded = frozenset(folded(each.email) for each in owned)

    def permits(self, email: str) -> bool:
        """Whether the user may. Of a whole domain, `*` itself is one, too."""
        email = folded(email)
        local, at, domain = email.rpartition("@")
        if not (local and at):
            return False
        return email in self._folded or f"{_ANY}@{domain}" in self._folded


def folded(email: str) -> str:
    """As addresses are compared: no mail system in use tells the case of local parts apart."""
    return email.casefold()


class AddressBook:
    """Whose addresses are which: those that templates make of a login, and those of a file.

    A template has `{login}`, `{local}` and `{domain}` in it: the login, and what is before and
    after its last "@". What they make without a local part or a domain is no address.
    A line of the file is `LOGIN: ADDRESS, ADDRESS...`, with addresses as in a header field; lines
    of one login add up, and those that begin with "#" are for people. It is read anew when it was
    changed. Raises ValueError for a file, or a template, that is none.
    """

    def __init__(self, templates: Sequence[str], file: Path | None) -> None:
        for template in templates:
            _filled(template, "login@example.org")
        self._templates = templates
        self._file = file
        self._read_at: tuple[int, int] | None = None
        self._aliases: dict[str, tuple[Owned, ...]] = {}
        if file is not None:
            self._read_at, self._aliases = _version(file), _read(file)

    def of(self, login: str) -> tuple[Owned, ...]:
        """The addresses of a user, the first being what others know the user by."""
        self._refresh()
        filled = (_filled(template, login) for template in self._templates)
        found = [Owned("", email) for email in filled if is_address(email)]
        found += self._aliases.get(folded(login), ())
        # A name in the file is for an address that a template makes, too.
        distinct: dict[str, Owned] = {}
        for each in found:
            first = distinct.setdefault(folded(each.email), each)
            distinct[folded(each.email)] = Owned(first.name or each.name, first.email)
        return tuple(distinct.values())

    def _refresh(self) -> None:
        if self._file is None:
            return
        try:
            version = _version(self._file)
            if version != self._read_at:
                self._read_at, self._aliases = version, _read(self._file)
        except ValueError as error:  # half written, perhaps: what was read before goes on to hold
            log.warning("aliases_unreadable", reason=str(error))


def is_address(email: str) -> bool:
    """Whether there is a local part and a domain, and nothing that would end a field or a path."""
    local, _, domain = email.rpartition("@")
    return bool(local and domain) and not any(c.isspace() or c in "<>" or c < " " for c in email)


def _filled(template: str, login: str) -> str:
    local, at, domain = login.rpartition("@")
    if not at:
        local, domain = login, ""
    try:
        return template.format(login=login, local=local, domain=domain)
    except (LookupError, ValueError) as error:
        raise ValueError(f"no template of addresses: {template!r}") from error


def _version(file: Path) -> tuple[int, int]:
    try:
        found = file.stat()
    except OSError as error:
        raise ValueError(f"{file}: {error.strerror}") from error
    return found.st_mtime_ns, found.st_size


def _read(file: Path) -> dict[str, tuple[Owned, ...]]:
    try:
        lines = file.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{file}: {error}") from error
    found: dict[str, tuple[Owned, ...]] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        login, colon, listed = line.partition(":")
        owned = tuple(
            Owned(each["name"] or "", each["email"] or "")
            for each in addresses.addresses(listed.encode())
        )
        if not (colon and login.strip() and owned and all(is_address(o.email) for o in owned)):
            raise ValueError(f"{file}: line {number} is not LOGIN: ADDRESS, ADDRESS...")
        key = folded(login.strip())
        found[key] = (*found.get(key, ()), *owned)
    return found
