"""Durations as clients read them. Pure."""

_UNITS = (("d", 86400), ("h", 3600), ("m", 60))


def short(seconds: int) -> str:
    """Return a duration as the printed contract has it: `15m`, `24h`."""
    for unit, size in _UNITS:
        if seconds >= size and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
