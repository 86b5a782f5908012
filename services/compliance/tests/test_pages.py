"""Uploads: known by their content, drawn anew, refused where they cannot be."""

import io
import random
import zlib

import pytest
from PIL import Image

from compliance.clients.pages import (
    MOST_PIXELS,
    MOST_STORED_BYTES,
    PageError,
    media_type_of,
    redrawn,
)

CANARY = b"canary-in-the-metadata"
ZONE = (
    "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<",
    "L898902C36UTO7408122F1204159ZE184226B<<<<<10",
)


def picture(kind="JPEG", size=(64, 40), **fields):
    written = io.BytesIO()
    Image.new("RGB", size, (200, 30, 30)).save(written, kind, **fields)
    return written.getvalue()


def pdf(text="", extra=b""):
    """Return a PDF of one page with text, and what else it carries."""
    lines = b"".join(b"(%b) Tj 0 -14 Td " % line.encode() for line in text.splitlines())
    drawn = b"BT /F 9 Tf 20 200 Td " + lines + b"ET"
    bodies = [
        b"<< /Type /Catalog /Pages 2 0 R %b >>" % extra,
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        (
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 400 300] /Contents 4 0 R"
            b" /Resources << /Font << /F 5 0 R >> >> >>"
        ),
        b"<< /Length %d >>\nstream\n%b\nendstream" % (len(drawn), drawn),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Courier >>",
    ]
    whole, places = b"%PDF-1.7\n", []
    for number, body in enumerate(bodies, 1):
        places.append(len(whole))
        whole += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    head = b"xref\n0 6\n0000000000 65535 f \n" + table
    return whole + head + b"trailer << /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % len(whole)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_picture_keeps_its_pixels_and_loses_all_else(kind):
    exif = Image.Exif()
    exif[0x010E] = CANARY.decode()
    given = picture(kind, exif=exif) + b"PK\x03\x04" + CANARY
    assert CANARY in given
    found = redrawn(given)
    assert found.media_type == f"image/{kind.lower()}"
    assert CANARY not in found.content
    assert b"PK\x03\x04" not in found.content
    with Image.open(io.BytesIO(found.content)) as image:
        assert (image.format, image.size) == (kind, (64, 40))
        assert not image.getexif()
        red, green, _ = image.getpixel((10, 10))
    assert red > 150
    assert green < 80


def test_a_turned_picture_is_stored_upright():
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(io.BytesIO(redrawn(picture(exif=exif)).content)) as image:
        assert image.size == (40, 64)


def test_a_pdf_is_drawn_anew_and_its_script_is_gone():
    action = b"/OpenAction << /S /JavaScript /JS (app.alert\\(%b\\)) >>" % CANARY
    given = pdf("\n".join(["Passport", *ZONE]), action)
    assert b"JavaScript" in given
    found = redrawn(given)
    assert found.media_type == "application/pdf"
    for left in (b"JavaScript", CANARY, b"Passport"):
        assert left not in found.content
    assert found.zone is not None
    assert found.zone.split() == list(ZONE)
    assert redrawn(found.content).zone is None


def test_the_type_is_that_of_the_content():
    assert media_type_of(picture("PNG")) == "image/png"
    for other in (b"", b"GIF89a", b"<svg/>", b"PK\x03\x04", b"\xff\xd8"):
        with pytest.raises(PageError, match="JPEG, a PNG or a PDF"):
            media_type_of(other)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(picture()[:100], id="cut off"),
        pytest.param(b"\x89PNG\r\n\x1a\n" + b"\0" * 100, id="no chunk"),
        pytest.param(b"%PDF-1.7\nnothing", id="no page"),
        pytest.param(b"\xff\xd8\xff" + picture("PNG"), id="another format behind the first bytes"),
    ],
)
def test_what_cannot_be_read_is_refused_without_a_word_of_it(content):
    with pytest.raises(PageError) as refused:
        redrawn(content)
    assert str(refused.value) == "cannot be read"


def test_what_is_stored_is_small_enough_for_the_provider():
    noise = random.Random(1).randbytes(1500 * 1200 * 3)  # noqa: S311 - a picture
    written = io.BytesIO()
    Image.frombytes("RGB", (1500, 1200), noise).save(written, "PNG")
    found = redrawn(written.getvalue())
    assert len(written.getvalue()) > MOST_STORED_BYTES >= len(found.content)
    assert found.media_type == "image/jpeg"


def test_a_small_file_with_too_many_pixels_is_refused():
    side = int(MOST_PIXELS**0.5) + 1000
    head = b"IHDR" + side.to_bytes(4, "big") * 2 + b"\x08\x00\x00\x00\x00"
    bomb = b"\x89PNG\r\n\x1a\n"
    for chunk in (head, b"IDAT" + zlib.compress(bytes(1000)), b"IEND"):
        bomb += (len(chunk) - 4).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")
    with pytest.raises(PageError, match=r"pixels|cannot be read"):
        redrawn(bomb)
