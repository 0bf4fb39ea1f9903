# SPDX-License-Identifier: Apache-2.0
"""--ip: addresses that a machine has from its start, instead of asking for one. They go into the image; posix/inet/
setting.h has the layout."""
import argparse
import collections
import dataclasses
import ipaddress
import re
import struct

from atoll.errors import ToolError
from atoll.net import device_and, devices_of, net_kind

ONLY_PREFIX_6 = 64  # lwIP takes no other network for one that it reaches without a router
_FAMILY = {4: "IPv4", 6: "IPv6"}


@dataclasses.dataclass(frozen=True)
class Address:
    """An address with its network, the router to all others or None, and the number of the device that has it."""
    interface: object
    gateway: object
    device: int = 0

    @property
    def version(self):
        return self.interface.version


def _wrong(text, why):
    raise argparse.ArgumentTypeError(f"{text!r}: {why}")


# @impl ATL-LLR-TOOL-0952~1 ATL-LLR-TOOL-1295~1
def ip_setting(text):
    """ADDRESS/PREFIX, perhaps with ,gateway=ADDRESS; before it perhaps ethN=."""
    device, address = device_and(text, _address)
    return dataclasses.replace(address, device=device)


def _address(text):
    first, *rest = text.split(",")
    if not re.fullmatch(r"[0-9A-Fa-f:.]+/\d{1,3}", first):
        _wrong(first, "write ADDRESS/PREFIX, as 10.0.0.2/24 or fd00::2/64")
    try:
        interface = ipaddress.ip_interface(first)
    except ValueError as error:
        _wrong(first, f"no address with its network: {error}")
    _check_host(interface, first)
    if not rest:
        return Address(interface, None)
    if len(rest) > 1 or not rest[0].startswith("gateway="):
        _wrong(",".join(rest), "behind the address stands gateway=ADDRESS, once")
    return Address(interface, _gateway(rest[0].removeprefix("gateway="), interface))


def _check_host(interface, text):
    """Whether a machine can have it."""
    address, network = interface.ip, interface.network
    if address.is_unspecified or address.is_multicast or address.is_loopback or (
            address.version == 4 and address.is_reserved):
        _wrong(text, "no machine on a network has this address")
    if address.version == 6 and (address.is_link_local or address.ipv4_mapped):
        _wrong(text, "give an address that others can be told: of its link the machine has one")
    if address.version == 6 and network.prefixlen != ONLY_PREFIX_6:
        _wrong(text, f"an IPv6 network has a prefix of {ONLY_PREFIX_6} here")
    if network.prefixlen == 0:
        _wrong(text, "a prefix of 0 leaves no other network")
    if address.version == 4 and network.prefixlen < 31 and address in (network.network_address,
                                                                       network.broadcast_address):
        _wrong(text, f"that is the network {network} itself or all of it, not one of its machines")


def _gateway(text, interface):
    try:
        gateway = ipaddress.ip_address(text)
    except ValueError:
        _wrong(f"gateway={text}", "no address")
    if gateway.version != interface.version:
        _wrong(f"gateway={text}", f"the address is one of {_FAMILY[interface.version]}")
    if gateway == interface.ip:
        _wrong(f"gateway={text}", "that is the machine itself")
    if gateway not in interface.network and not (gateway.version == 6 and gateway.is_link_local):
        _wrong(f"gateway={text}", f"not in the network {interface.network}: nobody would find it")
    return gateway


def check_addresses(addresses, net):
    """Refuses what does not go together. net: the setting of the machine's networks."""
    devices = devices_of(net)
    for each in addresses:
        if each.device >= len(devices) or net_kind(devices[each.device]) != "tap":
            of = f" of eth{each.device}" if each.device else ""
            raise ToolError(f"an address{of}, but no network that takes it", "add --net tap=NAME; QEMU's own network "
                            "(--net user) gives addresses itself")
    twice = [one for one, count in collections.Counter((a.device, a.version) for a in addresses).items() if count > 1]
    if twice:
        raise ToolError(f"two addresses of {_FAMILY[twice[0][1]]} of eth{twice[0][0]}: a device has one of each kind",
                        "leave one out")


def encode_addresses(addresses):
    """The settings as the library OS reads them: for each device up to the last that has one a struct net_setting of
    posix/inet/setting.h."""
    last = max((a.device for a in addresses), default=-1)
    return b"".join(_encode([a for a in addresses if a.device == device]) for device in range(last + 1))


def _encode(addresses):
    four = next((a for a in addresses if a.version == 4), None)
    six = next((a for a in addresses if a.version == 6), None)

    def field(one, what, size):
        return what(one).packed if one is not None and what(one) is not None else bytes(size)

    return struct.pack("<BBH4s4s16s16s", four.interface.network.prefixlen if four else 0,
                       six.interface.network.prefixlen if six else 0, 0,
                       *(field(four, what, 4) for what in (lambda a: a.interface.ip, lambda a: a.gateway)),
                       *(field(six, what, 16) for what in (lambda a: a.interface.ip, lambda a: a.gateway)))
