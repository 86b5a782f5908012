"""Erasure: two people, no hold, and nothing to read, also in a backup of before."""

import asyncio
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from aiokafka import AIOKafkaConsumer
from kyc_world import ALICE, BOB, REVIEWER, execute, free_port, stated, until, world_of, zone

from compliance.app import retentions
from compliance.store.vault import Vault
from payment_schemas.events.record import AuditRecorded
from payment_schemas.events.subject import SubjectErased
from service_runtime.object_store import FolderStore
from service_runtime.retention import purge
from testbed.backups import database_dsn, dump, restored
from testbed.service import database_of, published_events
from testkit.operators import actor, approval_of

pytestmark = pytest.mark.stack
CANARIES = {"street": "Canary Wharf 7318462", "city": "Canaryville", "postcode": "C7318462"}
NUMBER = "C73184620"


@pytest.fixture
def user():
    return f"usr-{uuid4().hex[:12]}"


def searched():
    """Return what must not be found, in the forms in which it could be written."""
    texts = [*CANARIES.values(), "Canarybird", NUMBER]
    return [one.encode() for one in texts] + [one.encode().hex().encode() for one in texts]


async def planted(world, user):
    """Verify a person whose data, and whose document, hold canaries; return the picture."""
    address = stated()["address"] | CANARIES
    await world.initiate(user, "Canarybird", address=address)
    document = (await world.upload(user)).json()["documentId"]
    zones = {document: zone("CANARYBIRD", NUMBER)}
    assert (await world.verify(user, zones)).status_code == 202
    await world.ends(user, "VERIFIED", "REVIEW")
    return document


async def records(world):
    """Return all that is in the topics that compliance writes."""
    brokers, found = world.brokers, b""
    topics = ("kyc.status-changed.v1", "audit.recorded.v1", "subject.erased.v1")
    consumer = AIOKafkaConsumer(*topics, **brokers.arguments, auto_offset_reset="earliest")
    async with consumer:
        while batch := await consumer.getmany(timeout_ms=2000):
            for some in batch.values():
                found += b"".join((one.key or b"") + (one.value or b"") for one in some)
    return found


def found_in(content):
    return {one.decode() for one in searched() if one in content}


def files_of(*folders):
    files = (file for folder in folders for file in Path(folder).rglob("*") if file.is_file())
    return b"\n".join(file.name.encode() + file.read_bytes() for file in files)


async def test_erased_data_cannot_be_read_in_a_backup_of_before(
    world, kyc_database, infrastructure, tmp_path, capfd
):
    user = f"usr-{uuid4().hex[:12]}"
    document = await planted(world, user)
    read = (await world.profile(user)).text
    assert set(CANARIES.values()) <= found_in(read.encode()), "the search finds what is there"
    backup = tmp_path / "before.sql"
    await asyncio.to_thread(dump, kyc_database.admin_dsn, backup)
    assert user.encode() in backup.read_bytes()

    await world.erase(user)
    for gone in (await world.profile(user), await world.initiate(user)):
        assert gone.status_code == 410
    assert (await world.names(user))[0] == {user: None}
    assert (await world.http.get(f"/admin/kyc/{user}", headers=REVIEWER)).status_code == 410
    assert document.encode() not in files_of(world.settings.object_folder)
    query = "select applicant_id from compliance.kyc_check where user_id = %s"
    assert await execute(kyc_database, query, user) == []

    with restored(infrastructure.admin_dsn, backup) as name:
        settings, port = with_database(world.settings, name), free_port()
        async with world_of(settings, port) as old:
            for reading in (
                await old.profile(user),
                await old.http.get(f"/admin/kyc/{user}", headers=REVIEWER),
                await old.subject("GET", f"{user}/export"),
            ):
                assert (reading.status_code, found_in(reading.content)) == (410, set())
            # The restored database learns of the erasure, and forgets what it cannot read.

            async def forgotten():
                return await rows_of(infrastructure, name, user) == (None, 0, 0)

            await until(forgotten)
            assert (await old.subject("GET", user)).json()["destroyed_at"] is not None
    folders = (world.settings.object_folder, world.settings.subject_key_folder)
    for place, content in {
        "the backup": backup.read_bytes(),
        "topics": await records(world),
        "files": files_of(*folders),
        "logs": "".join(capfd.readouterr()).encode(),
    }.items():
        assert found_in(content) == set(), place


def with_database(settings, name):
    url = settings.database_url.rpartition("/")
    return settings.model_copy(update={"database_url": f"{url[0]}/{name}", "instance": 902})


async def rows_of(infrastructure, name, user):
    dsn = database_dsn(infrastructure.admin_dsn, name)
    async with await psycopg.AsyncConnection.connect(dsn) as database:
        cursor = await database.execute(
            """select (select coalesce(sealed, verified_sealed) from compliance.kyc_profile
                       where user_id = %(user)s),
                      (select count(*) from compliance.kyc_document where user_id = %(user)s),
                      (select count(*) from compliance.kyc_check where user_id = %(user)s)""",
            {"user": user},
        )
        return await cursor.fetchone()


async def test_a_hold_keeps_a_subject_until_it_is_released(world, user):
    await world.initiate(user)
    proposed = (await world.subject("POST", f"{user}/erase")).json()
    held = await world.subject("POST", f"{user}/hold", json={"reason": "order 7 of the court"})
    assert held.json()["held_by"] == actor("ann")
    late = await world.http.post(**approval_of(proposed), headers=BOB)
    refused = await world.subject("POST", f"{user}/erase")
    assert [one.json()["error"] for one in (late, refused)] == ["Under a hold"] * 2
    assert (await world.profile(user)).status_code == 200

    assert (await world.subject("POST", f"{user}/release")).json()["held_at"] is None
    await world.erase(user)
    after = await world.subject("POST", f"{user}/hold", json={"reason": "too late"})
    assert (after.status_code, after.json()["error"]) == (409, "Erased")


async def test_a_person_of_whom_compliance_knows_nothing_is_held_and_erased(world, user):
    held = await world.subject("POST", f"{user}/hold", json={"reason": "order 9 of the court"})
    assert held.json()["held_by"] == actor("ann")
    assert (await world.subject("POST", f"{user}/erase")).json()["error"] == "Under a hold"
    await world.subject("POST", f"{user}/release")
    unknown = user + "-2"
    for name in (user, unknown):
        await world.erase(name)
        assert (await world.initiate(name)).status_code == 410
        events = await published_events(world.brokers, SubjectErased, name)
        assert [one.model_dump() for one in events] == [{"user_id": name}]
    bad = await world.subject("POST", f"{'u' * 129}/erase")
    assert (bad.status_code, bad.json()["error"]) == (400, "Invalid field: user_id")


async def test_who_is_erased_again_is_announced_again(world, user):
    await world.initiate(user)
    await world.erase(user)
    first = (await world.subject("GET", user)).json()
    await world.erase(user)
    assert len(await published_events(world.brokers, SubjectErased, user, 2)) == 2
    assert (await world.subject("GET", user)).json() == first


async def test_an_erasure_takes_two_people_with_the_scope(world, user, kyc_database):
    await world.initiate(user)
    proposed = (await world.subject("POST", f"{user}/erase")).json()
    # Who lacks the scope does not see that there is a proposal.
    for by, why in ((ALICE, "Not approved"), (REVIEWER, "Unknown proposal")):
        refused = await world.http.post(**approval_of(proposed), headers=by)
        assert (refused.status_code, refused.json()["error"].startswith(why)) == (409, True)
    assert (await world.subject("POST", f"{user}/erase", by=REVIEWER)).status_code == 403
    alone = "update subject set erased_at = now() where user_id = %s"
    async with await psycopg.AsyncConnection.connect(kyc_database.dsn) as connection:
        with pytest.raises(psycopg.errors.RaiseException, match="SUBJECT_ERASE"):
            await connection.execute(alone, (user,))
    assert (await world.profile(user)).status_code == 200


async def test_an_export_holds_what_the_person_has_given_and_is_audited(world, user):
    document = await planted(world, user)
    found = await world.subject("GET", f"{user}/export")
    body = found.json()
    assert body["stated"]["address"] == stated()["address"] | CANARIES
    assert (body["documents"][0]["documentId"], body["documents"][0]["zone"]) == (
        document,
        zone("CANARYBIRD", NUMBER),
    )
    unknown = await world.subject("GET", "nobody/export")
    assert (unknown.status_code, unknown.json()["error"]) == (409, "Unknown subject")
    records = await published_events(world.brokers, AuditRecorded, actor("ann"))
    assert records


async def test_retention_deletes_what_its_dry_run_says_and_nothing_of_a_held_person(
    world, user, kyc_database, tmp_path
):
    held, documents = user + "-held", {}
    for one in (user, held):
        await world.initiate(one)
        documents[one] = (await world.upload(one)).json()["documentId"]
    await world.subject("POST", f"{held}/hold", json={"reason": "order 8 of the court"})
    await execute(
        kyc_database,
        """update compliance.kyc_document set uploaded_at = now() - interval '1831 days'
           where user_id = any(%s)""",
        [user, held],
    )
    said = await world.http.get("/admin/retention", headers=REVIEWER)
    due = {one["table"]: one["due"] for one in said.json()["tables"]}
    assert due["kyc_document"] == 1
    # The store of the running service: the run is the job's own.
    vault = Vault(None, FolderStore(Path(world.settings.object_folder)), None)
    own = [one for one in retentions(world.settings, vault) if one.table in due]
    async with database_of(kyc_database.dsn, tmp_path) as database:
        assert {one.table: await purge(database, one) for one in own} == {
            one.table: due[one.table] for one in own
        }
    left = files_of(world.settings.object_folder)
    assert documents[user].encode() not in left
    assert documents[held].encode() in left
    await world.subject("POST", f"{held}/release")
    said = await world.http.get("/admin/retention", headers=REVIEWER)
    assert {one["table"]: one["due"] for one in said.json()["tables"]}["kyc_document"] == 1


async def test_a_lost_key_is_no_erasure(world, user):
    await world.initiate(user)
    before, other = keys_of(world), user + "-2"
    await world.initiate(other)
    (own,) = keys_of(world) - before
    content = own.read_bytes()
    own.unlink()
    assert (await world.profile(other)).status_code == 503
    assert (await world.names(user, other))[0] == {user: "Anna Maria Eriksson"}
    own.write_bytes(content)
    assert (await world.profile(other)).status_code == 200


def keys_of(world):
    return set(Path(world.settings.subject_key_folder).iterdir())
