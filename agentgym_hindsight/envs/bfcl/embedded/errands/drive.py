"""Errands about files and folders."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from agentgym_hindsight.envs.bfcl.embedded.apis.drive import ITEMS
from agentgym_hindsight.envs.bfcl.embedded.story import Errand, ImpossibleError, Story

__all__ = ["DRIVE_ERRANDS"]


def parent(path: str) -> str:
    """The folder of a path."""
    return path.rsplit("/", 1)[0] or "/"


def a_file(story: Story, ending: str = "") -> tuple[str, str]:
    """A file's path and how the user calls it: by its name alone, if the agent has to find it."""
    path, _ = story.record(ITEMS, lambda record: record["kind"] == "file" and bool(record["text"]))
    for _ in range(40):
        if path.endswith(ending):
            break
        path, _ = story.record(ITEMS, lambda record: record["kind"] == "file" and bool(record["text"]))
    name = path.rsplit("/", 1)[1]
    if story.exact or sum(each.endswith(f"/{name}") for each, _ in story.rows(ITEMS)) > 1:
        return path, path
    story.call("find_items", text=name)
    return path, name


def another_folder(story: Story, path: str) -> str:
    """A folder other than that of a path."""
    name = path.rsplit("/", 1)[1]
    paths = {each for each, _ in story.rows(ITEMS)}
    folders = [
        each
        for each, record in story.rows(ITEMS)
        if record["kind"] == "folder" and each != parent(path) and f"{each}/{name}" not in paths
    ]
    return story.pick([folder for folder in folders if not folder.startswith(f"{path}/")])


def move_file(story: Story) -> Errand:
    path, called = a_file(story)
    folder = another_folder(story, path)
    story.call("move_item", path=path, folder=folder)
    return story.say(
        f"Please move {called} to {folder}.",
        f"Could you put {called} into the folder {folder}?",
        f"{called} belongs in {folder}; move it there.",
        vague=(f"Please move {called} to another folder.", f"{called} is in the wrong folder, please move it."),
        detail=(f"To {folder}.", f"The right folder is {folder}."),
    )


def copy_file(story: Story) -> Errand:
    path, called = a_file(story)
    folder = another_folder(story, path)
    story.call("copy_item", path=path, folder=folder)
    return story.say(
        f"Please copy {called} to {folder}.",
        f"I need a copy of {called} in {folder} too.",
        f"Put a copy of {called} into {folder} and keep the original.",
        vague=f"I need a copy of {called} in another folder.",
        detail=(f"The copy goes to {folder}.", f"In {folder}, please."),
    )


def rename_file(story: Story) -> Errand:
    path, called = a_file(story)
    name = story.name("paper") + "." + path.rsplit(".", 1)[1]
    story.call("rename_item", path=path, name=name)
    return story.say(
        f"Rename {called} to {name}.",
        f"Please give {called} the name {name}.",
        f"{called} should be called {name}.",
        vague=(f"Please give {called} another name.", f"Rename {called} for me."),
        detail=(f"Call it {name}.", f"The new name is {name}."),
    )


def make_folder(story: Story) -> Errand:
    folder = "/" + story.name("folder")
    if story.draws.chance(0.5):
        folder = another_folder(story, folder) + folder
    story.call("make_folder", path=folder)
    return story.say(
        f"Make a new folder {folder}.",
        f"Please create the folder {folder}.",
        f"I need an empty folder {folder}.",
        vague=("I need a new folder.", "Please make a folder for me."),
        detail=(f"It should be {folder}.", f"Make it {folder}."),
        hold="make_folder",
    )


def delete_file(story: Story) -> Errand:
    path, called = a_file(story)
    story.call("delete_item", path=path)
    return story.say(
        f"Delete {called}.",
        f"Please remove the file {called}.",
        f"I do not need {called} any more, delete it.",
        vague=("Please delete a file for me.", "There is a file that I want to be rid of."),
        detail=(f"It is {called}.", f"The file {called}."),
        hold="delete_item",
    )


def write_file(story: Story) -> Errand:
    folder = parent(a_file(story)[0]) if story.exact else another_folder(story, "/x")
    path, text = f"{folder}/{story.name('paper')}.txt", story.name("sentence")
    if any(key == path for key, _ in story.rows(ITEMS)):
        raise ImpossibleError("the file exists")
    story.call("write_file", path=path, text=text)
    return story.say(
        f"Write a file {path} with the text '{text}'.",
        f"Please note '{text}' in a new file {path}.",
        f"Make a file {path} that says '{text}'.",
        vague=(f"Please write a new file {path} for me.", f"I want to note something in a new file {path}."),
        detail=(f"The text is '{text}'.", f"It says '{text}'."),
    )


def add_line(story: Story) -> Errand:
    (path, called), line = a_file(story), story.name("sentence")
    story.call("add_line", path=path, line=line)
    return story.say(
        f"Add the line '{line}' at the end of {called}.",
        f"Please append '{line}' as a new line to {called}.",
        f"At the end of {called}, put one more line: '{line}'",
        vague=f"Please add a line at the end of {called}.",
        detail=(f"The line is '{line}'.", f"It should say '{line}'."),
    )


def sort_file(story: Story) -> Errand:
    path, called = a_file(story)
    story.call("sort_file", path=path)
    return story.say(
        f"Put the lines of {called} into alphabetical order.",
        f"Please sort {called}.",
        f"The lines of {called} should be in the order of the alphabet.",
        vague=("Please sort one of my files.", "A file of mine has to be sorted by the alphabet."),
        detail=(f"It is {called}.", f"{called}, please."),
    )


def read_file(story: Story) -> Errand:
    path, called = a_file(story)
    story.ask("read_file", path=path)
    return story.say(
        f"What is in {called}?",
        f"Please read {called} to me.",
        f"Show me the text of {called}.",
        vague=("Please read one of my files to me.", "Show me the text of a file."),
        detail=(f"The file {called}.", f"It is {called}."),
    )


def measure_file(story: Story) -> Errand:
    path, called = a_file(story)
    story.ask("measure_file", path=path)
    return story.say(
        f"How many words does {called} have?",
        f"Count the lines and words of {called}.",
        f"How long is {called}, in words and characters?",
        vague=("How many words does my file have?", "Please count the words of a file."),
        detail=(f"I mean {called}.", f"The file {called}."),
    )


def search_file(story: Story) -> Errand:
    path, called = a_file(story)
    record = story.records.get(ITEMS, path) or {}
    words = [word.strip(".,-") for word in record["text"].replace(",", " ").split() if len(word.strip(".,-")) > 4]
    word = story.pick(words)
    story.ask("search_lines", path=path, text=word)
    return story.say(
        f"Which lines of {called} contain '{word}'?",
        f"Search {called} for '{word}'.",
        f"Find the lines with '{word}' in {called}.",
        vague=(f"Please search {called} for a word.", f"Find some lines in {called} for me."),
        detail=(f"The lines with '{word}'.", f"Search for '{word}'."),
    )


def list_folder(story: Story) -> Errand:
    folder, _ = story.record(ITEMS, lambda record: record["kind"] == "folder")
    story.ask("list_folder", path=folder)
    return story.say(
        f"What is in the folder {folder}?",
        f"List {folder} for me.",
        f"Which files are in {folder}?",
        vague=("What is in my folder?", "List one of my folders."),
        detail=(f"The folder {folder}.", f"I mean {folder}."),
    )


DRIVE_ERRANDS: Mapping[str, Callable[[Story], Errand]] = {
    "read_file": read_file,
    "delete_file": delete_file,
    "make_folder": make_folder,
    "list_folder": list_folder,
    "sort_file": sort_file,
    "measure_file": measure_file,
    "move_file": move_file,
    "copy_file": copy_file,
    "rename_file": rename_file,
    "search_file": search_file,
    "write_file": write_file,
    "add_line": add_line,
}
