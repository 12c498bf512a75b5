"""The world of a seed: the same on every machine, and independent of other worlds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agentgym_hindsight.envs.appworld.failures import ApiFailure
from agentgym_hindsight.envs.appworld.miniature import LOGIN_APPS, SCHEMA, WORLD_NAME, World
from agentgym_hindsight.errors import UsageError
from tests.envs.appworld.hamlet import OTHER_SEED, SEED, Agent, digest, planted, planted_world

#: Changes only with the generator. Mention such a change in the change log, because it changes the tasks.
GOLDEN = "e379061b383ac103"


# -- generation ---------------------------------------------------------------------------------------------------


def test_the_world_of_a_seed_is_the_same_on_every_machine() -> None:
    assert digest(World.new(SEED)) == GOLDEN


def test_the_world_does_not_depend_on_the_hash_seed() -> None:
    code = (
        "from agentgym_hindsight.envs.appworld.miniature import World; from tests.envs.appworld.hamlet import digest;"
        f"print(digest(World.new({SEED})))"
    )
    root = Path(__file__).parents[3]
    for hash_seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": hash_seed},
            cwd=root,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == GOLDEN


@pytest.mark.parametrize("seed", [0, 1, 2, 3, 50, 999, 2**40])
def test_every_world_is_consistent(seed: int) -> None:
    world = World.new(seed)
    me = world.supervisor
    assert 200 <= sum(len(world.rows(table)) for table in SCHEMA) <= 700
    assert len({person.email for person in world.people}) == len(world.people) >= 14
    assert len({person.phone_number for person in world.people}) == len(world.people)
    for relationship, least in (("parent", 2), ("sibling", 1), ("roommate", 2), ("coworker", 3), ("friend", 3)):
        assert len(world.related(relationship)) >= least
    assert len(world.related("manager")) == 1
    assert {row["street"] for row in world.rows("system_people") if "roommate" in row["relationships"]} == {me.street}
    addresses = {person.email for person in world.people}
    numbers = {person.phone_number for person in world.people}
    for table, column in (
        ("payments_transactions", "sender"),
        ("payments_transactions", "receiver"),
        ("payments_requests", "payer"),
        ("calendar_events", "organizer"),
        ("calendar_attendees", "email"),
        ("notes_notes", "owner"),
        ("shop_reviews", "author"),
    ):
        assert {row[column] for row in world.rows(table)} <= addresses
    assert {row["sender"] for row in world.rows("phone_messages")} <= numbers
    for table, column in (
        ("mail_emails", "sent_at"),
        ("phone_messages", "sent_at"),
        ("payments_transactions", "created_at"),
        ("shop_orders", "placed_at"),
        ("notes_notes", "created_at"),
        ("shop_reviews", "created_at"),
    ):
        assert max(row[column] for row in world.rows(table)) < world.now, "the stored rows are in the past"
    for event in world.rows("calendar_events"):
        assert event["starts_at"] < event["ends_at"]
        assert not world.find("calendar_attendees", event_id=event["id"], email=event["organizer"])
    assert any(event["starts_at"] > world.now for event in world.rows("calendar_events"))
    for order in world.rows("shop_orders"):
        items = world.rows("shop_order_items", order_id=order["id"])
        assert order["total"] == round(sum(item["price"] * item["quantity"] for item in items), 2)
    assert not any(row["sender"] == row["receiver"] for row in world.rows("payments_transactions"))
    for row in world.rows("files_entries"):
        parent = row["path"].rpartition("/")[0]
        assert not parent or world.row("files_entries", owner=row["owner"], path=parent)["kind"] == "directory"
    for song in world.rows("music_songs"):
        assert world.row("music_albums", id=song["album_id"])["artist_id"] == song["artist_id"]
    world.close()


def test_worlds_of_different_seeds_differ() -> None:
    worlds = [World.new(seed) for seed in range(12)]
    assert len({digest(world) for world in worlds}) == 12
    assert len({world.supervisor.email for world in worlds}) > 9
    assert len({world.now for world in worlds}) == 12
    assert len({row["password"] for world in worlds for row in world.rows("supervisor_passwords")}) == 96
    for world in worlds:
        world.close()


def test_the_name_of_the_world() -> None:
    assert WORLD_NAME == "miniature/hamlet"


# -- World -----------------------------------------------------------------------------------------------------------


def test_rows_inserted_before_sealing_are_part_of_the_snapshot(world: World, agent: Agent) -> None:
    assert world.instruction == "Tidy up."
    assert agent("supervisor.show_active_task")["given_at"] == world.now
    assert not world.delta(system=False)
    agent("notes.delete_note", note_id=900)
    assert world.find("notes_notes", id=900) is None
    world.reset()
    assert world.row("notes_notes", id=900)["title"] == "Planted"


def test_a_loaded_world_equals_the_frozen_one(world: World) -> None:
    fresh = planted_world()
    assert fresh.db.dump() == world.db.dump()
    assert (fresh.people, fresh.supervisor, fresh.now) == (world.people, world.supervisor, world.now)
    fresh.close()


def test_worlds_share_no_state() -> None:
    one, two = World.load(planted()), World.load(planted())
    three = World.new(OTHER_SEED)
    dump = two.db.dump()
    agent = Agent(one)
    agent("notes.create_note", title="Mine alone")
    agent("supervisor.complete_task")
    assert two.db.dump() == dump
    assert (two.completed, three.completed, one.completed) == ("", "", "success")
    token = agent.login("notes")
    for other in (two, three):
        with pytest.raises(ApiFailure, match="not valid"):
            other.call("notes", "show_notes", {"access_token": token})
    assert Agent(three).login("notes") != token
    for world in (one, two, three):
        world.close()


def test_reset_removes_sessions_and_the_submission(world: World, agent: Agent) -> None:
    dump, key = world.db.dump(), world.delta_key()
    agent("mail.send_email", recipients=[world.people[3].email], subject="Hi", body="Ho")
    agent("supervisor.complete_task", answer=1.5)
    assert (world.completed, world.answer) == ("success", 1.5)
    world.reset()
    assert (world.db.dump(), world.delta_key(), world.completed, world.answer) == (dump, key, "", None)
    assert agent.refusal("mail.show_emails")[0] == 401


def test_an_unknown_person_is_an_error(world: World) -> None:
    with pytest.raises(UsageError, match=r"try one of world\.people"):
        world.person("nobody@hamlet.example")


def test_the_state_key_does_not_depend_on_the_path(world: World, agent: Agent) -> None:
    def like() -> None:
        agent("music.like_song", song_id=900)

    def wish() -> None:
        agent("shop.add_to_wish_list", product_id=900)

    def look() -> None:
        agent("notes.show_notes", page_limit=20)

    def there_and_back() -> None:
        agent("notes.pin_note", note_id=900)
        agent("notes.pin_note", note_id=900, pinned=False)

    keys = set()
    for order in (
        (like, wish),
        (wish, look, like),
        (there_and_back, like, look, wish),
        (like, like_back(agent), like, wish),
    ):
        for app in LOGIN_APPS:
            agent.tokens.pop(app, None)
            agent.login(app)
        for act in order:
            act()
        keys.add(world.delta_key())
        world.reset()
    assert len(keys) == 1


def like_back(agent: Agent) -> Any:
    return lambda: agent("music.unlike_song", song_id=900)
