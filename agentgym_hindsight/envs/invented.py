"""Invented people, places and goods that several embedded worlds use. No world of this library has real ones.

The order of every list is part of the worlds that draw from it: append to a list only together with a new edition of
these worlds.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["CITIES", "FIRST_NAMES", "GOODS", "LAST_NAMES", "STREETS", "STREET_KINDS"]

# fmt: off
FIRST_NAMES = (
    "Alma", "Bodil", "Cato", "Dalia", "Edda", "Falk", "Greta", "Hedda", "Ivo",
    "Jorun", "Kaia", "Leif", "Maren", "Nils", "Oda", "Pelle", "Runa", "Sverre",
    "Tuva", "Ulrik", "Viggo", "Wanja", "Ylva", "Asta", "Bjarne", "Dagny", "Eivind",
    "Frida", "Gaute", "Hilma", "Inger", "Jonas", "Kirsti", "Lasse", "Mikkel", "Nora",
)
LAST_NAMES = (
    "Aasen", "Birkelund", "Dahlgren", "Ekholm", "Fossum", "Granli", "Hovland", "Iversby", "Kvamme",
    "Lindahl", "Myrdal", "Norheim", "Opsal", "Pettersby", "Raunholm", "Skogli", "Torvund", "Ulvestad",
    "Vikmark", "Westby", "Brattli", "Engeland", "Haugset", "Kirkeby",
)
STREETS = (
    "Alder", "Birch", "Cedar", "Dune", "Ember", "Fern", "Glen", "Harbour", "Iris",
    "Juniper", "Lark", "Mill", "Nettle", "Orchard", "Poplar",
)
# fmt: on
STREET_KINDS = ("Street", "Lane", "Road", "Way")
#: City and the abbreviation of its province.
CITIES = (
    ("Norvale", "NV"),
    ("Estmere", "ES"),
    ("Sudholm", "SH"),
    ("Westrand", "WR"),
    ("Midfjord", "MF"),
    ("Altburg", "AB"),
    ("Havnes", "HN"),
    ("Kolding Bay", "KB"),
)

#: Product, base price, and its options.
GOODS: tuple[tuple[str, float, Mapping[str, tuple[str, ...]]], ...] = (
    ("Wool Blanket", 62.0, {"color": ("moss", "sand", "plum", "slate"), "size": ("single", "double")}),
    ("Storm Lantern", 38.5, {"finish": ("brass", "black", "copper"), "power": ("oil", "battery")}),
    ("Enamel Mug", 11.0, {"color": ("white", "navy", "green", "red"), "volume": ("250 ml", "400 ml")}),
    ("Trail Boots", 124.0, {"size": ("38", "40", "42", "44"), "sole": ("soft", "firm")}),
    ("Rain Jacket", 96.0, {"color": ("yellow", "teal", "black"), "size": ("S", "M", "L")}),
    ("Desk Lamp", 45.0, {"color": ("white", "black"), "light": ("warm", "neutral", "cold")}),
    ("Reading Chair", 310.0, {"fabric": ("linen", "wool", "leather"), "legs": ("oak", "steel")}),
    ("Kettle", 54.0, {"material": ("steel", "glass", "enamel"), "capacity": ("1 l", "1.7 l")}),
    ("Chef Knife", 78.0, {"length": ("16 cm", "20 cm", "24 cm"), "handle": ("walnut", "resin")}),
    ("Notebook", 9.5, {"paper": ("lined", "blank", "dotted"), "size": ("A5", "A4")}),
    ("Fountain Pen", 34.0, {"nib": ("fine", "medium", "broad"), "color": ("black", "blue")}),
    ("Bike Helmet", 71.0, {"size": ("S", "M", "L"), "color": ("white", "orange")}),
    ("Camp Stove", 88.0, {"fuel": ("gas", "spirit", "petrol"), "burners": ("1", "2")}),
    ("Hammock", 49.0, {"width": ("narrow", "wide"), "color": ("red", "green", "grey")}),
    ("Wall Clock", 42.0, {"diameter": ("25 cm", "35 cm"), "frame": ("oak", "ash", "steel")}),
    ("Headphones", 139.0, {"kind": ("in-ear", "over-ear"), "color": ("black", "silver", "blue")}),
    ("Cast Pan", 57.0, {"diameter": ("24 cm", "28 cm", "32 cm"), "lid": ("with lid", "without lid")}),
    ("Bath Towel", 21.0, {"color": ("white", "rose", "teal", "grey"), "size": ("70 cm", "140 cm")}),
    ("Jigsaw Puzzle", 26.0, {"pieces": ("500", "1000", "2000"), "motif": ("harbour", "forest")}),
    ("Tea Sampler", 17.5, {"kind": ("green", "black", "herbal"), "bags": ("20", "50")}),
)
