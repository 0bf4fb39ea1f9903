# SPDX-License-Identifier: Apache-2.0
"""How far a measurement has come."""
import sys
import time


def _minutes(seconds):
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


# @impl ATL-LLR-TOOL-1244~1
class Steps:
    """One line for each step when it begins: with how many there are, how long it has taken until now, and how long the
    others will if they are like those before."""

    def __init__(self, total=None, clock=time.monotonic):
        self._total, self._done, self._clock, self._started = total, 0, clock, clock()

    def __call__(self, text):
        print(f"-- {self._place()}{text}", file=sys.stderr, flush=True)
        self._done += 1

    def _place(self):
        if not self._total:
            return ""
        seconds = self._clock() - self._started
        left = f", about {_minutes(seconds / self._done * (self._total - self._done))} left" if self._done else ""
        return f"{self._done + 1}/{self._total}, {_minutes(seconds)}{left}: "
