"""Tasks in the files app: sums over a directory, moving files."""

from __future__ import annotations

from agentgym_hindsight.envs.appworld.miniature.goals import Goal
from agentgym_hindsight.envs.appworld.miniature.templates.base import Draws, Job, template
from agentgym_hindsight.envs.appworld.miniature.templates.common import DONE, answer, login, replaced, with_extra_turn
from agentgym_hindsight.envs.appworld.miniature.templates.payments import money
from agentgym_hindsight.envs.appworld.miniature.wordlists import listed
from agentgym_hindsight.envs.appworld.miniature.world import World

__all__ = ["TEMPLATES", "put_directory", "put_file"]

_TOPICS = listed("garden kitchen bicycle attic choir allotment theatre workshop balcony club")
_SHOPS = listed("Old Mill, Corner Store, Penny Lane, Ironworks, Green Door, Harbour Supply, Tin Can, Paper Moon")
_NAMES = listed(
    "april august bakery cellar census clinic december ferry garage harvest january journal lessons library market "
    "members october picnic quarter roster survey tickets visitors weather"
)


def put_directory(world: World, path: str) -> None:
    """Add a directory of the supervisor."""
    world.insert("files_entries", owner=world.supervisor.email, path=path, kind="directory")


def put_file(world: World, path: str, content: str) -> None:
    """Add a file of the supervisor."""
    world.insert("files_entries", owner=world.supervisor.email, path=path, content=content)


@template("train", 2)
def add_up_receipts(world: World, draws: Draws) -> Job:
    """Add up the amounts in the files of a directory; a directory inside it does not count."""
    topic, total = draws.pick(_TOPICS), 0.0
    directory = f"/receipts-{topic}"
    put_directory(world, directory)
    put_directory(world, f"{directory}/old")
    for index in range(7 + draws.below(5)):
        amount = money(draws, 3, 80)
        total += amount
        content = f"{draws.pick(_SHOPS)}\nitems: {1 + draws.below(6)}\namount: {amount:.2f}\n"
        put_file(world, f"{directory}/{100 + 7 * index + draws.below(7)}.txt", content)
    for index in range(2):
        put_file(world, f"{directory}/old/{index}.txt", f"Green Door\nitems: 1\namount: {money(draws, 3, 80):.2f}\n")
    solution = (
        login("files", every=True),
        f"entries = every(apis.files.show_directory, access_token=files_token, path={directory!r})\n"
        "paths = [entry['path'] for entry in entries if entry['kind'] == 'file']",
        "total = 0\n"
        "for path in paths:\n"
        "    content = apis.files.show_file(access_token=files_token, path=path)['content']\n"
        "    total += float(content.split('amount: ')[1].split()[0])",
        answer("round(total, 2)"),
    )
    return Job(
        f"What do the amounts in the files of the directory {directory} come to in all? Leave out directories in it.",
        solution,
        Goal(round(total, 2)),
        {
            "wrong answer: first page only": replaced(
                solution, "every(apis.files.show_directory, ", "apis.files.show_directory("
            ),
            "wrong answer: directories inside as well": replaced(solution, "path='/", "recursive=True, path='/"),
            "wrong answer: the items": replaced(solution, "'amount: '", "'items: '"),
            "wrong answer: how many": replaced(solution, "round(total, 2)", "len(paths)"),
            "collateral change": with_extra_turn(
                solution, "apis.files.delete_file(access_token=files_token, path=paths[0])"
            ),
        },
    )


@template("dev", 2)
def move_tables(world: World, draws: Draws) -> Job:
    """Move all CSV files of a directory to a new one; the directory has three pages."""
    me, topic = world.supervisor.email, draws.pick(_TOPICS)
    source, target = f"/{topic}-papers", f"/{topic}-tables"
    put_directory(world, source)
    goal = Goal().adds("files_entries", f"There is a directory {target}.", owner=me, path=target, kind="directory")
    names = sorted(draws.sample(_NAMES, 12))
    for index, name in enumerate(names):
        table = index in (1, 11) or (index != 2 and draws.chance(0.4))  # on the first page and on the last
        file, content = f"{name}.{'csv' if table else 'txt'}", f"{name},{draws.below(900)}\n"
        put_file(world, f"{source}/{file}", content)
        if table:
            goal.removes("files_entries", f"{file} is not in {source}.", owner=me, path=f"{source}/{file}")
            values = {"owner": me, "path": f"{target}/{file}", "kind": "file", "content": content}
            goal.adds("files_entries", f"{file} is in {target}.", **values)
    move = (
        "for entry in entries:\n"
        "    if entry['path'].endswith('.csv'):\n"
        "        destination = entry['path'].replace(source, target)\n"
        "        apis.files.move_file(access_token=files_token, source=entry['path'], destination=destination)"
    )
    solution = (
        login("files", every=True),
        f"source, target = {source!r}, {target!r}\n"
        "entries = every(apis.files.show_directory, access_token=files_token, path=source)",
        "apis.files.create_directory(access_token=files_token, path=target)\n" + move,
        DONE,
    )
    delete = f"apis.files.delete_file(access_token=files_token, path='{source}/{names[2]}.txt')"
    return Job(
        f"Make a directory {target} and move all CSV files (.csv) of {source} into it. Everything else stays.",
        solution,
        goal,
        {
            "first page only": replaced(solution, "every(apis.files.show_directory, ", "apis.files.show_directory("),
            "copies them": replaced(solution, "move_file", "copy_file"),
            "all files": replaced(solution, "endswith('.csv')", "startswith('/')"),
            "collateral change": with_extra_turn(solution, delete),
        },
    )


TEMPLATES = (
    add_up_receipts,
    move_tables,
)
