"""Who may do what on Kafka: the whole grid, tried on the real broker."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaConnectionError, KafkaError, TopicAuthorizationFailedError
from aiokafka.protocol.admin import (
    CreatePartitionsRequest,
    DeleteGroupsRequest,
    DescribeGroupsRequest_v2,
)
from aiokafka.protocol.api import Request
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.group import HeartbeatRequest
from aiokafka.protocol.produce import ProduceRequest

from kafka_access.partners import (
    Names,
    apply_partner,
    quotas_for,
    rights_of,
    set_password,
    topics_for,
)
from kafka_access.quotas import quotas_of
from kafka_access.requests import (
    AlterUsers,
    CreateAcls,
    DeleteAcls,
    DescribeAcls,
    DescribeRights,
)
from kafka_access.rules import OPERATIONS, Right, ask, described, rule_of, rules_of
from kafka_access.users import set_passwords
from local_stack.access import apply_access
from local_stack.admin import run_admin
from local_stack.errors import StackError
from local_stack.inventory import load_inventory
from local_stack.rights import SUPERUSERS, principals, rights
from local_stack.topics import load_topics
from payment_schemas.registry import BY_TYPE
from service_runtime.brokers import Brokers
from testkit.events import event_of, outgoing_of

INVENTORY = load_inventory()
OF_MANIFESTS = rights(INVENTORY)
BANKS = [Names("grid-bank"), Names("grid-bank-2")]
"""One name begins with the other."""
RIGHTS = OF_MANIFESTS.union(*(rights_of(bank.partner) for bank in BANKS))
TOPICS = {topic.name: topic for topic in load_topics()}
NAMES = [*TOPICS, *(topic.name for bank in BANKS for topic in topics_for(bank.partner, 1, 1))]
GROUPS = [package for package, reads in INVENTORY.reads.items() if reads]
GROUPS += [name for bank in BANKS for name in (f"{bank.groups}main", bank.principal)]
PRINCIPALS = (*principals(INVENTORY), *(bank.principal for bank in BANKS))
BANK_PASSWORD = "secret"
LIMITED = [one for one in PRINCIPALS if one not in SUPERUSERS]
OF_TOPICS = (
    *("READ", "WRITE", "CREATE", "DELETE", "ALTER"),
    *("DESCRIBE", "DESCRIBE_CONFIGS", "ALTER_CONFIGS"),
)
OF_GROUPS = ("READ", "DELETE", "DESCRIBE")
OF_CLUSTER = (
    *("CREATE", "ALTER", "DESCRIBE", "CLUSTER_ACTION"),
    *("DESCRIBE_CONFIGS", "ALTER_CONFIGS", "IDEMPOTENT_WRITE"),
)
TOPIC_REFUSED, GROUP_REFUSED, CLUSTER_REFUSED = 29, 30, 31
SPARE = "spare.access.v1"
MONEY = {one.topic: TOPICS[one.topic].owner for one in BY_TYPE.values() if one.acting_readers}
"""What moves or releases money, and its only emitter."""


def granted(principal, resource, name, possible):
    """What the generated table allows, with what an operation includes."""
    if principal in SUPERUSERS:
        return set(possible)
    wanted = {
        one.operation
        for one in RIGHTS
        if (one.principal, one.resource) == (principal, resource) and one.covers(name)
    }
    return wanted | ({"DESCRIBE"} if wanted & {"READ", "WRITE"} else set())


def operations_in(bits):
    return {name for name, number in OPERATIONS.items() if bits >= 0 and bits >> number & 1}


@asynccontextmanager
async def client_of(brokers):
    admin = AIOKafkaAdminClient(**brokers.arguments)
    try:
        await admin.start()
        yield admin
    finally:
        await admin.close()


def brokers_as(infrastructure, principal):
    if principal in {bank.principal for bank in BANKS}:
        return replace(infrastructure.brokers, user=principal, password=BANK_PASSWORD)
    return infrastructure.brokers_as(principal)


@pytest.fixture(scope="module")
async def banks(infrastructure):
    """Two partner banks, made as by `countersign partners add`."""
    async with client_of(infrastructure.brokers) as admin:
        for bank in BANKS:
            await apply_partner(admin, bank.partner, partitions=1)
            await set_password(admin, bank.partner, BANK_PASSWORD)
        yield infrastructure
        await set_passwords(admin, {}, [bank.principal for bank in BANKS])
        await start_again(infrastructure, admin)
        await admin.delete_topics([name for name in NAMES if name not in TOPICS])


async def start_again(infrastructure, admin):
    """Apply passwords and rights as every start does."""
    passwords = infrastructure.credentials.kafka_passwords(INVENTORY)
    await apply_access(admin, passwords, OF_MANIFESTS)


def as_principals(of, principals=PRINCIPALS):
    """Return by principal what a function returns for a client of that principal."""

    async def each(infrastructure):
        async def one(principal):
            async with client_of(brokers_as(infrastructure, principal)) as admin:
                return await of(admin)

        return dict(zip(principals, await asyncio.gather(*map(one, principals)), strict=True))

    return each


def test_a_money_topic_has_one_writer_beside_redriving():
    for topic, owner in MONEY.items():
        writers = {one.principal for one in RIGHTS if one[1:] == ("topic", topic, "WRITE")}
        assert writers - {"ops"} == {owner}


def test_only_readers_of_a_topic_write_its_dead_letters():
    for topic in TOPICS.values():
        if topic.dead_letters_of:
            readers = TOPICS[topic.dead_letters_of].readers
            writers = {one.principal for one in RIGHTS if one[1:] == ("topic", topic.name, "WRITE")}
            assert writers == set(readers)


def test_every_writer_of_what_any_service_may_emit_is_named():
    assert set(TOPICS["audit.recorded.v1"].writers) == {
        *(
            "confirm",
            "risk",
            "otp",
            "settlement",
            "notification",
            "audit",
            "ops",
            "identity",
            "webhooks",
            "charges",
            "compliance",
            "insight",
            "screening",
            "fraud",
        )
    }


def test_screening_writes_the_cases_of_confirm_too_and_no_other_topic_of_others():
    assert set(TOPICS["review.opened.v1"].writers) == {"confirm", "screening"}
    shared = {
        name: one.writers
        for name, one in TOPICS.items()
        if len(one.writers) > 1 and not one.dead_letters_of and one.owner != "any"
    }
    assert set(shared) == {"review.opened.v1"}


def test_a_partner_reads_its_instructions_and_dead_letters_and_writes_its_reports():
    of_bank = {one[1:] for one in rights_of("south-bank") if one.principal == "partner-south-bank"}
    assert of_bank == {
        ("topic", "settlement.instructions.south-bank.v1", "READ"),
        ("topic", "settlement.reports.south-bank.v1", "WRITE"),
        ("topic", "settlement.reports.south-bank.v1-dlq", "READ"),
        ("group", "partner-south-bank.*", "READ"),
    }


def test_nobody_but_set_up_changes_topics_or_the_cluster():
    assert {one.operation for one in RIGHTS if one.resource == "topic"} == {
        *("READ", "WRITE", "DESCRIBE")
    }
    assert not [one for one in RIGHTS if one.resource == "cluster"]


@pytest.mark.stack
async def test_the_broker_grants_on_each_topic_and_the_cluster_what_the_table_says(banks):
    found = await as_principals(lambda admin: ask(admin, DescribeRights(sorted(NAMES))))(banks)
    for principal, answer in found.items():
        topics = {one[1]: operations_in(one[4]) & {*OF_TOPICS} for one in answer.topics}
        assert topics == {name: granted(principal, "topic", name, OF_TOPICS) for name in NAMES}, (
            principal
        )
        cluster = operations_in(answer.cluster_authorized_operations)
        assert cluster == granted(principal, "cluster", "kafka-cluster", OF_CLUSTER), principal


class DescribeGroups(Request[DescribeGroupsRequest_v2]):
    """aiokafka cannot read the answer of version 3, which names the rights."""

    API_KEY = 15

    def build(self, request_struct_class):
        return request_struct_class(GROUPS)


@pytest.mark.stack
async def test_the_broker_grants_on_each_group_what_the_table_says(banks):
    async def try_groups(admin):
        described = await ask(admin, DescribeGroups())
        beats = [ask(admin, HeartbeatRequest(group, 0, "nobody")) for group in GROUPS]
        deleted = await ask(admin, DeleteGroupsRequest(GROUPS))
        return {
            "DESCRIBE": {one[1]: one[0] for one in described.groups},
            "READ": dict(zip(GROUPS, [(await beat).error_code for beat in beats], strict=True)),
            "DELETE": dict(deleted.results),
        }

    found = await as_principals(try_groups, LIMITED)(banks)
    for principal, tried in found.items():
        for operation, codes in tried.items():
            assert {group for group, code in codes.items() if code != GROUP_REFUSED} == {
                group
                for group in GROUPS
                if operation in granted(principal, "group", group, OF_GROUPS)
            }, (principal, operation)


@pytest.mark.stack
async def test_each_principal_can_write_to_its_topics_alone(banks):
    """An empty batch: the broker judges the principal first, and then refuses the batch."""
    request = ProduceRequest(None, -1, 5000, [(name, [(0, b"")]) for name in NAMES])
    found = await as_principals(lambda admin: ask(admin, request))(banks)
    for principal, answer in found.items():
        codes = {name: partitions[0][1] for name, partitions in answer.topics}
        assert 0 not in codes.values()
        assert {name for name, code in codes.items() if code != TOPIC_REFUSED} == {
            name for name in NAMES if "WRITE" in granted(principal, "topic", name, OF_TOPICS)
        }, principal


@pytest.mark.stack
@pytest.mark.parametrize("topic", MONEY)
async def test_what_moves_money_is_refused_from_everyone_but_its_emitter(banks, topic):
    """`ops` may write it again; the MAC of the emitter holds what it may write."""
    event_type = next(one for one in BY_TYPE.values() if one.topic == topic)
    before = await ends_of(banks, topic)
    forgers = [one for one in LIMITED if one not in {MONEY[topic], "ops"}]
    assert len(forgers) == len(LIMITED) - 2

    forged = outgoing_of(event_of(event_type), uuid4())

    async def forge(principal):
        brokers = brokers_as(banks, principal)
        async with AIOKafkaProducer(**brokers.arguments) as producer:
            with pytest.raises(TopicAuthorizationFailedError):
                await producer.send_and_wait(topic, forged.value, forged.key)

    await asyncio.gather(*map(forge, forgers))
    assert await ends_of(banks, topic) == before


async def ends_of(infrastructure, topic):
    async with AIOKafkaConsumer(topic, **infrastructure.brokers.arguments) as consumer:
        return await consumer.end_offsets(consumer.assignment())


@pytest.mark.stack
async def test_each_principal_can_read_its_topics_alone(banks):
    at_start = [(name, [(0, 0, 1)]) for name in NAMES]
    request = FetchRequest(0, 0, 1024, 0, at_start)
    found = await as_principals(lambda admin: ask(admin, request))(banks)
    for principal, answer in found.items():
        codes = {name: partitions[0][1] for name, partitions in answer.topics}
        assert {name for name, code in codes.items() if code != TOPIC_REFUSED} == {
            name for name in NAMES if "READ" in granted(principal, "topic", name, OF_TOPICS)
        }, principal


@pytest.mark.stack
async def test_topics_users_and_rules_are_changed_by_set_up_alone(banks, spare):
    mine = rule_of(Right("audit", "topic", "settlement-queue", "WRITE"))

    async def try_all(admin):
        made = await admin.create_topics([NewTopic("intruder.v1", 1, 1)], validate_only=True)
        grown = CreatePartitionsRequest([(spare, (9, None))], 5000, validate_only=True)
        grown = await ask(admin, grown)
        deleted = await admin.delete_topics([spare])
        rules = await ask(admin, CreateAcls([mine]))
        seen = await ask(admin, DescribeAcls())
        users = await ask(admin, AlterUsers({"intruder": "password"}))
        return [
            made.topic_errors[0][1],
            grown.topic_errors[0][1],
            deleted.topic_error_codes[0][1],
            rules.creation_responses[0][0],
            seen.error_code,
            users.results[0][1],
        ]

    found = await as_principals(try_all, LIMITED)(banks)
    on_cluster = [CLUSTER_REFUSED] * 3
    for principal, codes in found.items():
        # The right to create a topic is also looked for on the topic itself.
        assert codes == [TOPIC_REFUSED] * 3 + on_cluster, principal
    async with client_of(banks.brokers) as admin:
        assert mine not in await rules_of(admin)
        assert "intruder.v1" not in await admin.list_topics()
        made = await admin.create_topics([NewTopic("intruder.v1", 1, 1)], validate_only=True)
    assert made.topic_errors[0][1] == 0


@pytest.fixture
async def spare(infrastructure):
    async with client_of(infrastructure.brokers) as admin:
        await admin.create_topics([NewTopic(SPARE, 1, 1)])
        yield SPARE
        await admin.delete_topics([SPARE])


@pytest.mark.stack
@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"user": ""}, id="without a login"),
        pytest.param({"password": "wrong"}, id="with a wrong password"),
        pytest.param({"user": "nobody"}, id="as a user that does not exist"),
        pytest.param({"user": "confirm"}, id="with the password of another principal"),
    ],
)
async def test_a_client_cannot_connect(infrastructure, changed):
    brokers = replace(infrastructure.brokers, **changed)
    with pytest.raises(KafkaConnectionError):
        async with client_of(brokers):
            pass
    assert await brokers.refusal()


@pytest.mark.stack
async def test_a_client_without_a_login_cannot_even_ask_for_topics(infrastructure):
    admin = AIOKafkaAdminClient(bootstrap_servers=infrastructure.kafka)
    with pytest.raises(KafkaError):
        await admin.start()
    await admin.close()


@pytest.mark.stack
async def test_what_no_manifest_names_any_more_is_removed(banks):
    left_over = Right("retired", "topic", "payment.confirmed.v1", "WRITE")
    passwords = banks.credentials.kafka_passwords(INVENTORY)
    brokers = banks.brokers

    await run_admin(
        brokers,
        lambda admin: apply_access(admin, passwords | {"retired": "x"}, {*OF_MANIFESTS, left_over}),
    )
    assert await replace(brokers, user="retired", password="x").refusal() is None

    await run_admin(brokers, lambda admin: apply_access(admin, passwords, OF_MANIFESTS))
    assert await run_admin(brokers, rules_of) == {rule_of(one) for one in RIGHTS}
    assert await replace(brokers, user="retired", password="x").refusal()


@pytest.mark.stack
async def test_every_start_keeps_the_rights_and_the_password_of_a_partner(banks):
    async with client_of(banks.brokers) as admin:
        lost = rule_of(next(iter(rights_of(BANKS[0].partner))))
        await ask(admin, DeleteAcls([lost]))
        await start_again(banks, admin)
        assert await rules_of(admin) == {rule_of(one) for one in RIGHTS}
    assert await brokers_as(banks, BANKS[0].principal).refusal() is None


@pytest.mark.stack
async def test_a_partner_is_made_again_with_the_same_topics_rights_and_quotas(banks):
    bank = BANKS[1]
    async with client_of(banks.brokers) as admin:
        await apply_partner(admin, bank.partner, partitions=2)
        assert await rules_of(admin) == {rule_of(one) for one in RIGHTS}
        async with asyncio.timeout(5):
            # A broker describes what it has read of the controller's log so far.
            while await quotas_of(admin, bank.principal) != quotas_for(2):  # noqa: ASYNC110 - no event
                await asyncio.sleep(0.05)
        assert quotas_for(2) != await quotas_of(admin, BANKS[0].principal) == quotas_for(1)


async def test_a_broker_made_with_other_secrets_is_named(infrastructure):
    brokers = replace(infrastructure.brokers, password="of another stack")
    with pytest.raises(StackError, match=r"refuses the login of principal admin.*make reset"):
        await run_admin(brokers, rules_of, within_s=1)


def test_a_rule_is_described_in_words():
    rule = rule_of(Right("confirm", "topic", "risk.assessed.v1", "READ"))
    assert described(rule) == "confirm READ topic risk.assessed.v1"
    rule = rule_of(Right("settlement", "topic", "settlement.reports.*", "READ"))
    assert described(rule) == "settlement READ topic settlement.reports.*"


def test_a_password_is_not_printed():
    assert "s3cret" not in repr(Brokers("kafka:9092", "confirm", "s3cret"))
