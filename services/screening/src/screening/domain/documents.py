"""XML of sanctions lists, element by element: a whole list is never in memory as a tree. Pure."""

from collections.abc import Callable, Iterator, Sequence
from io import BytesIO

from lxml import etree

from screening.domain.entries import Entry, ListError


def read_elements(
    content: bytes, tags: Sequence[str], entry_of: Callable[[etree._Element], Entry]
) -> tuple[Entry, ...]:
    """Return an entry for each element with one of the tags, in any namespace.

    Raises ListError for what is no XML, has a document type, has no such element, or names an id
    twice.
    """
    found: dict[str, Entry] = {}
    for element in _elements(content, tags):
        entry = entry_of(element)
        if entry.id in found:
            raise ListError(f"entries: two entries have the id {entry.id}")
        found[entry.id] = entry
        # What is behind an element is not needed again.
        element.clear()
        parent = element.getparent()
        while parent is not None and element.getprevious() is not None:
            del parent[0]
    if not found:
        raise ListError(f"entries: the file has no {' and no '.join(tags)}")
    return tuple(found.values())


def _elements(content: bytes, tags: Sequence[str]) -> Iterator[etree._Element]:
    reader = etree.iterparse(
        BytesIO(content),
        tag=[f"{{*}}{tag}" for tag in tags],
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        for _event, element in reader:
            if element.getroottree().docinfo.doctype:
                raise ListError("entries: the file has a document type, which no list has")
            yield element
    except etree.XMLSyntaxError as error:
        raise ListError(f"entries: no well-formed XML, line {error.lineno}") from None


def text_of(element: etree._Element, tag: str) -> str:
    """Return the text of a child, without space around it; empty where there is none."""
    return " ".join((element.findtext(f"{{*}}{tag}") or "").split())


def texts_of(element: etree._Element, path: str) -> list[str]:
    """Return the texts at a path of tags, `NATIONALITY/VALUE`, without empty ones."""
    tags = "/".join(f"{{*}}{tag}" for tag in path.split("/"))
    return [text for one in element.findall(tags) if (text := " ".join((one.text or "").split()))]


def distinct(texts: Sequence[str]) -> tuple[str, ...]:
    """Return texts in their order, each once."""
    return tuple(dict.fromkeys(texts))
