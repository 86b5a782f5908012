"""Texts that print as `***`, so that no log or traceback shows them."""

from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema


class _Masked(str):
    """Text that prints as `***`; `reveal` gives the text itself."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"

    def __str__(self) -> str:
        return "***"

    def __format__(self, _spec: str) -> str:
        return "***"

    def reveal(self) -> str:
        """Return the text behind the mask."""
        return str.__str__(self)

    @classmethod
    def __get_pydantic_core_schema__(
        cls, _source: Any, _handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(cls, core_schema.str_schema())


class Sealed(_Masked):
    """A secret sealed for one reader: key id, nonce and AES-256-GCM ciphertext, base64url."""

    __slots__ = ()


class Personal(_Masked):
    """A name, phone number, e-mail address or one-time code."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class SealedCode:
    """A one-time code: sealed for otp, and as a tag that confirm can only compare."""

    sealed: Sealed
    tag: str
