"""The figures that scripts/bench and scripts/neighbours print: medians, ranges and ratios."""

import statistics

RATIO_DIGITS = 3


class Results:
    """The figures by (title, metric): a list a server, and a list of the rounds' ratios."""

    def __init__(self):
        self.rows = {}

    def add(self, title, metric, figures):
        """One round's figures: {"larder": x, "peer": y}; either may be missing."""
        row = self.rows.setdefault((title, metric), {"larder": [], "peer": [], "ratio": []})
        for name, figure in figures.items():
            row[name].append(figure)
        if len(figures) == 2 and figures["peer"]:
            row["ratio"].append(figures["larder"] / figures["peer"])

    def as_json(self):
        return [{"scenario": title, "metric": metric, **row}
                for (title, metric), row in self.rows.items()]

    def print_table(self):
        lines = [("", "", "larder", "(min - max)", "peer", "(min - max)", "ratio", "(min - max)")]
        last_title = None
        for (title, metric), row in self.rows.items():
            cells = [title if title != last_title else "", metric]
            last_title = title
            for name in ("larder", "peer", "ratio"):
                cells += spread_of(row[name], RATIO_DIGITS if name == "ratio" else None)
            lines.append(tuple(cells))
        widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
        for line in lines:
            left = f"{line[0]:<{widths[0]}}  {line[1]:<{widths[1]}}"
            right = "  ".join(f"{cell:>{width}}" for cell, width in zip(line[2:], widths[2:]))
            print(f"{left}  {right}".rstrip())


def spread_of(figures, digits):
    if not figures:
        return ["-", ""]
    def text(figure):
        return f"{figure:.{digits}f}" if digits is not None else number(figure)
    median = text(statistics.median(figures))
    if len(figures) == 1:
        return [median, ""]
    return [median, f"({text(min(figures))} - {text(max(figures))})"]


def number(figure):
    """Three or four digits that matter."""
    size = abs(figure)
    if size >= 1000:
        return f"{figure:,.0f}"
    return f"{figure:.1f}" if size >= 100 else f"{figure:.2f}" if size >= 1 else f"{figure:.3f}"
