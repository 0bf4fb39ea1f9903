# SPDX-License-Identifier: Apache-2.0
"""A server whose network device lies: what QEMU shares of its queues with the guest is written from outside."""
import errno
import socket
import tempfile

import servers
from fault_guest import receive
from lib import PAIRWISE, system_test
from test_port import ATTACKS, Ring

LIES = ("ahead", "nobody", "too much", "ahead")
AGAIN = b"posix: eth0 broke a rule of virtio and was started again"
OFF = b"posix: eth0 broke the rules of virtio too often: it is off"
MEMORY_MIB = 256
NETWORK = "net"
ECHOED = b"whatever the device says"
WORK = b"tried connect %d sendto 0" % errno.EINPROGRESS
FAIL = b"tried connect %d sendto %d" % (errno.ENETUNREACH, errno.ENETUNREACH)


def ask(connection):
    connection.sendall(ECHOED)
    got = receive(connection, len(ECHOED))
    if got != ECHOED:
        raise AssertionError(f"the answer is {got}")


def try_calls(server, said):
    """Types what has the program make calls that need the network, of which it says this."""
    server.keys.put(b"try\n")
    server.console.wait_for(said)


def tell(ring, lie):
    """The guest learns of the lie when a timer of its connection has it look at the queue. Until then no frame may come,
    for which QEMU would write the truth."""
    ring.monitor.execute("set_link", name=NETWORK, up=False)
    ATTACKS[lie](ring)


# @verifies ATL-LLR-NET-0941~1 @robust
@system_test(matrix=PAIRWISE, libc=("musl",), cores=(1, 2), timeout_s=90)
def test_a_server_outlives_a_device_that_lies(guest):
    """One connection goes on over four lies, at each of which the device is started again; the fifth is the end of the
    network, and not of the program, whose calls say so."""
    server = servers.Server(guest.build("flows.c"), ("80",), b"serving", memory=MEMORY_MIB)

    with tempfile.TemporaryDirectory() as folder:
        def clients(port):
            ring = Ring(folder)
            connection = socket.create_connection(("127.0.0.1", port), servers.CLIENT_SECONDS_MAX)
            ask(connection)
            for count, lie in enumerate(LIES, 1):
                tell(ring, lie)
                server.console.wait_for(AGAIN, count)
                ring.monitor.execute("set_link", name=NETWORK, up=True)
                ask(connection)
            try_calls(server, WORK)
            tell(ring, "ahead")
            server.console.wait_for(OFF)
            try_calls(server, FAIL)

        result = servers.serve_forwarded(guest, server, clients, 80, qemu=(
            "-object", f"memory-backend-file,id=ram,size={MEMORY_MIB}M,share=on,mem-path={folder}/memory",
            "-machine", "memory-backend=ram", "-qmp", f"unix:{folder}/monitor,server=on,wait=off"))
    result.expect(status=130)
