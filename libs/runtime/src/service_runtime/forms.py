"""Forms in request bodies, as OAuth has them."""

from collections.abc import Mapping
from urllib.parse import parse_qs

FORM = "application/x-www-form-urlencoded"


class BadFormError(ValueError):
    """The form cannot be read, has too many fields, or one of them twice; the text says which."""


def form_fields(body: bytes, most: int) -> Mapping[str, str]:
    """Return the fields, `most` at most; raise BadFormError. Source: RFC 6749, 3.2."""
    try:
        found = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=most)
    except ValueError:
        raise BadFormError("the form cannot be read") from None
    for name, values in found.items():
        if len(values) > 1:
            raise BadFormError(f"{name}: given twice")
    return {name: values[0] for name, values in found.items()}
