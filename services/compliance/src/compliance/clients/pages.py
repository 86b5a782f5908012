"""Documents as pictures: what was uploaded is read, drawn anew and written again, or refused.

What is stored was written by this module: no script, attachment, comment, location or second file
that an upload may carry is in it. Runs in a process of its own, which a hostile file may end.
"""

import io
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pypdfium2
from PIL import Image, ImageOps

MOST_BYTES = 10 * 1024 * 1024
"""Of an upload. Source: compliance.md."""
MOST_STORED_BYTES = 3_000_000
"""Of what is stored: what Onfido takes of a document (OpenAPI 3.6, `POST /documents`)."""
MOST_PIXELS = 40_000_000
"""Of a picture; 10 MB of PNG may claim a thousand times as many."""
MOST_PAGES = 10
PAGE_PIXELS = 2_500
"""Of the longer side of a page of a PDF, drawn: some 200 a inch of A4."""
MOST_TEXT = 20_000
QUALITIES = (88, 75, 60, 45)
"""Of a JPEG; the first one with which a document is small enough."""
MAGIC = {
    b"\xff\xd8\xff": "image/jpeg",
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"%PDF-": "application/pdf",
}
_FORMATS = {"image/jpeg": "JPEG", "image/png": "PNG"}
_TYPES = {"JPEG": "image/jpeg", "PNG": "image/png", "PDF": "application/pdf"}
_ZONE = re.compile(r"(?:[A-Z0-9<]{44}\s+){2}|(?:[A-Z0-9<]{36}\s+){2}|(?:[A-Z0-9<]{30}\s+){3}")


class PageError(ValueError):
    """An upload is refused; the text says why, without anything of it."""


@dataclass(frozen=True, slots=True)
class Pages:
    """What is stored of an upload."""

    media_type: str
    content: bytes = field(repr=False)
    zone: str | None = field(default=None, repr=False)
    """Lines that look like a machine-readable zone, of a PDF with text."""


def media_type_of(content: bytes) -> str:
    """Return the type by the first bytes; raise PageError for another one than the three."""
    for magic, media_type in MAGIC.items():
        if content.startswith(magic):
            return media_type
    raise PageError("must be a JPEG, a PNG or a PDF")


def redrawn(content: bytes) -> Pages:
    """Return an upload, drawn anew; raise PageError where it cannot be, or is too large."""
    media_type = media_type_of(content)
    try:
        # A warning of Pillow's is a picture with too many pixels, or a broken one.
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return _pdf(content) if media_type == "application/pdf" else _picture(content)
    except PageError:
        raise
    except Exception:  # noqa: BLE001 - decoders raise what they like; nothing of it is passed on
        raise PageError("cannot be read") from None


def _picture(content: bytes) -> Pages:
    kind = _FORMATS[media_type_of(content)]
    with Image.open(io.BytesIO(content), formats=[kind]) as image:
        if image.width * image.height > MOST_PIXELS:
            raise PageError(f"has more than {MOST_PIXELS} pixels")
        image.load()
        # The turn that the camera has noted goes into the pixels, and the note is left out.
        turned = ImageOps.exif_transpose(image).convert("RGB")
    # A PNG that is too large is stored as a JPEG.
    return _small_enough([turned], (kind, "JPEG"))


def _pdf(content: bytes) -> Pages:
    document = pypdfium2.PdfDocument(content)
    try:
        if not 1 <= len(document) <= MOST_PAGES:
            raise PageError(f"must have 1 to {MOST_PAGES} pages")
        pages = [document[number] for number in range(len(document))]
        drawn = [_drawn(page) for page in pages]
        text = "\n".join(page.get_textpage().get_text_bounded() for page in pages)[:MOST_TEXT]
    finally:
        document.close()
    return replace(_small_enough(drawn, ("PDF",)), zone=_zone_in(text))


def _drawn(page: pypdfium2.PdfPage) -> Image.Image:
    longer = max(page.get_size())
    if longer <= 0:
        raise PageError("has an empty page")
    picture: Image.Image = page.render(scale=PAGE_PIXELS / longer).to_pil()
    return picture.convert("RGB")


def _small_enough(pictures: list[Image.Image], kinds: Sequence[str]) -> Pages:
    """Return pictures in the first form that is small enough; raise PageError where none is."""
    bare = [_bare(one) for one in pictures]
    for kind in kinds:
        for quality in QUALITIES:
            content = _written(bare, kind, quality)
            if len(content) <= MOST_STORED_BYTES:
                return Pages(_TYPES[kind], content)
            if kind == "PNG":
                break  # it has no quality
    raise PageError("is too large once it is drawn anew: fewer pixels or pages")


def _written(pictures: list[Image.Image], kind: str, quality: int) -> bytes:
    written, (first, *others) = io.BytesIO(), pictures
    further = {"save_all": True, "append_images": others} if kind == "PDF" else {}
    first.save(written, kind, quality=quality, **further)
    return written.getvalue()


def _bare(picture: Image.Image) -> Image.Image:
    """Return a picture of the same pixels, without what came with them."""
    bare = Image.new("RGB", picture.size)
    bare.paste(picture)
    return bare


def _zone_in(text: str) -> str | None:
    found = _ZONE.search(re.sub(r"[ \t]", "", text) + "\n")
    return found[0].strip() if found else None
