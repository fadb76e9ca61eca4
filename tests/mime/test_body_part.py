"""RFC 8621 §4.1.4: EmailBodyPart objects."""

from __future__ import annotations

import pytest

from gateway.mime import body
from gateway.mime.body_part import DEFAULT_PROPERTIES, UnknownProperties, body_part, shape
from gateway.mime.structure import Part

ALL = (*DEFAULT_PROPERTIES, "subParts", "headers")
PICTURE = Part(
    part_id="2",
    type="image/png",
    parameters={"name": "old.png"},
    disposition="inline",
    disposition_parameters={"filename": "new.png"},
    cid="cid@x",
    language=("de",),
    location="http://x/",
    encoding="base64",
    size=78 + 6,
)
ROOT = Part(None, "multipart/mixed", children=(Part("1", "text/plain", size=5), PICTURE))


class Source:
    """Knows of each part what its part_id tells."""

    def blob_id(self, part: Part) -> str:
        return f"blob{part.part_id}"

    def size(self, part: Part) -> int:
        return body.decoded_size(part)

    def header(self, part: Part) -> bytes:
        return b"X-Part: %s\r\nx-part: last\xff\0\r\n\r\n" % str(part.part_id).encode()


@pytest.mark.checklist("N17")
def test_a_body_part_has_the_properties_that_are_asked_for() -> None:
    shown = body_part(ROOT, Source(), shape(ALL))
    assert (shown["partId"], shown["blobId"], shown["type"]) == (None, None, "multipart/mixed")
    assert set(shown) == set(ALL)
    assert shown["subParts"] == [
        {
            "partId": "1",
            "blobId": "blob1",
            "size": 5,
            "name": None,
            "type": "text/plain",
            "charset": "us-ascii",
            "disposition": None,
            "cid": None,
            "language": None,
            "location": None,
            "subParts": None,
            "headers": [
                {"name": "X-Part", "value": " 1"},
                {"name": "x-part", "value": " last\ufffd"},
            ],
        },
        {
            "partId": "2",
            "blobId": "blob2",
            "size": 60,
            "name": "new.png",
            "type": "image/png",
            "charset": None,
            "disposition": "inline",
            "cid": "cid@x",
            "language": ["de"],
            "location": "http://x/",
            "subParts": None,
            "headers": [
                {"name": "X-Part", "value": " 2"},
                {"name": "x-part", "value": " last\ufffd"},
            ],
        },
    ]
    assert body_part(PICTURE, Source(), shape(["type"])) == {"type": "image/png"}


@pytest.mark.checklist("O02", "N13", "N14")
def test_header_fields_are_properties_of_parts_too() -> None:
    names = ["header:X-PART", "header:x-part:asText:all", "header:X-None", "header:X-None:all"]
    assert body_part(PICTURE, Source(), shape(names)) == {
        "header:X-PART": " last\ufffd",
        "header:x-part:asText:all": ["2", "last\u00ff"],
        "header:X-None": None,
        "header:X-None:all": [],
    }


@pytest.mark.checklist("N17")
def test_sub_parts_come_when_they_are_the_structure() -> None:
    shown = body_part(ROOT, Source(), shape(["partId"]), with_sub_parts=True)
    assert shown == {
        "partId": None,
        "subParts": [{"partId": "1", "subParts": None}, {"partId": "2", "subParts": None}],
    }


@pytest.mark.checklist("O02", "N12")
def test_properties_there_are_not_are_named() -> None:
    with pytest.raises(UnknownProperties) as unknown:
        shape(["type", "types", "header:From:asDate", "header:"])
    assert unknown.value.names == ["types", "header:From:asDate", "header:"]
