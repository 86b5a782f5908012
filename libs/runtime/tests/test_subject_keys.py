"""Keys of subjects: what is destroyed stays unreadable, and a loss is no erasure."""

import os
from uuid import uuid4

import pytest

from service_runtime.keys import KeyRing
from service_runtime.object_store import FolderStore
from service_runtime.subject_keys import ErasedError, KeyLostError, RingProvider, SubjectKeys

OLD, NEW = os.urandom(32), os.urandom(32)


def keys_of(folder, *materials):
    return SubjectKeys(FolderStore(folder), RingProvider(KeyRing(*materials or (OLD,))))


async def test_a_value_is_opened_by_the_subjects_key_at_its_place_alone(tmp_path):
    keys, name, other = keys_of(tmp_path), uuid4(), uuid4()
    key, others = await keys.create(name), await keys.create(other)
    sealed = key.seal(b"canary", "profile")
    assert b"canary" not in sealed
    assert (await keys.find(name)).open(sealed, "profile") == b"canary"
    assert key.seal(b"canary", "profile") != sealed
    for wrong, place, value in [
        (others, "profile", sealed),
        (key, "document", sealed),
        (key, "profile", sealed[:-1] + bytes([sealed[-1] ^ 1])),
        (key, "profile", b""),
    ]:
        with pytest.raises(KeyLostError):
            wrong.open(value, place)


async def test_the_store_holds_wrapped_keys_alone(tmp_path):
    name = uuid4()
    key = await keys_of(tmp_path).create(name)
    assert key.material not in (tmp_path / str(name)).read_bytes()
    with pytest.raises(KeyLostError, match="unknown key"):
        await keys_of(tmp_path, NEW).find(name)
    assert (await keys_of(tmp_path, NEW, OLD).find(name)).material == key.material


async def test_a_destroyed_key_is_gone_and_a_lost_one_is_no_erasure(tmp_path):
    keys, name = keys_of(tmp_path), uuid4()
    await keys.create(name)
    assert not await keys.is_destroyed(name)
    for _ in range(2):
        await keys.destroy(name)
        assert await keys.is_destroyed(name)
        with pytest.raises(ErasedError):
            await keys.find(name)
    for missing in (keys.find, keys.is_destroyed):
        with pytest.raises(KeyLostError, match="missing"):
            await missing(uuid4())


async def test_a_damaged_key_is_lost(tmp_path):
    keys, name = keys_of(tmp_path), uuid4()
    await keys.create(name)
    file = tmp_path / str(name)
    for content in (b"", b"x", file.read_bytes()[:-6]):
        file.write_bytes(content)
        with pytest.raises(KeyLostError):
            await keys.find(name)


async def test_a_key_is_wrapped_again_before_the_older_one_is_retired(tmp_path):
    name, gone = uuid4(), uuid4()
    material = (await keys_of(tmp_path, OLD).create(name)).material
    rotating = keys_of(tmp_path, NEW, OLD)
    await rotating.create(gone)
    await rotating.destroy(gone)
    assert [await rotating.needs_wrapping(one) for one in (name, gone)] == [True, False]
    await rotating.wrap_again(name)
    assert not await rotating.needs_wrapping(name)
    assert (await keys_of(tmp_path, NEW).find(name)).material == material
    with pytest.raises(ErasedError):
        await rotating.wrap_again(gone)
