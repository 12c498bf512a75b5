"""Conversations about work: later turns need what earlier ones found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from agentgym_hindsight.envs.bfcl.embedded.apis.diary import EVENTS
from agentgym_hindsight.envs.bfcl.embedded.apis.drive import ITEMS
from agentgym_hindsight.envs.bfcl.embedded.apis.postbox import MESSAGES
from agentgym_hindsight.envs.bfcl.embedded.clock import spoken_day
from agentgym_hindsight.envs.bfcl.embedded.errands.board import add_card
from agentgym_hindsight.envs.bfcl.embedded.errands.diary import a_day
from agentgym_hindsight.envs.bfcl.embedded.errands.drive import a_file, list_folder
from agentgym_hindsight.envs.bfcl.embedded.errands.postbox import a_person
from agentgym_hindsight.envs.bfcl.embedded.story import Errand, ImpossibleError, Story

__all__ = ["CONNECTED_OFFICE"]

Turns = Sequence[Callable[[Story], Errand]]


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


#: The conversations, with the APIs that each needs.
CONNECTED_OFFICE: Mapping[str, tuple[tuple[str, ...], Callable[[Story], Turns]]] = {
    "letter_to_board": (("Board", "Postbox"), letter_to_board),
    "costs": (("Drive", "Postbox", "Sums"), costs),
    "clear_day": (("Board", "Diary", "Postbox"), clear_day),
    "meeting": (("Board", "Diary"), meeting),
    "tidy_up": (("Drive",), tidy_up),
}
