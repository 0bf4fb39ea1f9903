# SPDX-License-Identifier: Apache-2.0
"""A system call's arguments and result as strace writes them. What the guest says of itself is data: bytes
that are too few for what they should be are shown as the address they came from."""
import errno
import os
import socket
import struct

from atoll.live import names

TEXT_BYTES_MAX = 32
UNIX_EPOCH_FIELDS = struct.Struct("<qq")
ESCAPES = {0x09: "\\t", 0x0a: "\\n", 0x0b: "\\v", 0x0c: "\\f", 0x0d: "\\r", 0x22: '\\"', 0x5c: "\\\\"}


def signed(value, bits=32):
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def quote(data):
    """Bytes as a string of C: other than printable ones in octal, with as few digits as do."""
    out = []
    for position, byte in enumerate(data):
        follows = data[position + 1:position + 2]
        if byte in ESCAPES:
            out.append(ESCAPES[byte])
        elif 0x20 <= byte < 0x7f:
            out.append(chr(byte))
        else:
            out.append("\\%03o" % byte if b"0" <= follows <= b"7" else "\\%o" % byte)
    return '"' + "".join(out) + '"'


def flags(value, table, unknown=None):
    """Names of the bits that are set, joined; the rest as a number; 0: "0"."""
    found = []
    for bits, name in table.items():
        if bits and value & bits == bits:
            found.append(name)
            value &= ~bits
    if value or not found:
        found.append(f"{value:#x}" + (f" /* {unknown} */" if unknown and value and not found else "") if value
                     else "0")
    return "|".join(found)


def name(value, table, unknown):
    """A number's name; else as strace does: the number, and what kind of name it should have."""
    return table.get(value, f"{value:#x} /* {unknown} */")


def address(value):
    return f"{value:#x}" if value else "NULL"


def hexadecimal(value):
    return f"{value:#x}" if value else "0"


def mode(value):
    return f"0{value:o}" if value > 7 else f"00{value}" if value else "000"


def file_mode(value):
    kind = names.FILE_TYPES.get(value & 0o170000)
    return f"{kind}|{mode(value & 0o7777)}" if kind else mode(value)


def open_flags(value):
    access = names.ACCESS_MODES.get(value & 3, "O_ACCMODE")
    rest = value & ~3
    return access + ("|" + flags(rest, names.OPEN) if rest else "")


def signal_name(value):
    if value in names.SIGNALS:
        return names.SIGNALS[value]
    if 32 <= value <= 64:
        return "SIGRTMIN" if value == 32 else f"SIGRT_{value - 32}"
    return str(signed(value))


def signal_set(value):
    """[INT TERM], or what is not in it when that is shorter."""
    numbers = [i for i in range(1, 65) if value >> (i - 1) & 1]
    is_inverse = len(numbers) > 42
    if is_inverse:
        numbers = [i for i in range(1, 65) if not value >> (i - 1) & 1]
    words = ["RTMIN" if i == 32 else f"RT_{i - 32}" if i > 32 else signal_name(i).removeprefix("SIG") for i in numbers]
    return ("~" if is_inverse else "") + "[" + " ".join(words) + "]"


def timespec(data, unit="tv_nsec"):
    seconds, rest = UNIX_EPOCH_FIELDS.unpack(data[:16])
    return f"{{tv_sec={seconds}, {unit}={rest}}}"


def timeval(data):
    return timespec(data, "tv_usec")


def timespec2(data):
    def one(part):
        words = {0x3fffffff: "UTIME_NOW", 0x3ffffffe: "UTIME_OMIT"}
        return words.get(UNIX_EPOCH_FIELDS.unpack(part)[1]) or timespec(part)
    return f"[{one(data[:16])}, {one(data[16:32])}]"


def _timer(data, value):
    return f"{{it_interval={value(data[:16])}, it_value={value(data[16:32])}}}"


def itimerspec(data):
    return _timer(data, timespec)


def itimerval(data):
    return _timer(data, timeval)


def stat(data):
    file_kind = struct.unpack_from("<I", data, 24)[0]
    size, device = struct.unpack_from("<q", data, 48)[0], struct.unpack_from("<Q", data, 40)[0]
    if file_kind & 0o170000 in (0o020000, 0o060000):
        what = f"st_rdev=makedev({os.major(device):#x}, {os.minor(device):#x})"
    else:
        what = f"st_size={size}"
    return f"{{st_mode={file_mode(file_kind)}, {what}, ...}}"


def statx(data):
    mask, _, attributes = struct.unpack_from("<IIQ", data)
    file_kind, = struct.unpack_from("<H", data, 28)
    size, = struct.unpack_from("<Q", data, 40)
    return (f"{{stx_mask={flags(mask, names.STATX)}, stx_attributes={attributes:#x}, ".replace("=0x0,", "=0,")
            + f"stx_mode={file_mode(file_kind)}, stx_size={size}, ...}}")


def limit(data):
    def one(value):
        if value == names.INFINITY:
            return "RLIM64_INFINITY"
        return f"{value // 1024}*1024" if value > 1024 and value % 1024 == 0 else str(value)
    current, maximum = struct.unpack("<QQ", data)
    return f"{{rlim_cur={one(current)}, rlim_max={one(maximum)}}}"


def usage(data):
    return f"{{ru_utime={timeval(data)}, ru_stime={timeval(data[16:])}, ...}}"


def uname(data):
    words = [data[i * 65:(i + 1) * 65].partition(b"\0")[0] for i in range(2)]
    return f"{{sysname={quote(words[0])}, nodename={quote(words[1])}, ...}}"


def system(data):
    uptime, *loads = struct.unpack_from("<q3Q", data)
    memory = struct.unpack_from("<6Q", data, 32)
    count, = struct.unpack_from("<H", data, 80)
    high = struct.unpack_from("<2QI", data, 88)
    parts = zip(("totalram", "freeram", "sharedram", "bufferram", "totalswap", "freeswap"), memory)
    return (f"{{uptime={uptime}, loads=[{', '.join(map(str, loads))}], "
            + ", ".join(f"{key}={value}" for key, value in parts)
            + f", procs={count}, totalhigh={high[0]}, freehigh={high[1]}, mem_unit={high[2]}}}")


def times(data):
    return "{" + ", ".join(f"{key}={value}" for key, value in zip(
        ("tms_utime", "tms_stime", "tms_cutime", "tms_cstime"), struct.unpack("<4q", data))) + "}"


def action(data):
    handler, bits, restorer, mask = struct.unpack("<4Q", data)
    what = {0: "SIG_DFL", 1: "SIG_IGN"}.get(handler, f"{handler:#x}")
    field = "sa_sigaction" if bits & 4 and handler > 1 else "sa_handler"
    rest = f", sa_restorer={restorer:#x}" if bits & 0x4000000 else ""
    return (f"{{{field}={what}, sa_mask={signal_set(mask)}, "
            f"sa_flags={flags(bits, names.SIGNAL_ACTION)}{rest}}}")


def signal_stack(data):
    base, bits, size = struct.unpack("<QIxxxxQ", data)
    return f"{{ss_sp={address(base)}, ss_flags={flags(bits, names.SIGNAL_STACK)}, ss_size={size}}}"


def signal_information(data):
    number, _, code = struct.unpack_from("<iii", data)
    words = [f"si_signo={signal_name(number)}"]
    fault = names.FAULT_CODES.get(number, {})
    words.append(f"si_code={fault.get(code) or names.SIGNAL_CODES.get(code, code)}")
    if code > 0 and number in names.FAULT_CODES and code != 0x80:
        words.append(f"si_addr={address(struct.unpack_from('<Q', data, 16)[0])}")
    elif code == -2:
        words += [f"si_timerid={struct.unpack_from('<I', data, 16)[0]:#x}",
                  f"si_overrun={struct.unpack_from('<i', data, 20)[0]}"]
        words += _signal_value(data)
    elif code <= 0:
        process, user = struct.unpack_from("<iI", data, 16)
        words += [f"si_pid={process}", f"si_uid={user}"]
        words += _signal_value(data) if code == -1 else []
    return "{" + ", ".join(words) + "}"


def _signal_value(data):
    value, = struct.unpack_from("<Q", data, 24)
    return [f"si_int={signed(value)}", f"si_ptr={address(value)}"]


def signal_event(data):
    value, number, notify = struct.unpack_from("<QiI", data)
    return (f"{{sigev_value={{sival_int={signed(value)}, sival_ptr={address(value)}}}, "
            f"sigev_signo={signal_name(number)}, sigev_notify={name(notify, names.SIGNAL_NOTIFY, 'SIGEV_???')}}}")


def socket_address(data):
    """What is cut off or of a family that is not known: its bytes."""
    family = struct.unpack_from("<H", data)[0] if len(data) >= 2 else None
    what = f"{{sa_family={name(family, names.FAMILIES, 'AF_???')}" if family is not None else ""
    if family == socket.AF_UNIX:
        path = data[2:]
        if path[:1] == b"\0" and len(path) > 1:
            return f"{what}, sun_path=@{quote(path[1:])}}}"
        return what + (f", sun_path={quote(path.partition(bytes(1))[0])}}}" if path else "}")
    if family == socket.AF_INET and len(data) >= 8:
        return (f"{what}, sin_port=htons({int.from_bytes(data[2:4], 'big')}), "
                f"sin_addr=inet_addr(\"{socket.inet_ntoa(data[4:8])}\")}}")
    if family == socket.AF_INET6 and len(data) >= 28:
        flow, = struct.unpack_from(">I", data, 4)
        return (f"{what}, sin6_port=htons({int.from_bytes(data[2:4], 'big')}), sin6_flowinfo=htonl({flow}), "
                f"inet_pton(AF_INET6, \"{socket.inet_ntop(socket.AF_INET6, data[8:24])}\", &sin6_addr), "
                f"sin6_scope_id={struct.unpack_from('<I', data, 24)[0]}}}")
    return f"{what}, sa_data={quote(data[2:])}}}" if family is not None else quote(data)


def option(data):
    return f"[{struct.unpack('<i', data)[0]}]" if len(data) == 4 else quote(data)


def epoll_events(data, bracket=True):
    out = []
    for events, value in struct.iter_unpack("<IQ", data[:len(data) // 12 * 12]):
        out.append(f"{{events={flags(events, names.EPOLL_EVENTS)}, data={{u32={value & 0xffffffff}, u64={value}}}}}")
    return f"[{', '.join(out)}]" if bracket else "".join(out[:1])


def poll_asked(data):
    return "[" + ", ".join(f"{{fd={fd}, events={flags(events, names.POLL)}}}" if fd >= 0 else f"{{fd={fd}}}"
                           for fd, events, _ in struct.iter_unpack("<iHH", data[:len(data) // 8 * 8])) + "]"


def poll_found(data):
    return "[" + ", ".join(f"{{fd={fd}, revents={flags(found, names.POLL)}}}"
                           for fd, _, found in struct.iter_unpack("<iHH", data[:len(data) // 8 * 8]) if found) + "]"


def descriptor_set(data, count):
    found = [str(i) for i in range(min(max(count, 0), len(data) * 8)) if data[i // 8] >> (i % 8) & 1]
    return "[" + " ".join(found) + "]"


def cpus(data):
    return "[" + " ".join(str(i) for i in range(len(data) * 8) if data[i // 8] >> (i % 8) & 1) + "]"


def record_lock(data):
    kind, whence, start, length = struct.unpack_from("<hhxxxxqq", data)
    return (f"{{l_type={name(kind, names.LOCKS, 'F_???')}, l_whence={name(whence, names.WHENCE, 'SEEK_???')}, "
            f"l_start={start}, l_len={length}}}")


def ints(data):
    return "[" + ", ".join(str(v) for v, in struct.iter_unpack("<i", data)) + "]"


def long_at(data):
    return f"[{struct.unpack('<q', data)[0]}]"


def control(data):
    """Control data of a message."""
    if len(data) < 16:
        return quote(data)
    length, level, kind = struct.unpack_from("<Qii", data)
    if level == 1 and kind == 1:
        files = [v for v, in struct.iter_unpack("<i", data[16:min(length, len(data)) // 4 * 4])]
        return (f"[{{cmsg_len={length}, cmsg_level=SOL_SOCKET, cmsg_type=SCM_RIGHTS, "
                f"cmsg_data=[{', '.join(map(str, files))}]}}]")
    return f"[{{cmsg_len={length}, cmsg_level={name(level, names.LEVELS, 'SOL_???')}, cmsg_type={kind:#x}}}]"


def clone_arguments(data):
    fields = struct.unpack_from("<8Q", data)
    bits, _, child, parent, number, stack, size, tls = fields
    words = [f"flags={flags(bits, names.CLONE)}"]
    words += [f"child_tid={child:#x}"] if bits & 0x1200000 or child else []
    words += [f"parent_tid={parent:#x}"] if bits & 0x100000 else []
    words += [f"exit_signal={signal_name(number) if number else 0}",
              f"stack={address(stack)}", f"stack_size={hexadecimal(size)}"]
    words += [f"tls={tls:#x}"] if bits & 0x80000 else []
    return "{" + ", ".join(words) + "}"


def error(result):
    """Of a negative result."""
    code = -result
    if code in names.RESTARTS:
        return f"? {names.RESTARTS[code]}"
    if code in errno.errorcode:
        known = {95: "EOPNOTSUPP"}.get(code, errno.errorcode[code])
        return f"-1 {known} ({os.strerror(code)})"
    return f"-1 (errno {code})"
