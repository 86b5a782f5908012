"""`make status`: processes by group, their memory, and what the core's hold together."""

import os

import pytest

from local_stack.container_states import bytes_of
from local_stack.inventory import load_inventory
from local_stack.status import CORE_LIMIT_BYTES, Row, lines, resident_bytes

MIB = 1024**2


def rows(gateway_mib):
    return [
        Row("kafka", "RUNNING", 400 * MIB, "pid 1"),
        Row("gateway", "RUNNING", gateway_mib * MIB, "pid 2"),
        Row("partner_bank", "RUNNING", 60 * MIB, "pid 3"),
        Row("confirm-1", "RUNNING", 50 * MIB, "pid 4"),
    ]


def test_each_process_is_shown_with_its_group_and_memory_and_the_core_with_its_sum():
    shown = lines(rows(70), load_inventory())
    assert [line.split()[:4] for line in shown[:-1]] == [
        ["confirm-1", "core", "RUNNING", "50"],
        ["gateway", "core", "RUNNING", "70"],
        ["kafka", "infrastructure", "RUNNING", "400"],
        ["partner_bank", "core", "RUNNING", "60"],
    ]
    assert shown[-1] == "core: 180 MiB of 1,024 MiB in 3 Python processes"


def test_a_core_over_its_limit_is_reported():
    assert lines(rows(CORE_LIMIT_BYTES // MIB), load_inventory())[-1].endswith(": too much")


def test_memory_is_read_from_the_kernel_and_0_for_an_ended_process():
    assert resident_bytes(os.getpid()) > 10 * MIB
    assert resident_bytes(2**22 + 1) == 0


@pytest.mark.parametrize(
    ("text", "held"),
    [("85.5MiB", int(85.5 * MIB)), ("1.5GiB", 3 * 512 * MIB), ("0B", 0), ("", 0)],
)
def test_the_memory_that_docker_prints_is_parsed(text, held):
    assert bytes_of(text) == held
