"""The sections of the navigation."""

from dataclasses import dataclass

READ = "ops.read"


@dataclass(frozen=True, slots=True)
class Section:
    """One entry of the navigation; it is shown to operators who have its scope."""

    title: str
    path: str
    key: str
    """The letter after `g` that opens it."""
    scope: str = READ
    is_development: bool = False
    """Shown and served with PROFILE=dev alone."""
