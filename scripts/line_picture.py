"""A picture of miss ratios by size of memory, as an SVG that is readable in light and in dark.

It shows itself in the colours that the reader's system prefers.
"""

import dataclasses
import math
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 480, 330
LEFT, RIGHT, TOP, BOTTOM = 46, 100, 44, 48
LABEL_GAP = 17
Y_STEP = 0.1

# Texts are large, because a phone shows the picture at three quarters of its size.
STYLE = """
text{font:14px system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;fill:#1f2328}
.title{font-weight:600;font-size:16px}.small{fill:#59636e}
.page{fill:#fff;stroke:#d1d9e0}.grid{stroke:#d1d9e0}
path{fill:none;stroke-width:2}.ring{fill:#fff;stroke-width:1.5}
.a{stroke:#0969da}.b{stroke:#bc4c00}.c{stroke:#6e7781}.d{stroke:#1a7f37}
path.a{stroke-width:3.5}path.c{stroke-dasharray:2 4}path.d{stroke-dasharray:8 4}
text.a,text.b,text.c,text.d{stroke:none}
text.a{fill:#0969da;font-weight:600}text.b{fill:#bc4c00}text.c{fill:#59636e}text.d{fill:#1a7f37}
@media(prefers-color-scheme:dark){
text{fill:#f0f6fc}.small{fill:#a3adb8}.page{fill:#0d1117;stroke:#3d444d}.grid{stroke:#3d444d}
.ring{fill:#0d1117}.a{stroke:#58a6ff}.b{stroke:#f0883e}.c{stroke:#9198a1}.d{stroke:#3fb950}
text.a{fill:#58a6ff}text.b{fill:#f0883e}text.c{fill:#a3adb8}text.d{fill:#3fb950}}
"""


@dataclasses.dataclass
class Line:
    """Points of a line (x, ratio), and rings that are drawn over it; kind: a class of STYLE."""
    label: str
    kind: str
    points: list
    rings: list = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class LinePicture:
    """Miss ratios upwards, from 0; to the right what x_title says, by powers of two."""
    title: str
    description: str
    x_title: str
    lines: list
    x_ticks: list

    def x(self, value):
        first, last = (math.log2(self.x_ticks[i][0]) for i in (0, -1))
        return LEFT + (math.log2(value) - first) / (last - first) * (WIDTH - LEFT - RIGHT)

    def y_max(self):
        highest = max(ratio for line in self.lines for _, ratio in line.points + line.rings)
        return math.ceil(highest / Y_STEP) * Y_STEP

    def y(self, ratio):
        return HEIGHT - BOTTOM - ratio / self.y_max() * (HEIGHT - TOP - BOTTOM)

    def label_places(self):
        """Where the labels stand: as near to the ends of their lines as they can without touching."""
        ends = sorted((self.y(line.points[-1][1]), i) for i, line in enumerate(self.lines))
        places = {}
        lowest = HEIGHT - BOTTOM - LABEL_GAP * (len(ends) - 1)
        before = -math.inf
        for number, (end, i) in enumerate(ends):
            before = max(min(end, lowest + LABEL_GAP * number), before + LABEL_GAP)
            places[i] = before
        return places

    def grid(self):
        for step in range(round(self.y_max() / Y_STEP) + 1):
            at = self.y(step * Y_STEP)
            yield f'<path class="grid" style="stroke-width:1" d="M{LEFT} {at:.1f}H{WIDTH - RIGHT}"/>'
            yield text(LEFT - 6, at + 5, f"{step * Y_STEP:.0%}", "small", "end")
        last = -math.inf
        for value, label in self.x_ticks:
            half = 4.5 * len(label)
            if self.x(value) - half < last + 3:
                continue
            last = self.x(value) + half
            yield text(self.x(value), HEIGHT - BOTTOM + 18, label, "small", "middle")
        yield text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, self.x_title, "small", "middle")

    def drawn(self, line):
        way = "L".join(f"{self.x(x):.1f} {self.y(ratio):.1f}" for x, ratio in line.points)
        yield f'<path class="{line.kind}" d="M{way}"/>'
        for x, ratio in line.rings:
            yield (f'<circle class="ring {line.kind}" cx="{self.x(x):.1f}" '
                   f'cy="{self.y(ratio):.1f}" r="4"/>')

    def svg(self):
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
            f'width="{WIDTH}" height="{HEIGHT}" role="img" aria-labelledby="t d">',
            f'<title id="t">{escape(self.title)}</title>',
            f'<desc id="d">{escape(self.description)}</desc>',
            f"<style>{STYLE}</style>",
            f'<rect class="page" x=".5" y=".5" width="{WIDTH - 1}" height="{HEIGHT - 1}" rx="8"/>',
            text(14, 26, self.title, "title", "start"), *self.grid()]
        for line in self.lines:
            parts += self.drawn(line)
        for i, at in self.label_places().items():
            parts.append(text(WIDTH - RIGHT + 8, at + 5, self.lines[i].label, self.lines[i].kind,
                              "start"))
        return "\n".join(parts) + "\n</svg>\n"


def text(x, y, words, kind, anchor):
    return (f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">'
            f"{escape(words)}</text>")
