"""Which categories training never saw, by name, for people to look at: at most 20 of a feature in a bucket.

A space-saving list (Metwally, Agrawal, El Abbadi, ICDT 2005; merged as Agarwal et al., PODS 2012). The exact number of
such rows is the bin `unseen`; the names are beside it to say what they are.

Rules:
- Up to 20 names all counts are exact. Beyond, the rarest are let go: a count may then be too high, by at most the error
  that it carries, and every name with more rows than the `floor` is there.
- Names are never taken back, and beyond 20 what is kept may depend on the order of merging: display only.
- No name is longer than 64 characters; of text, which is no category, there are none.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

MOST_NAMES = 20
LONGEST = 64


class Names(msgspec.Struct, frozen=True, array_like=True):
    """Rows and the most that these may be too many, by name. What is not there has at most `floor` rows."""

    counts: dict[str, tuple[int, int]] = {}
    floor: int = 0


Unseen = Mapping[str, Names]
"""By feature."""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(dict[str, Names])


def largest(counts: Mapping[str, int], floor: int = 0) -> Names:
    """The names with the most rows; `floor`: what any name that is left out beforehand has at most.

    >>> largest({"b": 2, "a": 2, "c": 5}).counts
    {'a': (2, 0), 'b': (2, 0), 'c': (5, 0)}
    """
    return _kept({name: (rows, 0) for name, rows in counts.items()}, floor)


def listed(names: Names) -> list[tuple[str, str]]:
    """Each name with its rows, as people read them, the most frequent first.

    >>> listed(Names({"gold": (7, 2), "trial": (9, 0)}, 2))
    [('trial', '9'), ('gold', '5 to 7')]
    """
    ordered = sorted(names.counts.items(), key=lambda found: (-found[1][0], found[0]))
    return [(name, f"{rows - error:,} to {rows:,}" if error else f"{rows:,}") for name, (rows, error) in ordered]


def merged(one: Unseen, two: Unseen) -> Unseen:
    """The names of both.

    >>> merged({"plan": largest({"gold": 3})}, {"plan": largest({"gold": 1, "trial": 1})})
    {'plan': Names(counts={'gold': (4, 0), 'trial': (1, 0)}, floor=0)}
    """
    both = {feature: _merged(one[feature], two[feature]) for feature in one.keys() & two.keys()}
    return dict(sorted((dict(one) | dict(two) | both).items()))


def encoded(unseen: Unseen) -> bytes:
    """Canonical bytes."""
    return _encoder.encode({feature: unseen[feature] for feature in sorted(unseen)}) if unseen else b""


def decoded(body: bytes) -> Unseen:
    """What `encoded` wrote; ValueError for anything else."""
    return _decoder.decode(body) if body else {}


def _merged(one: Names, two: Names) -> Names:
    absent = (one.floor, one.floor), (two.floor, two.floor)
    found = {}
    for name in one.counts.keys() | two.counts.keys():
        (rows, error), (others, their_error) = one.counts.get(name, absent[0]), two.counts.get(name, absent[1])
        found[name] = rows + others, error + their_error
    return _kept(found, one.floor + two.floor)


def _kept(found: Mapping[str, tuple[int, int]], floor: int) -> Names:
    ordered = sorted(found, key=lambda name: (-found[name][0], name))
    if len(ordered) > MOST_NAMES:
        floor = max(floor, found[ordered[MOST_NAMES]][0])
    return Names({name: found[name] for name in sorted(ordered[:MOST_NAMES])}, floor)
