# SPDX-License-Identifier: Apache-2.0
"""Pictures of figures, as SVG: bars, each with a line from the lowest to the highest of its runs."""
import html
import math

from atoll.bench.figure import Figure
from atoll.bench.network import RATE, SERVERS

COLOURS = {"bare": "#8a8a8a", "atoll-ring0": "#2a7f62", "atoll-ring3": "#1f5fa8", "linux": "#b8622c"}
RATIOS, BOOTS, RATES = "benchmarks.svg", "benchmarks-boot.svg", "benchmarks-servers.svg"
NAMESPACE = ' xmlns="http://www.w3.org/2000/svg"'  # a file needs it, a part of a page does not
WIDTH = 360  # of the bars
NAMES_WIDTH, VALUES_WIDTH, LINE = 350, 130, 20


def _rectangle(x, y, width, height, colour, title=""):
    return (f'<rect x="{x}" y="{y}" width="{max(1.0, width):.1f}" height="{height}" fill="{colour}">'
            f"<title>{html.escape(title)}</title></rect>")


# @impl ATL-LLR-TOOL-1241~1
def _whisker(figure, x, y, length):
    """Nothing where the spread is nothing. length: of a value."""
    if figure.spread() is None:
        return ""
    first, last = (x + length(value) for value in figure.spread())
    return f'<path d="M{first:.1f} {y}H{last:.1f}M{first:.1f} {y - 3}v6M{last:.1f} {y - 3}v6" stroke="#1c1c1c" fill="none"/>'


def _longest(figures):
    return max((figure.bounds()[1] for figure in figures), default=0) or 1


def bars(rows):
    """An SVG with one bar for each (system, Figure), the longest over the whole width."""
    longest = _longest([figure for _, figure in rows])

    def length(value):
        return WIDTH * value / longest
    drawn = "".join(_rectangle(0, 9 * i, length(figure.value), 7, COLOURS[system], f"{system}: {figure.value:,.0f}")
                    + _whisker(figure, 0, 9 * i + 3.5, length) for i, (system, figure) in enumerate(rows))
    return f'<svg width="{WIDTH}" height="{9 * len(rows)}" role="img">{drawn}</svg>'


# @impl ATL-LLR-TOOL-1245~1
def chart(title, rows, is_logarithmic=False):
    """An SVG that stands alone. rows: [(name, colour, Figure)]."""
    most = _longest([figure for _, _, figure in rows])

    def length(value):
        if is_logarithmic:
            return WIDTH * math.log10(max(value, 1)) / (math.log10(max(most, 1)) or 1)
        return WIDTH * value / most
    parts = [f'<text x="8" y="14">{html.escape(title)}</text>']
    for i, (name, colour, figure) in enumerate(rows):
        y, right = LINE * i + 24, NAMES_WIDTH + max(length(figure.value), length(figure.bounds()[1])) + 6
        text = f"{figure.value:.2g}" if figure.value < 100 else f"{figure.value:,.0f}"
        parts += [f'<text x="{NAMES_WIDTH - 8}" y="{y + 11}" text-anchor="end">{html.escape(name)}</text>',
                  _rectangle(NAMES_WIDTH, y, length(figure.value), 14, colour, name),
                  _whisker(figure, NAMES_WIDTH, y + 7, length), f'<text x="{right:.1f}" y="{y + 11}">{text}</text>']
    return (f'<svg{NAMESPACE} width="{NAMES_WIDTH + WIDTH + VALUES_WIDTH}" '
            f'height="{LINE * len(rows) + 30}" font-family="sans-serif" font-size="12">\n'
            '<rect width="100%" height="100%" fill="white"/>\n' + "\n".join(filter(None, parts)) + "\n</svg>\n")


# @impl ATL-LLR-TOOL-1040~1
def times_cheaper(results, name):
    """What Linux takes by what ring 3 takes; None unless both have it, as a cost."""
    ratio = _ratio(results, name)
    return ratio and ratio.value


def _ratio(results, name):
    ours, theirs = (results.get(system, {}).get(name) for system in ("atoll-ring3", "linux"))
    if not (ours and theirs and ours.value and ours.nanoseconds is not None):
        return None
    (our_lowest, our_highest), (their_lowest, their_highest) = ours.bounds(), theirs.bounds()
    return Figure(theirs.value / ours.value, None, their_lowest / our_highest, their_highest / (our_lowest or ours.value))


def milliseconds(figure):
    """The Figure of its time."""
    low, high = figure.quickest, figure.slowest
    return Figure(figure.nanoseconds / 1e6, None, low and low / 1e6, high and high / 1e6)


def _systems_rows(results, figure_of_row):
    """A bar for each system that has the name, the systems of one name side by side."""
    names = dict.fromkeys(name for rows in results.values() for name in rows)
    return [(f"{name}: {system.removeprefix('atoll-')}", COLOURS[system], figure_of_row(results[system][name]))
            for name in names for system in results if name in results[system]]


# @impl ATL-LLR-TOOL-1245~1
def plots(everything, is_all):
    """{file name: SVG} of what was measured whole; is_all: everything was that there is to measure."""
    drawn = {}
    ratios = [(name, COLOURS["atoll-ring3" if ratio.value >= 1 else "linux"], ratio) for results in everything.values()
              for name in results.get("atoll-ring3", {}) if (ratio := _ratio(results, name))]
    if is_all and ratios:
        drawn[RATIOS] = chart("Instructions on Linux for one in ring 3 of Atoll (logarithmic; higher is better)", ratios, True)
    boot = everything.get("boot", {})
    if {"bare", "linux", "atoll-ring3"} <= set(boot):
        drawn[BOOTS] = chart("Milliseconds to the first output (less is better)", _systems_rows(boot, milliseconds))
    rates = {}
    for program in SERVERS:
        for system, rows in everything.get(program, {}).items():
            rates.setdefault(system, {}).update((name.removesuffix(f": {RATE}"), figure) for name, figure in rows.items()
                                                if name.endswith(f": {RATE}"))
    if rates and set(SERVERS) <= set(everything) and {"linux", "atoll-ring3"} <= set(rates):
        drawn[RATES] = chart("Operations a second (more is better)", _systems_rows(rates, lambda figure: figure))
    return drawn
