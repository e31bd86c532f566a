"""The web process's driver: takes a call's steps on Django's connection. No poll is held here."""

from contextlib import ExitStack
from typing import Any

from django.db import connection, transaction

from agents.calls import Answer, Ask, Call, Enrol, Step, Together
from agents.protocol import ProtocolError
from agents.registration import register


def drive(call: Call) -> Answer:
    """Take the steps of a call until it has its answer. Raises DatabaseError."""
    with ExitStack() as stack:
        try:
            step = next(call)
            while True:
                try:
                    result = taken(step, stack)
                except ProtocolError as refusal:
                    step = call.throw(refusal)
                else:
                    step = call.send(result)
        except StopIteration as end:
            answer: Answer = end.value
    return answer


def taken(step: Step, stack: ExitStack) -> Any:
    """The outcome of one step; None for what only the endpoint process does."""
    match step:
        case Ask(sql, params):
            with connection.cursor() as cursor:
                cursor.execute(sql, params)
                return cursor.fetchall() if cursor.description else []
        case Together():
            stack.enter_context(transaction.atomic())
        case Enrol(said, received):
            return register(said, received)
    return None
