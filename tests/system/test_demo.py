# SPDX-License-Identifier: Apache-2.0
"""The web server behind a bare `./atoll run`: its page, what the page is fed with, its end."""
import contextlib
import http.client
import json
import re
import socket
import subprocess
import threading

from atoll.demo import GUEST_PORT, PAGE, SOURCE
from atoll.net import net_arguments
from lib import FULL_ONLY, ONE, PAIRWISE, ROOT, TestFailure, system_test
from screen import Screen

SECONDS_MAX = 30
PAGE_FILE = SOURCE.with_name("page.html")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def get(connection, path):
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer.status, answer.headers["Content-Type"], answer.read()


@contextlib.contextmanager
def client(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS_MAX)
    yield connection
    connection.close()


def boot_beside(guest, image, net, visit):
    """Boots the server and runs `visit` here once it serves; the Result, and what was wrong."""
    wrong, visitors = [], []

    def run():
        try:
            visit()
        except Exception as error:  # whatever it is, the test tells it
            wrong.append(repr(error))

    def ready(data):
        if b"http://" in data:
            visitors.append(threading.Thread(target=run, daemon=True))
            visitors[-1].start()

    result = guest.boot(image, on_output=ready, qemu=net_arguments(net, None, guest.machine))
    for visitor in visitors:
        visitor.join(SECONDS_MAX)
    return result, wrong


def demo_image(guest, port, answers):
    net = f"user,forward={port}:{GUEST_PORT}"
    return net, guest.pack(guest.build(SOURCE), str(GUEST_PORT), str(answers), net=net,
                           files=[(str(PAGE_FILE), PAGE)],
                           environment={"PUBLIC_URL": f"http://localhost:{port}/"})


def check_status(guest, status, answered):
    def check(holds, what):
        if not holds:
            raise AssertionError(f"{what}: {status}")
    cores, threads = status["cores"], {thread["name"]: thread["core"] for thread in status["threads"]}
    check([core["core"] for core in cores] == list(range(guest.cores)), "all cores")
    check(status["ring"] == guest.ring, "the ring")
    check(sum(core["answers"] for core in cores) == answered, f"{answered} answers")
    check(all(core["busy"] + core["idle"] > 0 for core in cores), "time of all cores")
    check(cores[0]["packets"] > 0, "the device's core has processed packets")
    check(all(core["messages"] > 0 for core in cores[1:]), "the first core told the others the address")
    servers = {f"server {core}": core for core in range(guest.cores)}
    check(threads | servers == threads, "a server thread on each core")


# @verifies ATL-LLR-TOOL-0970~1 ATL-LLR-POSIX-0990~1
@system_test(matrix=PAIRWISE, libc=("musl",), timeout_s=60)
def test_page_and_what_feeds_it(guest):
    port, greetings = free_port(), 20
    net, image = demo_image(guest, port, greetings + 3)

    def visit():
        with client(port) as connection:
            page = get(connection, "/")
            if page != (200, "text/html; charset=utf-8", PAGE_FILE.read_bytes()):
                raise AssertionError(f"the page: {page}")
            for number in range(greetings):
                status, _, body = get(connection, f"/{number}")
                if status != 200 or not re.fullmatch(rb"Hello from core \d of Atoll\.\n", body):
                    raise AssertionError(f"a greeting: {status} {body}")
            for answered in (greetings + 1, greetings + 2):
                status, kind, body = get(connection, "/status.json")
                if (status, kind) != (200, "application/json"):
                    raise AssertionError(f"the status: {status} {kind}")
                check_status(guest, json.loads(body), answered)

    result, wrong = boot_beside(guest, image, net, visit)
    result.expect(stdout=b"http://localhost:%d/ shows this machine; Ctrl-C ends it\n" % port, stderr=b"",
                  status=0)
    result.expect_that(not wrong, f"what a browser reads: {wrong}")


# @verifies ATL-LLR-POSIX-0980~1 ATL-LLR-POSIX-0981~1
@system_test(matrix=PAIRWISE, libc=("musl",), cores=(2, 4), timeout_s=60)
def test_each_core_has_connections_in_its_own_stack(guest):
    """Who answers a request has also had its packets: with one stack for all, the others would have next to none."""
    port, clients = free_port(), 64
    net, image = demo_image(guest, port, clients + 1)

    def visit():
        with contextlib.ExitStack() as stack:
            for number in range(clients):
                get(stack.enter_context(client(port)), f"/{number}")
            with client(port) as last:
                cores = json.loads(get(last, "/status.json")[2])["cores"]
            if not all(0 < core["answers"] <= core["packets"] for core in cores):
                raise AssertionError(f"a core that answers without packets: {cores}")

    result, wrong = boot_beside(guest, image, net, visit)
    result.expect(status=0)
    result.expect_that(not wrong, f"connections of all cores: {wrong}")


class Demo:
    """A bare `./atoll run` behind a terminal, as somebody types it."""

    def __init__(self, guest, *options):
        kernel, posix = guest.parts(net="user")
        self.screen = Screen([ROOT / "atoll", "run", "--cores", guest.cores, "--ring", guest.ring,
                              "--machine", guest.machine, "--kernel", kernel, "--posix", posix, *options],
                             guest.timeout_s)
        self.screen.wait_for(b"/ shows this machine; Ctrl-C ends it\r\n")
        self.port = int(re.search(rb"http://localhost:(\d+)/", self.screen.seen)[1])

    def end(self, what, holds):
        self.screen.type(b"\x03")
        status = self.screen.end()
        if status != 0 or not re.search(rb"[1-9]\d* requests answered\r\n$", self.screen.seen):
            raise TestFailure(f"it ends with {status}", repr(self.screen.seen))
        if not holds:
            raise TestFailure(what, repr(self.screen.seen))


# @verifies ATL-LLR-TOOL-0970~1
@system_test(matrix=ONE, libc=("musl",), ring=(3,), cores=(2,), machine=("microvm",), timeout_s=60)
def test_run_without_a_program(guest):
    """The address is shown, a client here finds the page, Ctrl-C ends it in order."""
    demo = Demo(guest)
    with client(demo.port) as connection:
        page = get(connection, "/")
    demo.end(f"the page is shown: {page[:2]}", page[2] == PAGE_FILE.read_bytes())


# @verifies ATL-LLR-TOOL-0970~1
@system_test(matrix=FULL_ONLY, libc=("musl",), timeout_s=120)
def test_chromium_shows_the_page(guest):
    demo = Demo(guest, "--net", f"user,forward={free_port()}:{GUEST_PORT}")
    done = subprocess.run(["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=5000",
                           "--dump-dom", f"http://localhost:{demo.port}/#load"], capture_output=True,
                          timeout=guest.timeout_s)
    shown = done.stdout.decode()
    wanted = [f"{name} {core}" for name in ("Core", "server") for core in range(guest.cores)]
    answered = [int(text) for text in re.findall(r"<dt>answered</dt><dd>(\d+)</dd>", shown.replace(",", ""))]
    demo.end(f"the browser shows {wanted} and the requests it sends: {shown}{done.stderr.decode()}",
             all(text in shown for text in wanted) and f"ring {guest.ring}" in shown
             and len(answered) == guest.cores and sum(answered) > 10)
