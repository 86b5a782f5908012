"""Ports: moved by an offset, never shared, checked before use."""

import os
import socket
from itertools import combinations

import pytest

from local_stack.errors import StackError
from local_stack.inventory import load_inventory
from local_stack.ports import Ports, holder_of, is_listening, require_free

INSTANCES = 3


@pytest.fixture
def taken_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def _all(ports):
    services = {
        ports.of(name, one) for name in ports.inventory.services for one in range(INSTANCES)
    }
    return services | {ports.kafka, ports.kafka_controller, ports.postgres, ports.redis}


def test_the_three_stacks_of_a_checkout_share_no_port():
    inventory = load_inventory()
    stacks = [_all(Ports(inventory, offset)) for offset in (0, 10_000, 20_000)]
    for one, other in combinations(stacks, 2):
        assert not one & other


@pytest.mark.parametrize("offset", [-1, 40_001])
def test_an_offset_out_of_range_is_refused(offset):
    with pytest.raises(StackError, match=f"offset must be 0 to 40000, not {offset}"):
        Ports(load_inventory(), offset)


def test_a_taken_port_is_refused_with_the_names_of_both_processes(taken_port):
    with pytest.raises(
        StackError, match=f"port {taken_port}, which audit needs, is held by process {os.getpid()} "
    ):
        require_free([("audit", taken_port)])


def test_a_free_port_is_accepted(taken_port):
    with socket.create_server(("127.0.0.1", 0)) as server:
        free = server.getsockname()[1]
    require_free([("audit", free)])
    assert is_listening(taken_port)
    assert not is_listening(free)
    assert holder_of(free) == "another process"
