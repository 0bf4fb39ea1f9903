# SPDX-License-Identifier: Apache-2.0
"""The measuring chain: the plugin counts what is between two marks, and the numbers are divided
rightly. The guest is the stand-in kernel's cousin: a few instructions of known number."""
import contextlib
import io
import pathlib
import re
import subprocess
import time
import unittest
import unittest.mock

import support
from atoll.bench import load, page
from atoll.bench.baseline import differences
from atoll.bench import compare
from atoll.bench.compare import changes, is_regression
from atoll.bench.figure import Figure, figure_of
from atoll.bench.measure import Job, Options, build_plugin, median_of_runs, parse_counts, parse_output, per_operation
from atoll.bench.load import Done
from atoll.bench.network import SERVERS, rows_of
from atoll.bench.noise import noise_rows, parse_quanta
from atoll.bench.plot import BOOTS, RATES, RATIOS, chart, plots
from atoll.bench.serve import Counters
from atoll.bench.steps import Steps
from atoll.bench.surroundings import parse_surroundings, surroundings_text
from atoll.bench.whole import whole_programs, workload
from atoll.errors import ToolError

EVERYTHING = {"program": {
    "atoll-ring3": {"a <b>": Figure(1234.0, 10.0, 1234.0, 1234.0), "c": Figure(22.0, 1.0, 22.0, 22.0), "d": Figure(60.004, 1.0)},
    "linux": {"a <b>": Figure(5000.0, 20.0, 4900.0, 5010.0)}}}

WRK = """  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.02ms  112.20us   2.05ms   90.1%
  Latency Distribution
     50%  940.00us
     75%    1.02ms
     90%    1.10ms
     99%    1.52s
  8000 requests in 2.01s, 1.03MB read
Requests/sec:   3980.10
"""
REDIS = """"test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95_latency_ms","p99_latency_ms"
"GET","2000.00","0.4","0.1","1.5","2.0","2.5"
"""
MEMCACHED = """Time to generate        500 test keys:                0.001 seconds.
Time to set             500 keys:                     0.035 seconds.
Time to start             4 threads:                  0.000 seconds.
Time to get            2000 keys by    4 threads:     0.035 seconds.
Time total:                                           0.071 seconds.
"""

GUEST = r"""
    .section .note.pvh, "a", @note
    .align 4
    .long 4, 4, 18
    .asciz "Xen"
    .long start
    .text
    .code32
    .globl start
start:
    .byte 0x0f, 0x1f, 0x80, 127, 0x11, 0x70, 0x0a
    movl $3, %ebx
again:
    .byte 0x0f, 0x1f, 0x80, 5, 0x11, 0x70, 0x0a
    movl $LOOPS, %ecx
1:  decl %ecx
    jnz 1b
    .byte 0x0f, 0x1f, 0x80, 133, 0x11, 0x70, 0x0a
    decl %ebx
    jnz again
    .byte 0x0f, 0x1f, 0x80, 0, 0x11, 0x70, 0x0b
    .irp extra, 0, 50, 0, 0
    movl $LOOPS + \extra, %ecx
1:  decl %ecx
    jnz 1b
    .byte 0x0f, 0x1f, 0x80, 1, 0x11, 0x70, 0x0b
    .endr
    .byte 0x0f, 0x1f, 0x80, 2, 0x11, 0x70, 0x0b
    lidt nothing
    int3
nothing:
    .word 0
    .long 0
"""


def build_counted(loops):
    source, program = support.FOLDER / "count.S", support.FOLDER / f"count-{loops}.elf"
    source.write_text(GUEST)
    support.compile_ok("gcc", "-c", f"-DLOOPS={loops}", source, "-o", f"{program}.o")
    support.compile_ok("ld", "-nostdlib", "-z", "noexecstack", "-Ttext=0x100000", "-e", "start",
                       f"{program}.o", "-o", program)
    return program


def counted_command(program, plugin):
    return ["qemu-system-x86_64", "-M", "microvm", "-accel", "tcg,thread=multi", "-display", "none",
            "-nodefaults", "-no-reboot", "-kernel", program, "-plugin", f"{build_plugin()},{plugin}"]


def count(loops):
    """What the plugin writes for a guest that loops: the text of its file."""
    output = support.FOLDER / f"count-{loops}"
    subprocess.run(counted_command(build_counted(loops), f"out={output}"), check=True, timeout=60,
                   capture_output=True)
    return pathlib.Path(output).read_text()


FAKE_TOOL = """#!/usr/bin/python3
import json, sys
words = sys.argv[1:]
name = words[words.index("--program") + 1]
if name == "unknown":
    sys.exit("no program")
if name == "boot" and "--counted" not in words:
    sys.exit("not counted")
rows = [{"program": name, "system": "atoll-ring3", "operation": "x", "value": COST, "nanoseconds": 1}]
open(words[words.index("--json") + 1], "w").write(json.dumps({"rows": rows}))
"""


def git(tree, *words):
    subprocess.run(["git", "-C", tree, "-c", "user.name=a", "-c", "user.email=a@b", *words], check=True,
                   capture_output=True)


def write_fake_revision(tree, cost):
    (tree / "bench/programs").mkdir(parents=True)
    (tree / "bench/programs/x.c").write_text("")
    (tree / compare.COMMAND).parent.mkdir(parents=True)
    (tree / compare.COMMAND).write_text('add("--counted")')
    (tree / "atoll").write_text(FAKE_TOOL.replace("COST", str(cost)))
    (tree / "atoll").chmod(0o755)


class BenchTest(unittest.TestCase):
    # @verifies ATL-LLR-TOOL-0050~1
    def test_plugin_counts_a_known_loop(self):
        few, many = count(1000), count(101000)
        self.assertEqual([line.split()[0] for line in few.splitlines()][:4], ["127", "5", "5", "5"])
        # Two instructions a round; what else is between the marks is the same in both runs.
        difference = parse_counts(many)[5][0] - parse_counts(few)[5][0]
        self.assertEqual(difference, 3 * 2 * 100000)

    # @verifies ATL-LLR-TOOL-0971~2
    def test_counts_are_asked_for_while_it_runs(self):
        path = support.FOLDER / "control"
        process = subprocess.Popen(counted_command(build_counted(2000000000), f"control={path},profile=on"))
        try:
            while not path.exists():
                self.assertIsNone(process.poll())
                time.sleep(0.01)
            counters, before, loops = Counters(path), {0: 0}, []
            while not loops or 0 not in before:  # the firmware comes first
                self.assertIsNone(process.poll())
                before, calls = counters.read()
                loops = [row for row in map(bytes.split, counters.ask(b"p")) if row[3] == b"4975fd"]
            for address, instructions, passes, _ in loops:
                self.assertEqual(int(instructions), 2 * int(passes))
                self.assertGreaterEqual(int(address, 16), 0x100000)
            while counters.read()[0][0] == before[0]:
                self.assertIsNone(process.poll())
            self.assertEqual(calls, 0)
        finally:
            process.kill()
            process.wait()

    # @verifies ATL-LLR-TOOL-0971~2
    def test_calls_are_counted_where_the_kernel_begins(self):
        program, path = build_counted(2000000000), support.FOLDER / "control-entry"
        entry = next(line.split()[0] for line in subprocess.run(["nm", program], capture_output=True, text=True,
                                                                check=True).stdout.splitlines()
                     if line.endswith(" start"))
        process = subprocess.Popen(counted_command(program, f"control={path},entry={entry}"))
        try:
            while not path.exists():
                self.assertIsNone(process.poll())
                time.sleep(0.01)
            counters, calls = Counters(path), 0
            while calls == 0:
                self.assertIsNone(process.poll())
                _, calls = counters.read()
            self.assertEqual(calls, 1)
        finally:
            process.kill()
            process.wait()

    # @verifies ATL-LLR-TOOL-0971~2
    def test_rows_of_a_server(self):
        self.assertEqual(rows_of("x, 2 cores", [3000, 1000], 10, 4, Done(8, 2.0, 20.4, 300.0)), {
            "x, 2 cores": (1000.0, 2e9 / 8),
            "x, 2 cores: gate crossings": (2.5, None),
            "x, 2 cores: per cent of the busiest core": (75, None),
            "x, 2 cores: a second": (4, None),
            "x, 2 cores: microseconds, median": (20, None),
            "x, 2 cores: microseconds, 99 of 100": (300, None)})
        self.assertEqual(list(rows_of("x, 1 core", [3000], 10, 4, Done(8, 2.0))),
                         ["x, 1 core", "x, 1 core: gate crossings", "x, 1 core: a second"])

    # @verifies ATL-LLR-TOOL-1021~1 @robust
    def test_what_load_generators_say(self):
        self.assertEqual(load.parse_wrk(WRK.replace("1.52s", "1.52s  ")), Done(8000, 2.01, 940.0, 1520000.0))
        self.assertEqual(load.parse_redis(REDIS, 500), Done(500, 0.25, 1500.0, 2500.0))
        self.assertEqual(load.parse_memcached(MEMCACHED), Done(2500, 0.07))
        self.assertEqual(load.parse_iperf3('{"end": {"sum_received": {"bytes": 4096, "seconds": 0.5}}}'), Done(4, 0.5))
        for parse, text in ((load.parse_wrk, WRK + "  Socket errors: connect 0, read 1\n"),
                            (load.parse_wrk, WRK + "  Non-2xx or 3xx responses: 1\n"), (load.parse_wrk, ""),
                            (lambda text: load.parse_redis(text, 5), ""), (load.parse_memcached, ""),
                            (load.parse_iperf3, '{"error": "refused"}')):
            self.assertRaises(ToolError, parse, text)

    # @verifies ATL-LLR-TOOL-1022~2 @robust
    def test_lost_frames(self):
        self.assertEqual(load.parse_frames("1000 frames in 0.5 s, 9 lost\n"), Done(1000, 0.5))
        self.assertRaises(ToolError, load.parse_frames, "1000 frames in 0.5 s, 90 lost\n")

    # @verifies ATL-LLR-TOOL-0083~2
    def test_tables_of_servers_are_by_metric(self):
        rows = rows_of("x, 1 core", [3000], 10, 4, Done(8, 2.0))
        several = {"http": {"linux": rows}, "nginx": {"linux": {"y": Figure(1)}}, "boot": {"linux": {"z": Figure(2)}}}
        tables = page.by_metric(several)
        self.assertEqual(list(tables), ["servers: instructions", "servers: gate crossings", "servers: a second", "boot"])
        self.assertEqual(list(tables["servers: instructions"]["linux"]), ["x, 1 core", "y"])

    # @verifies ATL-LLR-TOOL-0083~2
    def test_document_keeps_what_was_not_measured(self):
        text = page.with_tables(f"{page.BEGIN}{page.END}", EVERYTHING, {})
        less = {"program": {system: {"c": Figure(33.0)} for system in EVERYTHING["program"]}}
        merged = page.with_tables(text, {**less, "other": less["program"]}, {}, is_all=False)
        self.assertIn("| a <b> | 1,234 | 5,000 (4,900 to 5,010) |", merged)
        self.assertEqual(merged.count("| c | 33 | 33 |"), 2)
        self.assertNotIn("| c | 22 |", merged)
        self.assertEqual(page.with_tables(merged, {**less, "other": less["program"]}, {}, is_all=False), merged)
        self.assertNotIn("a <b>", page.with_tables(text, less, {}))

    # @verifies ATL-LLR-TOOL-0051~1
    def test_quanta_of_one_core(self):
        quanta = parse_quanta(count(1000))
        self.assertEqual((list(quanta), len(quanta[0])), ([0], 4))
        rows = noise_rows(quanta)
        self.assertEqual(rows["core 0: disturbed of 4 quanta"], 1)
        self.assertEqual(rows["core 0: by 1 to 499"], 1)
        self.assertEqual(rows["core 0: longest"], 100)
        self.assertEqual(rows["core 0: by 10,000 or more"], 0)

    # @verifies ATL-LLR-TOOL-0050~1
    def test_section_of_a_whole_program(self):
        job = Job("x", pathlib.Path("x"), title="all of x")
        self.assertEqual(job.results("its own output, without end of line", "0 500 7\n"),
                         {"all of x": (500.0, 7.0)})
        for row in whole_programs().values():
            for host, _ in workload(row)[1]:
                self.assertTrue(pathlib.Path(host).is_file(), host)

    # @verifies ATL-LLR-TOOL-0050~1
    def test_division(self):
        output = "section 5 10 some thing\nskipped 6 no second core\n"
        counts = parse_counts("127 1000 5\n5 300 20\n5 100 20\n")
        self.assertEqual(per_operation(output, counts), {"some thing": (40.0, 4.0)})
        self.assertEqual(parse_output(output)[1], {6: "no second core"})

    # @verifies ATL-LLR-TOOL-0080~1
    def test_growth_of_a_figure_is_told(self):
        accepted = {"ring": {"same": 100, "grows": 100, "falls": 100, "gone": 7}}
        figures = {"ring": {"same": 105, "grows": 106, "falls": 10, "new": 3}}
        self.assertEqual(differences(accepted, figures), [
            "ring: gone: 7 before, not measured now",
            "ring: grows: 100 before, 106 now (+6.0 %)",
            "ring: new: 3 now, not in the file"])
        self.assertEqual(differences(accepted, accepted), [])

    # @verifies ATL-LLR-TOOL-0081~1
    def test_changes_of_a_revision_by_growth(self):
        old, new = [Figure(100.0, 1.0), Figure(50.0, 1.0)], [Figure(90.0, 1.0), Figure(60.0, 1.0)]
        before = {"p": {"s": {"a": old[0], "b": old[1], "only before": old[0], "no cost": Figure(1.0)}, "t": {"a": old[0]}},
                  "q": {}}
        now = {"p": {"s": {"a": new[0], "b": new[1], "only now": new[0], "no cost": Figure(9.0)}}}
        self.assertEqual(changes(before, now), [("p", "s", "b", old[1], new[1]), ("p", "s", "a", old[0], new[0])])

    # @verifies ATL-LLR-TOOL-0082~1
    def test_page_has_every_number(self):
        text = page.html_page(EVERYTHING, 2)
        self.assertTrue({"1,234", "22", "5,000", "4,900..5,010", "a &lt;b&gt;"} <= set(
            re.findall(r"[\d,.]+\.\.[\d,]+|a &lt;b&gt;|[\d,]+", text)))
        table = text[text.index("<h2>"):]
        self.assertEqual((table.count("<rect"), table.count("<path")), (4, 1))
        self.assertIn("Instructions on Linux for one in ring 3", text)
        self.assertNotIn("http", text)

    # @verifies ATL-LLR-TOOL-1060~1
    def test_the_linux_guest_says_under_what_it_runs(self):
        said = parse_surroundings("[    0.1] noise\nguest kernel: 6.1 #1\nguest huge pages: always [never]\n"
                                  "guest meltdown: Not affected\nguest spectre_v2: Mitigation: a <b>; c\n")
        self.assertEqual(said, {"kernel": "6.1 #1", "huge pages": "always [never]", "spectre_v2": "Mitigation: a <b>; c"})
        text = page.html_page(EVERYTHING, 2, surroundings_text(said))
        self.assertIn("<p>Linux guest: kernel: 6.1 #1; huge pages: always [never]; spectre_v2: Mitigation: a &lt;b&gt;; c</p>",
                      text)

    # @verifies ATL-LLR-TOOL-0083~2
    def test_document_keeps_what_is_around_its_tables(self):
        text = page.with_tables(f"above\n{page.BEGIN}old\n{page.END}below\n", EVERYTHING,
                                {"a <b>": 1000, "c": 30, "d": 60})
        self.assertTrue(text.startswith(f"above\n{page.BEGIN}") and text.endswith(f"{page.END}below\n"))
        self.assertIn("| a <b> | 1,234 | 5,000 (4,900 to 5,010) | 4.1 | 1,000 | short |\n", text)
        self.assertIn("| c | 22 | - |  | 30 | met |\n", text)
        self.assertIn("| d | 60 | - |  | 60 | met |\n", text)
        self.assertNotIn("old", text)
        with self.assertRaises(ToolError):
            page.with_tables("no marks\n", EVERYTHING, {})

    # @verifies ATL-LLR-TOOL-1040~1
    def test_a_boot_is_judged_by_the_bare_image(self):
        boot = {"boot": {system: {"m": Figure(1.0, ms * 1e6)}
                         for system, ms in (("bare", 100), ("atoll-ring3", 131), ("linux", 1310))}}
        for times, wanted in ((1.3, "| 100 | 131 | 1,310 | 10.0 | 130 | short |"), (1.4, "| 10.0 | 140 | met |")):
            text = page.with_tables(page.BEGIN + page.END, boot, {page.BARE: {"m": times}})
            self.assertIn(wanted, text)

    # @verifies ATL-LLR-TOOL-1040~1
    def test_what_is_no_cost_is_not_compared(self):
        counted = {"program": {"atoll-ring3": {"a second": Figure(50.0)}, "linux": {"a second": Figure(10.0)}}}
        self.assertIn("| a second | 50 | 10 |  |  |  |\n", page.with_tables(page.BEGIN + page.END, counted, {}))

    # @verifies ATL-LLR-TOOL-1241~1
    def test_medians_and_spread_of_several_runs(self):
        rows = iter([(100.0, 9e6), (180.0, 1e6), (90.0, 2e6)])

        class Runs(Job):
            def measure(self, system, options):
                return {"x": next(rows)}
        job = Runs("runs", None)
        figure = median_of_runs("linux", job, Options(runs=3), lambda text: None)["x"]
        self.assertEqual(figure, Figure(100.0, 2e6, 90.0, 180.0, 1e6, 9e6))
        self.assertEqual((figure.spread(), figure.spread_of_time()), ((90.0, 180.0), (1e6, 9e6)))
        self.assertIsNone(figure_of([(100.0, None), (100.9, None)]).spread())
        self.assertIsNone(figure_of([(100.0, 1.0)]).spread())
        text = page.with_tables(page.BEGIN + page.END, {"boot": {"atoll-ring3": {"m": figure}}}, {})
        self.assertIn("| m | 100 (90 to 180) |", text)
        self.assertIn("| m: milliseconds to the first output | 2 (1 to 9) |", text)

    # @verifies ATL-LLR-TOOL-1245~1
    def test_plots_of_what_was_measured(self):
        picture = chart("a & b", [("one <", "#111", Figure(50.0, None, 40.0, 100.0)), ("two", "#222", Figure(25.0))])
        self.assertIn('width="180.0" height="14" fill="#111"', picture)
        self.assertIn('width="90.0" height="14" fill="#222"', picture)
        self.assertIn('<path d="M494.0 31H710.0', picture)  # from 40 to 100 of 100
        self.assertIn("one &lt;", picture)
        self.assertEqual(picture.count("<path"), 1)
        self.assertEqual(list(plots(EVERYTHING, True)), [RATIOS])
        self.assertEqual(plots(EVERYTHING, False), {})
        boots = {"boot": {system: {"m": Figure(1.0, 2e6, 1.0, 1.0, 1e6, 3e6)} for system in ("bare", "atoll-ring3", "linux")}}
        self.assertIn("m: ring3", plots(boots, False)[BOOTS])
        servers = {name: {system: {f"{name}: a second": Figure(3.0)} for system in ("atoll-ring3", "linux")} for name in SERVERS}
        self.assertEqual(plots(servers, False)[RATES].count("<rect x"), 2 * len(SERVERS))
        del servers["http"]
        self.assertEqual(plots(servers, False), {})

    # @verifies ATL-LLR-TOOL-1244~1
    def test_steps_tell_how_long_it_takes(self):
        times = iter([10.0, 10.0, 75.0])
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            say = Steps(3, lambda: next(times))
            say("a")
            say("b")
        self.assertEqual(said.getvalue(), "-- 1/3, 0:00: a\n-- 2/3, 1:05, about 2:10 left: b\n")

    # @verifies ATL-LLR-TOOL-1243~1
    def test_what_costs_more(self):
        for old, new, wanted in ((Figure(100.0), Figure(102.0), True), (Figure(100.0), Figure(101.0), False),
                                 (Figure(100.0), Figure(50.0), False),
                                 (Figure(100.0, None, 90.0, 120.0), Figure(130.0, None, 119.0, 140.0), False),
                                 (Figure(100.0, None, 90.0, 120.0), Figure(130.0, None, 121.0, 140.0), True)):
            self.assertEqual(is_regression(old, new), wanted, (old, new))

    # @verifies ATL-LLR-TOOL-1243~1 ATL-LLR-TOOL-0081~1
    def test_a_slower_revision_is_told(self):
        """A scratch repository, whose tool says what a figure costs in its revision."""
        tree = support.FOLDER / "compared"
        write_fake_revision(tree, 100)
        git(tree, "init", "-q")
        git(tree, "add", ".")
        git(tree, "commit", "-q", "-m", "fast")
        now = {"boot": {"atoll-ring3": {"x": Figure(103.0, 1.0)}}, "http": {"atoll-ring3": {"x": Figure(100.0, 1.0)}}}
        with unittest.mock.patch.multiple(compare, ROOT=tree, build_directory=lambda: support.FOLDER / "compared-build"):
            revision = compare.Revision("HEAD", lambda text: None)
            self.assertTrue(revision.can_count())
            before = {name: revision.measure(name, ["atoll-ring3"], Options(is_counted=True)) for name in now}
            self.assertIsNone(revision.measure("unknown", ["atoll-ring3"], Options()))
            self.assertRaises(ToolError, compare.Revision, "nothing", lambda text: None)
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            self.assertEqual(compare.show_changes("HEAD", changes(before, now)), 1)
        self.assertRegex(said.getvalue(), r"x \(atoll-ring3\) +100 +103 +\+3.0 %  costs more\n")
        self.assertRegex(said.getvalue(), r"x \(atoll-ring3\) +100 +100 +\+0.0 %\n")


if __name__ == "__main__":
    unittest.main()
