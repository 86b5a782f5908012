"""XML documents: parsed without DTD, entities or network, validated, bound to typed classes.

The classes are those of pyiso20022, the schemas those of iso20022.org, unchanged.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from typing import Any, Generic, TypeVar, cast

from lxml import etree
from xsdata.exceptions import ConverterError, ParserError
from xsdata.formats.dataclass.context import XmlContext
from xsdata.formats.dataclass.parsers import XmlParser
from xsdata.formats.dataclass.parsers.config import ParserConfig
from xsdata.formats.dataclass.parsers.handlers import LxmlEventHandler
from xsdata.formats.dataclass.serializers import XmlSerializer
from xsdata.models.datatype import XmlDateTime

from partner_messages.errors import Malformed
from partner_messages.formats import MAX_BYTES

MAX_DEPTH = 32
"""Nested elements. The deepest paths of these schemas have about 15."""
_PREFIX = "urn:iso:std:iso:20022:tech:xsd:"
_MAX_PATH = 200
_SCHEMA_LOCATIONS = (
    "{http://www.w3.org/2001/XMLSchema-instance}schemaLocation",
    "{http://www.w3.org/2001/XMLSchema-instance}noNamespaceSchemaLocation",
)
_CONFIG = ParserConfig(fail_on_converter_warnings=True)
# It keeps what it has learned of the classes: a message takes 1 ms instead of 10.
_CONTEXT = XmlContext()
D = TypeVar("D")


@dataclass(frozen=True, slots=True)
class Kind(Generic[D]):
    """A kind of message: its name, such as `pacs.008.001.08`, and the class of its root."""

    name: str
    root: type[D]
    element: str = "Document"

    @property
    def tag(self) -> str:
        """The root element's name with its namespace."""
        return f"{{{_PREFIX}{self.name}}}{self.element}"


def written(kind: Kind[D], document: D) -> bytes:
    """Return a document as XML. Raises Malformed where it breaks its schema."""
    text = (
        XmlSerializer(context=_CONTEXT)
        .render(document, ns_map={None: _PREFIX + kind.name})
        .encode()
    )
    _validate(kind, _root_of(text))
    return text


def tree_of(value: bytes) -> etree._Element:
    """Parse a record's value: XML in UTF-8 within the bounds. Raises Malformed."""
    if len(value) > MAX_BYTES:
        raise Malformed("value", f"longer than {MAX_BYTES} bytes")
    # Without a DTD there are no entities but the five of XML itself.
    if b"<!DOCTYPE" in value:
        raise Malformed("value", "a document type is not allowed")
    root = _root_of(value)
    for element, depth in _walk(root):
        if depth > MAX_DEPTH:
            raise Malformed("value", f"nested deeper than {MAX_DEPTH} elements")
        # The validator would load what they name.
        for attribute in _SCHEMA_LOCATIONS:
            if attribute in element.attrib:
                del element.attrib[attribute]
    return root


def read(kind: Kind[D], element: etree._Element) -> D:
    """Return a document of this kind. Raises Malformed where it breaks its schema."""
    _validate(kind, element)
    parser = XmlParser(context=_CONTEXT, config=_CONFIG, handler=LxmlEventHandler)
    try:
        return parser.parse(element, kind.root)
    except (ParserError, ConverterError, ValueError):
        # The schema allows values that no program means, such as the year 99999.
        raise Malformed("value", "a value is out of range") from None


def xml_time(time: datetime) -> XmlDateTime:
    """Return a time in UTC for XML."""
    return XmlDateTime.from_datetime(time.astimezone(UTC))


def time_of(time: XmlDateTime, field: str) -> datetime:
    """Return a time of XML. Raises Malformed where it has no zone, or no datetime can be it."""
    try:
        found = time.to_datetime()
        if found.tzinfo is None:
            raise Malformed(field, "must have a time zone")
        return found.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        if isinstance(error, Malformed):
            raise
        raise Malformed(field, "out of range") from None


def _root_of(value: bytes) -> etree._Element:
    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        return etree.fromstring(value, parser)
    except (etree.XMLSyntaxError, ValueError):
        raise Malformed("value", "not well-formed XML in UTF-8") from None


def _walk(root: etree._Element) -> Iterator[tuple[etree._Element, int]]:
    waiting = [(root, 1)]
    while waiting:
        element, depth = waiting.pop()
        yield element, depth
        waiting.extend((child, depth + 1) for child in element)


def _validate(kind: Kind[D], element: etree._Element) -> None:
    if element.tag != kind.tag:
        raise Malformed("value", f"must be a {kind.element} of {kind.name}")
    schema = _schema(kind.name)
    # The schema sees the element as a root, whatever it was wrapped in.
    alone = element if element.getparent() is None else etree.fromstring(etree.tostring(element))
    if not schema.validate(alone):
        raise _fault(schema, alone)


@cache
def _schema(name: str) -> etree.XMLSchema:
    file = resources.files("partner_messages.iso20022") / "schemas" / f"{name}.xsd"
    return etree.XMLSchema(etree.fromstring(file.read_bytes()))


def _fault(schema: etree.XMLSchema, root: etree._Element) -> Malformed:
    """Return the first broken element and the kind of its rule; never its value."""
    found = cast("list[Any]", schema.error_log)[0]
    rule = found.type_name.removeprefix("SCHEMAV_").lower().replace("_", " ")
    (broken,) = cast("list[Any]", root.getroottree().xpath(found.path))
    return Malformed(_path(broken), rule)


def _path(element: etree._Element) -> str:
    """Return the local names on the way to an element, without the root's."""
    names = [etree.QName(one).localname for one in (element, *element.iterancestors())]
    return ".".join(reversed(names[:-1]))[-_MAX_PATH:] or "value"
