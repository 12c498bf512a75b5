"""The metrics that the page shows: their headings, titles and notes, in the order of the page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from agentgym_hindsight.baselines.report.plausible import number

__all__ = ["HEADINGS", "METRICS", "NUMBERS", "SHARES", "Metric", "other_metrics"]

RESULTS, REPLIES, LOSSES, TEACHER, TIME, OTHER = HEADINGS = (
    "Reward and success",
    "Episodes and replies",
    "Loss and gradients",
    "Teacher and credit",
    "Time and memory",
    "Other metrics",
)


class Metric(NamedTuple):
    """One metric of ``metrics.jsonl``, with its heading, title and note on the page."""

    key: str
    heading: str
    title: str
    note: str
    share: bool = False


METRICS = (
    Metric("success", RESULTS, "Success in training", "Share of the batch's rollouts that won; sampled.", True),
    Metric("return", RESULTS, "Return", "Mean reward of a rollout."),
    Metric("score", RESULTS, "Score in training", "The benchmark's own score.", True),
    Metric("replaced_success", RESULTS, "Success of replaced rollouts", "Of rollouts that were played again.", True),
    Metric("resampled_success", RESULTS, "Success of their replacements", "With the messages of the method.", True),
    Metric("resampled", RESULTS, "Replaced rollouts", "Rollouts of an update that were played again."),
    Metric("episode_turns", REPLIES, "Turns per episode", "On the same tasks, fewer is better."),
    Metric("truncated", REPLIES, "Truncated episodes", "Share of episodes that reached the turn limit.", True),
    Metric("invalid", REPLIES, "Invalid actions", "Share of training actions that the env refused.", True),
    Metric("repetition", REPLIES, "Repeated actions", "Share of steps that repeat the previous action.", True),
    Metric("parse_failures", REPLIES, "Replies without an action", "Share of rows that could not be parsed.", True),
    Metric("action_tokens", REPLIES, "Action tokens", "Share of the response's tokens that name the action.", True),
    Metric("response_length", REPLIES, "Tokens per response", "Mean length of a response."),
    Metric("loss", LOSSES, "Loss", "Policy loss; its sign and size do not show progress."),
    Metric("grad_norm", LOSSES, "Gradient norm", "Before clipping."),
    Metric("learning_rate", LOSSES, "Learning rate", "Of the optimizer."),
    Metric("kl", LOSSES, "KL divergence", "From the reference policy, per token."),
    Metric("ratio_clipped", LOSSES, "Clipped ratios", "Share of tokens whose importance ratio was clipped.", True),
    Metric("entropy", LOSSES, "Entropy", "Entropy of the policy per token; near 0 it no longer explores."),
    Metric("surprise", LOSSES, "Surprise", "Mean negative log-probability of the sampled tokens."),
    Metric("advantage_abs", TEACHER, "Advantage, absolute", "Mean size; 0 if all siblings have equal returns."),
    Metric("groups_without_variance", TEACHER, "Groups without variance", "Share of groups without gradient.", True),
    Metric("lambda", TEACHER, "λ", "Share of the teacher's weights in the token weights."),
    Metric("context_available", TEACHER, "Context available", "Share of rows with hindsight for the teacher.", True),
    Metric("context_cut", TEACHER, "Contexts cut", "Share of the teacher's prompts that lost text to the limit.", True),
    Metric("ask_prompts", TEACHER, "Questions", "Asked by the method in an update."),
    Metric("ask_tokens", TEACHER, "Tokens of answers", "Per update."),
    Metric("ask_failures", TEACHER, "Questions without an answer", "The server gave none."),
    Metric("gap", TEACHER, "Gap", "Teacher's log-probability minus the policy's, signed mean."),
    Metric("gap_abs", TEACHER, "Gap, absolute", "Mean absolute gap: how much teacher and policy differ."),
    Metric("weight_mean", TEACHER, "Mean weight", "Of the tokens in the mask; at 1 updates are as large as GRPO's."),
    Metric("weight_up", TEACHER, "Weight where A > 0", "Above 1: more probable for the teacher; the token gains more."),
    Metric("weight_down", TEACHER, "Weight where A < 0", "Below 1: more probable for the teacher; it loses less."),
    Metric("clipped", TEACHER, "Weights at a bound", "Share of token weights that were clipped.", True),
    Metric("seconds_rollout", TIME, "Seconds of rollouts", "Per update."),
    Metric("seconds_teacher", TIME, "Seconds of the teacher", "Per update."),
    Metric("seconds_ask", TIME, "Seconds of questions", "Per update."),
    Metric("seconds_update", TIME, "Seconds of the optimizer", "Per update."),
    Metric("rollout_tokens_per_second", TIME, "Tokens per second", "In rollouts."),
    Metric("token_efficiency", TIME, "Useful tokens", "Share of the computed tokens that is not padding.", True),
    Metric("tokens_computed", TIME, "Tokens computed", "Of all passes of an update, padding included."),
    Metric("tokens_saved", TIME, "Tokens saved", "Not computed again, because their row begins another row."),
    Metric("memory_mb", TIME, "Memory", "Peak of an update, in MB."),
)
#: Counts that other parts of the page use, and that a curve would not explain.
_COUNTS = frozenset(
    {"update", "turns", "seconds", "episodes", "broken", "rows", "response_tokens", "prompt_tokens"}
    | {"rollout_tokens", "teacher_tokens", "ask_prompt_tokens", "resampled_turns"}
)
NUMBERS = frozenset(metric.key for metric in METRICS) | _COUNTS
SHARES = frozenset(metric.key for metric in METRICS if metric.share)
_MOST_OTHERS = 30


def other_metrics(rows: Iterable[Mapping[str, Any]]) -> tuple[Metric, ...]:
    """Numbers of a method of the user's own, which the page does not know."""
    names = {key for row in rows for key in row if key not in NUMBERS and number(row, key) is not None}
    return tuple(Metric(name, OTHER, name[:80], "") for name in sorted(names)[:_MOST_OTHERS])
