"""Initial data of the shop: products, orders and reviews."""

from __future__ import annotations

from agentgym_hindsight.envs.appworld.miniature.populating.story import Story

__all__ = ["write_shop"]

_BRANDS = ("Alder", "Brightwell", "Corvid", "Dovetail", "Everly", "Fathom", "Grove", "Hearth")
# department, thing, kinds, features to draw from, lowest and highest price
_GOODS = (
    ("Kitchen", "Kettle", ("steel", "glass"), ("1.7 litres", "keeps warm", "cordless"), 20, 70),
    ("Kitchen", "Mug", ("clay", "enamel"), ("350 ml", "dishwasher safe", "handmade"), 5, 20),
    ("Kitchen", "Frying pan", ("iron", "ceramic"), ("28 cm", "induction", "wooden handle"), 18, 80),
    ("Kitchen", "Knife set", ("steel",), ("5 pieces", "with block", "dishwasher safe"), 30, 120),
    ("Home", "Lamp", ("desk", "floor"), ("dimmable", "warm light", "USB port"), 15, 90),
    ("Home", "Blanket", ("wool", "cotton"), ("150 × 200 cm", "machine washable", "fringed"), 20, 95),
    ("Home", "Bookshelf", ("oak", "pine"), ("5 boards", "wall mount", "80 cm wide"), 45, 210),
    ("Home", "Vacuum cleaner", ("cordless", "robot"), ("washable filter", "quiet", "60 minutes"), 80, 320),
    ("Outdoor", "Tent", ("two-person", "four-person"), ("waterproof", "2.4 kg", "two doors"), 70, 260),
    ("Outdoor", "Backpack", ("20 litre", "45 litre"), ("rain cover", "laptop pocket", "chest strap"), 30, 140),
    ("Outdoor", "Sleeping bag", ("down", "synthetic"), ("to 5 °C", "compressible", "left zip"), 40, 190),
    ("Outdoor", "Head torch", ("rechargeable",), ("300 lumens", "red light", "waterproof"), 12, 55),
    ("Electronics", "Headphones", ("wireless", "wired"), ("noise cancelling", "30 hours", "foldable"), 25, 240),
    ("Electronics", "Charger", ("solar", "wall"), ("65 W", "two ports", "foldable"), 15, 60),
    ("Electronics", "Keyboard", ("mechanical", "compact"), ("backlit", "quiet", "wireless"), 30, 150),
    ("Books", "Cookbook", ("vegetarian", "baking"), ("hardcover", "with photos", "220 pages"), 12, 38),
    ("Books", "Atlas", ("pocket", "world"), ("hardcover", "updated", "with index"), 14, 60),
    ("Garden", "Watering can", ("zinc", "plastic"), ("5 litres", "long spout", "rose head"), 8, 35),
    ("Garden", "Pruning shears", ("steel",), ("left-handed", "lockable", "spare blade"), 12, 48),
    ("Clothing", "Rain jacket", ("light", "lined"), ("hood", "recycled", "reflective"), 35, 160),
    ("Clothing", "Scarf", ("wool", "linen"), ("180 cm", "machine washable", "unisex"), 12, 60),
)
_PRAISE = ("Does what it should", "Better than my last one", "A good present", "Solid", "I use it daily")
_BLAME = ("Arrived scratched", "Smaller than I thought", "Broke after a month", "Too loud", "Colour is off")


def write_shop(story: Story) -> None:
    """Write one product for each kind of article, and the supervisor's orders, return, cart, wish list and review."""
    me, draws = story.me, story.draws("shop")
    products: list[tuple[int, float]] = []
    for department, thing, kinds, features, low, high in _GOODS:
        for kind in kinds:
            brand = draws.pick(_BRANDS)
            price = low + draws.below(high - low) + draws.pick((0.0, 0.49, 0.9, 0.99))
            chosen = draws.sample(features, 1 + draws.below(3))
            number = story.add(
                "shop_products",
                name=f"{brand} {kind} {thing.lower()}",
                brand=brand,
                department=department,
                price=price,
                rating=round(2.5 + draws.below(26) / 10, 1),
                stock=0 if draws.chance(0.1) else 1 + draws.below(40),
                features=sorted(chosen),
                description=f"{kind.capitalize()} {thing.lower()} by {brand}: {', '.join(chosen)}.",
            )
            products.append((number, price))
    for row in story.db.rows("supervisor_addresses"):
        story.add("shop_addresses", **{**row, "owner": me.email})
    for card in story.db.rows("supervisor_cards"):
        names = ("name", "number", "expires_on")
        story.add("shop_cards", owner=me.email, **{name: card[name] for name in names})
    bought = draws.sample(products, 14)
    for index, status in enumerate(("delivered", "delivered", "delivered", "shipped", "placed", "cancelled")):
        lines = [(number, price, 1 + draws.below(3)) for number, price in bought[2 * index : 2 * index + 2]]
        days_ago = 60 - 9 * index - draws.below(8)
        order = story.add(
            "shop_orders",
            user=me.email,
            status=status,
            total=round(sum(price * quantity for _, price, quantity in lines), 2),
            address_id=1 + draws.below(2),
            card_id=1 + draws.below(2),
            placed_at=story.at(-days_ago, f"{9 + draws.below(10):02}:{draws.below(60):02}"),
            delivered_on=story.day(3 - days_ago) if status == "delivered" else "",
        )
        for number, price, quantity in lines:
            story.add("shop_order_items", order_id=order, product_id=number, quantity=quantity, price=price)
        if index == 0:
            story.add(
                "shop_returns",
                user=me.email,
                order_id=order,
                product_id=lines[0][0],
                quantity=1,
                reason="Arrived broken",
                status=draws.pick(("started", "received")),
                created_at=story.at(5 - days_ago, "10:00"),
            )
    for number, _ in draws.sample([product for product in products if product not in bought], 5)[:3]:
        story.add("shop_wishes", user=me.email, product_id=number)
    for number, _ in bought[12:]:
        if story.db.row("shop_products", id=number)["stock"] > 2:
            story.add("shop_cart", user=me.email, product_id=number, quantity=1 + draws.below(2))
    _write_reviews(story, [number for number, _ in products], bought[0][0])


def _write_reviews(story: Story, products: list[int], own_product: int) -> None:
    draws = story.draws("reviews")
    for number in products:
        for person in draws.sample(story.others, draws.below(3)):
            rating = 1 + draws.below(5)
            story.add(
                "shop_reviews",
                product_id=number,
                author=person.email,
                rating=rating,
                title=draws.pick(_PRAISE if rating > 3 else _BLAME),
                text=draws.pick(("", "I would buy it again.", "The parcel was late.", "It stands in the hall now.")),
                created_at=story.past(draws, 120),
            )
    story.add(
        "shop_reviews",
        product_id=own_product,
        author=story.me.email,
        rating=2 + draws.below(3),
        title=draws.pick(_PRAISE),
        created_at=story.past(draws, 20),
    )
