"""Tasks about notes."""

from __future__ import annotations

from agentgym_hindsight.envs.appworld.miniature.goals import Goal, same_text
from agentgym_hindsight.envs.appworld.miniature.templates.additions import past, put_note
from agentgym_hindsight.envs.appworld.miniature.templates.base import Draws, Job, template
from agentgym_hindsight.envs.appworld.miniature.templates.common import DONE, answer, login, replaced, with_extra_turn
from agentgym_hindsight.envs.appworld.miniature.wordlists import listed
from agentgym_hindsight.envs.appworld.miniature.world import World

__all__ = ["TEMPLATES"]

_TITLES = listed(
    "Spare key, Bicycle, Boiler, Winter tyres, Piano tuner, Vet, Library card, Cellar, Balcony, Lost scarf, Door code, "
    "Kettle, Attic, Window cleaner, Chess club, Allotment"
)
_CONTENTS = (
    "Hangs behind the {} door.",
    "Has to be done by {}.",
    "Ask at the {} counter.",
    "Costs {} in all.",
    "Still at the {} workshop.",
)
_WHERE = listed("green, left, second, small, old, corner, upper, spring, Tuesday, autumn, main, back")
_TAGS = listed("garden, choir, pottery, attic, repairs, bees, sailing, chess, cellar, ceramics, harbour, embroidery")
_THINGS = listed(
    "Ladder, Twine, Seeds, Varnish, Hinges, Lanterns, Buckets, Paint, Ropes, Crates, Labels, Brushes, Nails"
)


@template("train", 1)
def write_note(world: World, draws: Draws) -> Job:
    """Write a note with a given title and text."""
    title, content = draws.pick(_TITLES), draws.pick(_CONTENTS).format(draws.pick(_WHERE))
    instruction = draws.pick(
        (
            f"Write a note titled '{title}' that says: {content}",
            f"Make me a note. Title: '{title}'. Text: {content}",
            f"I need a new note called '{title}' with this text: {content}",
        )
    )
    create = f"apis.notes.create_note(access_token=notes_token, title={title!r}, content={content!r})"
    solution = (login("notes"), create, DONE)
    values = {"title": title, "content": same_text(content), "tags": [], "pinned": False}
    drop = (
        "old = apis.notes.show_notes(access_token=notes_token)[-1]\n"
        "apis.notes.delete_note(access_token=notes_token, note_id=old['note_id'])"
    )
    return Job(
        instruction,
        solution,
        Goal().adds("notes_notes", f"There is a note {title} with the text.", owner=world.supervisor.email, **values),
        {
            "no text": replaced(solution, f", content={content!r}", ""),
            "title and text mixed up": replaced(
                solution, f"title={title!r}, content={content!r}", f"title={content!r}, content={title!r}"
            ),
            "pinned": replaced(solution, "content=", "pinned=True, content="),
            "collateral: written twice": with_extra_turn(solution, create),
            "collateral: deletes another": with_extra_turn(solution, drop),
        },
    )


@template("train", 1, edition=2)
def count_tagged(world: World, draws: Draws) -> Job:
    """Count the notes with a tag: more than one page, and other notes have the word in their text."""
    tag, other = draws.sample(_TAGS, 2)
    count = draws.in_turn(range(6, 26))
    for index in range(count + 5):
        tagged, mentions = index < count, index >= count + 3
        put_note(
            world,
            f"{draws.pick(_THINGS)} {1 + index}",
            f"For the {tag}." if mentions else draws.pick(("Buy more.", "Give back.", "Look for it.")),
            past(world, draws),
            tags=[tag] if tagged else [other],
        )
    instruction = draws.pick(
        (
            f"How many of my notes have the tag '{tag}'?",
            f"Count the notes I tagged '{tag}'.",
            f"Tell me how many notes are tagged '{tag}'.",
        )
    )
    solution = (
        login("notes"),
        "tags = apis.notes.show_tags(access_token=notes_token)\n"
        f"count = [row['notes'] for row in tags if row['tag'] == {tag!r}][0]\nprint(count)",
        answer("count"),
    )

    def counting(code: str) -> tuple[str, ...]:
        return (
            login("notes"),
            f"count = len(apis.notes.show_notes(access_token=notes_token, {code}))",
            answer("count"),
        )

    return Job(
        instruction,
        solution,
        Goal(answer=count),
        {
            "answer from the first page": counting(f"tag={tag!r}"),
            "answer counts the word": counting(f"query={tag!r}, page_limit=20"),
            "answer for another tag": replaced(solution, repr(tag), repr(other)),
            "collateral: tags one more": with_extra_turn(
                solution,
                f"note = apis.notes.show_notes(access_token=notes_token, tag={other!r})[0]\n"
                f"apis.notes.add_tag(access_token=notes_token, note_id=note['note_id'], tag={tag!r})",
            ),
        },
    )


@template("test", 2)
def rename_tag(world: World, draws: Draws) -> Job:
    """Rename a tag on every note that has it: more than one page, and some have other tags as well."""
    old, new, third = draws.sample(_TAGS, 3)
    goal = Goal()
    kinds = [{old}, {old, third}, {old, new}, *({old, *draws.pick(((), (third,)))} for _ in range(4 + draws.below(4)))]
    for index, tags in enumerate([*kinds, {new}, {third}]):
        title = f"{draws.pick(_THINGS)} {1 + index}"
        number = put_note(world, title, "Look for it.", past(world, draws), tags=tags)
        if old in tags:
            new_tags = sorted({*tags} - {old} | {new})
            goal.changes("notes_notes", {"id": number}, f"The note {title} has the tags {new_tags}.", tags=new_tags)
    solution = (
        login("notes", every=True),
        f"notes = every(apis.notes.show_notes, access_token=notes_token, tag={old!r})\nprint(len(notes))",
        "for note in notes:\n"
        f"    tags = [tag for tag in note['tags'] if tag != {old!r}] + [{new!r}]\n"
        "    apis.notes.update_note(access_token=notes_token, note_id=note['note_id'], tags=tags)",
        DONE,
    )
    return Job(
        f"I want to call the tag '{old}' '{new}' from now on. Change it on all my notes that have it; "
        "their other tags stay.",
        solution,
        goal,
        {
            "first page only": replaced(solution, "every(apis.notes.show_notes, ", "apis.notes.show_notes("),
            "drops the other tags": replaced(
                solution, f"[tag for tag in note['tags'] if tag != {old!r}] + [{new!r}]", f"[{new!r}]"
            ),
            "keeps the old tag": replaced(solution, f"[tag for tag in note['tags'] if tag != {old!r}]", "note['tags']"),
            "collateral: the third tag too": with_extra_turn(
                solution,
                f"for note in every(apis.notes.show_notes, access_token=notes_token, tag={third!r}):\n"
                f"    if {new!r} not in note['tags']:\n"
                f"        apis.notes.add_tag(access_token=notes_token, note_id=note['note_id'], tag={new!r})",
            ),
        },
    )


TEMPLATES = (
    write_note,
    count_tagged,
    rename_tag,
)
