"""The option axes of the products of the embedded shop, and their values.

Counts follow the 1,000 official products: 58 % have no axis, a colour axis has 6.2 values on average, a size axis 5.5,
and a few axes have dozens. No value has a colour name inside another word ("standard" contains "tan"): the official
rules would replace it by the colour, and its goal could not be reached.
"""

from __future__ import annotations

from collections.abc import Sequence

from agentgym_hindsight.envs.webshop.seeds import Draws
from agentgym_hindsight.envs.webshop.vocabulary import words

__all__ = ["axes_of", "family_values"]

Axes = tuple[str, ...]

_NONE: Axes = ()
#: Axes and their weights, by profile if it has an entry, otherwise by category.
_AXES: dict[str, tuple[tuple[Axes, float], ...]] = {
    "fashion": (
        (("Size", "Color"), 67),
        (("Color", "Size"), 44),
        (_NONE, 43),
        (("Size",), 28),
        (("Color",), 7),
    ),
    "shirt": (
        (("Size", "Color"), 12),
        (("Color", "Size"), 8),
        (_NONE, 7),
        (("Size",), 4),
        (("Fit Type", "Color", "Size"), 12),
        (("Color",), 2),
    ),
    "electronics": (
        (_NONE, 179),
        (("Color",), 30),
        (("Size",), 6),
        (("Style",), 5),
        (("Size", "Color"), 5),
        (("Style", "Color"), 2),
    ),
    "garden": (
        (_NONE, 110),
        (("Color",), 49),
        (("Size",), 26),
        (("Size", "Color"), 12),
        (("Color", "Size"), 11),
        (("Size", "Style"), 3),
    ),
    "grocery": ((_NONE, 88), (("Size",), 10), (("Flavor Name",), 9), (("Flavor Name", "Size"), 7), (("Style",), 2)),
    "beauty": (
        (_NONE, 67),
        (("Color",), 37),
        (("Size",), 8),
        (("Style",), 3),
        (("Color", "Size"), 4),
        (("Size", "Color"), 4),
    ),
    "liquid": ((_NONE, 84), (("Size",), 15), (("Scent",), 6), (("Scent", "Size"), 2), (("Style",), 2)),
    "scent": ((_NONE, 6), (("Size",), 3), (("Scent",), 2)),
}
_CLOTHES = words("x-small|small|medium|large|x-large|xx-large|3x-large|4x-large|5x-large|6x-large")
_SIZES: dict[str, tuple[str, ...]] = {
    "clothes": _CLOTHES,
    "shirt": _CLOTHES[1:],
    "shoes": tuple(f"{n / 2:g}" + wide for n in range(10, 28) for wide in ("", " wide")),
    "liquid": tuple(f"{n:g} fl oz (pack of {p})" for p in (1, 2, 3) for n in (1, 1.7, 2, 3.4, 4, 6, 8, 12, 16, 33.8)),
    "scent": ("0.17 fl oz", "0.33 fl oz", "0.5 fl oz", "1 fl oz", "1.7 fl oz", "2.5 fl oz", "3.4 fl oz", "6.8 fl oz"),
    "makeup": tuple(f"{n} pieces" for n in (1, 2, 3, 4, 5, 6, 8, 10, 12, 18)),
    "oral": tuple(f"{n} count (pack of {p})" for p in (1, 2, 3) for n in (1, 2, 4, 6, 12)),
    "tool": ("mini", "small", "medium", "large", "set of 2", "set of 4", "set of 6", "set of 12"),
    "hairpiece": tuple(f"{n} inch" for n in range(8, 32, 2)),
    "accessory": tuple(f"for {n:.1f} inch" for n in (4.7, 5.4, 5.5, 5.8, 6.1, 6.4, 6.5, 6.7, 6.8)),
    "memory": ("16gb", "32gb", "64gb", "128gb", "256gb", "512gb", "1tb", "2tb", "4tb"),
    "cable": tuple(f"{n:g} ft (pack of {p})" for p in (1, 2, 3) for n in (1.5, 3, 6, 6.6, 10, 15, 25, 50)),
    "plain": tuple(f"{n:g} inch" for n in (5, 6.5, 7, 9, 10, 12, 24, 27, 32, 40, 43, 50, 55, 65, 75)),
    "band": ("38mm | 40mm | 41mm", "42mm | 44mm | 45mm", "small", "large", "20mm", "22mm"),
    "textile": (
        *("twin", "twin xl", "full", "queen", "king", "california king"),
        *(f'{a}" x {b}"' for a, b in ((16, 16), (18, 18), (20, 20), (24, 24), (28, 28), (30, 40), (50, 60), (60, 80))),
    ),
    "furniture": (
        *("twin", "full", "queen", "king", "set of 1", "set of 2", "set of 4"),
        *(f"{n} inch" for n in (24, 30, 36, 40, 47, 48, 55, 60, 63, 70, 72)),
    ),
    "picture": tuple(
        f"{a}x{b} inch" for a, b in ((8, 10), (8, 12), (12, 16), (12, 18), (16, 20), (16, 24), (20, 30), (24, 36))
    )
    + tuple(f"{a}x{b} inch x {n} pieces" for n in (2, 3, 4) for a, b in ((8, 12), (12, 16), (16, 24), (20, 30))),
    "window": tuple(f'{a}"w x {b}"l' for a in (26, 34, 42, 52, 60, 72, 100) for b in (36, 45, 54, 63, 72, 84, 96)),
    "fixture": tuple(f"{n}-light" for n in (1, 2, 3, 4, 5, 6, 8, 9, 12)),
    "container": ("small", "medium", "large", "x-large", "2 tier", "3 tier", "4 tier", "5 tier", "6 tier", "8 cube"),
    "yard": ("2 piece", "3 piece", "4 piece", "5 piece", "7 piece", "6 ft", "7.5 ft", "9 ft", "10 ft", "11 ft"),
    "pack": (*(f"pack of {n}" for n in (1, 2, 3, 4, 6, 8, 10, 12, 24)), "10 inch", "12 inch", "60 x 84 inch"),
    "jewelry": ("small", "medium", "large", "14 inches", "16 inches", "18 inches", "20 inches", "24 inches"),
    "snack": tuple(f"{n:g} ounce (pack of {p})" for p in (1, 2, 3, 4, 6, 12) for n in (1, 1.5, 3, 4.5, 6, 8, 12)),
    "drink": tuple(f"{n:g} fl oz (pack of {p})" for p in (1, 2, 4, 6, 12, 24) for n in (8, 11, 12, 16, 33.8)),
    "pantry": tuple(f"{n:g} ounce (pack of {p})" for p in (1, 2, 3, 6, 12) for n in (4, 8, 10.5, 15, 24, 32)),
}

_COLORS = words(
    "black|white|grey|navy|blue|red|green|pink|purple|beige|brown|khaki|orange|yellow|teal|burgundy|ivory|wine|gold|"
    "silver|rose gold|light blue|dark grey|dark green|sky blue|royal blue|army green|light grey|coffee|"
    "coral|champagne|"
    "turquoise|mint|olive|charcoal|cream|rust|taupe|peach|lavender|plum|mustard|dark blue|hot pink|"
    "light brown|natural|"
    "espresso|walnut|bronze|copper|maroon|multicolor|denim blue|camel|mauve|sage green|emerald green|clear|apricot"
)
_PATTERNS = words(
    "floral|stripes|plaid|polka dot|geometric|marble|tie dye|leaf|butterfly|moon and stars|cat face|"
    "palm trees|ocean wave|"
    "snowflake|vine|daisy|paisley|chevron|zigzag|camo|bear|owl|fox|deer|old map|city view|sunset|cactus|"
    "feather|dragonfly"
)
_SCENES = words(
    "by the lake|in the snow|at night|with flowers|on wood|for two|in spring|with books|under the moon|on a hill|"
    "with birds|in the rain|at the beach|with a bicycle|in the fog|on the road"
)
_FLAVORS = {
    "snack": "sea salt|honey|dark chocolate|chili lime|cheddar|sour cream|cinnamon|maple|strawberry|mango|coconut|"
    "peanut butter|caramel|salted caramel|hickory smoke|jalapeno|variety pack|original|sweet potato|apple cinnamon",
    "drink": "vanilla|hazelnut|dark roast|medium roast|lemon|peach|strawberry|mango|raspberry|ginger|chai spice|"
    "orange|cherry|coconut|mocha|caramel|original|variety pack|hibiscus|honey",
    "pantry": "original|garlic|roasted garlic|chili|sweet chili|basil|lemon|smoky|teriyaki|honey mustard|mild|hot|"
    "extra hot|truffle|onion|curry|vanilla|chocolate|cinnamon|variety pack",
}
_STYLES = {
    "grocery": "single pack|family pack|gift box|sampler|refill bag|bulk box",
    "electronics": "basic|with charger|with case|bundle|pro|classic|two pack|refurbished kit|with remote|travel kit",
    "garden": "modern|farmhouse|classic|country|coastal|square|round|oval|without cushion|with cushion|runner",
    "fashion": "classic|modern|vintage|slim|loose|crew neck|v neck",
    "beauty": "a|b|c|d|straight|curved|kit|refill|single|duo|bundle|gift box|classic",
}
_SCENTS = words(
    "lavender|vanilla|coconut|lemon|eucalyptus|ocean breeze|cherry blossom|jasmine|fragrance free|honey|citrus|rose|"
    "sweet almond|fresh linen|sea salt|mango|white tea"
)
_FITS = (("men", "women"), ("men", "women", "youth"), ("men", "women", "youth"), ("regular", "slim"))

_FEW = ((2, 20), (3, 18), (4, 14), (5, 12), (6, 8), (7, 6), (8, 5), (10, 4), (12, 3), (16, 2), (24, 1.5), (40, 0.5))
_COLOR_COUNTS = ((2, 19), (3, 17), (4, 14), (5, 10), (6, 7), (7, 6), (8, 5), (9, 3), (11, 5), (14, 5), (20, 4), (45, 1))
_FASHION_COLOR_COUNTS = (
    (2, 8),
    (3, 13),
    (4, 14),
    (5, 14),
    (6, 11),
    (8, 16),
    (10, 9),
    (13, 8),
    (20, 5),
    (30, 2),
    (45, 1),
)
_SIZE_COUNTS = {
    "clothes": ((4, 6), (5, 20), (6, 24), (7, 14), (8, 16), (9, 8), (10, 12)),
    "shirt": ((5, 18), (6, 24), (7, 18), (8, 22), (9, 18)),
    "shoes": ((4, 8), (5, 14), (6, 14), (7, 16), (8, 14), (10, 14), (12, 12), (16, 6), (24, 2)),
    "window": ((2, 24), (3, 20), (4, 16), (5, 12), (6, 10), (8, 8), (12, 5), (24, 2), (40, 1)),
}


def axes_of(category: str, profile: str, position: float) -> Axes:
    """The axes of a family, in the order of its pages. ``position`` (0–1) is a position in the cumulative weights."""
    rows = _AXES.get(profile) or _AXES[category]
    remaining = position * sum(weight for _, weight in rows)
    for axes, weight in rows:
        remaining -= weight
        if remaining < 0:
            return axes
    return rows[-1][0]


def family_values(rng: Draws, axis: str, category: str, profile: str) -> list[str]:
    """The values of a family on an axis. Its members offer all of them or a part."""
    if axis == "Size":
        return _neighbouring_sizes(rng, _SIZES[profile], rng.weighted(_SIZE_COUNTS.get(profile, _FEW)))
    if axis == "Color":
        counts = _FASHION_COLOR_COUNTS if category == "fashion" else _COLOR_COUNTS
        return _colors(rng, rng.weighted(counts), patterned=profile in ("picture", "textile", "accessory"))
    if axis == "Fit Type":
        return list(rng.pick(_FITS))
    if axis == "Scent":
        return rng.sample(_SCENTS, rng.weighted(((2, 6), (3, 3), (5, 1))))
    known = words(_FLAVORS[profile] if axis == "Flavor Name" else _STYLES[category])
    return rng.sample(known, rng.weighted(_FEW))


def _neighbouring_sizes(rng: Draws, scale: Sequence[str], count: int) -> list[str]:
    """Neighbouring sizes, as in real shops."""
    count = min(count, len(scale))
    first = rng.below(len(scale) - count + 1)
    return list(scale[first : first + count])


def _colors(rng: Draws, count: int, *, patterned: bool) -> list[str]:
    """Colour values: plain names, or sellers' variants with codes, pairs, numbers or patterns."""
    form = rng.weighted(((0, 55), (1, 14), (2, 12), (3, 10), (4, 30 if patterned else 6)))
    if form == 0 and count <= 30:
        return rng.sample(_COLORS, count)
    letter, values = "abcdefgh"[rng.below(8)], dict[str, None]()
    while len(values) < count:
        color = rng.pick(_COLORS)
        if form == 1:
            name = f"{letter}{len(values) + 1}-{color}"
        elif form == 2:
            name = f"{color} & {rng.pick(_COLORS)}"
        elif form == 3:
            name = f"{rng.pick(_PATTERNS)} {color}"
        elif form == 4:
            name = f"{rng.pick(_PATTERNS)} {rng.pick(_SCENES)}" if patterned else f"{rng.pick(_PATTERNS)} {color}"
        else:
            name = f"{color} {len(values) + 1}"
        values[name] = None
    return list(values)
