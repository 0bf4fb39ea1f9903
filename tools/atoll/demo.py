# SPDX-License-Identifier: Apache-2.0
"""What `./atoll run` boots without a PROGRAM: the web server of apps/http, which a browser of this machine
reaches by a forwarded port."""
import socket

from atoll.build import build_program
from atoll.errors import ToolError
from atoll.net import devices_of, forwards, net_settings
from atoll.paths import ROOT

SOURCE = ROOT / "apps" / "http" / "http.c"
PAGE = "/srv/page.html"
GUEST_PORT = 80
PORT_FIRST, PORTS_TRIED = 8080, 100


# @impl ATL-LLR-TOOL-0970~1
def prepare_demo(settings):
    """The program, with what it needs added to the settings: its page, a network, a port of this machine
    unless one is named, and the address to show."""
    settings.files.append((str(SOURCE.with_name("page.html")), PAGE))
    if settings.net is None:
        settings.net = "user"
    devices = list(devices_of(settings.net))
    if "user" in devices and not _ports(settings.net):
        taken = [host for host, _ in forwards(settings.net)]
        devices[devices.index("user")] = f"user,forward={free_port(taken)}:{GUEST_PORT}"
        settings.net = net_settings(devices)
    ports = _ports(settings.net)
    if ports:
        settings.environment.setdefault("PUBLIC_URL", f"http://localhost:{ports[0]}/")
    return build_program("http", SOURCE)


def _ports(net):
    """Those of this machine that lead to the server."""
    return [host for host, guest in forwards(net) if guest == GUEST_PORT]


def free_port(taken=()):
    """The first port that nobody listens on, and that is not among those."""
    for port in sorted(set(range(PORT_FIRST, PORT_FIRST + PORTS_TRIED)) - set(taken)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise ToolError(f"the ports {PORT_FIRST} to {PORT_FIRST + PORTS_TRIED - 1} of this machine are taken",
                    f"name another: ./atoll run --net user,forward=PORT:{GUEST_PORT}", status=125)
