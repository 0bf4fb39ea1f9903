# SPDX-License-Identifier: Apache-2.0
"""nginx as a server for this machine's curl and wrk: files in each of its ways to send them, TLS, HTTP/2, a
proxy to itself by both protocols, thousands of requests."""
# @verifies ATL-HLR-REAL-0010~1
import os
import random
import re
import tempfile

from atoll.build import locked
import lib
import real
import servers

CLIENTS, REQUESTS = 4, 250
LARGE_BYTES = 1 << 20
PAGE = b"<p>Hello from a lagoon.</p>\n"


def site():
    """A folder of files to serve."""
    path = lib.build_directory() / "real" / "nginx-site"
    with locked(path.parent):
        if not path.exists():
            make_site(path)
    return path


def make_site(path):
    with tempfile.TemporaryDirectory(dir=path.parent) as work:
        source = random.Random(11)
        files = {"index.html": PAGE, "large.bin": source.randbytes(LARGE_BYTES),
                 "text.txt": b"".join(b"%d waves\n" % source.randrange(50) for _ in range(20000))}
        aside = os.path.join(work, "site")
        os.mkdir(aside)
        for name, data in files.items():
            with open(os.path.join(aside, name), "wb") as file:
                file.write(data)
        os.rename(aside, path)


def curl(path, *options, place=servers.ADDRESS_4, scheme="http"):
    return servers.run_client("curl", "-sS", "-k", *options, f"{scheme}://{place}{path}")


def expect(holds, text):
    if not holds:
        raise AssertionError(text)


def many_requests(place, client):
    """One connection for all of them."""
    answers = curl(f"/?[1-{REQUESTS}]", "-o", "/dev/null", "-w",
                   "%{http_code} %{size_download} %{num_connects}\n", place=place).decode().splitlines()
    wanted = [f"200 {len(PAGE)} {int(number == 0)}" for number in range(REQUESTS)]
    expect(answers == wanted, f"client {client}: {answers}")


def files():
    large = (site() / "large.bin").read_bytes()
    text = (site() / "text.txt").read_bytes()
    for folder in ("", "/pool", "/copy", "/log", "/proxy", "/proxy6"):
        expect(curl(f"{folder}/large.bin") == large, f"{folder}/large.bin is another")
    expect(curl("/large.bin", "--http1.1", scheme="https") == large, "large.bin by TLS")
    expect(curl("/pool/text.txt", "--http2", "-w", "%{http_version}", scheme="https") ==
           text + b"2", "text.txt by HTTP/2")
    packed = curl("/text.txt", "--compressed", "-w", "%{size_download}")
    expect(packed.startswith(text) and int(packed[len(text):]) < len(text) // 2, "text.txt with gzip")
    expect(curl("/large.bin", "-r", "1000-1999") == large[1000:2000], "a part of large.bin")
    expect(curl("/none", "-o", "/dev/null", "-w", "%{http_code}") == b"404", "what is not there")


def wrk(path):
    """Keeps 16 connections busy for a second. How many requests were answered, each well."""
    # With its port: wrk would look for the name http in a file that not every machine has.
    text = servers.run_client("wrk", "-t2", "-c16", "-d1", "--timeout", "30",
                              f"http://{servers.ADDRESS_4}:80{path}").decode()
    expect("errors" not in text and "Non-2xx" not in text, text)
    return int(re.search(r"(\d+) requests in", text)[1])


def clients():
    places = (servers.ADDRESS_4, f"[{servers.ADDRESS_6}]") * (CLIENTS // 2)
    servers.side_by_side(*(lambda p=place, n=number: many_requests(p, n) for number, place in enumerate(places)), files)
    answered = wrk("/") + wrk("/pool/text.txt")
    status = curl("/status").decode()
    accepted, handled, requests = (int(word) for word in status.splitlines()[2].split())
    expect(accepted == handled and requests > CLIENTS * REQUESTS + answered, status)


@lib.system_test(matrix=lib.PAIRWISE, libc=("glibc",), timeout_s=120)
def test_nginx(guest):
    built = real.build("nginx").folder
    given = [(str(real.FOLDER / "recipes/nginx.conf"), "/srv/nginx.conf"), (str(site()), "/srv/site"),
             *((str(built / name), f"/srv/{name}") for name in ("certificate.pem", "key.pem"))]
    server = servers.Server(built / "program", (), ready=b"getrlimit", files=tuple(given),
                            memory=512)
    result = servers.serve(guest, server, clients).expect(status=0)
    lines = result.stdout.decode().splitlines()
    result.expect_that(f"10.9.0.1 200 GET /log/large.bin {LARGE_BYTES}" in lines, "the access log has the request")
    wrong = [line for line in lines if re.search(r"\[(warn|error|crit|alert|emerg)\]", line)]
    result.expect_that(len(wrong) == 1 and "/srv/site/none" in wrong[0], f"it complains of /none alone: {wrong}")
    result.expect_that(lines[-1].endswith("] 1#1: exit"), "it ends as it is told")
