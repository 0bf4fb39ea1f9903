# SPDX-License-Identifier: Apache-2.0
"""Names and addresses by the network: a real server (dnsmasq) answers what the C library asks by DNS, through QEMU's user
network and on a tap, where it also gives the address by DHCP."""
import contextlib
import ipaddress
import pathlib
import re
import socket
import subprocess
import tempfile
import threading

from atoll.net import net_arguments
from lib import PAIRWISE, TestFailure, system_test
from atoll.namespace import add_tap, ip, private_network

SECONDS_MAX = 50
PEER, LEASED = "10.9.0.1", "10.9.0.50"
MANY = [f"192.0.2.{number}" for number in range(10, 80)]  # an answer that a datagram cannot hold: then by TCP


@contextlib.contextmanager
def name_server(here, *arguments):
    """dnsmasq with names below "test": `here` is at that address, both.test has two, many.test many."""
    with tempfile.TemporaryDirectory(prefix="atoll-names-") as folder:
        hosts, leases = pathlib.Path(folder, "hosts"), pathlib.Path(folder, "leases")
        rows = [(here, "here.test"), ("192.0.2.7", "both.test"), ("2001:db8::7", "both.test"),
                *((address, "many.test") for address in MANY)]
        hosts.write_text("".join(f"{address} {name}\n" for address, name in rows))
        words = ["dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--user=root", "--pid-file=", "--log-facility=-",
                 "--no-resolv", "--no-hosts", f"--addn-hosts={hosts}", "--local=/test/", "--bind-interfaces",
                 f"--dhcp-leasefile={leases}", *arguments]
        try:
            process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        except FileNotFoundError:
            raise TestFailure("dnsmasq is missing: ./atoll setup") from None
        try:
            line, said = "begin", ""
            while line and "read " not in line:  # the last line before it serves
                line = process.stderr.readline()
                said += line
            if not line:
                raise TestFailure("dnsmasq does not start", said)
            yield leases
        finally:
            process.terminate()
            process.communicate()


@contextlib.contextmanager
def greeter(address):
    """A server at an address of this machine that says hello, once: (its port, the peers that it had)."""
    with socket.create_server((address, 0)) as server:
        server.settimeout(SECONDS_MAX)
        peers = []

        def greet():
            with contextlib.suppress(OSError):  # nobody came: then the guest's output tells it
                peer, where = server.accept()
                peers.append(where[0])
                peer.sendall(b"hello")
                peer.close()
        thread = threading.Thread(target=greet, daemon=True)
        thread.start()
        yield server.getsockname()[1], peers
        thread.join()


def ask(guest, setting, server, here, at, expected_server):
    """Boots names.c; the addresses by which it reached this machine."""
    names = ["here.test", "both.test", "none.test", "192.0.2.7", "2001:db8::7"]
    wanted = (f"nameserver {expected_server}\nhere.test {here}\nboth.test 192.0.2.7 2001:db8::7\n"
              "none.test: no such name\n192.0.2.7 is both.test\n2001:db8::7 is both.test\n")
    if guest.libc == "glibc":  # musl of Debian 12 does not ask by TCP
        names.append("many.test")
        wanted += f"many.test {' '.join(MANY)}\n"
    with greeter(at) as (port, peers):
        image = guest.pack(guest.build("names.c"), str(port), *names, net=setting)
        result = guest.boot(image, qemu=net_arguments(setting, None, guest.machine))
        result.expect(stdout=(wanted + "here.test says hello\n").encode())
    return peers


def host_name_server():
    """The server that QEMU's user network passes questions to: this machine's first one."""
    for word in re.findall(r"^nameserver\s+(\S+)", pathlib.Path("/etc/resolv.conf").read_text(), re.M):
        with contextlib.suppress(ipaddress.AddressValueError):
            return ipaddress.IPv4Address(word)
    raise TestFailure("/etc/resolv.conf of this machine names no server of IPv4")


# @verifies ATL-LLR-POSIX-0909~1 ATL-LLR-NET-0930~1
@system_test(matrix=PAIRWISE, timeout_s=60)
def test_names_through_the_user_network(guest):
    server = host_name_server()
    with private_network():
        if not server.is_loopback:
            ip("addr", "add", f"{server}/32", "dev", "lo")
        with name_server("10.0.2.2", f"--listen-address={server}"):
            ask(guest, "user", server, "10.0.2.2", "127.0.0.1", "10.0.2.3")


# @verifies ATL-LLR-POSIX-0909~1 ATL-LLR-NET-0930~1
@system_test(matrix=PAIRWISE, timeout_s=60)
def test_a_tap_gives_address_and_names(guest):
    with private_network():
        add_tap("guest", f"{PEER}/24")
        with name_server(PEER, "--interface=guest", f"--dhcp-range={LEASED},{LEASED},255.255.255.0,1h",
                         "--dhcp-authoritative", "--no-ping") as leases:
            peers = ask(guest, "tap=guest", PEER, PEER, PEER, PEER)
            if peers != [LEASED] or LEASED not in leases.read_text():
                raise TestFailure(f"the guest is {peers}, the leases are {leases.read_text()!r}")
