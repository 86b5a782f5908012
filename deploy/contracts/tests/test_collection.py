"""The collection for API clients has each operation of the edge, ready to be sent."""

import json
import re

from contracts.collection import VARIABLES, collection
from contracts.edge import edge_document

DOCUMENT = edge_document()
OPERATIONS = {
    (method.upper(), path): operation
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
}


def requests():
    for folder in collection(DOCUMENT)["item"]:
        for item in folder["item"]:
            request = item["request"]
            parts = [
                f"{{{part[1:]}}}" if part[:1] == ":" else part for part in request["url"]["path"]
            ]
            yield (request["method"], "/" + "/".join(parts)), request


def test_each_operation_but_the_web_socket_is_in_it_once():
    found = [operation for operation, _ in requests()]
    assert sorted(found) == sorted(set(OPERATIONS) - {("GET", "/ws")})


def test_each_required_field_has_a_value():
    for operation, request in requests():
        content = OPERATIONS[operation].get("requestBody", {}).get("content", {})
        if "application/json" not in content:
            continue
        schema = content["application/json"]["schema"]
        if "$ref" in schema:
            schema = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        body = json.loads(request["body"]["raw"])
        assert set(schema.get("required", ())) <= set(body) <= set(schema["properties"]), operation


def test_each_variable_is_declared():
    text = json.dumps(collection(DOCUMENT))
    assert set(re.findall(r"{{(\w+)}}", text)) == set(VARIABLES)
