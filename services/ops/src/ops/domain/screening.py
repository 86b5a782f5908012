"""What is said of exceptions from sanctions hits. Pure."""

from ops.domain.rows import Row


def state_of(exception: Row) -> str:
    """Return whether an exception counts now."""
    if exception["is_active"]:
        return "active"
    return "ended" if exception["ended_at"] else "over"
