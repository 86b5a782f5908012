"""The gateway's server-sent events, read from bytes as they come, without trust in their form."""

from collections.abc import Iterator, Mapping

from countersign_client.answers import Answer

HEARTBEAT_S = 16.0
"""The gateway sends something every 15 s: a stream that is silent for longer is lost."""
LONGEST_LINE = 64 * 1024


class Statuses:
    """The statuses of one stream, each as the answer of a read would be."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = headers
        self._rest = b""
        self._fields: dict[bytes, bytes] = {}

    def read(self, chunk: bytes) -> Iterator[Answer]:
        """Yield the statuses that end in this chunk."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        if len(self._rest) > LONGEST_LINE:
            self._rest = b""
        for line in lines:
            name, _, value = line.rstrip(b"\r").partition(b":")
            if line.strip():
                self._fields[name] = value.removeprefix(b" ")
                continue
            fields, self._fields = self._fields, {}
            if fields.get(b"event") == b"status":
                yield Answer.read(200, self._headers, fields.get(b"data", b""))
