# SPDX-License-Identifier: Apache-2.0
"""What people point at a machine to see what it is and whether it stands: Nmap, hping3, Scapy. The guest and they are in
a network of their own. The service goes on afterwards, with what it had in use before."""
import pathlib
import re
import subprocess
import sys

from fault_guest import (ADDRESS_4, ADDRESS_6, GUEST_MAC, OUR_4, OUR_6, PEER_4, PEER_6, PORT, Counted, probe,
                         serve)
from frames import Wire
from lib import ONE, TestFailure, system_test
from atoll.namespace import add_tap

ONE_GUEST = {"ring": (3, 0), "cores": (2,), "machine": ("q35",), "libc": ("musl",)}
SEED = 20261122
PORTS_MAX = 200
SIDE_BY_SIDE = 6


def tap():
    add_tap("guest", PEER_4, PEER_6)


def run(*words, status=0):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=300)
    if done.returncode != status:
        raise TestFailure(f"{' '.join(str(word) for word in words)}: status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def scan(*words):
    """{(port, protocol): (state, what it says of the service)} of the ports that Nmap shows, and its text."""
    text = run("nmap", "-n", "-Pn", *words)
    rows = re.findall(r"^(\d+)/(tcp|udp) +(\S+) +(.*)$", text, re.M)
    return {(int(port), protocol): (state, service) for port, protocol, state, service in rows}, text


# @verifies ATL-LLR-NET-0866~1 @robust
@system_test(matrix=ONE, timeout_s=300, **ONE_GUEST)
def test_nmap_sees_what_is_there(guest):
    def scenario(server):
        counted = Counted(server)
        for family, address in (((), ADDRESS_4), (("-6",), ADDRESS_6)):
            for kind in ("-sS", "-sT"):
                found, text = scan(*family, kind, "-p", f"1-{PORTS_MAX}", address)
                if list(found) != [(PORT, "tcp")] or found[PORT, "tcp"][0] != "open" or \
                        f"{PORTS_MAX - 1} closed" not in text:
                    raise TestFailure(f"{kind} {address}: {text}")
        for kind in ("-sF", "-sN", "-sX"):  # closed ports answer by a reset, an open one not at all
            found, text = scan(kind, "-p", f"{PORT},{PORT + 1}", "--max-retries", "1", ADDRESS_4)
            if {port: state for (port, _), (state, _) in found.items()} != {PORT: "open|filtered", PORT + 1: "closed"}:
                raise TestFailure(f"{kind}: {text}")
        found, text = scan("-sU", "-p", f"{PORT},{PORT + 2}", ADDRESS_4)
        if found[PORT, "udp"][0] != "open" or found[PORT + 2, "udp"][0] != "closed":
            raise TestFailure(text)
        found, text = scan("-sV", "-p", PORT, ADDRESS_4)
        if found[PORT, "tcp"][1].split() != ["echo"]:
            raise TestFailure(text)
        counted.expect_same()

    serve(guest, scenario, tap)


FLOODS = (("-S",), ("-A",), ("-R",), ("-F",), ("-F", "-P", "-U"), ("-X", "-Y"), ("-S", "-A"), ("-S", "-w", "0"),
          ("-A", "-d", "1200"), ("--udp",), ("--udp", "-d", "1400"), ("--icmp",), ("--icmp", "-d", "1400"),
          ("--icmp", "--icmptype", "13"), ("--rawip", "--ipproto", "99", "-d", "100"), ("-S", "-b"), ("--udp", "-t", "1"))
# Whose half-open connections, or pieces, a stack has to keep for a while.
LASTING_FLOODS = (("-S", "--spoof", "10.9.0.99"), ("-S", "--rand-source"), ("--icmp", "-x"), ("--udp", "-y", "-x"))


# @verifies ATL-LLR-NET-0866~1 @robust
@system_test(matrix=ONE, timeout_s=900, **ONE_GUEST)
def test_hping3_floods(guest):
    def scenario(server):
        counted = Counted(server)
        floods = FLOODS + (LASTING_FLOODS if guest.is_full else ())
        for first in range(0, len(floods), SIDE_BY_SIDE):
            started = [subprocess.Popen(["hping3", "-q", "-n", "-I", "guest", "-p", str(PORT), "-i", "u1000", "-c",
                                         str(guest.amount(300, 20000)), *flood, ADDRESS_4], text=True,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
                       for flood in floods[first:first + SIDE_BY_SIDE]]
            for process in started:
                said = process.communicate()[1]
                if "packets transmitted" not in said:
                    raise TestFailure(said)
            if not server.echoes():
                raise TestFailure(f"after {floods[first:first + SIDE_BY_SIDE]} it does not echo")
        counted.expect_same()

    serve(guest, scenario, tap)


# @verifies ATL-LLR-NET-0866~1 ATL-LLR-NET-0867~1 @robust
@system_test(matrix=ONE, timeout_s=900, **ONE_GUEST)
def test_scapy_sends_what_nobody_sends(guest):
    def scenario(server):
        counted = Counted(server)
        count = guest.amount(1000, 50000)
        sent = run(sys.executable, pathlib.Path(__file__).with_name("malformed.py"), "guest",
                   GUEST_MAC.hex(":"), ADDRESS_4, ADDRESS_6, OUR_4, OUR_6, PORT, SEED, count, *(["pieces"] if guest.is_full else []))
        if int(sent) < count:
            raise TestFailure(f"{sent} packets were sent")
        probe(Wire("guest", GUEST_MAC))  # tells where this machine really is
        counted.expect_same()

    serve(guest, scenario, tap)
