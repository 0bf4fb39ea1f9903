# SPDX-License-Identifier: Apache-2.0
"""Threads of CPython: locks, conditions, queues, pools, barriers, thread-local data, timers."""
import concurrent.futures
import queue
import sys
import threading
import zlib

sys.setswitchinterval(0.001)
total, lock = 0, threading.Lock()


def count(times):
    global total
    for _ in range(times):
        with lock:
            total += 1


threads = [threading.Thread(target=count, args=(2000,)) for _ in range(6)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("counted", total)

jobs, done = queue.Queue(maxsize=5), queue.Queue()


def worker():
    while (job := jobs.get()) is not None:
        done.put((job, zlib.crc32(bytes([job % 256]) * 20000)))  # zlib lets others run
        jobs.task_done()


pool = [threading.Thread(target=worker, daemon=True) for _ in range(4)]
for thread in pool:
    thread.start()
for job in range(60):
    jobs.put(job)
jobs.join()
for _ in pool:
    jobs.put(None)
print(sorted(done.get() for _ in range(60))[:3], hash(tuple(range(5))))

with concurrent.futures.ThreadPoolExecutor(4) as executor:
    print(list(executor.map(lambda n: sum(i * i for i in range(n)), range(0, 2000, 250))))
    failing = executor.submit(lambda: 1 // 0)
    print(type(failing.exception()).__name__)

barrier, phases = threading.Barrier(3), [[], [], []]


def party(number):
    for phase in phases:
        phase.append(number)
        barrier.wait()


threads = [threading.Thread(target=party, args=(n,)) for n in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print([sorted(phase) for phase in phases])

local, seen = threading.local(), []


def keep(value):
    local.value = value
    seen.append(local.value)


for value in range(3):
    thread = threading.Thread(target=keep, args=(value,))
    thread.start()
    thread.join()
print(seen, hasattr(local, "value"))

event = threading.Event()
print("not yet", event.wait(0.01))
threading.Timer(0.02, event.set).start()
print("timer", event.wait(30))
condition, items = threading.Condition(), []


def produce():
    for item in range(5):
        with condition:
            items.append(item)
            condition.notify()


producer = threading.Thread(target=produce)
with condition:
    producer.start()
    while len(items) < 5:
        condition.wait()
print(items, threading.active_count() >= 1)
