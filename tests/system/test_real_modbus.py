# SPDX-License-Identifier: Apache-2.0
"""A server by libmodbus, and this machine's mbpoll: registers and coils are read and written, by several clients
at once."""
# @verifies ATL-HLR-REAL-0010~1
import re

import lib
import real
import servers

CLIENTS, ROUNDS, CELLS = 4, 6, 10
INPUTS, INPUT_BITS, HOLDING, COILS = "3", "1", "4", "0"


def poll(kind, first, count, *values):
    """What mbpoll shows of cells, {number: text}; or writes."""
    how_many = () if values else ("-c", count)
    text = servers.run_client("mbpoll", "-m", "tcp", "-p", "502", "-o", "10", "-1", "-t", kind, "-r", first, *how_many,
                              servers.ADDRESS_4, *values).decode()
    if values and f"Written {len(values)} references" not in text:
        raise AssertionError(text)
    return {int(number): value for number, value in re.findall(r"^\[(\d+)\]:\s+(\S+)", text, re.M)}


def expect(found, wanted):
    if found != wanted:
        raise AssertionError(f"{found}, not {wanted}")


def talk(number):
    """Each client has cells of its own."""
    first = 1 + number * CELLS
    for count in range(ROUNDS):
        values = [str(number * 1000 + count * 10 + cell) for cell in range(CELLS)]
        bits = [str((number + count + cell) & 1) for cell in range(CELLS)]
        poll(HOLDING, first, CELLS, *values)
        expect(poll(HOLDING, first, CELLS), {first + cell: value for cell, value in enumerate(values)})
        poll(COILS, first, CELLS, *bits)
        expect(poll(COILS, first, CELLS), {first + cell: bit for cell, bit in enumerate(bits)})


def clients():
    expect(poll(INPUTS, 1, 100), {cell + 1: str(cell * 3 + 7) for cell in range(100)})
    expect(poll(INPUT_BITS, 1, 100), {cell + 1: str(int(cell % 3 == 0)) for cell in range(100)})
    servers.run_client("mbpoll", "-m", "tcp", "-p", "502", "-o", "10", "-1", "-r", "201", servers.ADDRESS_4, status=1)
    servers.side_by_side(*(lambda n=number: talk(n) for number in range(CLIENTS)))


@lib.system_test(matrix=lib.PAIRWISE, libc=("musl",), timeout_s=90)
def test_modbus(guest):
    program = real.build("modbus").folder / "program"
    result = servers.serve(guest, servers.Server(program, ("502",), ready=b"serving"), clients)
    requests = 3 + CLIENTS * ROUNDS * 4
    result.expect(stdout=b"serving\n^C%d requests\n" % requests, status=0)
