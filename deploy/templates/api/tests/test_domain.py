"""Items and the events of their changes."""

from uuid import UUID

from sample.domain import Item, changed, renamed

ITEM = Item(UUID(int=1), "first")


def test_a_rename_is_the_next_version_and_keeps_the_id():
    assert renamed(ITEM, "second") == Item(ITEM.id, "second", version=2)


def test_the_event_of_a_change_has_the_items_id_as_its_key():
    event = changed(ITEM, "created")
    assert (event.key, event.change, event.version) == (str(ITEM.id), "created", 1)
