"""RFC 8621 §2, RFC 6154: which mailbox has which role.

SPECIAL-USE attributes decide; only a role that no attribute names is looked for by name, and
only among the mailboxes at the root. Each role goes to one mailbox, each mailbox has one role.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

# RFC 6154 §2, RFC 8457; the order decides when a mailbox carries several.
_ATTRIBUTES = {
    "\\drafts": "drafts",
    "\\sent": "sent",
    "\\trash": "trash",
    "\\junk": "junk",
    "\\archive": "archive",
    "\\all": "all",
    "\\flagged": "flagged",
    "\\important": "important",
}

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
    return unicodedata.normalize("NFKC", name).casefold().strip()


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
    for id_, name, attributes, at_root in mailboxes:
        if at_root and "\\noselect" not in attributes:
            give(id_, _BY_NAME.get(_fold(name)))
    return roles
