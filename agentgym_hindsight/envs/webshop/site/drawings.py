"""The drawings of products, made for this shop, and the words that select them.

A drawing fills a square of 120 by 120. ``{a}`` is the main colour, ``{b}`` a darker and ``{c}`` a lighter one.
"""

from __future__ import annotations

__all__ = ["FALLBACK", "PAINTS", "THINGS", "THING_OF"]

_DRAWINGS = """
= shirt
<path fill="{a}" d="M42 30 20 42l8 20 10-5v38h44V57l10 5 8-20-22-12q-18 14-36 0z"/>
<path fill="{b}" d="M42 30q18 14 36 0l-4-2q-14 10-28 0z"/>
= dress
<path fill="{a}" d="M46 22h6q8 10 16 0h6l4 26-6 10 20 40q-32 10-64 0l20-40-6-10z"/>
<path fill="{b}" d="M48 55h24l2 6H46z"/>
= trousers
<path fill="{a}" d="M40 22h40l6 78H68l-8-52-8 52H34z"/>
<path fill="{b}" d="M40 22h40l1 8H39z"/>
= shoe
<path fill="{a}" d="M24 54h20q8 14 26 18 24 4 26 18H24z"/>
<path fill="{b}" d="M22 88h76v8H22z"/>
<path stroke="{c}" stroke-width="3" d="m50 70 6-7m2 11 6-7m3 9 5-6"/>
= bag
<path fill="none" stroke="{b}" stroke-width="5" d="M44 52V40a16 16 0 0 1 32 0v12"/>
<path fill="{a}" d="M30 48h60l8 50H22z"/>
<path fill="{c}" d="M52 62h16v9H52z"/>
= jewel
<circle cx="60" cy="70" r="26" fill="none" stroke="{a}" stroke-width="6"/>
<path fill="{b}" d="m60 22 14 14-14 16-14-16z"/>
<path fill="{c}" d="m60 22 6 14-6 16-6-16z"/>
= glasses
<g fill="{b}" stroke="{a}" stroke-width="5">
<circle cx="38" cy="62" r="18"/>
<circle cx="82" cy="62" r="18"/>
</g>
<path fill="none" stroke="{a}" stroke-width="5" d="M55 58q5-5 10 0"/>
= bottle
<path fill="{b}" d="M52 18h16v16H52z"/>
<rect x="40" y="34" width="40" height="68" rx="9" fill="{a}"/>
<path fill="{c}" d="M40 56h40v26H40z"/>
= jar
<rect x="34" y="30" width="52" height="16" rx="4" fill="{b}"/>
<rect x="30" y="46" width="60" height="50" rx="10" fill="{a}"/>
<path fill="{c}" d="M30 60h60v22H30z"/>
= lipstick
<path fill="{a}" d="M50 46V28l20-10v28z"/>
<path fill="{c}" d="M47 46h26v18H47z"/>
<path fill="{b}" d="M43 64h34v38H43z"/>
= brush
<rect x="54" y="52" width="12" height="52" rx="6" fill="{b}"/>
<path fill="{c}" d="M50 44h20v10H50z"/>
<path fill="{a}" d="M44 44q-4-20 16-30 20 10 16 30z"/>
= hair
<path fill="{a}" d="M60 20q34 0 34 40 0 26-8 42H74q6-30-2-52-22 12-34 2-2 24 8 50H34q-8-16-8-42 0-40 34-40z"/>
= screen
<rect x="18" y="28" width="84" height="54" rx="5" fill="{b}"/>
<path fill="{a}" d="M24 34h72v42H24z"/>
<path fill="{c}" d="m24 76 32-42h18L42 76z"/>
<path fill="{b}" d="M54 82h12v10h14v6H40v-6h14z"/>
= laptop
<rect x="28" y="32" width="64" height="46" rx="4" fill="{b}"/>
<path fill="{a}" d="M33 37h54v36H33z"/>
<path fill="{c}" d="M20 80h80l8 12H12z"/>
= phone
<rect x="38" y="16" width="44" height="88" rx="9" fill="{b}"/>
<path fill="{a}" d="M43 26h34v66H43z"/>
<circle cx="60" cy="98" r="3" fill="{c}"/>
= speaker
<rect x="34" y="16" width="52" height="88" rx="8" fill="{a}"/>
<circle cx="60" cy="40" r="11" fill="{c}"/>
<circle cx="60" cy="74" r="19" fill="{b}"/>
<circle cx="60" cy="74" r="7" fill="{c}"/>
= headphones
<path fill="none" stroke="{a}" stroke-width="8" d="M28 72V62a32 32 0 0 1 64 0v10"/>
<rect x="20" y="64" width="18" height="32" rx="8" fill="{b}"/>
<rect x="82" y="64" width="18" height="32" rx="8" fill="{b}"/>
= camera
<path fill="{a}" d="M18 42h22l7-12h26l7 12h22v52H18z"/>
<circle cx="60" cy="68" r="20" fill="{b}"/>
<circle cx="60" cy="68" r="10" fill="{c}"/>
= cable
<path fill="none" stroke="{a}" stroke-width="7" d="M34 40v34a14 14 0 0 0 28 0V46a14 14 0 0 1 28 0v34"/>
<path fill="{b}" d="M25 20h18v22H25zm56 58h18v22H81z"/>
= watch
<path fill="{b}" d="M46 12h28l4 26H42zm-4 70h36l-4 26H46z"/>
<rect x="34" y="34" width="52" height="52" rx="14" fill="{a}"/>
<path fill="none" stroke="{c}" stroke-width="4" d="M60 46v15l10 6"/>
= box
<path fill="{a}" d="m60 22 38 18v42L60 102 22 82V40z"/>
<path fill="{b}" d="M60 60v42l38-20V40z"/>
<path fill="{c}" d="m60 22 38 18-38 20-38-20z"/>
= table
<path fill="{a}" d="M14 44h92v12H14z"/>
<path fill="{b}" d="M24 56h9v44h-9zm63 0h9v44h-9z"/>
= chair
<path fill="{a}" d="M36 18h10v44H36zm38 0h10v44H74zM46 26h28v24H46z"/>
<path fill="{b}" d="M32 62h56v10H32z"/>
<path fill="{a}" d="M36 72h8v32h-8zm40 0h8v32h-8z"/>
= sofa
<rect x="24" y="34" width="72" height="36" rx="10" fill="{b}"/>
<path fill="{c}" d="M30 60h60v18H30z"/>
<path fill="{a}" d="M14 56q10-6 16 4v18h60V60q6-10 16-4v38H14z"/>
= bed
<path fill="{b}" d="M16 30h8v68h-8z"/>
<path fill="{a}" d="M24 64h80v22H24z"/>
<rect x="28" y="50" width="26" height="16" rx="6" fill="{c}"/>
<path fill="{b}" d="M24 86h80v8H24zm72 8h8v6h-8z"/>
= shelf
<path fill="{a}" d="M24 18h72v86H24z"/>
<path fill="{c}" d="M31 25h58v20H31zm0 27h58v20H31zm0 27h58v18H31z"/>
<path fill="{b}" d="M36 31h8v14h-8zm12-3h7v17h-7zm22 34h14v10H70z"/>
= lamp
<path fill="{a}" d="M42 20h36l14 40H28z"/>
<path fill="{b}" d="M57 60h6v36h-6z"/>
<path fill="{b}" d="M40 96h40v7H40z"/>
<path fill="{c}" d="M32 50h56l4 10H28z"/>
= cloth
<path fill="{a}" d="M26 24h68v72H26z"/>
<path fill="{b}" d="M26 24h16v72H26zm34 0h16v72H60z"/>
<path fill="{c}" d="M18 18h84v8H18z"/>
= pillow
<path fill="{a}" d="M22 34q38 8 76 0-7 28 0 56-38-8-76 0 7-28 0-56z"/>
<path fill="{c}" d="m60 48 6 10 12 2-8 9 1 12-11-5-11 5 1-12-8-9 12-2z"/>
= frame
<path fill="{b}" d="M18 22h84v76H18z"/>
<path fill="{c}" d="M26 30h68v60H26z"/>
<path fill="{a}" d="m26 90 22-34 16 20 12-14 18 28z"/>
<circle cx="76" cy="46" r="8" fill="{a}"/>
= cup
<path fill="{a}" d="M28 36h54v46a16 16 0 0 1-16 16H44a16 16 0 0 1-16-16z"/>
<path fill="none" stroke="{a}" stroke-width="8" d="M82 48h8a10 10 0 0 1 0 24h-8"/>
<path fill="{b}" d="M28 36h54v9H28z"/>
= sachet
<path fill="{a}" d="M32 22h56l-4 38 4 42H32l4-42z"/>
<path fill="{b}" d="M32 22h56l-1 10H33zm1 70h54l1 10H32z"/>
<circle cx="60" cy="62" r="15" fill="{c}"/>
= can
<path fill="{a}" d="M34 30h52v62q-26 14-52 0z"/>
<ellipse cx="60" cy="30" rx="26" ry="9" fill="{b}"/>
<path fill="{c}" d="M34 48q26 12 52 0v24q-26 12-52 0z"/>
= parasol
<path fill="{b}" d="M56 56h8v48h-8z"/>
<path fill="{a}" d="M60 14q34 10 38 44H22q4-34 38-44z"/>
<path fill="{c}" d="M60 14q12 16 12 44H48q0-28 12-44z"/>
"""

#: Thing -> SVG elements with three colour placeholders.
THINGS: dict[str, str] = {
    name: "".join(lines) for name, *lines in (block.split("\n") for block in _DRAWINGS.strip("= \n").split("\n= "))
}

# Thing: its words, in the singular. A word on several lines belongs to the first.
_WORDS = """
shoe: shoe sneaker boot sandal slipper pump loafer heel clog
lamp: lamp light pendant chandelier lantern sconce candle
bed: hammock bed mattress headboard bunk
pillow: pillow pillowcase cushion
chair: chair barstool stool
sofa: sofa couch loveseat recliner ottoman slipcover
table: table desk nightstand placemat
shelf: shelf shelves bookcase cabinet dresser sideboard rack stand hamper wardrobe hook
frame: painting art tapestry poster mirror wallpaper background
cloth: curtain rug doormat tablecloth blanket throw sheet duvet towel scarf blind shade
cloth: film bedding cover wrap
parasol: umbrella plant tent
laptop: laptop notebook computer
phone: phone tablet charger bank protector case remote
headphones: headphone earbud headset
speaker: speaker subwoofer radio stereo soundbar theater turntable
camera: camera lens tripod gps projector
cable: cable cord adapter usb strip antenna connector mount
watch: watch smartwatch tracker
screen: tv television monitor screen streaming player display tower keyboard
dress: dress gown robe bathrobe swimsuit bikini romper jumpsuit lingerie
trousers: pant trouser jean legging short tight
shirt: shirt tee top blouse sweater hoodie jacket coat polo tank sleepwear clothing
shirt: underwear costume sweatshirt bra suit
box: drive battery batteries memory card pad controller drum
bag: belt bag handbag wallet purse backpack tote
jewel: jewelry earring necklace ring bracelet
glasses: sunglasses glasses eyeglass
lipstick: lipstick lip gloss balm mascara eyeliner
brush: brush dryer toothbrush comb razor tweezer clipper iron floss
hair: wig hair extension hairpiece eyelash
jar: cream mask scrub butter powder foundation eyeshadow palette blush pomade jam honey spread sauce
bottle: toothpaste polish toner deodorant shampoo conditioner lotion oil serum spray perfume fragrance
bottle: cologne wash soap mouthwash juice milk drink
cup: mug cup tea coffee drinkware cookware pan
can: can canned soup seafood tuna bean
sachet: chip cookie cracker candy nut popcorn snack cereal mix jerky chocolate granola
sachet: flour sugar meal cheese fruit bar
"""

#: Word -> thing.
THING_OF: dict[str, str] = {
    word: line.partition(":")[0]
    for line in reversed(_WORDS.strip().splitlines())
    for word in line.partition(":")[2].split()
}
#: Category -> thing, for products without a known word.
FALLBACK: dict[str, str] = {
    "fashion": "shirt",
    "electronics": "box",
    "garden": "shelf",
    "beauty": "bottle",
    "grocery": "sachet",
}
#: Hue, lightness and saturation of chosen colours. If a value names several, the last one counts.
PAINTS: dict[str, tuple[int, int, int]] = {
    "black": (220, 24, 10),
    "white": (220, 95, 20),
    "grey": (220, 58, 6),
    "gray": (220, 58, 6),
    "silver": (215, 72, 10),
    "charcoal": (215, 32, 10),
    "red": (2, 52, 68),
    "burgundy": (345, 32, 55),
    "maroon": (350, 30, 55),
    "pink": (338, 72, 72),
    "orange": (26, 56, 85),
    "copper": (20, 48, 50),
    "bronze": (32, 42, 45),
    "brown": (24, 34, 42),
    "coffee": (24, 28, 36),
    "espresso": (22, 22, 36),
    "beige": (38, 76, 38),
    "cream": (44, 86, 60),
    "ivory": (48, 90, 55),
    "khaki": (46, 58, 35),
    "gold": (44, 52, 70),
    "yellow": (50, 58, 88),
    "olive": (68, 36, 42),
    "green": (140, 40, 45),
    "mint": (155, 74, 45),
    "teal": (182, 36, 55),
    "turquoise": (174, 52, 58),
    "blue": (214, 50, 62),
    "navy": (222, 26, 52),
    "purple": (272, 46, 45),
    "lavender": (262, 76, 50),
    "mauve": (300, 62, 22),
}
