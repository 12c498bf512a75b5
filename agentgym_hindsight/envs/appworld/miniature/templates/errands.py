"""Tasks across several apps: splitting bills, ordering for friends, playlists from emails, settling debts."""

from __future__ import annotations

from agentgym_hindsight.envs.appworld.miniature.goals import Goal
from agentgym_hindsight.envs.appworld.miniature.templates.additions import past, put_mail, put_note, time_at
from agentgym_hindsight.envs.appworld.miniature.templates.base import Draws, Job, template
from agentgym_hindsight.envs.appworld.miniature.templates.common import DONE, contact, login, replaced, with_extra_turn
from agentgym_hindsight.envs.appworld.miniature.templates.files import put_directory, put_file
from agentgym_hindsight.envs.appworld.miniature.templates.music import (
    PLAYLISTS,
    expects_playlist,
    findable_songs,
    new_playlist,
)
from agentgym_hindsight.envs.appworld.miniature.templates.payments import (
    expects_payments,
    fill_account,
    money,
    others,
)
from agentgym_hindsight.envs.appworld.miniature.templates.shop import empty_cart, expects_order
from agentgym_hindsight.envs.appworld.miniature.wordlists import listed
from agentgym_hindsight.envs.appworld.miniature.world import World

__all__ = ["TEMPLATES"]

_OCCASIONS = listed("House party, New curtains, Spring repairs, Film night, Balcony plants, Winter supplies")
_GOODS = listed("candles, juice, screws, fabric, soil, popcorn, salt, firewood, glasses, cheese, nails")
_TRIPS = listed("Elder Falls, Crow Island, Amber Coast, Stony Gap, Fern Valley, Lake Mirren, Three Bridges")
_BOUGHT = listed("bread, ferry, parking, maps, museum, ice cream, bicycles, firewood, lunch, breakfast")


def _parts(draws: Draws, cents: int, count: int) -> list[float]:
    """Split a number of cents into ``count`` random amounts."""
    cuts = sorted(draws.sample(range(100, cents, 7), count - 1))
    return [(high - low) / 100 for low, high in zip((0, *cuts), (*cuts, cents), strict=True)]


@template("train", 3)
def split_costs(world: World, draws: Draws) -> Job:
    """Add up the costs in a note and request an equal share from every roommate."""
    me, roommates, title = world.supervisor.email, world.related("roommate"), draws.pick(_OCCASIONS)
    people = len(roommates) + 1
    share = 500 + draws.below(2500)
    for name, cents, days in ((title, people * share, 20), (f"{title} last year", 7001, 300)):
        goods = draws.sample(_GOODS, 3 + draws.below(3))
        costs = zip(goods, _parts(draws, cents, len(goods)), strict=True)
        content = "\n".join(f"- {thing}: {amount:.2f}" for thing, amount in costs)
        put_note(world, name, content, time_at(world, -days, "18:00"), tags=["home"])
    goal = Goal()
    for person in roommates:
        values = {"requester": me, "payer": person.email, "amount": share / 100, "note": title, "status": "pending"}
        goal.adds("payments_requests", f"{person.name} is asked for {share / 100:.2f}.", **values)
    ask = (
        f"apis.payments.request_money(access_token=payments_token, payer=person['email'], amount=share, note={title!r})"
    )
    solution = (
        login("notes", "phone", "payments", every=True),
        f"notes = every(apis.notes.show_notes, access_token=notes_token, query={title!r})\n"
        f"note_id = [note['note_id'] for note in notes if note['title'] == {title!r}][0]\n"
        "lines = apis.notes.show_note(access_token=notes_token, note_id=note_id)['content'].splitlines()",
        "people = every(apis.phone.show_contacts, access_token=phone_token, relationship='roommate')\n"
        "share = round(sum(float(line.split(': ')[1]) for line in lines) / (len(people) + 1), 2)",
        f"for person in people:\n    {ask}",
        DONE,
    )
    friend = draws.pick([person for person in others(world) if person not in roommates]).email
    return Job(
        f"My note “{title}” lists what I spent for our flat. Ask each of my roommates on Payments for an equal share "
        f"of the sum, with the note “{title}”. One share is mine.",
        solution,
        goal,
        {
            "wrong amount: own share left out": replaced(solution, "len(people) + 1", "len(people)"),
            "wrong amount: the first line only": replaced(solution, "for line in lines)", "for line in lines[:1])"),
            "wrong people": replaced(solution, "relationship='roommate'", "relationship='friend'"),
            "one roommate only": replaced(solution, "for person in people", "for person in people[:1]"),
            "collateral change": with_extra_turn(solution, ask.replace("person['email']", repr(friend))),
        },
    )


@template("dev", 3)
def order_what_was_asked_for(world: World, draws: Draws) -> Job:
    """Order what a friend asked for in text messages; a later message corrects the number."""
    me, friend = world.supervisor, draws.pick(world.related("friend"))
    product, other = draws.sample([row for row in world.rows("shop_products") if row["price"] < 100], 2)
    quantity, first = draws.sample(range(1, 7), 2)
    for row in (product, other):
        world.update("shop_products", row["id"], stock=12 + draws.below(9))
    empty_cart(world)
    for days, text in (
        (-9, f"Thank you for the {other['name']}!"),
        (-2, f"Could you order {first} of the {product['name']} for me, please?"),
        (-1, f"Sorry, I meant {quantity} and not {first}."),
    ):
        at, participants = time_at(world, days, "21:40"), {"sender": friend.phone_number, "receiver": me.phone_number}
        world.insert("phone_messages", text=text, sent_at=at, read=True, **participants)
    address, other_address = draws.sample(world.rows("shop_addresses", owner=me.email), 2)
    valid = [row for row in world.rows("shop_cards", owner=me.email) if row["expires_on"] > world.now]
    card, other_card = draws.sample(valid, 2)
    add = "apis.shop.add_to_cart(access_token=shop_token, product_id=product['product_id'], quantity=quantity)"
    solution = (
        login("phone", "shop", every=True),
        f"{contact(friend.name)}\nnumber = person['phone_number']\n"
        "messages = every(apis.phone.show_messages, access_token=phone_token, phone_number=number)\n"
        "text = '\\n'.join(message['text'] for message in messages)",
        f"import re\n{_READ_ORDER}\nquantity = int(re.search(r'I meant (\\d+)', text)[1])",
        f"{add}\n{_by_name('address', address['name'])}\n{_by_name('card', card['name'])}",
        _PLACE_ORDER,
        DONE,
    )
    return Job(
        f"{friend.name} told me in text messages what to order for them. Order it in the shop, to my address "
        f"“{address['name']}”, and pay with my card “{card['name']}”.",
        solution,
        expects_order(Goal(), world, product, quantity, address, card).allows("phone_messages", "read"),
        {
            "wrong quantity": replaced(solution, "I meant (", "order ("),
            "wrong product": replaced(solution, r"order \d+ of the (.+) for me", "Thank you for the (.+)!"),
            "wrong address": replaced(solution, repr(address["name"]), repr(other_address["name"])),
            "wrong card": replaced(solution, repr(card["name"]), repr(other_card["name"])),
            "not ordered": replaced(solution, _PLACE_ORDER, "pass"),
            "collateral change": with_extra_turn(solution, add),
        },
    )


_READ_ORDER = """\
name = re.search(r'order \\d+ of the (.+) for me', text)[1]
product = [row for row in apis.shop.search_products(query=name) if row['name'] == name][0]"""
_PLACE_ORDER = """\
apis.shop.place_order(access_token=shop_token, address_id=address['address_id'], card_id=card['card_id'])"""


def _by_name(what: str, name: str) -> str:
    plural = {"address": "addresses", "card": "cards"}[what]
    return f"{what} = [row for row in apis.shop.show_{plural}(access_token=shop_token) if row['name'] == {name!r}][0]"


@template("test", 3)
def make_playlist_from_email(world: World, draws: Draws) -> Job:
    """Make a playlist of the songs in an email, without those already liked."""
    me, trip, title = world.supervisor.email, draws.pick(_TRIPS), draws.pick(PLAYLISTS)
    sender, other = draws.sample(world.related("friend"), 2)
    songs = findable_songs(world, draws, 13)
    named, other_songs, liked = songs[:8], songs[8:], draws.sample(songs[:8], 3)
    for song in named:
        for row in world.rows("music_likes", user=me, song_id=song["id"]):
            world.delete("music_likes", row)
        if song in liked:
            world.insert("music_likes", user=me, song_id=song["id"])
    for person, songs in ((sender, named), (other, other_songs)):
        body = "\n".join(("Hi,\nthis is what I would play:", *(f"- {song['title']}" for song in songs)))
        put_mail(world, person, f"Songs for {trip}", f"{body}\n{person.first_name}", past(world, draws))
    solution = (
        login("phone", "mail", "music", every=True),
        f"{contact(sender.name)}\n"
        f"emails = apis.mail.search_emails(access_token=mail_token, query='Songs for {trip}', sender=person['email'])\n"
        "body = apis.mail.show_email(access_token=mail_token, email_id=emails[0]['email_id'])['body']\n"
        "titles = [line[2:] for line in body.splitlines() if line.startswith('- ')]",
        "liked = [song['song_id'] for song in every(apis.music.show_liked_songs, access_token=music_token)]\n"
        "songs = [apis.music.search_songs(query=title)[0] for title in titles]\n"
        "songs = [song for song in songs if song['song_id'] not in liked]",
        new_playlist(title, public=True),
        DONE,
    )
    goal = Goal().allows("mail_emails", "read")
    like = "apis.music.like_song(access_token=music_token, song_id=songs[0]['song_id'])"
    return Job(
        f"{sender.name} sent me an email “Songs for {trip}” with a list of songs. Make a public playlist called "
        f"“{title}” of them, in the order of the email and without the songs that I like already.",
        solution,
        expects_playlist(goal, world, title, [song for song in named if song not in liked], public=True),
        {
            "liked songs as well": replaced(solution, "not in liked", "not in []"),
            "the other order": replaced(solution, "for song in songs:", "for song in songs[::-1]:"),
            "the other email": replaced(solution, sender.name, other.name),
            "private": replaced(solution, ", public=True", ""),
            "collateral change": with_extra_turn(solution, like),
        },
    )


@template("test", 3)
def settle_receipts(world: World, draws: Draws) -> Job:
    """Add up the debts to each person from files, and pay each person once."""
    me, trip, payers = world.supervisor, draws.pick(_TRIPS), draws.sample(others(world), 3)
    directory = f"/receipts-{trip.lower().replace(' ', '-')}"
    put_directory(world, directory)
    fill_account(world, money(draws, 800, 1200))
    owed = dict.fromkeys(payers, 0)
    paid = [*draws.sample([*payers, me, me, *(draws.pick(payers) for _ in range(3))], 8), payers[0]]
    for number, (payer, thing) in enumerate(zip(paid, draws.sample(_BOUGHT, 9), strict=True), 1):
        people, share = 2 + draws.below(3), 105 + draws.below(1900)
        content = f"{thing}\npaid by: {payer.name}\namount: {people * share / 100:.2f}\nshared by: {people}\n"
        put_file(world, f"{directory}/{number}-{thing.replace(' ', '-')}.txt", content)
        if payer != me:
            owed[payer] += share
    pay = f"apis.payments.send_money(access_token=payments_token, receiver=email, amount=amount, note={trip!r})"
    solution = (
        login("files", "payments", every=True),
        f"entries = every(apis.files.show_directory, access_token=files_token, path={directory!r})\n{_READ_RECEIPTS}",
        "profile = apis.supervisor.show_profile()\nowed.pop(profile['first_name'] + ' ' + profile['last_name'], None)",
        f"for name, amount in owed.items():\n    {_ADDRESS}\n    amount = round(amount, 2)\n    {pay}",
        DONE,
    )
    return Job(
        f"The files in {directory} say what was bought on our trip to {trip}: who paid it, and among how many people, "
        f"me included, it is shared in equal parts. Send everybody else who paid what I owe them, in one payment each, "
        f"from my Payments balance, with the note “{trip}”.",
        solution,
        expects_payments(Goal(), world, [(person, cents / 100, trip) for person, cents in owed.items()]),
        {
            "first page only": replaced(solution, "every(apis.files.show_directory, ", "apis.files.show_directory("),
            "whole amounts": replaced(solution, " / int(fields['shared by'])", ""),
            "no note": replaced(solution, f", note={trip!r}", ""),
            "one person only": replaced(solution, "in owed.items()", "in list(owed.items())[:1]"),
            "collateral change": with_extra_turn(solution, pay.replace("send", "request").replace("receiver", "payer")),
        },
    )


_READ_RECEIPTS = """\
owed = {}
for entry in entries:
    content = apis.files.show_file(access_token=files_token, path=entry['path'])['content']
    fields = dict(line.split(': ') for line in content.splitlines()[1:])
    share = float(fields['amount']) / int(fields['shared by'])
    owed[fields['paid by']] = owed.get(fields['paid by'], 0) + share"""
_ADDRESS = """\
users = apis.payments.search_users(access_token=payments_token, query=name)
    email = [user['email'] for user in users if user['name'] == name][0]"""


TEMPLATES = (
    split_costs,
    order_what_was_asked_for,
    make_playlist_from_email,
    settle_receipts,
)
