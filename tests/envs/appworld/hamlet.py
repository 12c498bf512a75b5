"""Helpers for the tests of Hamlet: an agent that logs in automatically, and a world with added rows."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any

from agentgym_hindsight.envs.appworld.failures import ApiFailure
from agentgym_hindsight.envs.appworld.miniature import APPS, SCHEMA, Frozen, World

EVERY_API = [(app.name, api) for app in APPS.values() for api in app.apis.values()]
OTHER_SEED, SEED = 12, 11
TEN, ELEVEN = "2020-01-01T10:00:00", "2020-01-01T11:00:00"


def digest(world: World) -> str:
    """A hash of all stored data. It does not depend on the version of SQLite."""
    rows = [(table, [list(row.items()) for row in world.rows(table)]) for table in sorted(SCHEMA)]
    return hashlib.blake2b(repr(rows).encode(), digest_size=8).hexdigest()


class Agent:
    """Calls APIs as the supervisor, and logs in to an app when an API needs it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.tokens: dict[str, str] = {}

    def login(self, app: str) -> str:
        if app not in self.tokens:
            known = self.world.row("supervisor_passwords", app=app)
            answer = self.world.call(app, "login", {"username": known["username"], "password": known["password"]})
            self.tokens[app] = answer["access_token"]
        return self.tokens[app]

    def __call__(self, api: str, /, **arguments: Any) -> Any:
        app, _, name = api.partition(".")
        if APPS[app].apis[name].login and "access_token" not in arguments:
            arguments["access_token"] = self.login(app)
        return self.world.call(app, name, arguments)

    def refusal(self, api: str, /, **arguments: Any) -> tuple[int, str]:
        """The status and message of a call that must fail."""
        try:
            answer = self(api, **arguments)
        except ApiFailure as failure:
            return failure.status, failure.message
        raise AssertionError(f"Expected {api} to fail, got {answer}.")

    def reset(self) -> None:
        """Reset the world and forget the access tokens."""
        self.world.reset()
        self.tokens.clear()


def planted_world() -> World:
    """Make the world of ``SEED`` with added rows and an instruction."""
    world = World.new(SEED)
    _plant(world)
    world.set_instruction("Tidy up.")
    world.seal()
    return world


def _plant(world: World) -> None:
    """Add rows for every API. Their ids are known: 900 and up."""
    me = world.supervisor.email
    friend, other = (person.email for person in world.related("friend")[:2])
    number, theirs = world.supervisor.phone_number, world.person(friend).phone_number
    mail: dict[str, Any] = {"recipients": [me, other], "body": "All is well.", "sent_at": "2020-01-01T10:00:00"}
    attached = [{"name": "a.txt", "content": "alpha"}]
    world.insert("mail_emails", id=900, owner=me, thread=900, sender=friend, subject="Hi", attachments=attached, **mail)
    world.insert("mail_emails", id=901, owner=friend, thread=901, sender=me, subject="Theirs", **mail)
    world.insert(
        "mail_emails", id=902, owner=me, thread=902, folder="drafts", sender=me, subject="Draft", **mail, labels=["x"]
    )
    world.insert("phone_contacts", id=900, owner=me, name="Zed Planted", phone_number="1234567")
    world.insert("phone_contacts", id=901, owner=friend, name="Not Mine", phone_number="1234567")
    world.insert("phone_messages", id=900, sender=theirs, receiver=number, text="in")
    world.insert("phone_messages", id=901, sender=number, receiver=theirs, text="out")
    world.insert("phone_messages", id=902, sender=theirs, receiver=world.person(other).phone_number, text="away")
    for key, owner in ((900, me), (901, friend)):
        left: dict[str, Any] = {"transcript": "", "seconds": 3, "left_at": TEN, "heard": False}
        world.insert("phone_voicemails", id=key, owner=owner, caller=theirs, **left)
        world.insert("phone_alarms", id=key, owner=owner, time="05:00", days=["Mon"])
        world.insert("notes_notes", id=key, owner=owner, title="Planted", content="one", tags=["t"])
        world.insert("music_playlists", id=key, owner=owner, title="Planted")
        world.insert("shop_addresses", id=key, owner=owner, name="Shed", street="1 Row", city="Hamlet", postcode="1")
        world.insert("shop_cards", id=key, owner=owner, name="Plain", number="4" * 16, expires_on="2099-01-01")
        world.insert("payments_cards", id=key, owner=owner, name="Plain", number="4" * 16, expires_on="2099-01-01")
        world.insert("shop_orders", id=key, user=owner, status="delivered", total=10.0, address_id=key, card_id=key)
        world.insert("shop_order_items", order_id=key, product_id=900, quantity=2, price=5.0)
        world.insert("shop_returns", id=key, user=owner, order_id=key, product_id=900, quantity=1)
        world.insert("calendar_events", id=key, organizer=owner, title="Planted", starts_at=TEN, ends_at=ELEVEN)
    world.insert("payments_cards", id=902, owner=me, name="Old", number="5" * 16, expires_on="2020-01-01")
    world.insert("shop_cards", id=902, owner=me, name="Old", number="5" * 16, expires_on="2020-01-01")
    world.insert("calendar_attendees", event_id=901, email=me)
    world.insert("calendar_attendees", event_id=900, email=other)
    world.insert("calendar_events", id=902, organizer=friend, title="Secret", starts_at=TEN, ends_at=ELEVEN)
    for key, sender, receiver, private in (
        (900, me, friend, False),
        (901, friend, other, True),
        (902, other, me, True),
    ):
        world.insert("payments_transactions", id=key, sender=sender, receiver=receiver, amount=1.0, private=private)
    for key, requester, payer, status in (
        (900, friend, me, "pending"),
        (901, me, friend, "pending"),
        (902, friend, me, "denied"),
        (903, friend, other, "pending"),
    ):
        world.insert("payments_requests", id=key, requester=requester, payer=payer, amount=2.0, status=status)
    for key, author in ((900, me), (901, friend)):
        world.insert("payments_comments", id=key, transaction_id=900, author=author, text="ok")
    world.update("payments_accounts", me, balance=100.0)
    for key, stock in ((900, 5), (901, 0), (902, 5)):
        thing: dict[str, Any] = {"brand": "None", "department": "Home", "price": 5.0, "rating": 4.0}
        world.insert("shop_products", id=key, name=f"Planted thing {key}", stock=stock, **thing)
    for key, status in ((903, "placed"), (904, "shipped")):
        world.insert("shop_orders", id=key, user=me, status=status, total=5.0, address_id=900, card_id=900)
        world.insert("shop_order_items", order_id=key, product_id=902, quantity=1, price=5.0)
    world.insert("shop_reviews", id=901, product_id=900, author=friend, rating=3, title="So so")
    world.insert("shop_reviews", id=902, product_id=902, author=me, rating=3, title="Mine")
    world.insert("shop_wishes", user=me, product_id=901)
    for path, kind in (("/box", "directory"), ("/box/a.txt", "file"), ("/empty", "directory")):
        world.insert("files_entries", owner=me, path=path, kind=kind, content="alpha" if kind == "file" else "")
    world.insert("music_artists", id=900, name="Planted Band", genre="folk", followers=1)
    world.insert("music_albums", id=900, title="Planted", artist_id=900, genre="folk", released_on="2020-01-01")
    for key in (900, 901):
        song: dict[str, Any] = {"artist_id": 900, "album_id": 900, "genre": "folk", "seconds": 60, "plays": 1}
        world.insert("music_songs", id=key, title=f"Planted {key}", released_on="2020-01-01", **song)
    world.insert("music_likes", user=me, song_id=901)
    world.insert("music_playlist_songs", playlist_id=900, position=0, song_id=901)
    for row in world.rows("shop_cart", user=me):
        world.delete("shop_cart", row)
    world.insert("shop_cart", user=me, product_id=900, quantity=1)


@lru_cache(maxsize=1)
def planted() -> Frozen:
    """The snapshot of :func:`planted_world`."""
    world = planted_world()
    frozen = world.freeze()
    world.close()
    return frozen
