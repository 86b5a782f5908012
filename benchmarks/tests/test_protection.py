"""What protection costs: the services are compared with ones that really have none."""

from uuid import UUID

from bench import protection, without_macs
from bench.measuring import Measured
from bench.meters import Counts
from bench.operations import Latencies
from bench.protection import (
    NO_MACS,
    NO_RIGHTS,
    PRODUCTION,
    WITH_KEYS,
    MacCost,
    inventory_of,
    mac_cost,
    results,
)
from bench.rights import RequestCost
from bench.scenarios import closed
from local_stack.inventory import load_inventory
from payment_schemas.events.risk import RiskAssessed
from service_runtime.keys import KeyRing
from service_runtime.message_macs import MessageMacs
from testkit.events import event_of, outgoing_of


def test_every_service_with_a_key_of_a_mac_is_compared():
    with_keys = {
        one.name
        for one in load_inventory().core
        if any(setting.startswith("MAC_") for setting in one.environment)
    }
    assert with_keys == set(WITH_KEYS)


def test_a_service_of_the_benchmark_signs_nothing_and_accepts_everything(monkeypatch):
    monkeypatch.setattr(MessageMacs, "signed", MessageMacs.signed)
    monkeypatch.setattr(MessageMacs, "verify", MessageMacs.verify)
    macs, record = MessageMacs(), outgoing_of(event_of(RiskAssessed), UUID(int=1))
    macs.add(KeyRing(b"k" * 32), [RiskAssessed])
    assert macs.signed(record) != record

    without_macs.turn_off()

    assert macs.signed(record) == record
    macs.verify(record.topic, record.headers, record.value)


def test_the_cost_of_a_mac_is_measured_on_real_signatures(monkeypatch):
    monkeypatch.setattr(protection, "REPEATS", 50)
    cost = mac_cost()
    assert 0.5 < cost.sign_us < 500
    assert 0.5 < cost.verify_us < 500


def test_only_the_compared_processes_of_a_mode_are_other_ones():
    as_it_is, open_listener = load_inventory().services, "127.0.0.1:1"
    assert inventory_of(PRODUCTION, open_listener).services == as_it_is
    unsigned = inventory_of(NO_MACS, open_listener).services
    assert {name for name in as_it_is if unsigned[name] != as_it_is[name]} == set(WITH_KEYS)
    assert unsigned["confirm"].module == "bench.without_macs"
    free = inventory_of(NO_RIGHTS, open_listener).services
    others = {name for name in as_it_is if free[name] != as_it_is[name]}
    assert set(WITH_KEYS) < others
    assert not any(as_it_is[name].mock for name in others)
    assert not any("KAFKA_USER" in free[name].environment for name in others)


def window(rate: float, kafka_us: float) -> Measured:
    cpu_us = dict.fromkeys(WITH_KEYS, 200.0) | {"kafka": kafka_us, "generator": 90.0}
    return Measured(
        scenario=closed(64),
        rate=rate,
        answers={"order": Latencies(10, 1.0, 2.0, 3.0, 4.0)},
        settled=Latencies(10, 5.0, 6.0, 7.0, 8.0),
        outcomes={"ok": 10},
        statuses={200: 10},
        cpu_us=cpu_us,
        rest_s=0.5,
        payments=10,
        counts=Counts(
            {RiskAssessed.topic: 10, "audit.recorded.v1": 50},
            0,
            0,
            {("confirm", RiskAssessed.topic): (15, 15)},
        ),
        memory={},
    )


def test_the_cost_of_one_record_and_of_one_request_decides_about_the_goal():
    runs = {
        PRODUCTION: [window(500, 1000), window(400, 1000), window(450, 1000)],
        NO_MACS: [window(500, 1000), window(500, 1000), window(450, 1000)],
        NO_RIGHTS: [window(500, 950), window(400, 990), window(450, 970)],
    }
    cost = RequestCost(10.0, 9.0, 12.0)
    shown = results(runs, MacCost(5.0, 5.0), cost)
    assert "| without MACs | 500 | 1.00 (1.00 … 1.25) | 2,000 | 1.00 (1.00 … 1.00) |" in shown
    assert "1.0 records a payment: 0.5% of its CPU." in shown
    assert (
        "10.0 µs (9.0 … 12.0) of the broker a request, 3.0 requests with records a payment: 1.5%"
        in shown
    )
    assert "Together 2.0%; goal: at most 2%: yes. " in shown
    assert "it is reached up to 3 requests a payment." in shown
    assert "Together 2.1%; goal: at most 2%: no." in results(runs, MacCost(6.0, 6.0), cost)
