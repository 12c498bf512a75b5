"""Initial data of the payments app: accounts, payments and payment requests."""

from __future__ import annotations

from agentgym_hindsight.envs.appworld.miniature.people import Person
from agentgym_hindsight.envs.appworld.miniature.populating.story import Story

__all__ = ["write_payments"]

_PURPOSES = ("coffee", "cinema", "lunch", "bus tickets", "flowers", "pizza", "concert", "paint", "plants", "parking")


def write_payments(story: Story) -> None:
    """Write the balances of all people, and their payments of the last two months."""
    me, draws = story.me, story.draws("payments")
    roommates, friends = story.related("roommate"), story.related("friend")
    for person in story.people:
        balance = 400 + draws.below(900) if person is me else 50 + draws.below(2000)
        story.add("payments_accounts", user=person.email, balance=balance + draws.below(100) / 100)
    for card in story.db.rows("supervisor_cards"):
        story.add(
            "payments_cards",
            owner=me.email,
            name=card["name"],
            number=card["number"],
            expires_on=card["expires_on"],
        )
    for friend in draws.sample(story.others, 6):
        story.add("payments_friends", user=me.email, friend=friend.email)
        if draws.chance(0.7):
            story.add("payments_friends", user=friend.email, friend=me.email)

    share = len(roommates) + 1
    payments: list[tuple[str, Person, Person, float, str]] = []
    for months_ago in (0, 1):
        for name, amount in story.bills.items():
            payer = draws.pick([me, *roommates])
            payments += [
                (story.past(draws, 28 + 30 * months_ago), other, payer, round(amount / share, 2), name)
                for other in [me, *roommates]
                if other is not payer and draws.chance(0.5)
            ]
    payments.append((story.past(draws, 20), me, story.host, round(story.lodging_cost / 8, 2), f"deposit {story.place}"))
    for _ in range(12):
        one, other = me, draws.pick(friends if draws.chance(0.6) else story.others)
        if draws.chance(0.5):
            one, other = other, one
        payments.append(
            (story.past(draws, 60), one, other, 3 + draws.below(40) + 0.5 * draws.below(2), draws.pick(_PURPOSES))
        )
    for _ in range(8):
        one, other = draws.sample(story.others, 2)
        payments.append((story.past(draws, 60), one, other, float(3 + draws.below(60)), draws.pick(_PURPOSES)))
    numbers = []
    for at, sender, receiver, amount, note in sorted(payments, key=lambda payment: payment[0]):
        numbers.append(
            story.add(
                "payments_transactions",
                sender=sender.email,
                receiver=receiver.email,
                amount=amount,
                note=note,
                private=draws.chance(0.2),
                created_at=at,
            )
        )
    for number in draws.sample(numbers, 5):
        text = draws.pick(("Thanks!", "Again soon?", "That was quick.", "My treat next time."))
        story.add(
            "payments_comments",
            transaction_id=number,
            author=draws.pick(story.others).email,
            text=text,
            created_at=story.past(draws, 10),
        )
    _write_requests(story)


def _write_requests(story: Story) -> None:
    me, draws = story.me, story.draws("requests")
    roommates = story.related("roommate")
    share, bill = len(roommates) + 1, draws.pick(sorted(story.bills))
    rows: list[tuple[Person, Person, float, str, str]] = [
        (story.host, me, round(story.lodging_cost / 4, 2), f"{story.lodging} {story.place}", "pending"),
        (roommates[0], me, round(story.bills[bill] / share, 2), f"{bill}, your part", "pending"),
        (draws.pick(story.others), me, float(10 + draws.below(50)), draws.pick(_PURPOSES), "pending"),
        (story.related("coworker")[0], me, float(8 + draws.below(9)), "lunch", "accepted"),
        (story.related("neighbor")[0], me, float(90 + draws.below(90)), "fence paint", "denied"),
        (me, story.travellers[1], float(12 + draws.below(20)), f"food for {story.place}", "pending"),
        (me, roommates[1], float(6 + draws.below(20)), "groceries", "pending"),
        (me, story.related("sibling")[0], float(20 + draws.below(30)), "present for Mum", "accepted"),
    ]
    for requester, payer, amount, note, status in rows:
        story.add(
            "payments_requests",
            requester=requester.email,
            payer=payer.email,
            amount=amount,
            note=note,
            status=status,
            created_at=story.past(draws, 25),
        )
