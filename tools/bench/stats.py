# SPDX-License-Identifier: MIT
"""Medians, spreads and ratios of what was measured in rounds, and the goals that are judged by them."""


def quantile(values, share):
    """The smallest value that at least this share of them does not exceed."""
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    rank = -(-len(ordered) * share // 1)  # rounded up
    return ordered[max(int(rank) - 1, 0)]


def quantile_of_longest(count, longest, share):
    """The quantile of count values of which only the longest ones are known; None where they do not reach so far."""
    below = count - -(-count * share // 1)   # values that may be longer
    return sorted(longest)[-1 - int(below)] if below < len(longest) else None


def median(values):
    ordered = sorted(values)
    if not ordered:
        raise ValueError("no values")
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def spread(values):
    """The quartiles around the median."""
    return quantile(values, 0.25), quantile(values, 0.75)


def ratios(of, to):
    """Of each round in which both were measured: what was taken next to each other is what can be compared."""
    return [a / b for a, b in zip(of, to) if a is not None and b]


class Table:
    """What was measured: values by round for each scene, quantity, size and peer, or why there are none."""

    def __init__(self):
        self.rows = {}

    def row(self, scene, quantity, size, peer, unit):
        key = (scene, quantity, size, peer)
        if key not in self.rows:
            self.rows[key] = {"scene": scene, "quantity": quantity, "size": size, "peer": peer, "unit": unit,
                              "values": [], "note": ""}
        return self.rows[key]

    def add(self, scene, quantity, size, peer, unit, value):
        self.row(scene, quantity, size, peer, unit)["values"].append(value)

    def note(self, scene, quantity, size, peer, unit, text):
        """A round without a value, for a reason."""
        row = self.row(scene, quantity, size, peer, unit)
        row["values"].append(None)
        row["note"] = text

    def values(self, scene, quantity, size, peer):
        row = self.rows.get((scene, quantity, size, peer))
        return row["values"] if row else []

    def median(self, scene, quantity, size, peer):
        values = [value for value in self.values(scene, quantity, size, peer) if value is not None]
        return median(values) if values else None

    def ratio(self, of, to):
        """The median ratio of two rows, and how it was spread; None without a round that has both."""
        found = ratios(self.values(*of), self.values(*to))
        return (median(found), *spread(found)) if found else None

    def why_not(self, *keys):
        for key in keys:
            row = self.rows.get(key)
            if row is None:
                return "not a part of this run"
            if not [value for value in row["values"] if value is not None]:
                return "%s: %s" % (row["peer"], row["note"] or "not measured")
        return "no round has both"

    def json(self):
        result = []
        for row in self.rows.values():
            values = [value for value in row["values"] if value is not None]
            low, high = spread(values) if values else (None, None)
            result.append({**row, "median": median(values) if values else None, "low": low, "high": high})
        return result


class Goal:
    def __init__(self, text, met, measured):
        self.text, self.met, self.measured = text, met, measured

    @property
    def word(self):
        return {True: "reached", False: "missed", None: "not measured"}[self.met]

    def with_note(self, text):
        return Goal(self.text, self.met, self.measured + text)

    def json(self):
        return {"goal": self.text, "result": self.word, "measured": self.measured}


def by_ratio(table, text, of, to, least=None, most=None):
    """A goal for the ratio of two rows."""
    found = table.ratio(of, to)
    if found is None:
        return Goal(text, None, table.why_not(of, to))
    middle, low, high = found
    met = (least is None or middle >= least) and (most is None or middle <= most)
    return Goal(text, met, "%.2f [%.2f to %.2f]" % found)


PORT_GOALS = (
    ("over the port, to the guest: at least the bare relay", "up", "relay", 1.0),
    ("over the port, from the guest: at least the bare relay", "down", "relay", 1.0),
)


def port_goals(table):
    for text, quantity, peer, least in PORT_GOALS:
        yield by_ratio(table, text, ("qemu", quantity, 65536, "vpcbus"), ("qemu", quantity, 65536, peer), least=least)
    yield by_ratio(table, "over the port, round trip of 64 octets: at most 1.10 of the bare relay's",
                   ("qemu", "turn p50", 64, "vpcbus"), ("qemu", "turn p50", 64, "relay"), most=1.10)


def memory_goals(table, has_memory):
    for least, peer, name in ((5, "hostfwd", "hostfwd"), (3, "raw", "the raw port")):
        for quantity, way in (("up", "to"), ("down", "from")):
            text = "over shared memory, %s the guest: at least %d times %s" % (way, least, name)
            if has_memory:
                yield by_ratio(table, text, ("qemu", quantity, 65536, "vpcbus-memory"), ("qemu", quantity, 65536, peer),
                               least=least)
            else:
                yield Goal(text, None, "no such transport yet")


def beside_goals(table):
    for scene, where in (("qemu", "in QEMU"), ("socket", "on a socket")):
        yield by_ratio(table, "p99 of a round trip beside a bulk stream, %s: at most 3 times the idle one" % where,
                       (scene, "beside p99", 64, "vpcbus"), (scene, "turn p99", 64, "vpcbus"), most=3)


def levels(table):
    """How many channels were open in the part that opens many."""
    return sorted(size for scene, quantity, size, _ in table.rows
                  if scene == "channels" and quantity == "start" and table.median(scene, quantity, size, "vpcbus"))


def channel_goals(table, many=10000, senders=1000):
    top = max(levels(table), default=None)
    # Descriptors may end a little below.
    reached = "" if top is None or top >= many * 0.9 else ", with %d open: no more could be opened" % top
    for what in ("start", "event", "end"):
        goal = by_ratio(table, "%s beside %d open channels: at most 1.2 times as beside one" % (what, many),
                        ("channels", what, top, "vpcbus"), ("channels", what + " beside one alone", top, "vpcbus"), most=1.2)
        yield too_few(goal, reached)
    at = ("channels", "senders", senders, "vpcbus")
    yield by_ratio(table, "%d senders on a socket: their sum at least 0.9 of one alone" % senders, at,
                   ("channels", "one sender alone", senders, "vpcbus"), least=0.9).with_note(by_tcp(table, senders))
    yield by_value(table, "%d senders on a socket: the slowest has at least 0.9 of the fastest" % senders,
                   ("channels", "slowest/fastest", senders, "vpcbus"), least=0.9, form="%.2f")
    for side in ("host", "guest"):
        goal = by_value(table, "an idle channel of %d takes at most 2 KiB of the %s" % (many, side),
                        ("channels", "octets per channel, " + side, top, "vpcbus"), most=2048, form="%.0f octets")
        yield too_few(goal, reached)
    for side in ("host", "guest"):
        yield too_few(no_wakeups(table, side, top, many), reached)


def by_tcp(table, senders):
    """What the measuring programs reach without VPCBus between them."""
    many, one = (table.median("channels", "senders by TCP", count, "vpcbus") for count in (senders, 1))
    return "; without VPCBus, by TCP alone, %.2f" % (many / one) if many and one else ""


def by_value(table, text, key, least=None, most=None, form="%g"):
    value = table.median(*key)
    if value is None:
        return Goal(text, None, table.why_not(key))
    return Goal(text, (least is None or value >= least) and (most is None or value <= most), form % value)


def no_wakeups(table, side, top, many):
    """Both endpoints wake up for their heartbeat, however many channels there are: more than that counts."""
    text = "%d idle channels do not wake the %s" % (many, side)
    keys = [("channels", "wake-ups, " + side, size, "vpcbus") for size in (top, 1)]
    with_many, with_one = (table.median(*key) for key in keys)
    if with_many is None or with_one is None:
        return Goal(text, None, table.why_not(*keys))
    return Goal(text, with_many <= with_one + 1, "%.1f a second, %.1f with one" % (with_many, with_one))


def too_few(goal, reached):
    """A goal that was judged with fewer channels than it speaks of is not reached."""
    if goal.met is not None and reached:
        return Goal(goal.text, False, goal.measured + reached)
    return goal


def socket_goals(table):
    for quantity, way in (("up", "to"), ("down", "from")):
        for peer, name, least in (("relay", "two bare relays", 0.8), ("ssh", "ssh -L", 3)):
            yield by_ratio(table, "without QEMU, %s the server: at least %g of %s" % (way, least, name),
                           ("socket", quantity, 65536, "vpcbus"), ("socket", quantity, 65536, peer), least=least)


def goals(table, has_memory=False):
    return [*port_goals(table), *memory_goals(table, has_memory), *beside_goals(table), *channel_goals(table),
            *socket_goals(table)]
