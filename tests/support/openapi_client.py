"""A client made from an OpenAPI document alone: one method for each operation, every answer held against its schema.

Whatever the document leaves out or says wrongly, this client does not know: an undocumented parameter cannot be sent,
and an undocumented status, header or member of an answer fails the test.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from jsonschema import Draft202012Validator, FormatChecker

FORMATS = FormatChecker(formats=())


@FORMATS.checks("date-time", raises=ValueError)
def _is_time(value: object) -> bool:
    """RFC 3339 in UTC, as our API writes times."""
    return not isinstance(value, str) or datetime.fromisoformat(value).utcoffset() == timedelta()


Send = Callable[..., Any]
"""``send(method, url, headers=…, params=…, content=…)`` returns a response with status_code, headers and text."""


@dataclass(frozen=True)
class Answered:
    """A checked answer."""

    status: int
    body: Any
    headers: dict[str, str]


class GeneratedClient:
    """``client.<operation id>(name=value, body=…)`` for every operation of ``document``."""

    def __init__(self, document: dict[str, Any], token: str, send: Send) -> None:
        self.document, self._token, self._send = document, token, send
        self.answered: set[tuple[str, str]] = set()
        self.operations = {
            operation["operationId"]: (method, path, operation)
            for path, methods in document["paths"].items()
            for method, operation in methods.items()
        }

    def __getattr__(self, operation_id: str) -> Callable[..., Answered]:
        if operation_id not in self.operations:
            raise AttributeError(operation_id)
        return lambda body=None, **values: self.call(operation_id, body, values)

    def call(self, operation_id: str, body: Any, values: dict[str, Any]) -> Answered:
        """Call an operation and check what comes."""
        method, path, operation = self.operations[operation_id]
        headers, params = self._authorization(operation), {}
        for parameter in operation.get("parameters", ()):
            name = parameter["name"]
            value = values.pop(name.replace("-", "_").lower(), None)
            if value is None:
                assert not parameter.get("required"), f"{operation_id} needs {name}"
                continue
            self.validate(value, parameter["schema"])
            if parameter["in"] == "path":
                path = path.replace(f"{{{name}}}", quote(value, safe=""))
            else:
                (params if parameter["in"] == "query" else headers)[name] = value
        assert not values, f"{operation_id} has no {values}"
        content = b""
        if body is not None:
            self.validate(body, operation["requestBody"]["content"]["application/json"]["schema"])
            headers["Content-Type"], content = "application/json", json.dumps(body).encode()
        url = self.document["servers"][0]["url"] + path
        return self._checked(
            operation_id, self._send(method.upper(), url, headers=headers, params=params, content=content)
        )

    def validate(self, value: Any, schema: dict[str, Any]) -> None:
        """Fail if ``value`` is not what the document says."""
        whole = {**schema, "components": self.document["components"]}
        Draft202012Validator(whole, format_checker=FORMATS).validate(value)

    def _authorization(self, operation: dict[str, Any]) -> dict[str, str]:
        (requirement,) = operation["security"]
        (name,) = requirement
        scheme = self.document["components"]["securitySchemes"][name]
        assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
        return {"Authorization": f"Bearer {self._token}"}

    def _checked(self, operation_id: str, answer: Any) -> Answered:
        responses = self.operations[operation_id][2]["responses"]
        status = str(answer.status_code)
        assert status in responses, f"{operation_id} answered {status}: {answer.text}"
        self.answered.add((operation_id, status))
        described = responses[status]
        headers = {name.lower(): value for name, value in answer.headers.items()}
        for name in described.get("headers", {}):
            assert name.lower() in headers, f"{operation_id} {status} has no {name}"
        kind = headers["content-type"].partition(";")[0]
        body = answer.json()
        schema = described["content"][kind]["schema"]
        assert schema, f"{operation_id} {status} says nothing of its body"
        self.validate(body, schema)
        return Answered(answer.status_code, body, headers)
