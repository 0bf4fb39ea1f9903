# SPDX-License-Identifier: Apache-2.0
"""Memory shared with another machine: its file, and the server that gives machines each other's doorbells
(`./atoll neighbour`). The protocol is that of QEMU's ivshmem-doorbell, docs/specs/ivshmem-spec of QEMU."""
import argparse
import array
import os
import selectors
import socket
import stat
import struct

from atoll.errors import ToolError

NEIGHBOUR_BYTES = 65536
DOORBELL = "unix:"    # before the path of a server's socket
PROTOCOL_VERSION = 0
MEMORY = -1           # announces the memory's descriptor
NUMBER_MAX = 0xffff
SOCKET_PATH_MAX = 107


def neighbour_bytes(path):
    """The size of the file, which is made if it is not there."""
    try:
        with open(path, "ab") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ToolError(f"{path}: not a file", "give the path of a file")
            size = file.tell() or file.truncate(NEIGHBOUR_BYTES)
    except OSError as error:
        raise ToolError(f"{path}: {error.strerror}", "give the path of a file that can be written") from None
    if size < NEIGHBOUR_BYTES or size & (size - 1):
        raise ToolError(f"{path}: {size} bytes", f"a power of two from {NEIGHBOUR_BYTES} on is needed; "
                        "remove the file, and it is made")
    return size


# @impl ATL-LLR-NEIGHBOUR-1030~1 ATL-LLR-NEIGHBOUR-1050~1
def neighbour_device(setting):
    """QEMU's arguments for a setting of --neighbour."""
    if not setting.startswith(DOORBELL):
        size = neighbour_bytes(setting)
        path = str(setting).replace(",", ",,")
        return ["-object", f"memory-backend-file,id=neighbour,share=on,mem-path={path},size={size}",
                "-device", "ivshmem-plain,memdev=neighbour"]
    path = setting.removeprefix(DOORBELL)
    _check_length(path)
    if not _is_served(path):
        raise ToolError(f"{path}: no server of doorbells listens there",
                        f"start it first: ./atoll neighbour {path} FILE")
    path = path.replace(",", ",,")
    return ["-chardev", f"socket,id=neighbour,path={path}",
            "-device", "ivshmem-doorbell,chardev=neighbour,vectors=1"]


def _is_served(path):
    """Whether somebody listens; says nothing to a DoorbellServer that it would tell machines."""
    try:
        with socket.socket(socket.AF_UNIX) as test:
            test.connect(path)
            return True
    except OSError:
        return False


def _check_length(path):
    if not 0 < len(os.fsencode(path)) <= SOCKET_PATH_MAX:
        raise ToolError(f"{path}: a socket's path has 1 to {SOCKET_PATH_MAX} bytes", "give another one")


def _has_gone(connection):
    """Somebody only looked whether we are there."""
    try:
        return connection.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


class _Peer:
    def __init__(self, connection, number):
        self.connection = connection
        self.number = number
        self.bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def tell(self, value, descriptor=None):
        """One message; False: it is gone, or takes nothing. Its messages are few: they fit its buffer."""
        passed = [] if descriptor is None else [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                                                 array.array("i", [descriptor]))]
        try:
            return self.connection.sendmsg([struct.pack("<q", value)], passed) == 8
        except OSError:
            return False


# @impl ATL-LLR-NEIGHBOUR-1051~1
class DoorbellServer:
    """Serves machines that connect to a socket: each gets the memory, a number, and the others' bells."""

    def __init__(self, path, file):
        _check_length(path)
        neighbour_bytes(file)
        self.path = path
        self._peers = {}
        self._next = 0  # never one twice: QEMU touches freed memory when a number comes again
        self._memory = os.open(file, os.O_RDWR | os.O_CLOEXEC)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._wake, self._stop = os.pipe2(os.O_CLOEXEC)
        try:
            self._bind()
        except BaseException:
            self.close()
            raise
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._wake, selectors.EVENT_READ)

    def _bind(self):
        if _is_served(self.path):
            raise ToolError(f"{self.path}: another server listens there", "give another path")
        try:
            if os.path.lexists(self.path) and stat.S_ISSOCK(os.lstat(self.path).st_mode):
                os.unlink(self.path)  # of one that was killed
            self._listener.bind(self.path)
        except OSError as error:
            raise ToolError(f"{self.path}: {error.strerror}",
                            "give a path where a socket can be made") from None
        self._is_bound = True
        self._listener.listen()

    _is_bound = False

    def serve(self):
        """Until stop."""
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._listener:
                    self._welcome()
                elif key.fileobj == self._wake:
                    return
                elif key.data in self._peers.values():
                    self._part(key.data)  # machines say nothing: it is gone

    def stop(self):
        """From any thread."""
        os.write(self._stop, b"x")

    def _welcome(self):
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        connection.setblocking(False)
        if self._next > NUMBER_MAX or _has_gone(connection):
            connection.close()
            return
        number, self._next = self._next, self._next + 1
        peer = _Peer(connection, number)
        others = list(self._peers.values())
        self._peers[number] = peer
        self._selector.register(connection, selectors.EVENT_READ, peer)
        is_told = (peer.tell(PROTOCOL_VERSION) and peer.tell(number) and peer.tell(MEMORY, self._memory)
                   and all(peer.tell(other.number, other.bell) for other in others)
                   and peer.tell(number, peer.bell))
        if not is_told:
            self._part(peer)
            return
        for other in others:
            if not other.tell(number, peer.bell):
                self._part(other)

    def _part(self, peer):
        if self._peers.get(peer.number) is not peer:
            return
        del self._peers[peer.number]
        self._selector.unregister(peer.connection)
        peer.connection.close()
        os.close(peer.bell)
        for other in list(self._peers.values()):
            if not other.tell(peer.number):
                self._part(other)

    def close(self):
        for peer in list(self._peers.values()):
            peer.connection.close()
            os.close(peer.bell)
        self._peers.clear()
        self._selector.close()
        self._listener.close()
        for descriptor in (self._memory, self._wake, self._stop):
            os.close(descriptor)
        if self._is_bound:
            try:
                os.unlink(self.path)
            except OSError:
                pass


def _parser():
    parser = argparse.ArgumentParser(
        prog="./atoll neighbour", description="Serves memory that machines share, with a doorbell for each, "
        "until Ctrl-C. The machines: ./atoll run --machine q35 --neighbour unix:SOCKET ./prog")
    parser.add_argument("socket", metavar="SOCKET", help="where machines connect; made, and removed at the end")
    parser.add_argument("file", metavar="FILE",
                        help=f"the memory; made with {NEIGHBOUR_BYTES} bytes if it is not there")
    return parser


def neighbour_command(words):
    options = _parser().parse_args(words)
    server = DoorbellServer(options.socket, options.file)
    try:
        print(f"machines connect with --neighbour {DOORBELL}{options.socket}", flush=True)
        server.serve()
    finally:
        server.close()
    return 0
