"""The errors of this package. Whatever bytes come from a bank, parsers raise nothing else.

ValueError
 ├── Malformed      the message breaks its schema
 └── BadSignature   nobody proves that the message comes from its sender
"""


class Malformed(ValueError):  # noqa: N818 - it names what the message is
    """The message breaks its schema. Neither text contains a value of the message."""

    def __init__(self, field: str, details: str) -> None:
        super().__init__(f"{field}: {details}")
        self.field = field
        """The broken field, such as `creditor.account`, or `value`."""
        self.details = details


class BadSignature(ValueError):  # noqa: N818 - it names what the message has
    """The message is not signed by a valid key of its sender.

    `reason` is a stable word for metrics: `missing`, `malformed`, `unknown_key`, `expired_key`,
    `early_key`, `other_message` (the signature belongs to another topic, id, type or time) or
    `forged`.
    """

    def __init__(self, reason: str, details: str) -> None:
        super().__init__(f"signature: {details}")
        self.reason = reason
        self.details = details
