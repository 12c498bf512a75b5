"""Create a small synthetic data folder for the original ``appworld`` package. Run by the package's interpreter.

    $APPWORLD_PYTHON official_world.py ROOT

Nothing in it comes from the benchmark: the rows, the five tasks and the checks are made up. With it the original server
can initialize, execute and evaluate, so that the tests can compare its behaviour.
"""

import json
import os
import sys
from pathlib import Path

TASKS = {
    # id: split, instruction, answer
    "aaaaaaa_1": ("train", "Write a note titled ink that says blue.", None),
    "aaaaaaa_2": ("train", "Write a note titled pen that says blue.", None),
    "bbbbbbb_1": ("dev", "How many notes do I have?", "2"),
    "ccccccc_1": ("test_normal", "Write a note titled cup that says blue.", None),
    "ddddddd_1": ("test_challenge", "Write a note titled jar that says blue.", None),
}
PERSON = {"first_name": "Ada", "last_name": "Quill", "email": "ada@quill.example.com", "phone_number": "5550000001"}
PASSWORD = "blue-ink-7"

LOGIN = """\
passwords = apis.supervisor.show_account_passwords()
password = [row["password"] for row in passwords if row["account_name"] == "simple_note"][0]
token = apis.simple_note.login(username="{email}", password=password)["access_token"]
"""
WRITE = 'apis.simple_note.create_note(title="{title}", content="blue", access_token=token)\n'
COUNT = "answer = len(apis.simple_note.search_notes(access_token=token))\n"

EVALUATION = """\
def evaluate(test, public_data, private_data, main_user, models, ground_truth_answer):
    with test("The right notes are there at the end."):
        titles = sorted(note.title for note in models.end.simple_note.Note.all())
        test.case(titles, "==", sorted(private_data["titles"]))
    with test("The answer is what was asked for."):
        test.answer(models.end.supervisor.Task.all()[0].to_dict()["answer"], json_of(ground_truth_answer))


def json_of(value):
    import json

    return json.dumps(value)
"""


def solution_of(task_id: str) -> str:
    """The reference solution of a task, as a program without a function."""
    instruction = TASKS[task_id][1]
    login = LOGIN.format(email=PERSON["email"])
    if TASKS[task_id][2] is not None:
        return login + COUNT + "apis.supervisor.complete_task(answer=str(answer))\n"
    return login + WRITE.format(title=instruction.split()[4]) + "apis.supervisor.complete_task()\n"


def make(root: Path) -> None:
    os.environ["APPWORLD_ROOT"] = str(root)
    from appworld import update_root

    update_root(str(root))
    from appworld.apps import get_all_apps
    from appworld.collections.api_docs import ApiDocCollection

    apps = get_all_apps(skip_admin=True)
    docs_folder = root / "data" / "api_docs" / "standard"
    docs_folder.mkdir(parents=True)
    documented = ApiDocCollection.build(load_apps=("supervisor", "simple_note"))
    for app in apps:  # only two apps have documentation: building all takes ten seconds
        docs = {name: {**doc, "canary_string": ""} for name, doc in documented.get(app, {}).items()}
        (docs_folder / f"{app}.json").write_text(json.dumps(docs))
    for task_id in TASKS:
        make_task(root, task_id, apps)
    datasets = root / "data" / "datasets"
    datasets.mkdir()
    for split in ("train", "dev", "test_normal", "test_challenge"):
        ids = [task_id for task_id, row in TASKS.items() if row[0] == split]
        (datasets / f"{split}.txt").write_text("\n".join(ids) + "\n")


def make_task(root: Path, task_id: str, apps: "list[str]") -> None:
    from appworld.collections.models import ModelCollection
    from appworld.common.constants import DB_VERSION

    split, instruction, answer = TASKS[task_id]
    folder = root / "data" / "tasks" / task_id
    home = f":memory:task_input-{task_id}"
    models = ModelCollection.load(
        to_db_home_path=home, from_db_home_path=home, load_apps=[*apps, "admin"], create_db=True
    )
    supervisor = models.supervisor.Supervisor(**PERSON, birthday="1990-01-01")
    supervisor.save()
    models.supervisor.Task(supervisor_id=supervisor.id, instruction=instruction).save()
    models.supervisor.AccountPassword(supervisor_id=supervisor.id, account_name="simple_note", password=PASSWORD).save()
    models.admin.MainUser(**PERSON, birthday="1990-01-01").save()
    owner = models.simple_note.User(
        first_name=PERSON["first_name"],
        last_name=PERSON["last_name"],
        email=PERSON["email"],
        password=PASSWORD,
        verified=True,
    )
    owner.save()
    kept = ["milk", "tea"]
    for title in kept:
        models.simple_note.Note(user_id=owner.id, title=title, content="bought", tags=[], pinned=False).save()
    models.save(str(folder / "dbs"), app_names=[*apps, "admin"], delete_if_exists=True)
    specs = {
        "instruction": instruction,
        "supervisor": PERSON,
        "datetime": "2023-05-18T12:00:00",
        "db_version": DB_VERSION,
        "canary_string": "",
    }
    (folder / "specs.json").write_text(json.dumps(specs))
    truth = folder / "ground_truth"
    truth.mkdir()
    open_split = split in ("train", "dev")
    titles = kept if answer is not None else [*kept, instruction.split()[4]]
    labels = ("no_op_pass", "no_op_fail") if answer is not None else ("no_op_fail", "no_op_fail")
    requirements = ("The right notes are there at the end.", "The answer is what was asked for.")
    rows = [{"requirement": text, "label": label} for text, label in zip(requirements, labels, strict=True)]
    written = {
        "metadata.json": {
            "difficulty": 1,
            "mode": "full" if open_split else "minimal",
            "num_apps": 1,
            "num_apis": 3,
            "num_api_calls": 4,
            "num_solution_code_lines": 5,
        },
        "public_data.json": {},
        "private_data.json": {"titles": titles},
        "answer.json": answer,
        "test_data.json": rows,
    }
    for name, value in written.items():
        (truth / name).write_text(json.dumps(value))
    (truth / "evaluation.py").write_text(EVALUATION)
    if open_split:  # like the benchmark, no solutions for the test splits
        body = "".join(f"    {line}\n" for line in solution_of(task_id).splitlines())
        code = f"# Canary String: ours\ndef solution(apis, requester):\n{body}"
        (truth / "compiled_solution.py").write_text(code)
        (truth / "solution.py").write_text(code)
        (truth / "required_apps.json").write_text(json.dumps(["simple_note"]))


if __name__ == "__main__":
    make(Path(sys.argv[1]))
