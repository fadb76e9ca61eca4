"""What generated mail is made of: persons, lists, labels, and lines of text, all made up."""

from __future__ import annotations

import quopri
import random
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

T = TypeVar("T")

LABELS = ("work", "family", "travel", "receipts", "later", "todo", "news")
LABEL_SHARES = (0.2, 0.1, 0.05, 0.05, 0.02, 0.01, 0.005)
PERSONS = 400
LISTS = ("gardening", "kernel", "choir", "announce", "mapping", "typography")
HOSTS = tuple(f"{name}.example" for name in ("ash", "birch", "cedar", "elm", "fir", "oak", "yew"))

_GIVEN_TEXT = """\
Ada Anton Beate Carlos Dana Emil Frida Goran Hanna Igor Jana Karim Lena Miguel Nora Olaf
Priya Quentin Rosa Stefan Tara Uwe Vera Walid Xenia Yusuf Zoë Søren Žofie Łukasz
"""
_FAMILY_TEXT = """\
Abel Baker Chandra Duarte Eriksen Fuchs Garcia Haddad Ivanova Jensen Kowalski Larsen Meyer
Novák Okafor Petrov Quinn Rossi Schäfer Tanaka Ueda Vogel Weber Xu Young Zeller
"""
_WORDS_TEXT = """\
about above after again agenda allow amount answer april archive around attached balance
before begin below better between board bridge budget build change check choose client close
colour common contract copy correct could course current customer delay deliver detail
different discuss document draft during early either enough evening every example expect
explain final first follow forward found friday garden general given harbour hello however
include index inside invoice issue january journey keep kitchen known later letter library
likely little local machine market matter meeting message middle minute monday month morning
never network notice number offer office often open order other paper patch perhaps person
picture place plan please point possible present price problem project proposal question
quick rather reason receive recent release remember report request result return review river
room schedule second server several short should simple since small something station still
street summer sunday support sure table thank their there thing think through ticket today
together tomorrow train travel under until update version visit wait water week where which
while window winter within without word work world would write year yesterday
"""
GIVEN_NAMES = tuple(_GIVEN_TEXT.split())
FAMILY_NAMES = tuple(_FAMILY_TEXT.split())
WORDS = tuple(_WORDS_TEXT.split())
_LINES = 3000
_NOISE = 1 << 16


class Dice(random.Random):
    """Random choices made of `random()` alone, whose sequence Python promises to keep."""

    def below(self, limit: int) -> int:
        """Return a number from 0 to `limit` - 1."""
        return int(self.random() * limit)

    def between(self, first: int, last: int) -> int:
        """Return a number from `first` to `last`."""
        return first + self.below(last - first + 1)

    def chance(self, share: float) -> bool:
        """Return True in `share` of all cases."""
        return self.random() < share

    def pick(self, items: Sequence[T]) -> T:
        """Return one of the items."""
        return items[self.below(len(items))]


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who writes: the header form of the mailbox, and the bare address."""

    mailbox: str
    address: str


@dataclass(frozen=True, slots=True)
class Text:
    """Lines of about 70 octets without line ends, as text and as quoted-printable HTML."""

    plain: tuple[bytes, ...]
    html: tuple[bytes, ...]


@cache
def persons() -> tuple[Person, ...]:
    """Return everybody; the first is the owner of the mailbox."""
    dice = Dice(1)
    return tuple(_person(dice, number) for number in range(PERSONS))


def _person(dice: Dice, number: int) -> Person:
    given, family = dice.pick(GIVEN_NAMES), dice.pick(FAMILY_NAMES)
    local = f"{given}.{family}{number}".encode("ascii", "ignore").decode().lower()
    address = f"{local}@{dice.pick(HOSTS)}"
    return Person(f"{phrase(f'{given} {family}')} <{address}>", address)


def phrase(text: str) -> str:
    """Return `text` for a header field: as an encoded word (RFC 2047) unless it is ASCII."""
    if text.isascii():
        return text
    return f"=?UTF-8?B?{b64encode(text.encode()).decode()}?="


def title(dice: Dice) -> str:
    """Return a subject of two to eight words."""
    text = " ".join(dice.pick(WORDS) for _ in range(dice.between(2, 8))).capitalize()
    return phrase(f"{text} – Übersicht") if dice.chance(0.1) else text


@cache
def text() -> Text:
    """Return the lines all bodies are cut from."""
    dice = Dice(2)
    plain = []
    for number in range(_LINES):
        line = dice.pick(WORDS)
        while len(line) < 60:
            line += f" {dice.pick(WORDS)}"
        plain.append(f"{line}{' – schön' if number % 50 == 0 else '.'}".encode())
    html = [quopri.encodestring(b'<p class="text">%s</p>' % line) for line in plain]
    return Text(tuple(plain), tuple(line.replace(b"\n", b"\r\n") for line in html))


@cache
def noise() -> bytes:
    """Return octets that attachments are cut from, which nothing can compress."""
    dice = Dice(3)
    return bytes(dice.below(256) for _ in range(_NOISE))
