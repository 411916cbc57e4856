"""Draws tables and their foreign keys as SVG. Pure: boxes and links in, text out.

A small layered layout, so that nobody needs Graphviz: a table stands right of what it points to;
lines that skip a layer get a place of their own in it; the order within a layer is the best of some
barycentre sweeps; heights are settled by least squares. The same input draws the same picture.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from html import escape
from itertools import pairwise

TITLE_H = 22
ROW_H = 16
PAD = 8
GAP_Y = 18
LANE_H = 6
CHAR_W = 6.7
CHAR_W_SMALL = 6.1
MARGIN = 8
#: A line ends level for this long, so that its arrow lies straight.
STUB = 12
SWEEPS = 24


@dataclass(frozen=True)
class Row:
    """A line of a box: a column, or a child table's name."""

    name: str
    detail: str = ""
    key: bool = False


@dataclass(frozen=True)
class Box:
    """A table. ``href`` makes its title a link; a ghost stands for a table of another picture."""

    id: str
    title: str
    rows: tuple[Row, ...] = ()
    href: str = ""
    ghost: bool = False

    @property
    def width(self) -> float:
        """Units of the picture."""
        title = len(self.title) * (CHAR_W + 0.5)
        rows = [len(row.name) * CHAR_W + len(row.detail) * CHAR_W_SMALL + 14 for row in self.rows]
        return round(max([title, *rows]) + 2 * PAD)

    @property
    def height(self) -> float:
        """Units of the picture."""
        return TITLE_H + (len(self.rows) * ROW_H + 4 if self.rows else 0)


@dataclass(frozen=True)
class Link:
    """A line from a row of one box (-1: its title) to another box's title."""

    source: str
    row: int
    target: str
    inherits: bool = False
    nullable: bool = False


@dataclass
class Node:
    """A box in its layer, or the place (``box`` is None) where a line passes through one."""

    id: str
    layer: int
    box: Box | None
    y: float = 0.0
    left: list[tuple[str, float]] = field(default_factory=list)
    right: list[tuple[str, float]] = field(default_factory=list)

    @property
    def height(self) -> float:
        """Units of the picture."""
        return self.box.height if self.box else LANE_H


@dataclass
class Path:
    """The nodes that one line runs through, from the box on the right to the box on the left."""

    link: Link
    nodes: list[str]
    start: float
    end: float
    backwards: bool


def layers(boxes: Iterable[Box], links: Iterable[Link]) -> dict[str, int]:
    """The layer of each box, 0 at the left: one more than that of all it points to.

    Lines that would close a circle are left out of the count. What points to nothing moves as far
    right as those that point to it allow, so that lines stay short.
    """
    ids = [box.id for box in boxes]
    targets: dict[str, list[str]] = {id_: [] for id_ in ids}
    for link in links:
        if link.source != link.target and link.target not in targets[link.source]:
            targets[link.source].append(link.target)
    found: dict[str, int] = {}
    path: list[str] = []

    def visit(id_: str) -> int:
        if id_ not in found:
            path.append(id_)
            below = [visit(target) for target in targets[id_] if target not in path]
            path.pop()
            found[id_] = 1 + max(below, default=-1)
        return found[id_]

    for id_ in ids:
        visit(id_)
    for id_ in ids:
        pointing = [found[source] for source in ids if id_ in targets[source]]
        if not targets[id_] and pointing:
            found[id_] = max(0, min(pointing) - 1)
    return found


def row_y(row: int) -> float:
    """The height, below the box's top, at which a line leaves a row (-1: the title)."""
    return TITLE_H / 2 if row < 0 else TITLE_H + 2 + ROW_H * (row + 0.5)


class Layout:
    """Places boxes and routes links."""

    def __init__(self, boxes: Iterable[Box], links: Iterable[Link]) -> None:
        self.boxes = {box.id: box for box in boxes}
        self.links = list(links)
        layer = layers(self.boxes.values(), self.links)
        count = max(layer.values(), default=0) + 1
        self.columns: list[list[str]] = [[] for _ in range(count)]
        self.nodes: dict[str, Node] = {}
        for box in self.boxes.values():
            self._add(Node(box.id, layer[box.id], box))
        self.paths = [self._path(number, link, layer) for number, link in enumerate(self.links)]
        self._order()
        self._heights()
        self._widths()

    def _add(self, node: Node) -> None:
        self.nodes[node.id] = node
        self.columns[node.layer].append(node.id)

    def _path(self, number: int, link: Link, layer: dict[str, int]) -> Path:
        """The line's nodes from right to left, with lanes in the layers that it skips."""
        source, target = link.source, link.target
        start = row_y(link.row)
        end = row_y(-1)
        backwards = layer[source] <= layer[target]
        if backwards:
            source, target, start, end = target, source, end, start
        nodes = [source]
        for passed in range(layer[source] - 1, layer[target], -1):
            lane = f"lane {number} {passed}"
            self._add(Node(lane, passed, None))
            nodes.append(lane)
        nodes.append(target)
        if layer[source] != layer[target]:
            for index, (right, left) in enumerate(pairwise(nodes)):
                leaves = start if index == 0 else LANE_H / 2
                enters = end if index == len(nodes) - 2 else LANE_H / 2
                self.nodes[right].left.append((left, leaves - enters))
                self.nodes[left].right.append((right, enters - leaves))
        return Path(link, nodes, start, end, backwards)

    def _order(self) -> None:
        """Sweep left and right, sorting each layer by its neighbours; keep the fewest crossings."""
        best, fewest = [list(column) for column in self.columns], self._crossings()
        for sweep in range(SWEEPS):
            rightwards = sweep % 2 == 0
            indices = (
                range(1, len(self.columns)) if rightwards else range(len(self.columns) - 2, -1, -1)
            )
            for index in indices:
                other = self.columns[index - 1 if rightwards else index + 1]
                place = {id_: number for number, id_ in enumerate(other)}
                self.columns[index].sort(key=lambda id_: self._barycentre(id_, place, rightwards))
            crossings = self._crossings()
            if crossings < fewest:
                best, fewest = [list(column) for column in self.columns], crossings
        self.columns = best

    def _barycentre(self, id_: str, place: dict[str, int], leftwards: bool) -> float:
        node = self.nodes[id_]
        near = [place[other] for other, _offset in (node.left if leftwards else node.right)]
        column = self.columns[node.layer]
        return sum(near) / len(near) if near else float(column.index(id_) if id_ in column else 0)

    def _crossings(self) -> int:
        total = 0
        for left, right in pairwise(self.columns):
            place = {id_: number for number, id_ in enumerate(left)}
            pairs = [
                (place[other], -offset) for id_ in right for other, offset in self.nodes[id_].left
            ]
            ends = [end for end, _offset in pairs]
            total += sum(a > b for i, a in enumerate(ends) for b in ends[i + 1 :])
        return total

    def _heights(self) -> None:
        for column in self.columns:
            self._settle(column, [0.0] * len(column))
        for sweep in range(SWEEPS):
            order = self.columns if sweep % 2 else self.columns[::-1]
            for column in order:
                self._settle(column, [self._wanted(self.nodes[id_]) for id_ in column])
        top = min(node.y for node in self.nodes.values())
        for node in self.nodes.values():
            node.y += MARGIN - top

    def _wanted(self, node: Node) -> float:
        """Where the node's lines would be level: the mean over its neighbours."""
        # offset = (height at which the line leaves here) - (height at which it enters there)
        wishes = [self.nodes[other].y - offset for other, offset in node.left + node.right]
        return sum(wishes) / len(wishes) if wishes else node.y

    def _settle(self, column: list[str], wanted: list[float]) -> None:
        """Give the nodes the nearest heights to those wanted, in order, without overlap.

        Pool adjacent violators: the least-squares solution.
        """
        blocks: list[tuple[float, int]] = []  # mean of (wanted - distance from the top), size
        offsets: list[float] = []
        offset = 0.0
        for id_, want in zip(column, wanted, strict=True):
            offsets.append(offset)
            offset += self.nodes[id_].height + GAP_Y
            blocks.append((want - offsets[-1], 1))
            while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
                (upper, upper_n), (lower, lower_n) = blocks[-2], blocks[-1]
                size = upper_n + lower_n
                blocks[-2:] = [((upper * upper_n + lower * lower_n) / size, size)]
        places = [mean for mean, size in blocks for _ in range(size)]
        for id_, distance, place in zip(column, offsets, places, strict=True):
            self.nodes[id_].y = place + distance

    def _widths(self) -> None:
        self.x: list[float] = []
        self.widths: list[float] = []
        x = float(MARGIN)
        for index, column in enumerate(self.columns):
            widths = [self.nodes[id_].box.width for id_ in column if self.nodes[id_].box]  # type: ignore[union-attr]
            width = max(widths, default=20.0)
            lines = sum(len(self.nodes[id_].right) for id_ in column)
            self.x.append(x)
            self.widths.append(width)
            x += width + (min(120, 56 + 3 * lines) if index < len(self.columns) - 1 else 0)
        self.width = x + MARGIN
        self.height = max(node.y + node.height for node in self.nodes.values()) + MARGIN

    def line(self, path: Path) -> str:
        """The ``d`` of an SVG path, from the box that points to the one pointed to."""
        first, last = self.nodes[path.nodes[0]], self.nodes[path.nodes[-1]]
        if first.layer == last.layer:
            return self._loop(path, first, last)
        points: list[tuple[float, float]] = [(self.x[first.layer], first.y + path.start)]
        for id_ in path.nodes[1:-1]:
            lane = self.nodes[id_]
            x, y = self.x[lane.layer], lane.y + LANE_H / 2
            points += [(x + self.widths[lane.layer] + STUB, y), (x, y)]
        # Level from the layer's right edge, past wider boxes above and below, to the box itself.
        y = last.y + path.end
        points.append((self.x[last.layer] + self.widths[last.layer] + STUB, y))
        points.append((self.x[last.layer] + self._box_width(last), y))
        if path.backwards:
            points.reverse()
        parts = [f"M{points[0][0]:.1f} {points[0][1]:.1f}"]
        level = 0 if path.backwards else 1
        for index, (a, b) in enumerate(pairwise(points)):
            if index % 2 == level:
                parts.append(f"L{b[0]:.1f} {b[1]:.1f}")
            else:
                middle = (a[0] + b[0]) / 2
                parts.append(
                    f"C{middle:.1f} {a[1]:.1f} {middle:.1f} {b[1]:.1f} {b[0]:.1f} {b[1]:.1f}"
                )
        return "".join(parts)

    def _box_width(self, node: Node) -> float:
        return node.box.width if node.box else self.widths[node.layer]

    def _loop(self, path: Path, first: Node, last: Node) -> str:
        x_first = self.x[first.layer] + self._box_width(first)
        x_last = self.x[last.layer] + self._box_width(last)
        out = max(x_first, x_last) + 26
        ends = [(x_first, first.y + path.start), (x_last, last.y + path.end)]
        (ax, ay), (bx, by) = reversed(ends) if path.backwards else ends
        return f"M{ax:.1f} {ay:.1f}C{out:.1f} {ay:.1f} {out:.1f} {by:.1f} {bx:.1f} {by:.1f}"


STYLE = """
.erd text{font:11px ui-monospace,"DejaVu Sans Mono",Menlo,Consolas,monospace;
fill:var(--color-foreground-primary,#111)}
.erd .t{font-weight:700;fill:#fff}.erd .h{fill:#2b5c8a}.erd .g .h{fill:#7a8794}
.erd .b{fill:var(--color-background-primary,#fff);stroke:#2b5c8a}
.erd .g .b{stroke:#7a8794;stroke-dasharray:3 3}
.erd .d{font-size:10px;fill:var(--color-foreground-muted,#666);text-anchor:end}
.erd .k{font-weight:700}.erd .l{fill:none;stroke:#4f7ba6;stroke-width:1.3}
.erd .n{stroke-dasharray:5 3}.erd .i{stroke:#8a6d1f}
.erd .a{fill:#4f7ba6}.erd .ai{fill:var(--color-background-primary,#fff);stroke:#8a6d1f}
"""
MARKERS = """<defs>
<marker id="{id}-fk" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" \
orient="auto"><path class="a" d="M0 0L8 4L0 8z"/></marker>
<marker id="{id}-in" viewBox="-1 -1 11 11" refX="9" refY="4.5" markerWidth="10" \
markerHeight="10" orient="auto"><path class="ai" d="M0 0L9 4.5L0 9z"/></marker>
</defs>"""


def draw(boxes: Iterable[Box], links: Iterable[Link], *, title: str, picture_id: str) -> str:
    """The picture as an SVG element."""
    layout = Layout(boxes, links)
    width, height = round(layout.width), round(layout.height)
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    parts = [
        f'<svg class="erd" xmlns="http://www.w3.org/2000/svg" {size}',
        f'role="img" aria-label="{escape(title)}">',
        f"<title>{escape(title)}</title><style>{STYLE}</style>",
        MARKERS.format(id=picture_id),
    ]
    for path in layout.paths:
        kind = "l" + (" i" if path.link.inherits else "") + (" n" if path.link.nullable else "")
        marker = f"{picture_id}-{'in' if path.link.inherits else 'fk'}"
        parts.append(f'<path class="{kind}" d="{layout.line(path)}" marker-end="url(#{marker})"/>')
    for node in layout.nodes.values():
        if node.box:
            parts.append(_box(node.box, layout.x[node.layer], node.y))
    parts.append("</svg>")
    return "\n".join(parts)


def _box(box: Box, x: float, y: float) -> str:
    width, height = box.width, box.height
    title = f'<text class="t" x="{PAD}" y="15">{escape(box.title)}</text>'
    if box.href:
        title = f'<a href="{escape(box.href)}">{title}</a>'
    parts = [
        f'<g class="{"g" if box.ghost else "o"}" transform="translate({x:.1f} {y:.1f})">',
        f'<rect class="b" width="{width}" height="{height}" rx="3"/>',
        f'<rect class="h" width="{width}" height="{TITLE_H}" rx="3"/>{title}',
    ]
    for number, row in enumerate(box.rows):
        base = TITLE_H + 2 + ROW_H * number + 12
        css = ' class="k"' if row.key else ""
        parts.append(f'<text{css} x="{PAD}" y="{base}">{escape(row.name)}</text>')
        if row.detail:
            parts.append(
                f'<text class="d" x="{width - PAD}" y="{base}">{escape(row.detail)}</text>'
            )
    parts.append("</g>")
    return "".join(parts)
