# SPDX-License-Identifier: Apache-2.0
"""Rare calls: the library OS of an image has their handlers if the program has one of their numbers."""
import lib
from atoll.elf import Elf
from atoll.rare import makes_rare_calls


# @verifies ATL-LLR-TOOL-1100~1 ATL-LLR-POSIX-1101~2
@lib.system_test(matrix=lib.ONE)
def test_rare_call(guest):
    """A number that the program computes is not found: the call is not offered, and it is said at once what offers it."""
    for flags, net in (((), None), (("-DCOMPUTED",), None), (("-DCOMPUTED",), "unix")):
        result = guest.boot(guest.pack(guest.build("any_rare.c", *flags), net=net))
        absent = net is None and flags != ()
        result.expect(stdout=b"eventfd2 38\n" if absent else b"eventfd2 0\n", status=0)
        told = b"call 290 is left out of this image" in result.stderr and b"--net unix offers it" in result.stderr
        result.expect_that(told == absent, f"{flags} {net}: whether the call is offered is told")


# @verifies ATL-LLR-TOOL-1100~1
@lib.host_test
def test_numbers_of_rare_calls_are_found(guest):
    for source, flags, wanted in (("hello.c", (), False), ("any_rare.c", (), True), ("any_rare.c", ("-DCOMPUTED",), False)):
        path = guest.build(source, *flags)
        if makes_rare_calls(Elf(path.read_bytes(), path.name)) != wanted:
            raise lib.TestFailure(f"{source} {flags}: rare calls are {'not ' if wanted else ''}found")
