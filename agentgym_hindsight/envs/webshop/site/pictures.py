"""Pictures of products: small SVG drawings. Nothing is downloaded.

The drawing depends on the words of the product, its colours on the ASIN or on the chosen colour if that is known.
Products of one kind look alike on purpose: a picture must not contain more information than the text.
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
    background = _hex((hue + 180) % 360, 90, 30)
    return Markup(f'<rect width="120" height="120" fill="{background}"/>{THINGS[thing].format(**colors)}')


def picture(product: Product, color: str = "") -> Markup:
    """The content of an ``<svg viewBox="0 0 120 120">``: constants and computed colours, no text of the product."""
    return _drawing(
        thing_of(product.query, product.title, product.category), seeded_int("picture", product.asin), paint_of(color)
    )


@lru_cache(maxsize=4096)
def thing_of(query: str, title: str, category: str) -> str:
    """The name of the drawing for a product.

    >>> thing_of("women's sandals", "", "fashion"), thing_of("", "Oak Coffee Table", "garden")
    ('shoe', 'table')
    """
    for text in (query, title):
        # The last known word decides: a coffee table is a table.
        for word in reversed(_WORD.findall(text.lower())):
            thing = THING_OF.get(word) or THING_OF.get(word.removesuffix("s")) or THING_OF.get(word.removesuffix("es"))
            if thing:
                return thing
    return FALLBACK.get(category, "box")


def paint_of(color: str) -> str:
    """The name of the drawing colour for a chosen colour; "" if none of its words is known.

    >>> paint_of("light grey"), paint_of("multicolor")
    ('grey', '')
    """
    named = [name for name in PAINTS if name in _WORD.findall(color)]
    return named[-1] if named else ""


def _hex(hue: float, lightness: float, saturation: float) -> str:
    rgb = hls_to_rgb(hue / 360, lightness / 100, saturation / 100)
    return "#" + "".join(f"{round(255 * part):02x}" for part in rgb)
