"""All message classes of `payment_schemas.events`, by `ce_type` and by topic."""

from importlib import import_module
from pkgutil import iter_modules

from payment_schemas import events
from payment_schemas.events.base import Event


def _classes() -> list[type[Event]]:
    """Return the events of every module, as they stand in it; one without a topic is a base."""
    names = sorted(found.name for found in iter_modules(events.__path__))
    modules = [import_module(f"{events.__name__}.{name}") for name in names]
    return [
        one
        for module in modules
        for one in vars(module).values()
        if isinstance(one, type) and issubclass(one, Event) and one.__module__ == module.__name__
        if "topic" in vars(one)
    ]


EVENTS: tuple[type[Event], ...] = tuple(_classes())
BY_TYPE: dict[str, type[Event]] = {event.ce_type: event for event in EVENTS}
