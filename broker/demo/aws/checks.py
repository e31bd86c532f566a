"""Requests and answers are held to botocore's model of the service, so that the simulator cannot drift from AWS."""

import re
from functools import cache
from typing import Any

from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel, Shape
from botocore.validate import ParamValidator

_VALIDATOR = ParamValidator()


@cache
def service_model() -> ServiceModel:
    """botocore's description of WorkSpaces."""
    return ServiceModel(Loader().load_service_model("workspaces", "service-2"), "workspaces")


def operation_model(name: str) -> OperationModel:
    """One operation. Raises botocore's OperationNotFoundError."""
    return service_model().operation_model(name)


def problems(shape: Shape | None, value: dict[str, Any]) -> list[str]:
    """Why `value` is not a `shape`: unknown or missing members, types, lengths, patterns, enums; [] when it is one."""
    if shape is None:
        return [f"nothing is expected, not {sorted(value)}"] if value else []
    report = _VALIDATOR.validate(value, shape)
    if report.has_errors():
        return [report.generate_report()]
    return list(_walk(shape, value, ""))


def _walk(shape: Any, value: Any, path: str) -> list[str]:
    if shape.type_name == "structure":
        return [
            found
            for name, item in value.items()
            if item is not None
            for found in _walk(shape.members[name], item, f"{path}.{name}".lstrip("."))
        ]
    if shape.type_name == "list":
        found = _length(shape, len(value), path)
        return found + [
            text for i, item in enumerate(value, 1) for text in _walk(shape.member, item, f"{path}.{i}.member")
        ]
    if shape.type_name == "string":
        return _length(shape, len(value), path) + _text(shape, value, path)
    if shape.type_name in ("integer", "long"):
        return _range(shape, value, path)
    return []


def _length(shape: Shape, length: int, path: str) -> list[str]:
    return _bounds(shape, length, path, "Member must have length")


def _range(shape: Shape, number: int, path: str) -> list[str]:
    return _bounds(shape, number, path, "Member must have value")


def _bounds(shape: Shape, number: int, path: str, words: str) -> list[str]:
    start = f"Value at '{path}' failed to satisfy constraint: {words}"
    found = []
    if number > shape.metadata.get("max", number):
        found.append(f"{start} less than or equal to {shape.metadata['max']}")
    if number < shape.metadata.get("min", number):
        found.append(f"{start} greater than or equal to {shape.metadata['min']}")
    return found


def _text(shape: Shape, text: str, path: str) -> list[str]:
    start = f"Value '{text}' at '{path}' failed to satisfy constraint: "
    enum = shape.metadata.get("enum")
    if enum and text not in enum:
        return [f"{start}Member must satisfy enum value set: [{', '.join(enum)}]"]
    pattern = shape.metadata.get("pattern")
    if pattern and not re.search(pattern, text):
        return [f"{start}Member must satisfy regular expression pattern: {pattern}"]
    return []
