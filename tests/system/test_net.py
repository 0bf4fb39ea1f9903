# SPDX-License-Identifier: Apache-2.0
"""Which sockets an image has, seen from its program and from its size."""
import lib
from atoll.elf import Elf
from atoll.net import net_of


# @verifies ATL-LLR-NET-0723~1 ATL-LLR-TOOL-0700~2
@lib.system_test(matrix=lib.ONE, net=("none", "unix", "inet", None))
def test_program_gets_the_sockets_of_its_image(guest):
    program = guest.build("any_socket.c")
    image = guest.pack(program, net=guest.net, verbose=True)
    result = guest.boot(image).expect(status=0)
    absent = guest.net == "none"
    result.expect(stdout=b"socket 38\nsocketpair 38\n" if absent else b"socket 0\nsocketpair 0\n")
    for call in (b"socket", b"socketpair"):
        told = b"not offered: " + call + b", called 1 times" in result.stderr
        result.expect_that(told == absent, f"whether {call} is offered is told")


# @verifies ATL-LLR-TOOL-0700~2
@lib.host_test
def test_image_without_need_of_sockets_has_none(guest):
    """The same program, but for the numbers: one cannot make a socket."""
    for libc in ("musl", "glibc"):
        for source, flags, wanted in (("hello.c", (), "none"), ("any_socket.c", (), "inet"),
                                      ("any_socket.c", ("-DNUMBERS=0",), "none")):
            path = guest.build(source, *flags, libc=libc)
            found = net_of(Elf(path.read_bytes(), path.name))
            if found != wanted:
                raise lib.TestFailure(f"{source} {flags} of {libc}: {found}, not {wanted}")
