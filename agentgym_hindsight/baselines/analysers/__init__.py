"""What is written about finished rollouts for a teacher: hints, diagnoses, reflections, a playbook, skills.

Each kind is a :class:`~.question.Question`: its prompt, its JSON schema, a parser that accepts what models write, and a
``scripted`` answer that needs no model. :func:`~.question.analyse` asks the questions of an update at once.
"""

from agentgym_hindsight.baselines.analysers.question import WRITERS, Question, Writer, analyse

__all__ = ["WRITERS", "Question", "Writer", "analyse"]
