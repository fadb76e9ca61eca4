"""RFC 2978, RFC 8621 §4.1.4: octets in a charset become Unicode that JSON can carry.

Charset names mean what they mean on the web (https://encoding.spec.whatwg.org/#names-and-labels):
senders write `iso-8859-1` for windows-1252 and `gb2312` for its supersets. Names are looked up in
a fixed table only, because Python's own search imports modules by, and for ever remembers, any
name it is asked for.
"""

from __future__ import annotations

import codecs
import re
from encodings.aliases import aliases as _python_aliases

_NOT_TEXT = {
    *("base64_codec", "bz2_codec", "hex_codec", "quopri_codec", "rot_13", "uu_codec"),
    *("zlib_codec", "mbcs"),
}
# Codecs that Python's table of aliases leaves out.
_UNLISTED = (
    *("cp720", "cp737", "cp856", "cp874", "cp875", "cp1006", "koi8_t", "koi8_u"),
    *("mac_arabic", "mac_croatian", "mac_farsi", "mac_romanian"),
)
# The web's labels where they differ from Python's, in the spelling of `_normal`.
_WEB_LABELS = {
    "ascii": "us_ascii ansi_x3_4_1968 ansi_x3_4_1986 iso646_us cp367 ansi ascii_us",
    "cp1252": "iso_8859_1 iso8859_1 iso88591 iso_8859_1_1987 iso_ir_100 latin1 latin_1 l1 "
    "csisolatin1 cp819 ibm819 x_cp1252 iso_8859_1_windows_3_1_latin_1",
    "cp1254": "iso_8859_9 iso8859_9 iso88599 iso_8859_9_1989 iso_ir_148 latin5 l5 csisolatin5 "
    "x_cp1254",
    "cp874": "iso_8859_11 iso8859_11 iso885911 tis_620 tis620 tis_620_0 tis_620_2529_0 "
    "tis_620_2529_1 dos_874 windows_874",
    "cp1250": "x_cp1250",
    "cp1251": "x_cp1251 win_1251",
    "cp1256": "x_cp1256",
    "cp1258": "x_cp1258",
    "iso8859_6": "iso_8859_6_e iso_8859_6_i csiso88596e csiso88596i",
    "iso8859_8": "iso_8859_8_e iso_8859_8_i logical visual csiso88598e csiso88598i",
    "gb18030": "gb2312 gb_2312 gb_2312_80 gb2312_80 gb2312_1980 chinese csgb2312 csiso58gb231280 "
    "euc_cn euccn eucgb2312_cn iso_ir_58 gbk x_gbk cp936 ms936 936 windows_936",
    "big5hkscs": "big5 big5_hkscs big5_tw big_5 cn_big5 csbig5 x_x_big5 x_big5",
    "cp932": "shift_jis shiftjis sjis s_jis x_sjis ms_kanji csshiftjis windows_31j "
    "cswindows31j ms932 mskanji x_ms_cp932",
    "euc_jp": "x_euc_jp x_eucjp cseucpkdfmtjapanese",
    "cp949": "euc_kr euckr ks_c_5601 ks_c_5601_1987 ks_c_5601_1989 ksc5601 ksc_5601 ksx1001 "
    "ks_x_1001 korean cseuckr csksc56011987 iso_ir_149 windows_949 x_windows_949 ms949 uhc",
    "hz": "hz_gb_2312",
    "mac_roman": "macintosh mac csmacintosh x_mac_roman",
    "mac_cyrillic": "x_mac_cyrillic x_mac_ukrainian",
    "koi8_r": "koi8 koi koi8r koi_8_r",
    "koi8_u": "koi8_ru koi8u",
    "utf_7": "unicode_1_1_utf_7 csunicode11utf7 x_unicode_2_0_utf_7",
    "utf_8": "utf8 unicode_1_1_utf_8 unicode11utf8 unicode20utf8 x_unicode20utf8 utf8mb4 utf8mb3 "
    "utf_8_sig cp65001 65001",
    "utf_16": "ucs_2 iso_10646_ucs_2 csunicode unicode",
    "utf_16_be": "unicodefffe unicodebig",
    "utf_16_le": "unicodelittle",
}
# Where an octet below 0x80 need not be the ASCII character.
_NOT_ASCII_BASED = {
    *("utf_7", "utf_16", "utf_16_be", "utf_16_le", "utf_32", "utf_32_be", "utf_32_le", "hz"),
    *("iso2022_kr", "iso2022_jp", "iso2022_jp_1", "iso2022_jp_2", "iso2022_jp_2004"),
    *("iso2022_jp_3", "iso2022_jp_ext", "cp037", "cp1026", "cp1140", "cp273", "cp424", "cp500"),
    *("cp864", "cp875"),
}
_BYTE_ORDER_MARKS = {
    "utf_8": (codecs.BOM_UTF8,),
    "utf_16_be": (codecs.BOM_UTF16_BE,),
    "utf_16_le": (codecs.BOM_UTF16_LE,),
}
_HIGH_OCTETS = bytes(range(0x80, 0x100))
_PLANE_ENDS = "".join(f"{chr(end - 1)}{chr(end)}" for end in range(0xFFFF, 0x110000, 0x10000))
# RFC 7493 §2.1: code points that a JSON string MUST NOT have, surrogates and non-characters.
# What is before them is looked at first, as a class that reaches beyond U+FFFF is slow to match.
_SENDABLE = re.compile("[\0-\ud7ff]*+")
_UNSENDABLE = re.compile(f"(?=[\ud800-\U0010ffff])[\ud800-\udfff\ufdd0-\ufdef{_PLANE_ENDS}]")
_PUNCTUATION = re.compile(r"[^a-z0-9]++")


def _normal(label: str) -> str:
    return _PUNCTUATION.sub("_", label.strip(" \t\r\n\"'").lower()).strip("_")


def _table() -> dict[str, str]:
    table = {name: name for name in _UNLISTED}
    for alias, name in _python_aliases.items():
        if name not in _NOT_TEXT:
            table[name] = name
            table[alias] = name
    for name, labels in _WEB_LABELS.items():
        table |= dict.fromkeys(labels.split(), name)
        table[name] = name
    # The usual spelling is found without `_normal`.
    return table | {label.replace("_", "-"): name for label, name in table.items()}


_CODECS = _table()


def is_known(charset: str) -> bool:
    """Whether `charset` names a charset that `decode` can decode."""
    return _codec(charset) is not None


def _codec(charset: str) -> str | None:
    return _CODECS.get(charset) or _CODECS.get(_normal(charset))


def decode(octets: bytes, charset: str | None, *, final: bool = True) -> tuple[str, bool]:
    """The text of `octets`, and whether there was a problem (RFC 8621 §4.1.4 isEncodingProblem).

    What is malformed becomes U+FFFD, and so does what JSON must not carry. With no charset, or
    one that is unknown or us-ascii, 8-bit text is UTF-8 if it looks like it, else windows-1252.
    Guessing UTF-8 for undeclared or us-ascii text is no problem, an unknown charset always is.
    `final` is False when the octets end early: a character cut off at the end is then left out.
    """
    codec = _codec(charset) if charset else "ascii"
    problem = codec is None
    codec = codec or "ascii"
    if codec not in _NOT_ASCII_BASED and octets.isascii():
        return octets.decode("ascii"), problem
    if codec == "ascii":
        text, malformed = _guess(octets, final)
    elif codec.startswith("utf_"):
        text, malformed = _decode_utf(octets, codec, final)
    else:
        text, malformed = _decode_with(octets, codec, final)
    cleaned = sendable(text)
    return cleaned, problem or malformed or cleaned != text


def sendable(text: str) -> str:
    """`text` with U+FFFD for each code point that I-JSON forbids (RFC 7493 §2.1)."""
    if text.isascii() or _SENDABLE.fullmatch(text):
        return text
    return _UNSENDABLE.sub("\ufffd", text)


def _decode_utf(octets: bytes, codec: str, final: bool) -> tuple[str, bool]:
    if codec in ("utf_16", "utf_32"):
        # A mark decides; without one the web takes little-endian.
        big = codecs.BOM_UTF16_BE if codec == "utf_16" else codecs.BOM_UTF32_BE
        little = codecs.BOM_UTF16_LE if codec == "utf_16" else codecs.BOM_UTF32_LE
        marked = octets.startswith((big, little))
        codec += "_be" if octets.startswith(big) else "_le"
        octets = octets[len(big) :] if marked else octets
    for mark in _BYTE_ORDER_MARKS.get(codec, ()):
        octets = octets.removeprefix(mark)
    return _decode_with(octets, codec, final)


def _decode_with(octets: bytes, codec: str, final: bool) -> tuple[str, bool]:
    try:
        return codecs.getincrementaldecoder(codec)("strict").decode(octets, final), False
    except UnicodeError:
        if codec == "iso2022_jp":
            return _decode_iso_2022_jp(octets)
        return codecs.getincrementaldecoder(codec)("replace").decode(octets, final), True


def _guess(octets: bytes, final: bool) -> tuple[str, bool]:
    """8-bit text whose charset is not declared.

    Text that is UTF-8 but for a few octets (cut off in the middle of a character) stays UTF-8.
    """
    octets = octets.removeprefix(codecs.BOM_UTF8)
    text, malformed = _decode_with(octets, "utf_8", final)
    if not malformed:
        return text, False
    replaced = text.count("\ufffd")
    ascii_characters = len(octets.translate(None, _HIGH_OCTETS))
    if len(text) - ascii_characters - replaced >= replaced:
        return text, True
    return _decode_with(octets, "cp1252", final)[0], True


def _decode_iso_2022_jp(octets: bytes) -> tuple[str, bool]:
    """ISO-2022-JP as it is really sent: with the rows of NEC and IBM that only cp932 has.

    The two octets of JIS X 0208 are moved to where Shift_JIS has them. Octets with the high bit,
    of which it has none, show that it is something else.
    """
    if not octets.isascii():
        for codec in ("utf_8", "euc_jp"):
            try:
                return octets.decode(codec), True
            except UnicodeDecodeError:
                continue
    text = []
    malformed = False
    kind = b"(B"
    for index, piece in enumerate(octets.split(b"\x1b")):
        if index:
            kind, piece = piece[:2], piece[2:]
        if kind in (b"$B", b"$@"):
            malformed |= len(piece) % 2 == 1
            piece = b"".join(map(_to_shift_jis, piece[::2], piece[1::2]))
        elif kind == b"(I":
            piece = bytes(octet | 0x80 for octet in piece)
        try:
            text.append(piece.decode("cp932"))
        except UnicodeDecodeError:
            text.append(piece.decode("cp932", "replace"))
            malformed = True
        malformed |= kind not in (b"$B", b"$@", b"(B", b"(J", b"(I")
    return "".join(text), malformed


def _to_shift_jis(row: int, cell: int) -> bytes:
    if not (0x21 <= row <= 0x7E and 0x21 <= cell <= 0x7E):
        return bytes((row, cell)) if row in (0x0A, 0x0D) else b"\xff"
    lead = (row - 0x21) // 2 + (0x81 if row <= 0x5E else 0xC1)
    if row % 2:
        return bytes((lead, cell + (0x1F if cell <= 0x5F else 0x20)))
    return bytes((lead, cell + 0x7E))
