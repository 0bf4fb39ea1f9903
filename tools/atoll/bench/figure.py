# SPDX-License-Identifier: Apache-2.0
"""One number of one operation on one system, of several runs."""
import statistics
import typing

NOTABLE = 0.01  # a spread below it says nothing to a reader


def _notable(middle, lowest, highest):
    if None in (lowest, highest) or highest - lowest <= NOTABLE * abs(middle):
        return None
    return lowest, highest


class Figure(typing.NamedTuple):
    """Medians; of each what was lowest and highest, None where there was one run. nanoseconds: None for what is no cost."""
    value: float
    nanoseconds: float | None = None
    lowest: float | None = None
    highest: float | None = None
    quickest: float | None = None
    slowest: float | None = None

    # @impl ATL-LLR-TOOL-1241~1
    def spread(self):
        """(lowest, highest), or None if nobody needs to see them."""
        return _notable(self.value, self.lowest, self.highest)

    # @impl ATL-LLR-TOOL-1241~1
    def spread_of_time(self):
        return None if self.nanoseconds is None else _notable(self.nanoseconds, self.quickest, self.slowest)

    def bounds(self):
        """(lowest, highest) of the value; itself where there was one run."""
        return (self.value if self.lowest is None else self.lowest, self.value if self.highest is None else self.highest)


# @impl ATL-LLR-TOOL-1241~1
def figure_of(rows):
    """The Figure of [(value, nanoseconds or None)], one for each run."""
    values, times = [row[0] for row in rows], [row[1] for row in rows if row[1] is not None]
    several = len(rows) > 1
    return Figure(statistics.median(values), statistics.median(times) if times else None,
                  *((min(values), max(values)) if several else (None, None)),
                  *((min(times), max(times)) if several and times else (None, None)))
