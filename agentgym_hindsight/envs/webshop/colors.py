"""The colour words of the official reward.

Before the official rules compare options, they replace a value that contains one of these words by that word; if it
contains several, the first one in the list wins. The word may be inside another word: "standard" becomes "tan", "dark
green" becomes "dark". The strict rules do not use the list.
"""

from __future__ import annotations

from functools import lru_cache

__all__ = ["COLORS", "normalize_color"]

_WORDS = """
    alabaster apricot aqua ash asphalt azure banana beige black blue blush bordeaux bronze brown burgundy camel
    camo caramel champagne charcoal cheetah chestnut chocolate christmas coffee cognac copper coral cranberry
    cream crystal dark denim eggplant elephant espresso fuchsia gold granite grape graphite grass gray green
    grey heather indigo ivory ivy khaki lavender lemon leopard light lilac lime magenta maroon mauve merlot
    midnight mint mocha multicolor mushroom mustard natural navy nude olive orange peach pewter pink plum purple
    rainbow red rose royal rust sand sapphire seashell silver skull slate steel stone stonewash sunflower tan
    taupe teal tiger turquoise violet walnut wheat white wine yellow
"""
#: In alphabetical order, which decides between several words. Official scores depend on this table of the benchmark
#: (princeton-nlp/WebShop, MIT). The table was not compared with the original file; docs/envs/webshop.notes.md says what
#: agrees.
COLORS: tuple[str, ...] = tuple(_WORDS.split())


@lru_cache(maxsize=65536)
def normalize_color(value: str) -> str:
    """The first colour word inside ``value``, or the value itself if there is none.

    >>> normalize_color("navy blue"), normalize_color("standard"), normalize_color("x-large")
    ('blue', 'tan', 'x-large')
    """
    return next((color for color in COLORS if color in value), value)
