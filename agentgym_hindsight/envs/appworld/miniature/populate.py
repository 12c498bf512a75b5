"""Fill a world from its seed."""

from __future__ import annotations

from agentgym_hindsight.envs.appworld.miniature.database import Database
from agentgym_hindsight.envs.appworld.miniature.hamlet import LOGIN_APPS
from agentgym_hindsight.envs.appworld.miniature.people import CITY, password
from agentgym_hindsight.envs.appworld.miniature.populating.mail_phone import write_mail, write_phone
from agentgym_hindsight.envs.appworld.miniature.populating.music import write_music
from agentgym_hindsight.envs.appworld.miniature.populating.notes_calendar_files import (
    write_calendar,
    write_files,
    write_notes,
)
from agentgym_hindsight.envs.appworld.miniature.populating.payments import write_payments
from agentgym_hindsight.envs.appworld.miniature.populating.shop import write_shop
from agentgym_hindsight.envs.appworld.miniature.populating.story import Story

__all__ = ["populate"]


def populate(db: Database, seed: int) -> None:
    """Write all rows of the world of a seed."""
    story = Story(db, seed)
    me = story.me
    db.now = story.now.isoformat()
    story.add("system_world", id=1, seed=seed, now=db.now, supervisor=me.email)
    for person in story.people:
        story.add("system_people", **{**person._asdict(), "relationships": list(person.relationships)})
    _write_supervisor(story)
    for write in (
        write_phone,
        write_mail,
        write_notes,
        write_calendar,
        write_files,
        write_payments,
        write_shop,
        write_music,
    ):
        write(story)


def _write_supervisor(story: Story) -> None:
    me, draws = story.me, story.draws("supervisor")
    work = f"{1 + draws.below(60)} Foundry Square"
    for name, street in (("Home", me.street), ("Work", work)):
        story.add("supervisor_addresses", name=name, street=street, city=CITY, postcode=f"{4100 + draws.below(80)}")
    for name, offset in (("Hamlet Savings", 400), ("Blue Heron", 900), ("Old Mint", -40)):
        story.add(
            "supervisor_cards",
            name=name,
            number="".join(str(draws.below(10)) for _ in range(16)),
            expires_on=story.day(offset + draws.below(30)),
            security_code=f"{100 + draws.below(900)}",
        )
    for app in LOGIN_APPS:
        story.add("supervisor_passwords", app=app, username=me.email, password=password(story.seed, app))
