# SPDX-License-Identifier: MIT
"""A run's results as plain text, as Markdown and as one page with pictures."""
import html
import re

from peers import TITLES

SCENES = {"qemu": "One guest under QEMU", "socket": "The same without QEMU: two halves joined by a Unix socket"}
CHANNEL_SCENES = {"channels": "VPCBus on a socket, with so many channels open",
                  "channels in QEMU": "VPCBus in the guest, with so many channels open"}
ROWS = (  # quantity, size, what it is called
    ("up", 65536, "to the server"), ("down", 65536, "from the server"), ("both", 65536, "both at once"),
    ("up", 64, "to the server, 64 B"), ("up", 1024, "to the server, 1 KiB"), ("up", 16384, "to the server, 16 KiB"),
    ("up", 1048576, "to the server, 1 MiB"),
    ("turn p50", 64, "round trip, 64 B, p50"), ("turn p99", 64, "round trip, 64 B, p99"), ("turn p99.9", 64, "round trip, 64 B, p99.9"),
    ("beside p50", 64, "beside a stream, 64 B, p50"), ("beside p99", 64, "beside a stream, 64 B, p99"),
    ("beside p99.9", 64, "beside a stream, 64 B, p99.9"),
    ("turn p50", 1024, "round trip, 1 KiB, p50"), ("turn p50", 65536, "round trip, 64 KiB, p50"),
    ("turn p50", 1048576, "round trip, 1 MiB, p50"),
    ("first octet p50", 1, "start to first octet, p50"), ("starts and ends", 1, "starts and ends"),
    ("up, processor of the host", 65536, "processor to the server, host"),
    ("up, processor of the guest", 65536, "processor to the server, guest"),
    ("up, processor of the QEMU", 65536, "processor to the server, QEMU"),
    ("down, processor of the host", 65536, "processor from the server, host"),
    ("down, processor of the guest", 65536, "processor from the server, guest"),
    ("down, processor of the QEMU", 65536, "processor from the server, QEMU"),
    ("resident, host", 1, "memory, host"), ("resident, guest", 1, "memory, guest"),
)
PICTURES = (
    ("up", 65536, "To the server", "MB/s"), ("down", 65536, "From the server", "MB/s"), ("both", 65536, "Both at once", "MB/s"),
    ("turn p50", 64, "Round trip of 64 octets, p50", "us"), ("turn p99", 64, "Round trip, p99", "us"),
    ("beside p99", 64, "Round trip beside a stream, p99", "us"), ("first octet p50", 1, "Start to first octet, p50", "us"),
)
HOSTS = 500


def number(value):
    if value is None:
        return "-"
    for least, form in ((1000, "%.0f"), (100, "%.0f"), (10, "%.1f"), (0.1, "%.2f"), (0, "%.3g")):
        if abs(value) >= least:
            return form % value
    return "%.3g" % value


class Result:
    def __init__(self, result):
        self.result = result
        self.rows = {(row["scene"], row["quantity"], row["size"], row["peer"]): row for row in result["rows"]}

    def peers(self, scene):
        return list(dict.fromkeys(peer for at, _, _, peer in self.rows if at == scene))

    def sizes(self, scene):
        return sorted({size for at, _, size, _ in self.rows if at == scene})

    def quantities(self, scene):
        return list(dict.fromkeys(what for at, what, _, _ in self.rows if at == scene))

    def cell(self, *key):
        row = self.rows.get(key)
        if row is None or row["median"] is None:
            return "-"
        if len([value for value in row["values"] if value is not None]) < 2:
            return number(row["median"])
        return "%s [%s, %s]" % tuple(number(row[what]) for what in ("median", "low", "high"))

    def unit(self, scene, quantity):
        return next((row["unit"] for key, row in self.rows.items() if key[:2] == (scene, quantity)), "")

    def notes(self, scene):
        """The ways that have no value at all, with the reason."""
        for peer in self.peers(scene):
            rows = [row for key, row in self.rows.items() if key[0] == scene and key[3] == peer]
            if all(row["median"] is None for row in rows):
                yield "%s: %s" % (TITLES[peer], next((row["note"] for row in rows if row["note"]), "not measured"))

    def tables(self):
        """(title, columns, rows of cells, notes)"""
        for scene, title in SCENES.items():
            notes = list(self.notes(scene))
            gone = {note.split(":")[0] for note in notes}
            there = [peer for peer in self.peers(scene) if TITLES[peer] not in gone]
            if not self.peers(scene):
                continue
            rows = [["%s, %s" % (name, self.unit(scene, what))] + [self.cell(scene, what, size, peer) for peer in there]
                    for what, size, name in ROWS if not (scene == "socket" and what.endswith("QEMU"))]
            yield title, [""] + [TITLES[peer] for peer in there], rows, notes
        for scene, title in CHANNEL_SCENES.items():
            yield from self.by_size(scene, title, "")
        yield from self.by_size("hosts", "Host endpoints on one machine, idle", " endpoints")

    def by_size(self, scene, title, after):
        sizes = self.sizes(scene)
        shown = [size for size in sizes if any(row["median"] is not None for key, row in self.rows.items()
                                               if key[0] == scene and key[2] == size)]
        notes = ["%d: %s" % (key[2], row["note"]) for key, row in self.rows.items()
                 if key[0] == scene and row["note"] and row["median"] is None]
        if sizes:
            yield (title, [""] + ["%d%s" % (size, after) for size in shown],
                   [[what + (", " + self.unit(scene, what) if self.unit(scene, what) else "")] +
                    [self.cell(scene, what, size, "vpcbus") for size in shown] for what in self.quantities(scene)], notes)


def hosts_of(table):
    """What HOSTS endpoints come to, by a line through one and the most that were measured; the line is compared with the middle."""
    found = {}
    for what in dict.fromkeys(key[1] for key in table.rows if key[0] == "hosts"):
        sizes = sorted(key[2] for key in table.rows if key[:2] == ("hosts", what))
        values = [table.median("hosts", what, size, "vpcbus") for size in sizes]
        if len(sizes) < 3:
            continue
        each = (values[-1] - values[0]) / (sizes[-1] - sizes[0])
        middle = values[0] + each * (sizes[1] - sizes[0])
        found[what] = {"each": each, "of_%d" % HOSTS: values[0] + each * (HOSTS - sizes[0]), "middle": sizes[1],
                       "middle_by_line": middle, "middle_measured": values[1]}
    return found


def host_rows(result):
    units = {row["quantity"]: row["unit"] for row in result["rows"] if row["scene"] == "hosts"}
    return [[what + (", " + units[what] if units[what] else ""), number(at["each"]), number(at["of_%d" % HOSTS]),
             "%s by the line, %s measured" % (number(at["middle_by_line"]), number(at["middle_measured"]))]
            for what, at in result["hosts"].items()]


def all_tables(result):
    yield from Result(result).tables()
    if result["hosts"]:
        middle = next(iter(result["hosts"].values()))["middle"]
        yield ("%d host endpoints, by a line through what was measured" % HOSTS,
               ["", "each more", "%d" % HOSTS, "the line at %d" % middle], host_rows(result), [])
    yield ("Goals", ["goal", "", "measured"], [[goal["goal"], goal["result"], goal["measured"]] for goal in result["goals"]], [])


def head(result):
    at = result["machine"]
    return "%s, %s, %d cores, Linux %s, load %s at first; %d round%s, %d s%s." % (
        result["when"], at["processor"], at["cores"], at["kernel"], at["load"], result["rounds"],
        "s" if result["rounds"] > 1 else "", result["seconds"],
        "; a quick look, which is no measurement" if result["quick"] else "")


def plain(result):
    lines = [head(result), ""]
    for title, columns, rows, notes in all_tables(result):
        widths = [max(len(row[i]) for row in [columns, *rows]) for i in range(len(columns))]
        lines += [title, *("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in [columns, *rows]),
                  *("  " + note for note in notes), ""]
    return "\n".join(lines) + "\n"


def markdown(result):
    lines = [head(result), ""]
    for title, columns, rows, notes in all_tables(result):
        lines += ["**%s**" % title, "", "| %s |" % " | ".join(columns), "|%s" % (" --- |" * len(columns)),
                  *("| %s |" % " | ".join(row) for row in rows), "", *("%s.\n" % note for note in notes)]
    return "\n".join(lines)


# ---- the page -------------------------------------------------------------------------------------------------------

STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1c2733; --faint: #65717d; --line: #d5dbe1; --bar: #9fb3c8; --own: #1f6feb;
  --good: #18794e; --bad: #b42318; }
@media (prefers-color-scheme: dark) { :root { --paper: #12171d; --ink: #e3e8ee; --faint: #98a4b0; --line: #313b46; --bar: #53677c;
  --own: #58a6ff; --good: #4cc38a; --bad: #ff8a80; } }
body { margin: 2rem auto; padding: 0 1rem; max-width: 68rem; background: var(--paper); color: var(--ink);
  font: 15px/1.45 system-ui, sans-serif; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; } p { color: var(--faint); }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: .86rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .25rem .8rem .25rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td + td { white-space: nowrap; } .goals td + td { white-space: normal; } .reached { color: var(--good); } .missed { color: var(--bad); }
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(21rem, 1fr)); gap: 1rem 2rem; }
svg text { font: 12px system-ui, sans-serif; fill: var(--ink); } svg .title { font-weight: 600; } svg .value { fill: var(--faint); }
svg .bar { fill: var(--bar); } svg .own { fill: var(--own); } svg .whisker, svg .axis { stroke: var(--faint); fill: none; }
svg .many { stroke: var(--own); stroke-width: 2; fill: none; } svg circle { fill: var(--own); }
"""
ROW, LEFT, WIDTH, RIGHT = 24, 118, 336, 64
COLUMNS = 3  # of the picture


def bars(title, unit, rows):
    """rows: (name, median, low, high, whether it is ours); the whisker shows the quartiles."""
    most = max(high for _, _, _, high, _ in rows) or 1
    scale = (WIDTH - LEFT - RIGHT) / most
    lines = ['<svg viewBox="0 0 %d %d" role="img" aria-label="%s">' % (WIDTH, 30 + ROW * len(rows), html.escape(title)),
             '<text class="title" x="0" y="14">%s, %s</text>' % (html.escape(title), unit)]
    for i, (name, middle, low, high, own) in enumerate(rows):
        y = 26 + i * ROW
        lines += ['<text x="0" y="%d">%s</text>' % (y + 13, html.escape(name)),
                  '<rect class="%s" x="%d" y="%d" width="%.1f" height="16" rx="2"/>' % ("own" if own else "bar", LEFT, y,
                                                                                       max(middle * scale, 1)),
                  '<path class="whisker" d="M%.1f %dH%.1f"/>' % (LEFT + low * scale, y + 8, LEFT + high * scale),
                  '<text class="value" x="%.1f" y="%d">%s</text>' % (LEFT + high * scale + 5, y + 13, number(middle))]
    return "\n".join([*lines, "</svg>"])


def curve(title, unit, points):
    """points: (number of channels, value); both the numbers and the picture's width grow tenfold by tenfold."""
    most = max(value for _, value in points) or 1
    step = (WIDTH - 60) / max(len(points) - 1, 1)
    places = [(24 + i * step, 120 - 76 * value / most) for i, (_, value) in enumerate(points)]
    lines = ['<svg viewBox="0 0 %d 146" role="img" aria-label="%s">' % (WIDTH, html.escape(title)),
             '<text class="title" x="0" y="14">%s%s</text>' % (html.escape(title), ", " + unit if unit else ""),
             '<path class="axis" d="M16 122H%d"/>' % (WIDTH - 16),
             '<path class="many" d="M%s"/>' % "L".join("%.1f %.1f" % place for place in places)]
    for (x, y), (count, value) in zip(places, points):
        lines += ['<circle cx="%.1f" cy="%.1f" r="3"/>' % (x, y),
                  '<text class="value" x="%.1f" y="%.1f" text-anchor="middle">%s</text>' % (x, y - 7, number(value)),
                  '<text x="%.1f" y="138" text-anchor="middle">%d</text>' % (x, count)]
    return "\n".join([*lines, "</svg>"])


def pictures(result):
    at = Result(result)
    for scene, title in SCENES.items():
        drawn = []
        for what, size, name, unit in PICTURES:
            rows = [(TITLES[peer], row["median"], row["low"], row["high"], peer == "vpcbus")
                    for peer in at.peers(scene) for row in [at.rows.get((scene, what, size, peer))]
                    if row and row["median"] is not None]
            if rows:
                drawn.append(bars(name, unit, rows))
        if drawn:
            yield title, drawn
    for scene, title in CHANNEL_SCENES.items():
        drawn = []
        for what in at.quantities(scene):
            points = [(size, row["median"]) for size in at.sizes(scene) for row in [at.rows.get((scene, what, size, "vpcbus"))]
                      if row and row["median"] is not None]
            if len(points) > 1:
                drawn.append(curve(what, at.unit(scene, what), points))
        if drawn:
            yield title, drawn


def picture(result):
    """The same pictures as one, for a document; each scene begins a row."""
    lines, y = [], 0
    for title, drawn in pictures(result):
        lines.append('<text class="title" x="0" y="%d">%s</text>' % (y + 14, html.escape(title)))
        y += 30
        for at in range(0, len(drawn), COLUMNS):
            boxes = [[int(n) for n in re.search(r'viewBox="0 0 (\d+) (\d+)"', one).groups()] for one in drawn[at:at + COLUMNS]]
            for i, (one, (width, height)) in enumerate(zip(drawn[at:at + COLUMNS], boxes)):
                lines.append(one.replace("<svg ", '<svg x="%d" y="%d" width="%d" height="%d" ' % (i * (WIDTH + 24), y, width, height), 1))
            y += max(height for _, height in boxes) + 16
        y += 14
    width = COLUMNS * (WIDTH + 24)
    return "\n".join(['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d">' % (width, y, width, y),
                      "<style>%s</style>" % STYLE.replace(":root {", "svg {"), '<rect width="100%" height="100%" style="fill: var(--paper)"/>',
                      *lines, "</svg>", ""])


def page(result):
    lines = ["<!DOCTYPE html>", '<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">',
             "<title>VPCBus beside other ways</title><style>%s</style></head><body>" % STYLE,
             "<h1>VPCBus beside other ways into a guest</h1>", "<p>%s</p>" % html.escape(head(result)),
             "<p>Medians; the thin line, or the brackets, are the quartiles. MB is 10<sup>6</sup> octets.</p>"]
    for title, drawn in pictures(result):
        lines += ["<h2>%s</h2>" % html.escape(title), '<div class="pictures">', *drawn, "</div>"]
    for title, columns, rows, notes in all_tables(result):
        lines += ["<h2>%s</h2>" % html.escape(title), '<div class="wide"><table%s>' % (' class="goals"' if title == "Goals" else ""),
                  "<tr>%s</tr>" % "".join("<th>%s</th>" % html.escape(cell) for cell in columns)]
        for row in rows:
            lines.append("<tr>%s</tr>" % "".join('<td%s>%s</td>' % (
                ' class="%s"' % cell if cell in ("reached", "missed") else "", html.escape(cell)) for cell in row))
        lines += ["</table></div>", *("<p>%s</p>" % html.escape(note) for note in notes)]
    return "\n".join([*lines, "</body></html>", ""])
