"""Pictures of products: small drawings in SVG, made here from words and a seed. Nothing is fetched from anywhere.

What is drawn follows from the words of the product; colours follow from its asin, or from the chosen colour where the
shop knows how to draw it. Products of one kind look alike on purpose: a picture tells no more than the text.
"""

from __future__ import annotations

import re
from colorsys import hls_to_rgb
from functools import lru_cache

from markupsafe import Markup

from agentgym_hindsight.envs.webshop.shop_types import Product
from agentgym_hindsight.envs.webshop.site.drawings import FALLBACK, PAINTS, THING_OF, THINGS
from agentgym_hindsight.tasks import seeded_int

__all__ = ["paint_of", "picture", "thing_of"]

_WORD = re.compile(r"[a-z]+")


@lru_cache(maxsize=2048)
def _drawing(thing: str, seed: int, paint: str) -> Markup:
    hue = seed % 360
    h, lightness, saturation = PAINTS.get(paint, (hue, 50, 46))
    colors = {
        "a": _hex(h, lightness, saturation),
        "b": _hex(h, lightness - 16 if lightness > 40 else lightness + 14, saturation),
        "c": _hex(h, min(97, lightness + 26), saturation * 0.8),
    }
    ground = _hex((hue + 180) % 360, 90, 30)
    return Markup(f'<rect width="120" height="120" fill="{ground}"/>{THINGS[thing].format(**colors)}')


def picture(product: Product, color: str = "") -> Markup:
    """The inside of an ``<svg viewBox="0 0 120 120">``: constants and computed colours, no text of the product."""
    return _drawing(
        thing_of(product.query, product.title, product.category), seeded_int("picture", product.asin), paint_of(color)
    )


@lru_cache(maxsize=4096)
def thing_of(query: str, title: str, category: str) -> str:
    """What to draw.

    >>> thing_of("women's sandals", "", "fashion"), thing_of("", "Oak Coffee Table", "garden")
    ('shoe', 'table')
    """
    for text in (query, title):
        # What a thing is comes last: a coffee table is a table.
        for word in reversed(_WORD.findall(text.lower())):
            thing = THING_OF.get(word) or THING_OF.get(word.removesuffix("s")) or THING_OF.get(word.removesuffix("es"))
            if thing:
                return thing
    return FALLBACK.get(category, "box")


def paint_of(color: str) -> str:
    """The colour to draw a chosen colour in, by name; "" where its words are not known.

    >>> paint_of("light grey"), paint_of("multicolor")
    ('grey', '')
    """
    said = [name for name in PAINTS if name in _WORD.findall(color)]
    return said[-1] if said else ""


def _hex(hue: float, lightness: float, saturation: float) -> str:
    rgb = hls_to_rgb(hue / 360, lightness / 100, saturation / 100)
    return "#" + "".join(f"{round(255 * part):02x}" for part in rgb)
