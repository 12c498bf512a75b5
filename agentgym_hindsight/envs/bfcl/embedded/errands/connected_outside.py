"""Conversations about the house, the stockroom and journeys: later turns need what earlier ones found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from agentgym_hindsight.envs.bfcl.embedded.apis.house import DEVICES, DOORS
from agentgym_hindsight.envs.bfcl.embedded.apis.journeys import INNS, TRAINS
from agentgym_hindsight.envs.bfcl.embedded.apis.stock import ARTICLES
from agentgym_hindsight.envs.bfcl.embedded.clock import clock_text, minutes_of, spoken_day
from agentgym_hindsight.envs.bfcl.embedded.errands.diary import a_day
from agentgym_hindsight.envs.bfcl.embedded.errands.house import set_heating
from agentgym_hindsight.envs.bfcl.embedded.errands.journeys import a_route
from agentgym_hindsight.envs.bfcl.embedded.errands.postbox import a_message, a_person
from agentgym_hindsight.envs.bfcl.embedded.errands.stock import an_article
from agentgym_hindsight.envs.bfcl.embedded.story import Errand, ImpossibleError, Story

__all__ = ["CONNECTED_OUTSIDE"]

Turns = Sequence[Callable[[Story], Errand]]


def evening(story: Story) -> Turns:
    """Lock up, switch off, heat less, and wake up by a timer."""

    def lock_up(story: Story) -> Errand:
        doors = story.call("list_doors")["doors"]
        for row in doors:
            if not row["locked"]:
                story.call("set_lock", door=row["door"], locked=True)
        return story.say(
            "Lock everything that is still open.", "Lock all doors that are not locked yet.", hold="set_lock"
        )

    def everything_off(story: Story) -> Errand:
        rooms = sorted({record["room"] for _, record in story.rows(DEVICES) if record["on"]})
        room = story.pick(rooms)
        for row in story.call("list_devices", room=room)["devices"]:
            if row["on"]:
                story.call("switch_device", device=row["device"], on=False)
        return story.say(
            f"Switch off all that is on in the {room}.",
            f"Nothing should be on in the {room} tonight.",
            vague="Switch off all that is on in one of the rooms.",
            detail=f"The {room}.",
            hold="switch_device",
        )

    def wake(story: Story) -> Errand:
        device, _ = story.record(DEVICES)
        day = a_day(story)
        first = story.call("list_events", day=day)["events"][0]["start"]
        at = clock_text(minutes_of(first) - 60)
        story.call("add_timer", device=device, at=at, on=True)
        return story.say(
            f"The {device} should go on by a timer an hour before my first event on {spoken_day(day)}.",
            f"Set a timer that switches the {device} on one hour before the first thing in my diary on "
            f"{spoken_day(day)}.",
            vague="Set a timer that switches something on one hour before the first event of that day.",
            detail=f"The {device}, and I mean {spoken_day(day)}.",
            hold="add_timer",
        )

    if all(record["locked"] for _, record in story.rows(DOORS)):
        raise ImpossibleError("all is locked")
    return lock_up, everything_off, set_heating, wake


def restock(story: Story) -> Turns:
    """Fill up what is low, raise a price by a percentage, and enter an order."""

    def fill_up(story: Story) -> Errand:
        low = story.call("list_low_articles")["articles"]
        if not 1 <= len(low) <= 6:
            raise ImpossibleError("nothing to fill up")
        for row in low:
            story.call("receive_goods", article_id=row["article_id"], quantity=row["reorder_at"] - row["on_hand"])
        return story.say(
            "All that was below its reorder level has been delivered, exactly up to that level. Note it for each.",
            "We got a delivery: each article that was below its reorder level is now at the level. Book it in.",
        )

    def raise_price(story: Story) -> Errand:
        key, record = an_article(story)
        share = story.pick((10, 20, 30, 40))
        price = story.call("show_article", article_id=key)["price"]
        more = story.call("percent_of", percent=share, number=price)["part"]
        story.call("set_price", article_id=key, price=price + more)
        return story.say(
            f"Raise the price of the {record['name']} by {share} percent.",
            f"The {record['name']} should cost {share} percent more.",
            vague=f"Raise the price of the {record['name']}.",
            detail=f"By {share} percent.",
            hold="set_price",
        )

    def order_rest(story: Story) -> Errand:
        (key, record), customer = an_article(story, 60), story.name("person")
        on_hand = story.call("show_article", article_id=key)["on_hand"]
        story.call("enter_order", article_id=key, quantity=on_hand, customer=customer)
        return story.say(
            f"{customer} orders all that we have of the {record['name']}.",
            f"Enter an order of {customer}: every {record['name']} that is on hand.",
            vague=f"A customer orders all that we have of the {record['name']}. Enter the order.",
            detail=f"The customer is {customer}.",
            hold="enter_order",
        )

    if not any(record["on_hand"] < record["reorder_at"] for _, record in story.rows(ARTICLES)):
        raise ImpossibleError("nothing is low")
    return fill_up, raise_price, order_rest


def enough_on_hand(story: Story) -> Turns:
    """An order if there is enough, else a card; then what a message asks."""

    def decide(story: Story) -> Errand:
        (key, record), customer = an_article(story), story.name("person")
        on_hand = story.call("show_article", article_id=key)["on_hand"]
        wanted = max(1, on_hand + story.pick((-9, -4, -1, 1, 5, 12)))
        if wanted <= on_hand:
            story.call("enter_order", article_id=key, quantity=wanted, customer=customer)
        else:
            story.call("add_card", title=f"Buy {record['name']}", points=5)
        return story.say(
            f"{customer} wants {wanted} of the {record['name']}. If we have enough, place the order; if not, only add "
            f"a card 'Buy {record['name']}' with 5 points.",
            f"Are there {wanted} of the {record['name']}? Then place an order for {customer}, all {wanted}. Otherwise "
            f"add a card 'Buy {record['name']}', 5 points.",
        )

    def inform(story: Story) -> Errand:
        message, record = a_message(story)
        key, name = a_person(story, record["from"])
        story.call("forward_message", message_id=message, person_id=key)
        return story.say(
            f"{record['from']} wrote '{record['text']}' Send that message on to {name}.",
            f"Forward the message '{record['text']}' of {record['from']} to {name}.",
            vague=f"Forward the message '{record['text']}' of {record['from']}.",
            detail=f"To {name}.",
        )

    return decide, decide, inform


def trip(story: Story) -> Turns:
    """Book a train, put it into the diary, announce the arrival, and book an inn."""
    chosen: list[dict[str, str]] = []
    where: list[str] = []

    def book(story: Story) -> Errand:
        trains, origin, destination, day = a_route(story)
        people = 1 + story.draws.below(3)
        best = min(trains, key=lambda train: int(train["price"]))
        story.call("book_train", train_id=best["train_id"], people=people)
        chosen.append(best)
        where.extend((destination, day))
        when, count = spoken_day(day), f"{people} {'person' if people == 1 else 'people'}"
        return story.say(
            f"On {when} I go from {origin} to {destination}. Book the cheapest train for {count}.",
            f"Please book {count} on the cheapest train from {origin} to {destination} on {when}.",
            vague=f"On {when} we go from {origin} to {destination}. Book the cheapest train for all of us.",
            detail=f"For {count}.",
            hold="book_train",
        )

    def note(story: Story) -> Errand:
        (destination, day), best = where, chosen[0]
        minutes = minutes_of(best["arrives"]) - minutes_of(best["departs"])
        title = f"Train to {destination}"
        story.call("add_event", title=title, day=day, start=best["departs"], minutes=minutes)
        return story.say(
            f"Put the journey into my diary as '{title}', from departure to arrival.",
            f"Add the event '{title}' to the diary: it begins when the train leaves and lasts until it arrives.",
            hold="add_event",
        )

    def announce(story: Story) -> Errand:
        key, name = a_person(story)
        story.call("write_message", person_id=key, text=f"I arrive at {chosen[0]['arrives']}.")
        return story.say(
            f"Write to {name}: 'I arrive at TIME.', with the time of arrival such as 09:30.",
            f"Tell {name} when I come: send 'I arrive at TIME.' with the right time, such as 09:30.",
            vague="Tell them when I come: send 'I arrive at TIME.' with the right time, such as 09:30.",
            detail=f"It goes to {name}.",
            hold="write_message",
        )

    def stay(story: Story) -> Errand:
        (town, day), nights = where, 1 + story.draws.below(4)
        if not any(record["town"] == town for _, record in story.rows(INNS)):
            raise ImpossibleError("no inn")
        best = story.call("find_inns", town=town)["inns"][0]
        story.call("book_inn", inn_id=best["inn_id"], day=day, nights=nights)
        count = f"{nights} night{'s' if nights > 1 else ''}"
        return story.say(
            f"I stay there for {count}, from the same day. Book the cheapest inn.",
            f"Also book the cheapest inn there for {count}, beginning on the day of the journey.",
            vague="I stay there. Book the cheapest inn from the day of the journey.",
            detail=f"For {count}.",
            hold="book_inn",
        )

    if not any(minutes_of(record["departs"]) >= 480 for _, record in story.rows(TRAINS)):
        raise ImpossibleError("no train in the day")
    return (book, note, announce) if story.draws.chance(0.5) else (book, note, announce, stay)


#: The conversations, with the APIs that each needs.
CONNECTED_OUTSIDE: Mapping[str, tuple[tuple[str, ...], Callable[[Story], Turns]]] = {
    "evening": (("Diary", "House"), evening),
    "restock": (("Stock", "Sums"), restock),
    "enough_on_hand": (("Board", "Postbox", "Stock"), enough_on_hand),
    "trip": (("Diary", "Journeys", "Postbox"), trip),
}
