# SPDX-License-Identifier: Apache-2.0
"""What `./atoll run` boots without a PROGRAM: the web server of apps/http, which a browser of this machine
reaches by a forwarded port."""
import socket

from atoll.build import build_program
from atoll.errors import ToolError
from atoll.net import forwards, net_kind
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
    if settings.net is None or settings.net == "user":
        settings.net = f"user,forward={free_port()}:{GUEST_PORT}"
    if net_kind(settings.net) == "user":
        ports = [host for host, guest in forwards(settings.net) if guest == GUEST_PORT]
        if ports:
            settings.environment.setdefault("PUBLIC_URL", f"http://localhost:{ports[0]}/")
    return build_program("http", SOURCE)


def free_port():
    """The first port that nobody listens on."""
    for port in range(PORT_FIRST, PORT_FIRST + PORTS_TRIED):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise ToolError(f"the ports {PORT_FIRST} to {PORT_FIRST + PORTS_TRIED - 1} of this machine are taken",
                    f"name another: ./atoll run --net user,forward=PORT:{GUEST_PORT}", status=125)
