# SPDX-License-Identifier: Apache-2.0
"""The network policy of an image (policy/policy.h): the table [policy] of a manifest to the rules that the
kernel keeps. Grammar and meaning are in docs/IMAGES.md."""
import argparse
import ipaddress
import re
import struct

RULES_MAX = 64
SOURCE, IN, OUT = range(3)
PROTOCOLS = {"tcp": {4: 6, 6: 6}, "udp": {4: 17, 6: 17}, "icmp": {4: 1, 6: 58}}
RULE = struct.Struct("<BBBBHH16s")  # struct policy_rule
EVERYBODY = ("0.0.0.0/0", "::/0")
_RULE = re.compile(r"(tcp|udp|icmp)(?:/(\d+)(?:-(\d+))?)?(?: (from|to) (\S+))?")


def _network(text):
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no address and no ADDRESS/BITS: {error}") from None


def _row(kind, network, protocol=0, ports=(0, 0)):
    return RULE.pack(kind, network.version, protocol, network.prefixlen, *ports, network.network_address.packed)


def _ports(text, protocol, first, last):
    if protocol == "icmp":
        if first is not None:
            raise argparse.ArgumentTypeError(f"{text!r}: icmp has no ports")
        return 0, 0
    if first is None:
        raise argparse.ArgumentTypeError(f"{text!r} names no port: write {protocol}/80, or {protocol}/1-65535 for all")
    low, high = int(first), int(last or first)
    if not 1 <= low <= high <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r}: ports are 1 to 65535, the lower one first")
    return low, high


def policy_rows(key, texts):
    """The rules, packed, that one setting of the table gives; key: addresses, inbound or outbound."""
    if key == "addresses":
        return [_row(SOURCE, _network(text)) for text in texts]
    kind, word = (IN, "from") if key == "inbound" else (OUT, "to")
    rows = []
    for text in texts:
        match = _RULE.fullmatch(text)
        if not match or match[4] not in (None, word):
            raise argparse.ArgumentTypeError(f"{text!r} is no rule: write it as 'tcp/80', 'udp/5000-5010 {word} "
                                             f"10.0.2.0/24' or 'icmp'")
        ports = _ports(text, match[1], match[2], match[3])
        for network in map(_network, [match[5]] if match[5] else EVERYBODY):
            rows.append(_row(kind, network, PROTOCOLS[match[1]][network.version], ports))
    return rows


# @impl ATL-LLR-POLICY-0006~1
def policy_rules(table):
    """All rules of a table: {"addresses": [text], "inbound": [text], "outbound": [text], "dhcp": bool}. With dhcp the
    machine may ask any server for one of its addresses before it has it."""
    rows = [row for key in ("addresses", "inbound", "outbound") for row in policy_rows(key, table.get(key, []))]
    if not any(row[0] == SOURCE for row in rows):
        raise argparse.ArgumentTypeError("a machine without addresses sends nothing: name them, or the networks that "
                                         "it may get one of")
    if table.get("dhcp", False):
        rows += policy_rows("addresses", ["0.0.0.0"]) + policy_rows("outbound", ["udp/67 to 0.0.0.0/0"])
    if len(rows) > RULES_MAX:
        raise argparse.ArgumentTypeError(f"{len(rows)} rules, one for each version of IP, more than {RULES_MAX}: "
                                         f"name ranges of ports and larger networks")
    return rows


# @impl ATL-LLR-POLICY-0007~1
def policy_texts(data):
    """Packed rules as a person reads them; data may come from anybody."""
    return [_text(*RULE.unpack_from(data, at)) for at in range(0, len(data), RULE.size)]


def _text(kind, version, protocol, prefix, low, high, address):
    names = {number: name for name, numbers in PROTOCOLS.items() for number in numbers.values()}
    if kind > OUT or version not in (4, 6) or prefix > (32 if version == 4 else 128):
        return "a rule without meaning"
    network = f"{ipaddress.ip_address(address[:4] if version == 4 else address)}/{prefix}"
    if kind == SOURCE:
        return f"address {network}"
    ports = "" if high == 0 else f"/{low}" if low == high else f"/{low}-{high}"
    return f"{('in', 'out')[kind - 1]} {names.get(protocol, protocol)}{ports} {('from', 'to')[kind - 1]} {network}"
