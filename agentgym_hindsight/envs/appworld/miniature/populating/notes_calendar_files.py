"""Initial data of the notes, calendar and files apps."""

from __future__ import annotations

from agentgym_hindsight.envs.appworld.miniature.people import Person
from agentgym_hindsight.envs.appworld.miniature.populating.story import Story
from agentgym_hindsight.envs.appworld.miniature.wordlists import listed

__all__ = ["write_calendar", "write_files", "write_notes"]

_GROCERIES = listed(
    "oats, rice, lentils, tomatoes, onions, apples, carrots, yoghurt, bread, eggs, coffee, tea, olive oil, spinach, "
    "mushrooms, dish soap, paper towels, garlic, lemons, pasta"
)
_BOOKS = listed(
    "The Salt Road, A House of Birds, Winter Arithmetic, The Glass Orchard, Letters to a Clockmaker, Seven Quiet "
    "Rivers, The Cartographer's Niece, Field Guide to Fog"
)
_RECIPES = (
    ("Lentil soup", "lentils, carrots, onions, garlic, lemons", 45),
    ("Mushroom pasta", "pasta, mushrooms, garlic, olive oil", 25),
    ("Tomato rice", "rice, tomatoes, onions, olive oil", 35),
    ("Apple oats", "oats, apples, yoghurt", 15),
    ("Spinach eggs", "eggs, spinach, bread", 20),
)
_EXERCISES = ("squats", "push-ups", "rowing", "plank", "lunges", "cycling")


def write_notes(story: Story) -> None:
    """Write the supervisor's notes, and a few private notes of other people."""
    me, draws = story.me, story.draws("notes")
    lunch = draws.sample(_EXERCISES, 3)
    notes: list[tuple[str, str, list[str], bool]] = [
        ("Groceries", "\n".join(f"- {item}" for item in draws.sample(_GROCERIES, 7)), ["home", "shopping"], True),
        (
            f"Packing for {story.place}",
            "\n".join(
                f"[{'x' if draws.chance(0.4) else ' '}] {item}" for item in ("tent", "lamp", "rope", "maps", "mugs")
            ),
            ["travel"],
            False,
        ),
        (
            f"{story.place}: costs",
            f"{story.lodging}: {story.lodging_cost:.2f} paid by {story.host.first_name}\n"
            f"fuel: {40 + draws.below(40)}.00 paid by {story.travellers[1].first_name}",
            ["travel", "money"],
            False,
        ),
        (
            "Reading list",
            "\n".join(f"{place}. {book}" for place, book in enumerate(draws.sample(_BOOKS, 5), 1)),
            ["books"],
            draws.chance(0.5),
        ),
        ("Workout", "\n".join(f"{name}: {5 + 5 * draws.below(5)}" for name in lunch), ["health"], False),
        (
            f"{story.project}: open points",
            f"- chart of costs\n- ask {story.related('coworker')[0].first_name} for figures\n- send report",
            ["work"],
            False,
        ),
        (
            f"Meeting on {story.other_project}",
            f"Present: {', '.join(p.first_name for p in story.related('coworker')[:2])}\nNext: a shorter plan",
            ["work"],
            False,
        ),
        (
            "Gift ideas",
            "\n".join(
                f"{p.first_name}: {thing}" for p, thing in zip(story.others, ("teapot", "scarf", "lamp"), strict=False)
            ),
            ["family"],
            False,
        ),
        ("Window measures", f"kitchen {80 + draws.below(40)} cm, bath {50 + draws.below(20)} cm", ["home"], False),
        ("Birds seen", "heron, siskin, two jays", [], False),
    ]
    for name, parts, minutes in draws.sample(_RECIPES, 3):
        notes.append((f"Recipe: {name}", f"Takes {minutes} minutes.\nNeeds: {parts}", ["recipe"], False))
    for title, content, tags, pinned in notes:
        story.add(
            "notes_notes",
            owner=me.email,
            title=title,
            content=content,
            tags=sorted(tags),
            pinned=pinned,
            created_at=story.past(draws, 90),
        )
    for person in draws.sample(story.others, 3):
        story.add(
            "notes_notes",
            owner=person.email,
            title="Private",
            content="Nobody else reads this.",
            created_at=story.past(draws, 90),
        )


def write_calendar(story: Story) -> None:
    """Write the supervisor's events before and after today, and busy hours of other people."""
    me, draws = story.me, story.draws("calendar")
    manager, coworkers = story.related("manager")[0], story.related("coworker")
    friends, roommates = story.related("friend"), story.related("roommate")
    begin = 5 + draws.below(6)

    def event(
        organizer: Person,
        title: str,
        start: str,
        end: str,
        where: str = "",
        about: str = "",
        *guests: tuple[Person, str],
    ) -> None:
        number = story.add(
            "calendar_events",
            organizer=organizer.email,
            title=title,
            starts_at=start,
            ends_at=end,
            location=where,
            description=about,
            reminder_minutes=draws.pick((0, 10, 15, 30, 60)),
        )
        for guest, status in guests:
            story.add("calendar_attendees", event_id=number, email=guest.email, status=status)

    def clock(hour: int, minute: int = 0) -> str:
        return f"{hour:02}:{minute:02}"

    team = [(person, draws.pick(("accepted", "accepted", "invited"))) for person in coworkers]
    for week in (-7, 0, 7):
        event(
            manager,
            f"{story.project} planning",
            story.at(week + 1, clock(10)),
            story.at(week + 1, clock(11)),
            "Room 2",
            "What is next",
            (me, "accepted"),
            *team,
        )
    event(
        story.host,
        f"Trip to {story.place}",
        story.at(begin, "08:00"),
        story.at(begin + story.nights, "18:00"),
        story.place,
        f"{story.lodging}, {story.nights} nights",
        (me, "accepted"),
        *((person, "accepted") for person in story.travellers[1:]),
    )
    event(me, "Dentist", story.at(2, clock(9 + draws.below(3))), story.at(2, clock(12)), "4 Bell Row")
    event(me, "Running club", story.at(3, "17:30"), story.at(3, "19:00"), "Canal bridge")
    event(me, "Lunch", story.at(1, "12:30"), story.at(1, "13:30"), story.cafes[0], "", (coworkers[0], "accepted"))
    event(
        me, "House meeting", story.at(2, "19:00"), story.at(2, "20:00"), "Kitchen", "Bills and plants",
        *((person, draws.pick(("accepted", "invited", "declined"))) for person in roommates),
    )  # fmt: skip
    event(me, f"{story.other_project} review", story.at(-4, "14:00"), story.at(-4, "15:30"), "Room 1", "", *team[:2])
    event(me, "Haircut", story.at(-9, "16:00"), story.at(-9, "16:45"), "7 Mill Lane")
    for who, title, offset, hour, where, status in (
        (draws.pick(friends), "Board games", 4, 19, "my place", "invited"),
        (draws.pick(friends), f"Dinner at {story.cafes[1]}", 3, 20, story.cafes[1], "invited"),
        (coworkers[1], "Design talk", 2, 15, "Room 3", "invited"),
        (story.related("parent")[0], "Sunday lunch", 5, 12, "the garden", "accepted"),
        (story.related("neighbor")[0], "Street party", 13, 16, "in the street", "declined"),
    ):
        event(who, title, story.at(offset, clock(hour)), story.at(offset, clock(hour + 2)), where, "", (me, status))
    for person in (*coworkers, *draws.sample(friends, 2)):  # so that a common free time must be looked up
        hour = 9 + draws.below(7)
        event(person, "Busy", story.at(1, clock(hour)), story.at(1, clock(hour + 1, 30)))


def write_files(story: Story) -> None:
    """Write the supervisor's directories and files, and a few files of other people."""
    me, draws = story.me, story.draws("files")
    coworker = story.related("coworker")[0]
    folder, project, other = (
        name.lower().replace(" ", "-") for name in (story.place, story.project, story.other_project)
    )
    contents = {
        f"/work/{project}/report.txt": f"{story.project}\ncosts: {900 + draws.below(900)}\n",
        f"/work/{project}/figures.csv": _figures(story),
        f"/work/{other}/minutes.txt": f"Written by {coworker.name}\n",
        "/work/cv.txt": f"{me.name}\n{me.street}\n{me.phone_number}\n",
        f"/trips/{folder}/itinerary.txt": f"{story.nights} nights in {story.place}\nDay 1: arrive\nDay 2: walk\n",
        f"/trips/{folder}/booking.txt": f"{story.lodging}: {story.lodging_cost:.2f}\nbooked by {story.host.name}\n",
        "/photos/readme.txt": "Sorted by year.\n",
        "/downloads/manual.txt": "Keep away from water.\n",
        "/downloads/song-words.txt": "La la la\n",
        "/downloads/receipt.txt": f"{story.cafes[1]}\ntotal: {20 + draws.below(60)}.50\n",
        "/notes.txt": "Ask about the key.\n",
    }
    for name, amount in story.bills.items():
        for months_ago in range(3):
            month = story.day(-30 * months_ago)[:7]
            value = amount if months_ago == 0 else round(amount + draws.below(20) - 10 + draws.below(100) / 100, 2)
            contents[f"/bills/{name}-{month}.txt"] = f"{name}\nmonth: {month}\namount: {value:.2f}\n"
    _add_tree(story, me, contents)
    for person in draws.sample(story.others, 2):
        _add_tree(story, person, {"/private/diary.txt": "Not yours to read.\n"})


def _figures(story: Story) -> str:
    draws = story.draws("figures")
    lines = [
        f"{month},{100 + draws.below(900)},{50 + draws.below(400)}" for month in ("Jan", "Feb", "Mar", "Apr", "May")
    ]
    return "\n".join(("month,income,costs", *lines)) + "\n"


def _add_tree(story: Story, owner: Person, contents: dict[str, str]) -> None:
    draws = story.draws(f"tree {owner.email}")
    folders = {path.rpartition("/")[0] for path in contents} - {""}
    folders |= {folder.rpartition("/")[0] for folder in folders} - {""}
    for path in sorted(folders):
        story.add("files_entries", owner=owner.email, path=path, kind="directory", created_at=story.past(draws, 200))
    for path, content in contents.items():
        story.add("files_entries", owner=owner.email, path=path, content=content, created_at=story.past(draws, 200))
