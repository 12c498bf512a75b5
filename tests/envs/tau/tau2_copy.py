"""A small package with the interface of ``tau2`` that this library uses, for tests without the real one."""

from __future__ import annotations

import json
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

pydantic = pytest.importorskip("pydantic")


class Item(pydantic.BaseModel):  # type: ignore[misc, name-defined]
    name: str
    price: float


class Order(pydantic.BaseModel):  # type: ignore[misc, name-defined]
    order_id: str
    user_id: str
    items: list[Item]
    status: str = "pending"
    reason: str | None = None
    exchanged: list[str] | None = None


class User(pydantic.BaseModel):  # type: ignore[misc, name-defined]
    user_id: str
    email: str
    balance: float


class Shelf(pydantic.BaseModel):  # type: ignore[misc, name-defined]
    orders: dict[str, Order]
    users: dict[str, User]


class ToolCall(pydantic.BaseModel):  # type: ignore[misc, name-defined]
    id: str
    name: str
    arguments: dict[str, Any]
    requestor: str = "assistant"


class Tools:
    def __init__(self, db: Shelf) -> None:
        self.db = db

    def cancel_pending_order(self, order_id: str, reason: str) -> Order:
        if order_id not in self.db.orders:
            raise ValueError("Order not found")
        order = self.db.orders[order_id]
        order.reason = reason  # set before the check: what a failing call has changed stays changed
        if order.status != "pending":
            raise ValueError("Non-pending order cannot be cancelled")
        order.status = "cancelled"
        self.db.users[order.user_id].balance += order.items[0].price
        return order

    def exchange_items(self, order_id: str, item_ids: list[str]) -> Order:
        order = self.db.orders[order_id]
        order.exchanged = item_ids  # without a check of its type
        return order

    def get_order_details(self, order_id: str) -> Order:
        return self.db.orders[order_id]

    def list_all_product_types(self) -> str:
        return '{"Lamp": "1"}'

    def calculate(self, expression: str) -> str:
        assert "**" not in expression, "the package would hang"
        return str(float(eval(expression, {"__builtins__": None}, {})))

    def transfer_to_human_agents(self, summary: str) -> str:
        return "Transfer successful"

    def find_user_id_by_email(self, email: str) -> str:
        for user_id, user in self.db.users.items():
            if user.email == email:
                return user_id
        raise ValueError("User not found")


_NAMES = [name for name in vars(Tools) if not name.startswith("_")]


class Environment:
    def __init__(self) -> None:
        orders = [Order(order_id=f"#W{n}", user_id=f"ada_lund_{n}", items=[Item(name="Lamp", price=5)]) for n in (1, 2)]
        users = [User(user_id=f"ada_lund_{n}", email=f"ada{n}@post.example", balance=1) for n in (1, 2)]
        self.tools = Tools(
            Shelf(orders={each.order_id: each for each in orders}, users={each.user_id: each for each in users})
        )

    def get_policy(self) -> str:
        return "Be polite."

    def get_tools(self) -> list[Any]:
        parameters = {"properties": {"order_id": {"type": "string"}}, "required": ["order_id"]}
        return [
            SimpleNamespace(openai_schema={"type": "function", "function": {"name": name, "parameters": parameters}})
            for name in _NAMES
        ]

    def get_response(self, call: ToolCall) -> Any:
        error = False
        try:
            if call.name not in _NAMES:
                raise ValueError(f"Tool '{call.name}' not found.")
            made = getattr(self.tools, call.name)(**call.arguments)
        except Exception as problem:
            made, error = f"Error: {problem}", True
        text = made if isinstance(made, str) else json.dumps(made.model_dump(warnings=False))
        return SimpleNamespace(content=text, error=error)


def _task(number: int, *, judged: bool = False, basis: tuple[str, ...] = ("DB", "NL_ASSERTION")) -> Any:
    instructions = SimpleNamespace(
        known_info=f"You are Ada Lund with the email ada{number}@post.example.",
        reason_for_call=f"You want to cancel order #W{number} because it is no longer needed.",
        task_instructions="You are brief.",
        unknown_info="You do not remember your zip code.",
    )
    calls = [
        ("find_user_id_by_email", {"email": f"ada{number}@post.example"}),
        ("cancel_pending_order", {"order_id": f"#W{number}", "reason": "no longer needed"}),
    ]
    return SimpleNamespace(
        id=str(number if not judged else 10 + number),
        user_scenario=SimpleNamespace(persona=None, instructions=instructions),
        initial_state=None,
        evaluation_criteria=SimpleNamespace(
            actions=[SimpleNamespace(name=name, arguments=arguments) for name, arguments in calls],
            communicate_info=["6"],
            nl_assertions=["The agent is polite."] if judged else None,
            reward_basis=[SimpleNamespace(value=each) for each in basis],
        ),
    )


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the package importable in this test."""
    tasks = [_task(1), _task(2, basis=("DB", "COMMUNICATE")), _task(1, judged=True), _task(2, judged=True)]
    environment = ModuleType("tau2.domains.retail.environment")
    vars(environment).update(
        get_environment=Environment,
        get_tasks=lambda split: tasks,
        get_tasks_split=lambda: {"train": ["1", "11"], "test": ["2", "12"], "base": ["1", "2", "11", "12"]},
    )
    message = ModuleType("tau2.data_model.message")
    vars(message).update(ToolCall=ToolCall)
    for name in ("tau2", "tau2.domains", "tau2.domains.retail", "tau2.data_model"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, environment.__name__, environment)
    monkeypatch.setitem(sys.modules, message.__name__, message)
