"""Conversations over several APIs, in which later turns need what earlier ones found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from agentgym_hindsight.envs.bfcl.embedded.apis.diary import EVENTS
from agentgym_hindsight.envs.bfcl.embedded.apis.drive import ITEMS
from agentgym_hindsight.envs.bfcl.embedded.apis.house import DEVICES, DOORS
from agentgym_hindsight.envs.bfcl.embedded.apis.journeys import INNS, TRAINS
from agentgym_hindsight.envs.bfcl.embedded.apis.postbox import MESSAGES
from agentgym_hindsight.envs.bfcl.embedded.apis.stock import ARTICLES
from agentgym_hindsight.envs.bfcl.embedded.clock import clock_text, minutes_of, spoken_day
from agentgym_hindsight.envs.bfcl.embedded.errands.board import add_card
from agentgym_hindsight.envs.bfcl.embedded.errands.diary import a_day
from agentgym_hindsight.envs.bfcl.embedded.errands.drive import a_file, list_folder
from agentgym_hindsight.envs.bfcl.embedded.errands.house import set_heating
from agentgym_hindsight.envs.bfcl.embedded.errands.journeys import a_route
from agentgym_hindsight.envs.bfcl.embedded.errands.postbox import a_message, a_person
from agentgym_hindsight.envs.bfcl.embedded.errands.stock import an_article
from agentgym_hindsight.envs.bfcl.embedded.story import Errand, ImpossibleError, Story

__all__ = ["CONNECTED"]

Turns = Sequence[Callable[[Story], Errand]]


def costs(story: Story) -> Turns:
    """Add up a file, send the sum, and note it in the file."""
    total: list[int] = []

    def add_up(story: Story) -> Errand:
        path, called = a_file(story, ".csv")
        text = story.call("read_file", path=path)["text"]
        numbers = [int(line.rsplit(",", 1)[1]) for line in text.splitlines() if "," in line]
        if len(numbers) < 2:
            raise ImpossibleError("no numbers")
        total.append(story.ask("add_numbers", numbers=numbers)["sum"])
        places.append((path, called))
        return story.say(
            f"{called} has an amount at the end of each line. What is the sum of all amounts?",
            f"Add up the amounts at the ends of the lines in {called}.",
        )

    def tell(story: Story) -> Errand:
        key, name = a_person(story)
        story.call("write_message", person_id=key, text=f"The total is {total[0]}.")
        return story.say(
            f"Send {name} the message 'The total is N.', with the sum in place of N.",
            f"{name} needs it: write 'The total is N.' to them, where N is the sum.",
            vague="Somebody else needs it: send them 'The total is N.', where N is the sum.",
            detail=(f"I mean {name}.", f"Send it to {name}."),
            hold="write_message",
        )

    def note(story: Story) -> Errand:
        path, called = places[0]
        story.call("add_line", path=path, line=f"Total,{total[0]}")
        return story.say(
            f"Note the sum in {called} too: add a last line 'Total,N', with the sum in place of N.",
            f"And add the line 'Total,N' at the end of {called}, where N is the sum.",
        )

    places: list[tuple[str, str]] = []
    return add_up, tell, note


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


def meeting(story: Story) -> Turns:
    """Find a free time, invite people, and prepare it."""
    made: list[str] = []
    title, day = story.name("event"), a_day(story)

    def first_gap(story: Story) -> Errand:
        minutes = story.pick((45, 60, 75, 90))
        gap = story.call("free_times", day=day, minutes=minutes)["free"][0]
        event = story.call("add_event", title=title, day=day, start=gap["from"], minutes=minutes)
        made.append(event["event_id"])
        when = spoken_day(day)
        return story.say(
            f"Find the first time on {when} at which I have {minutes} free minutes, and put '{title}' there.",
            f"I need {minutes} minutes for '{title}' on {when}: take the earliest gap in my diary that is long enough.",
            vague=f"Put '{title}' into the earliest gap of my diary on {when} that is long enough.",
            detail=f"It needs {minutes} minutes.",
        )

    def invite_both(story: Story) -> Errand:
        first, second = story.name("person"), story.name("person")
        for person in (first, second):
            story.call("invite_person", event_id=made[0], person=person)
        return story.say(
            f"Invite {first} and {second} to it.",
            f"{first} and {second} should come. Invite both.",
            vague="Invite the other two to it.",
            detail=f"{first} and {second}.",
            hold="invite_person",
        )

    def prepare(story: Story) -> Errand:
        card = story.call("add_card", title=f"Prepare {title}", points=3)
        story.call("set_due", card_id=card["card_id"], day=day)
        return story.say(
            f"Make a card 'Prepare {title}' with 3 points, due on the day of the event.",
            f"On the board, add 'Prepare {title}', 3 points, to be done by that day.",
            hold="add_card",
        )

    def longer(story: Story) -> Errand:
        story.call("set_length", event_id=made[0], minutes=30)
        return story.say(f"30 minutes are enough for '{title}'. Shorten it.", "Half an hour will do. Make it shorter.")

    return (first_gap, invite_both, prepare) if story.draws.chance(0.5) else (first_gap, invite_both, longer, prepare)


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


def letter_to_board(story: Story) -> Turns:
    """Turn a message into a card of its sender, answer it, and file it."""
    found: list[tuple[str, str]] = []

    def make_card(story: Story) -> Errand:
        rows = story.rows(MESSAGES)
        senders = [record["from"] for _, record in rows if record["to"] == "me"]
        texts = "\n".join(record["text"] for _, record in rows)
        key, record = story.record(
            MESSAGES, lambda record: senders.count(record["from"]) == 1 and record["from"] not in texts
        )
        sender = record["from"]
        story.call("find_messages", text=sender)
        text = story.call("read_message", message_id=key)["text"]
        found.append((key, sender))
        card = story.call("add_card", title=text, points=2)
        story.call("assign_card", card_id=card["card_id"], person=sender)
        return story.say(
            f"{sender} has sent me a message. Make a card of 2 points whose title is its text, and assign it to them.",
            f"Turn the message of {sender} into a card: its text as the title, 2 points, {sender} as owner.",
            vague="Turn a message that I got into a card: its text as the title, 2 points, its sender as owner.",
            detail=f"The message of {sender}.",
            hold="add_card",
        )

    def answer(story: Story) -> Errand:
        story.call("reply_to", message_id=found[0][0], text="It is on the board.")
        return story.say(
            "Reply to that message with 'It is on the board.'",
            "Answer it: 'It is on the board.'",
        )

    def put_away(story: Story) -> Errand:
        story.call("file_message", message_id=found[0][0], folder="archive")
        return story.say("Put the message into 'archive'.", "The message can go to 'archive'.", hold="file_message")

    return (make_card, answer) if story.draws.chance(0.4) else (make_card, answer, put_away)


def tidy_up(story: Story) -> Turns:
    """Gather the files of one kind of a folder in a new folder."""
    ending = story.pick((".csv", ".md", ".txt"))
    files = [key for key, record in story.rows(ITEMS) if record["kind"] == "file" and key.endswith(ending)]
    counts = {folder: sum(key.rsplit("/", 1)[0] == folder for key in files) for folder, _ in story.rows(ITEMS)}
    source = story.pick([folder for folder, count in counts.items() if 2 <= count <= 7])
    target = f"/{story.name('folder')}"
    if any(key == target for key, _ in story.rows(ITEMS)):
        raise ImpossibleError("the folder exists")

    def gather(story: Story) -> Errand:
        story.call("make_folder", path=target)
        for name in story.call("list_folder", path=source)["files"]:
            if name.endswith(ending):
                story.call("move_item", path=f"{source}/{name}", folder=target)
        return story.say(
            f"Make a folder {target} and move all {ending} files of {source} into it.",
            f"All {ending} files that are directly in {source} should be in a new folder {target}.",
            vague=f"Move all {ending} files that are directly in {source} to a new folder.",
            detail=f"The new folder is {target}.",
            hold="make_folder",
        )

    def index(story: Story) -> Errand:
        names = story.call("list_folder", path=target)["files"]
        story.call("write_file", path=f"{target}/index.txt", text="\n".join(names))
        return story.say(
            f"Write a file index.txt in {target} with the names of the files there, one a line, by the alphabet.",
            f"Make {target}/index.txt: the names of all files that are there now, sorted, each on its own line.",
        )

    def measure(story: Story) -> Errand:
        story.ask("measure_file", path=f"{target}/index.txt")
        return story.say("How many characters does the index have?", "Count the words of index.txt.")

    return (gather, index) if story.draws.chance(0.4) else (gather, index, measure, list_folder)


def clear_day(story: Story) -> Turns:
    """Cancel a day, and tell those who were to come."""
    events = story.rows(EVENTS)
    days = sorted({record["day"] for _, record in events})
    day = story.pick([each for each in days if sum(record["day"] == each for _, record in events) >= 2])

    def cancel_all(story: Story) -> Errand:
        for row in story.call("list_events", day=day)["events"]:
            story.call("cancel_event", event_id=row["event_id"])
        return story.say(
            f"I am ill. Cancel all that is in the diary on {spoken_day(day)}.",
            f"Clear my diary on {spoken_day(day)}: cancel every event.",
            vague="I am ill that day. Cancel all that is in the diary.",
            detail=f"On {spoken_day(day)}.",
            hold="cancel_event",
        )

    def tell(story: Story) -> Errand:
        key, name = a_person(story)
        story.call("write_message", person_id=key, text="I am ill and cannot come.")
        return story.say(
            f"Write to {name}: 'I am ill and cannot come.'",
            f"Tell {name} by message: 'I am ill and cannot come.'",
            vague="Write to one more person: 'I am ill and cannot come.'",
            detail=f"To {name}.",
            hold="write_message",
        )

    return (cancel_all, tell, add_card) if story.draws.chance(0.5) else (cancel_all, tell, tell, add_card)


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


#: The conversations, with the APIs that each needs.
CONNECTED: Mapping[str, tuple[tuple[str, ...], Callable[[Story], Turns]]] = {
    "letter_to_board": (("Board", "Postbox"), letter_to_board),
    "costs": (("Drive", "Postbox", "Sums"), costs),
    "evening": (("Diary", "House"), evening),
    "clear_day": (("Board", "Diary", "Postbox"), clear_day),
    "meeting": (("Board", "Diary"), meeting),
    "tidy_up": (("Drive",), tidy_up),
    "restock": (("Stock", "Sums"), restock),
    "enough_on_hand": (("Board", "Postbox", "Stock"), enough_on_hand),
    "trip": (("Diary", "Journeys", "Postbox"), trip),
}
