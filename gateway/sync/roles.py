"""RFC 8621 §2, RFC 6154: which mailbox has which role.

SPECIAL-USE attributes decide; only a role that no attribute names is looked for by name, among
the mailboxes at the root, and goes to one if it is the only one with such a name: a guess that may
be wrong is worse than none. Each role goes to one mailbox, each mailbox has one role.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Final

# RFC 6154 §2, RFC 8457, RFC 9979; the order decides when a mailbox carries several.
_ATTRIBUTES = {
    "\\drafts": "drafts",
    "\\sent": "sent",
    "\\trash": "trash",
    "\\junk": "junk",
    "\\archive": "archive",
    "\\all": "all",
    "\\flagged": "flagged",
    "\\important": "important",
    "\\memos": "memos",
    "\\scheduled": "scheduled",
    "\\snoozed": "snoozed",
}
ROLES: Final = frozenset({"inbox", *_ATTRIBUTES.values()})
"""All that there are: IANA's "IMAP Mailbox Name Attributes" that say what a mailbox is for."""

_NAMES = {
    "drafts": (
        "drafts|draft|entwürfe|entwurf|brouillons|borradores|bozze|concepten|rascunhos|utkast"
        "|kladder|luonnokset|robocze|kopie robocze|koncepty|piszkozatok|ciorne|taslaklar"
        "|черновики|чернетки|πρόχειρα|下書き|草稿|草稿箱|임시 보관함|טיוטות|مسودات"
    ),
    "sent": (
        "sent|sent items|sent messages|sent mail|gesendet|gesendete objekte|gesendete elemente"
        "|envoyés|éléments envoyés|messages envoyés|enviados|elementos enviados|posta inviata"
        "|inviata|inviati|verzonden|verzonden items|itens enviados|skickat|sendt|sendte elementer"
        "|lähetetyt|wysłane|elementy wysłane|odeslané|odoslané|elküldött|trimise|gönderilmiş"
        "|отправленные|надіслані|απεσταλμένα|送信済み|送信済みアイテム|已发送|寄件備份|보낸 편지함"
    ),
    "trash": (
        "trash|deleted|deleted items|deleted messages|bin|papierkorb|gelöschte objekte"
        "|gelöschte elemente|corbeille|éléments supprimés|papelera|elementos eliminados|cestino"
        "|posta eliminata|prullenbak|verwijderde items|lixeira|itens excluídos|papperskorgen"
        "|papirkurv|slettede elementer|roskakori|kosz|elementy usunięte|koš|kôš|kuka|gunoi"
        "|çöp kutusu|корзина|удаленные|кошик|κάδος|ゴミ箱|已删除|垃圾桶|휴지통"
    ),
    "junk": (
        "junk|junk e-mail|junk email|spam|bulk mail|junk-e-mail|spamverdacht|indésirables"
        "|courrier indésirable|pourriel|correo no deseado|posta indesiderata|ongewenste e-mail"
        "|lixo eletrônico|skräppost|søppelpost|uønsket e-post|roskaposti|wiadomości-śmieci"
        "|nevyžádaná pošta|levélszemét|спам|迷惑メール|垃圾邮件|스팸"
    ),
    "archive": "archive|archives|archiv|archivo|archivio|archief|arquivo|arkiv|arkisto|archiwum",
}


def _fold(name: str) -> str:
    """A name without case, width and decoration: punctuation, symbols, emoji."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    kept = (c if unicodedata.category(c)[0] in "LMN" else " " for c in _EMOJI_STYLE.sub("", folded))
    return " ".join("".join(kept).split())


_EMOJI_STYLE = re.compile("[\ufe00-\ufe0f]")  # marks, but of no letter


_BY_NAME = {_fold(n): role for role, names in _NAMES.items() for n in names.split("|")}


def assign(mailboxes: Iterable[tuple[str, str, frozenset[str], bool]]) -> dict[str, str]:
    r"""Roles by mailbox id.

    mailboxes: (id, name, lower-case LIST attributes, is at the root) in the server's order.
    The mailbox with the attribute "\\inbox" is the inbox.
    """
    mailboxes = list(mailboxes)
    roles: dict[str, str] = {}
    taken: set[str] = set()

    def give(mailbox_id: str, role: str | None) -> None:
        if role is not None and role not in taken and mailbox_id not in roles:
            roles[mailbox_id] = role
            taken.add(role)

    for id_, _, attributes, _ in mailboxes:
        if "\\inbox" in attributes:
            give(id_, "inbox")
    for attribute, role in _ATTRIBUTES.items():
        for id_, _, attributes, _ in mailboxes:
            if attribute in attributes:
                give(id_, role)
    candidates: dict[str, list[str]] = {}
    for id_, name, attributes, at_root in mailboxes:
        role = _BY_NAME.get(_fold(name), "")
        if role and at_root and "\\noselect" not in attributes and id_ not in roles:
            candidates.setdefault(role, []).append(id_)
    for role, (first, *others) in candidates.items():
        if not others:
            give(first, role)
    return roles


def chosen(given: Mapping[str, str], choices: Mapping[str, str | None]) -> dict[str, str]:
    """Roles by mailbox id once what was chosen has its way; the first of two that have one wins.

    choices: by mailbox id: a role, NO_ROLE, or None where nothing was chosen. What a mailbox with a
    choice gives up goes to no other by itself. There is but one inbox.
    """
    inbox = {id_: role for id_, role in given.items() if role == "inbox"}
    roles, taken = inbox, {"inbox"}
    for id_, role in choices.items():
        if role and role not in taken and id_ not in roles:
            roles[id_] = role
            taken.add(role)
    for id_, role in given.items():
        if id_ not in roles and role not in taken and choices.get(id_) is None:
            roles[id_] = role
            taken.add(role)
    return roles


def use(role: str) -> str:
    """RFC 6154 §3: the special use to ask for with CREATE."""
    return f"\\{role.capitalize()}"
