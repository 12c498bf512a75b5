from __future__ import annotations

import pickle

import pytest

import agentgym_hindsight
from agentgym_hindsight import errors
from agentgym_hindsight.errors import HindsightError, MissingExtraError, UnknownNameError
from agentgym_hindsight.installation import pip_command

CLASSES = [getattr(errors, name) for name in errors.__all__]


def build(kind: type[HindsightError]) -> HindsightError:
    if kind is UnknownNameError:
        return UnknownNameError("split", "tran", ["train", "valid"])
    if kind is MissingExtraError:
        return MissingExtraError("torch", "train", "Training")
    return kind("Expected a, got b; try c.")


def test_all_lists_every_exception() -> None:
    defined = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}
    assert defined == set(errors.__all__)
    assert all(issubclass(kind, HindsightError) for kind in CLASSES)
    assert agentgym_hindsight.errors is errors


def test_the_docstring_shows_every_exception() -> None:
    drawn = errors.__doc__ or ""
    for kind in CLASSES:
        assert kind.__name__ in drawn
        assert kind.__doc__


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (errors.UsageError, ValueError),
        (errors.UnknownNameError, ValueError),
        (errors.ResetNeededError, ValueError),
        (errors.MissingDataError, FileNotFoundError),
        (errors.MissingExtraError, ImportError),
        (errors.ConformanceError, AssertionError),
        (errors.WorkerError, errors.BackendError),
        (errors.SchemaError, errors.DataError),
    ],
)
def test_exceptions_have_builtin_bases(kind: type[Exception], builtin: type[Exception]) -> None:
    with pytest.raises(builtin):
        raise build(kind)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_exceptions_can_be_pickled(kind: type[HindsightError]) -> None:
    error = build(kind)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert str(again) == str(error)
    assert again.__dict__ == error.__dict__


def test_unknown_name_proposes_the_nearest_name() -> None:
    error = UnknownNameError("split", "tran", iter(["valid", "train"]))
    assert str(error) == "Expected a known split, got 'tran'; did you mean 'train'? Known: train, valid."
    assert (error.kind, error.name, error.known) == ("split", "tran", ("train", "valid"))
    assert "did you mean" not in str(UnknownNameError("split", "zzz", ["train"]))
    assert "There is no split here." in str(UnknownNameError("split", 3, []))


def test_missing_extra_gives_the_pip_command() -> None:
    error = MissingExtraError("torch", "train", "Training")
    assert "Training needs the package 'torch'" in str(error)
    assert f"try: {pip_command('train')}" in str(error)
