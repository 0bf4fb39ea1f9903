# SPDX-License-Identifier: Apache-2.0
"""What a bare `./atoll run` adds to the settings."""
import socket
import unittest

import support  # noqa: F401
from atoll.demo import free_port, prepare_demo
from atoll.options import Settings


def prepared(net):
    settings = Settings(net=net)
    prepare_demo(settings)
    return settings


class DemoTest(unittest.TestCase):
    # @verifies ATL-LLR-TOOL-0970~1 @robust
    def test_a_port_that_is_taken_is_passed_by(self):
        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            first = free_port()
            other.bind(("127.0.0.1", first))
            other.listen()
            self.assertGreater(free_port(), first)

    # @verifies ATL-LLR-TOOL-0970~1
    def test_the_port_that_is_named_is_shown(self):
        settings = prepared("user,forward=9999:80")
        self.assertEqual(settings.net, "user,forward=9999:80")
        self.assertEqual(settings.environment["PUBLIC_URL"], "http://localhost:9999/")
        for net in ("none", "inet", "user,forward=9999:81"):
            settings = prepared(net)
            self.assertEqual(settings.net, net)
            self.assertNotIn("PUBLIC_URL", settings.environment)

    # @verifies ATL-LLR-TOOL-0970~1
    def test_without_a_name_it_is_the_first_free_one(self):
        for net in (None, "user"):
            settings = prepared(net)
            port = settings.net.removeprefix("user,forward=").removesuffix(":80")
            self.assertGreaterEqual(int(port), 8080)
            self.assertEqual(settings.environment["PUBLIC_URL"], f"http://localhost:{port}/")

    # @verifies ATL-LLR-TOOL-0970~1
    def test_one_of_several_devices_leads_to_the_server(self):
        first = free_port()
        for net in (("tap=t0", "user"), (f"user,forward={first}:81", "user", "user")):
            settings = prepared(net)
            port = settings.environment["PUBLIC_URL"].removeprefix("http://localhost:").removesuffix("/")
            self.assertNotIn(f"user,forward={port}:81", settings.net)
            self.assertEqual(settings.net, (net[0], f"user,forward={port}:80", *net[2:]))
        named = ("user", "user,forward=9999:80")
        settings = prepared(named)
        self.assertEqual((settings.net, settings.environment["PUBLIC_URL"]), (named, "http://localhost:9999/"))


if __name__ == "__main__":
    unittest.main()
