#!/usr/bin/env python3
"""Draws the figures of the benchmark `peers` as an SVG that reads on a light page and on a dark one.

    cargo bench --bench peers -- --json benches/peers.json
    python3 benches/picture.py benches/peers.json benches/peers.svg

Each row is one operation. The scale tells how many times as long as the best peer somebody takes; the filled dot is this crate.
"""

import json
import math
import sys
from xml.sax.saxutils import escape

OURS = "deferral"
# What no peer is: other flavors of this crate, and what does the work without any promise.
NO_PEERS = ("deferral", "a plain loop")

WIDTH = 1110
LEFT, RIGHT = 410, 790  # of the scale
ROW, TOP, BOTTOM = 24, 66, 14
LEAST, MOST = 1 / 4, 16  # what the scale shows; what is beyond sits at its end

STYLE = """
    text { font: 13px system-ui, sans-serif; fill: #1f2328; }
    .small { font-size: 11px; fill: #59636e; }
    .grid { stroke: #d1d9e0; }
    .best { stroke: #59636e; }
    .range { stroke: #d1d9e0; stroke-width: 2; }
    .peer { fill: #ffffff; stroke: #818b98; stroke-width: 1.5; }
    .ours { fill: #0969da; }
    .limit { stroke: #bc4c00; stroke-width: 2; }
    @media (prefers-color-scheme: dark) {
      text { fill: #f0f6fc; }
      .small { fill: #9198a1; }
      .grid, .range { stroke: #3d444d; }
      .best { stroke: #9198a1; }
      .peer { fill: #0d1117; stroke: #9198a1; }
      .ours { fill: #4493f8; }
      .limit { stroke: #db6d28; }
    }
"""


def is_peer(name):
    return not name.startswith(NO_PEERS)


def x_of(ratio):
    place = math.log(min(max(ratio, LEAST), MOST) / LEAST) / math.log(MOST / LEAST)
    return LEFT + place * (RIGHT - LEFT)


def amount(value, unit):
    """Three digits are all that a median is good for."""
    if unit != "ns":
        return f"{value:,.0f} {unit}"
    for size, name in ((1e6, "ms"), (1e3, "µs")):
        if value >= size:
            return f"{value / size:.3g} {name}"
    return f"{value:.3g} ns"


def text(x, y, content, kind="", anchor="start"):
    kind = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.0f}" y="{y:.0f}"{kind} text-anchor="{anchor}">{escape(content)}</text>'


def line(kind, x1, y1, x2, y2):
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def dot(kind, x, y, radius, title):
    return f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="{radius}"><title>{escape(title)}</title></circle>'


def limit_of(row, best):
    """What we set ourselves, in the row's unit."""
    if row["limit"] is None:
        return None
    limit, peer = row["limit"]
    return limit if row["unit"] == "bytes" else limit * dict(row["contestants"]).get(peer, best)


def draw_row(row, y):
    """The row whose middle is at `y`."""
    (_, ours), *others = row["contestants"]
    peers = [(name, value) for name, value in others if is_peer(name)]
    name_of_best, best = min(peers, key=lambda peer: peer[1])
    places = [x_of(value / best) for _, value in peers] + [x_of(ours / best)]
    limit = limit_of(row, best)

    yield text(LEFT - 16, y + 4, row["name"], anchor="end")
    yield line("range", min(places), y, max(places), y)
    for name, value in peers:
        yield dot("peer", x_of(value / best), y, 4, f"{name}: {amount(value, row['unit'])}")
    if limit is not None:
        yield line("limit", x_of(limit / best), y - 8, x_of(limit / best), y + 8)
    yield dot("ours", x_of(ours / best), y, 5.5, f"{OURS}: {amount(ours, row['unit'])}")
    yield text(RIGHT + 70, y + 4, amount(ours, row["unit"]), anchor="end")
    yield text(RIGHT + 86, y + 4, f"{amount(best, row['unit'])}, {name_of_best}", "small")


def draw_scale(height):
    ratio = LEAST
    while ratio <= MOST:
        x = x_of(ratio)
        yield line("best" if ratio == 1 else "grid", x, TOP - 10, x, height - BOTTOM)
        yield text(x, TOP - 16, f"{ratio:g}×", "small", "middle")
        ratio *= 2


def draw_key():
    """What the marks mean."""
    yield text(LEFT, 20, "Times as long as the best peer takes; to the left is better", anchor="start")
    yield text(RIGHT + 70, TOP - 16, OURS, "small", "end")
    yield text(RIGHT + 86, TOP - 16, "the best peer", "small")
    x = 16
    for mark, label, width in (
        (lambda: dot("ours", x, 16, 5.5, OURS), OURS, 80),
        (lambda: dot("peer", x, 16, 4, "a peer"), "a peer", 80),
        (lambda: line("limit", x, 8, x, 24), "the limit we set ourselves", 0),
    ):
        yield mark()
        yield text(x + 12, 20, label, "small")
        x += width


def draw(rows):
    rows = [row for row in rows if any(is_peer(name) for name, _ in row["contestants"][1:])]
    height = TOP + ROW * len(rows) + BOTTOM
    yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">'
    yield f"<title>{OURS} beside its peers</title>"
    yield f"<style>{STYLE}</style>"
    yield from draw_scale(height)
    yield from draw_key()
    for n, row in enumerate(rows):
        yield from draw_row(row, TOP + ROW * n + ROW / 2)
    yield "</svg>"


def main():
    if len(sys.argv) != 3:
        sys.exit(f"usage: {sys.argv[0]} FIGURES.json PICTURE.svg")
    figures, picture = sys.argv[1:]
    try:
        with open(figures, encoding="utf-8") as file:
            rows = json.load(file)
        with open(picture, "w", encoding="utf-8") as file:
            file.writelines(f"{part}\n" for part in draw(rows))
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
