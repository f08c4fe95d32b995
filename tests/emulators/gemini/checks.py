"""Refuses what Gemini refuses: names that no message of the API has, turns in a wrong order, missing signatures.

Sources: ai.google.dev/api (fields), …/docs/function-calling and …/docs/thought-signatures (turns, signatures),
…/docs/generate-content/whats-new-gemini-3.6 (what newer models no longer take), …/docs/thinking (budgets, levels).
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

Json = dict[str, Any]

ANY = object()
"""Any JSON value, unread."""
SIGNED = "sig:"
PLACEHOLDERS = ("skip_thought_signature_validator", "context_engineering_is_the_way_to_go")


class Refusal(Exception):
    """An answer other than 2xx, before any work, in the words of google.rpc."""

    def __init__(
        self, message: str, *, code: int = 400, status: str = "INVALID_ARGUMENT", details: list[Json] | None = None
    ) -> None:
        super().__init__(message)
        self.code, self.body = code, {"code": code, "message": message, "status": status}
        if details:
            self.body["details"] = details


_BLOB = {"mimeType": str, "data": str, "displayName": str}
_FILE = {"mimeType": str, "fileUri": str, "displayName": str}
_PART: Json = {
    "text": str,
    "thought": bool,
    "thoughtSignature": str,
    "inlineData": _BLOB,
    "fileData": _FILE,
    "functionCall": {"id": str, "name": str, "args": dict},
    "functionResponse": {
        "id": str,
        "name": str,
        "response": dict,
        "parts": [{"inlineData": _BLOB, "fileData": _FILE}],
        "willContinue": bool,
        "scheduling": str,
    },
    "executableCode": {"language": str, "code": str, "id": str},
    "codeExecutionResult": {"outcome": str, "output": str, "id": str},
    "videoMetadata": {"startOffset": str, "endOffset": str, "fps": float},
    "mediaResolution": {"level": str, "numTokens": int},
    "partMetadata": dict,
}
_CONTENT: Json = {"role": str, "parts": [_PART]}
_FUNCTION: Json = {
    "name": str,
    "description": str,
    "parameters": ANY,
    "parametersJsonSchema": ANY,
    "response": ANY,
    "responseJsonSchema": ANY,
    "behavior": str,
}
_CONFIG: Json = {
    "stopSequences": [str],
    "responseMimeType": str,
    "responseSchema": ANY,
    "responseJsonSchema": ANY,
    "responseModalities": [str],
    "candidateCount": int,
    "maxOutputTokens": int,
    "temperature": float,
    "topP": float,
    "topK": float,
    "seed": int,
    "presencePenalty": float,
    "frequencyPenalty": float,
    "responseLogprobs": bool,
    "logprobs": int,
    "enableEnhancedCivicAnswers": bool,
    "speechConfig": ANY,
    "thinkingConfig": {"includeThoughts": bool, "thinkingBudget": int, "thinkingLevel": str},
    "imageConfig": ANY,
    "mediaResolution": str,
}
GENERATE: Json = {
    "model": str,
    "contents": [_CONTENT],
    "systemInstruction": _CONTENT,
    "tools": [{"functionDeclarations": [_FUNCTION], "googleSearch": ANY, "codeExecution": ANY, "urlContext": ANY}],
    "toolConfig": {"functionCallingConfig": {"mode": str, "allowedFunctionNames": [str]}, "retrievalConfig": ANY},
    "safetySettings": [{"category": str, "threshold": str}],
    "generationConfig": _CONFIG,
    "cachedContent": str,
    "serviceTier": str,
    "store": bool,
    "labels": dict,
}
COUNT: Json = {"contents": [_CONTENT], "generateContentRequest": GENERATE, "model": str}
EMBED: Json = {"model": str, "content": _CONTENT, "taskType": str, "title": str, "outputDimensionality": int}
BATCH: Json = {"requests": [EMBED], "model": str}

_WORDS: dict[type, tuple[type, ...]] = {float: (int, float), int: (int,), str: (str,), bool: (bool,), dict: (dict,)}


def camel(name: str) -> str:
    return re.sub(r"_([a-z0-9])", lambda found: found[1].upper(), name)


def read(value: Any, spec: Any, at: str = "") -> Any:
    """`value` with the API's names in camelCase.

    Raises:
        Refusal: a name or a type that the message does not have.
    """
    if spec is ANY:
        return value
    if isinstance(spec, list):
        if not isinstance(value, list):
            raise _wrong(f"Proto field is not repeating, cannot start list at '{at}'.", at)
        return [read(one, spec[0], f"{at}[{n}]") for n, one in enumerate(value)]
    if isinstance(spec, dict):
        if not isinstance(value, dict):
            raise _wrong(f"Invalid value at '{at}'.", at)
        made: Json = {}
        for name, held in value.items():
            known = camel(name)
            if known not in spec:
                said = f"Invalid JSON payload received. Unknown name \"{name}\" at '{at}': Cannot find field."
                raise _wrong(said, at)
            if known in made:
                raise _wrong(f"Invalid JSON payload received. Field '{name}' is there twice at '{at}'.", at)
            if held is not None:
                made[known] = read(held, spec[known], f"{at}.{name}" if at else name)
        return made
    if not isinstance(value, _WORDS[spec]) or (spec is not bool and isinstance(value, bool)):
        raise _wrong(f"Invalid value at '{at}' (TYPE_{spec.__name__.upper()}), {value!r}", at)
    return value


def _wrong(said: str, at: str) -> Refusal:
    violation = {"field": at, "description": said}
    kind = "type.googleapis.com/google.rpc.BadRequest"
    return Refusal(said, details=[{"@type": kind, "fieldViolations": [violation]}])


# --- what a model refuses


def version(model: str) -> tuple[int, int]:
    found = re.search(r"gemini-(\d+)(?:\.(\d+))?", model)
    return (int(found[1]), int(found[2] or 0)) if found else (2, 0)


def generate(body: Json, model: str) -> Json:
    """A checked request of generateContent."""
    request = read(body, GENERATE)
    contents = request.get("contents")
    if not contents:
        raise Refusal("* GenerateContentRequest.contents: contents is not specified")
    for n, content in enumerate(contents):
        if not content.get("parts"):
            raise Refusal(f"* GenerateContentRequest.contents[{n}].parts: contents.parts must not be empty.")
        if content.get("role", "user") not in ("user", "model", "function"):
            raise Refusal("Please use a valid role: user, model.")
        for part in content["parts"]:
            _part(part)
    _turns(contents, model)
    _config(request, model)
    _tools(request, model)
    return request


_KINDS = ("text", "inlineData", "fileData", "functionCall", "functionResponse", "executableCode", "codeExecutionResult")


def _part(part: Json) -> None:
    held = [name for name in _KINDS if name in part]
    if len(held) > 1:
        raise Refusal(f"Invalid value (oneof), oneof field 'data' is already set. Cannot set '{held[1]}'")
    if not held and "thoughtSignature" not in part:
        raise Refusal("Unable to submit request because it must have one of the data fields initialized.")
    if "inlineData" in part:
        if "mimeType" not in part["inlineData"]:
            raise Refusal("Unable to submit request because it has an inlineData without a mimeType.")
        try:
            base64.b64decode(part["inlineData"]["data"].replace("-", "+").replace("_", "/"), validate=True)
        except (binascii.Error, KeyError):
            raise Refusal("Base64 decoding failed for inline_data.data") from None
    if "fileData" in part and not part["fileData"].get("fileUri"):
        raise Refusal("Unable to submit request because it has an empty fileUri.")
    for name in ("functionCall", "functionResponse"):
        if name in part and not re.fullmatch(r"[A-Za-z_][\w.:-]{0,127}", part[name].get("name", "")):
            raise Refusal(f"{name}.name: Name cannot be empty.")


def _turns(sent: list[Json], model: str) -> None:
    contents = _merged(sent)
    roles = [content["role"] for content in contents]
    if roles[0] != "user":
        raise Refusal("Please ensure that the first turn is a user turn.")
    if roles[-1] == "model" and version(model) >= (3, 6):
        raise Refusal("Requests ending with a model turn are not supported.")
    for n, content in enumerate(contents):
        calls = [part["functionCall"] for part in content["parts"] if "functionCall" in part]
        results = [part["functionResponse"] for part in content["parts"] if "functionResponse" in part]
        if roles[n] == "user" and calls:
            raise Refusal("Please ensure that function calls stand in a model turn.")
        if roles[n] == "model" and results:
            raise Refusal("Please ensure that function responses stand in a user turn.")
        if results:
            _results(contents[n - 1] if n else {"parts": []}, content, results)
        elif n and roles[n] == "user" and any("functionCall" in part for part in contents[n - 1]["parts"]):
            raise Refusal("Please ensure that function call turn is followed immediately by its responses.")
    if version(model) >= (3, 0):
        _signatures(contents, roles)


def _merged(contents: list[Json]) -> list[Json]:
    """Contents of one role in a row are one turn; Google's own library writes streamed answers so."""
    turns: list[Json] = []
    for content in contents:
        role = "model" if content.get("role") == "model" else "user"
        if turns and turns[-1]["role"] == role:
            turns[-1]["parts"] += content["parts"]
        else:
            turns.append({"role": role, "parts": list(content["parts"])})
    return turns


def _results(before: Json, content: Json, results: list[Json]) -> None:
    calls = [part["functionCall"] for part in before["parts"] if "functionCall" in part]
    if not calls:
        raise Refusal("Please ensure that function response turn comes immediately after a function call turn.")
    if len(calls) != len(results):
        raise Refusal(
            "Please ensure that the number of function response parts is equal to the number of function call parts "
            "of the function call turn."
        )
    first = next(n for n, part in enumerate(content["parts"]) if "functionResponse" in part)
    if first:
        raise Refusal("Please ensure that function responses come before anything else in their turn.")
    for call, result in zip(calls, results, strict=True):
        if call["name"] != result["name"]:
            raise Refusal(f"The function response {result['name']} does not answer the call of {call['name']}.")
        # Google's own library leaves the id out when it runs functions by itself.
        if result.get("id") not in (None, call.get("id")):
            raise Refusal(f"The function response's id {result.get('id')} is not that of the call, {call.get('id')}.")
        if not isinstance(result.get("response"), dict):
            raise Refusal("function_response.response: Response cannot be empty.")


def _signatures(contents: list[Json], roles: list[str]) -> None:
    """Of the current turn: what follows the last thing that the user said himself."""
    said = [
        n
        for n, content in enumerate(contents)
        if roles[n] == "user" and any("functionResponse" not in part for part in content["parts"])
    ]
    for n, content in enumerate(contents):
        if roles[n] != "model":
            continue
        calls = [part for part in content["parts"] if "functionCall" in part]
        for part in content["parts"]:
            if "thoughtSignature" in part and not _is_signature(part["thoughtSignature"]):
                raise Refusal("Thought signature is not valid.")
        if calls and n > (said[-1] if said else -1) and "thoughtSignature" not in calls[0]:
            name = calls[0]["functionCall"]["name"]
            raise Refusal(
                "Function call is missing a thought_signature in functionCall parts. This is required for tools to "
                f"work correctly. Additional data, function call `default_api:{name}`, position {n}."
            )


def _is_signature(text: str) -> bool:
    if text in PLACEHOLDERS:
        return True
    try:
        value = base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return False
    return value.startswith(SIGNED) or value in PLACEHOLDERS


def _config(request: Json, model: str) -> None:
    config = request.get("generationConfig") or {}
    thinking = config.get("thinkingConfig") or {}
    budget, level = thinking.get("thinkingBudget"), thinking.get("thinkingLevel")
    known = version(model)
    if not 0 <= config.get("temperature", 1) <= 2:
        raise _wrong(f"temperature must be in the range [0, 2], but was {config['temperature']}", "temperature")
    if len(config.get("stopSequences", ())) > 5:
        raise Refusal("The number of stop sequences must be at most 5.")
    if config.get("maxOutputTokens", 1) < 1:
        raise Refusal("max_output_tokens must be positive.")
    if known >= (3, 6) and ("presencePenalty" in config or "frequencyPenalty" in config):
        raise Refusal("Penalty is not enabled for this model")
    if config.get("candidateCount", 1) != 1 and known >= (3, 0):
        raise Refusal("Multiple candidates is not enabled for this model")
    if "responseSchema" in config and "responseJsonSchema" in config:
        raise Refusal("Only one of response_schema and response_json_schema can be set.")
    has_schema = "responseSchema" in config or "responseJsonSchema" in config
    if has_schema and config.get("responseMimeType") != "application/json":
        raise Refusal("response_schema requires response_mime_type application/json.")
    if budget is not None and level is not None:
        raise Refusal("You can only set only one of thinking budget and thinking level.")
    if level is not None:
        levels = ["LOW", "MEDIUM", "HIGH", *(["MINIMAL"] if "flash" in model and known < (3, 7) else [])]
        if known < (3, 0):
            raise Refusal("Thinking level is not supported for this model.")
        if level.upper() not in levels:
            raise Refusal(f"Thinking level {level.upper()} is not supported for this model.")
    if budget is not None:
        if known < (2, 5):
            raise Refusal("Thinking is not supported for this model.")
        if "pro" in model and budget == 0:
            raise Refusal("Budget 0 is invalid. This model only works in thinking mode.")
        if budget > 32768 or budget < -1:
            raise Refusal(f"The thinking budget {budget} is invalid.")
    for word in config.get("responseModalities", ()):
        if word not in ("TEXT", "IMAGE", "AUDIO"):
            raise _wrong(f"Invalid value at 'generation_config.response_modalities', \"{word}\"", "response_modalities")


def _tools(request: Json, model: str) -> None:
    functions = declared(request)
    names = [function.get("name", "") for function in functions]
    if len(set(names)) != len(names):
        raise Refusal("Duplicate function declaration found.")
    for n, function in enumerate(functions):
        if not re.fullmatch(r"[A-Za-z_][\w.:-]{0,127}", names[n]):
            raise Refusal(f"Invalid function name {names[n]!r}. Must start with a letter or an underscore.")
        if "parameters" in function and "parametersJsonSchema" in function:
            raise Refusal("Only one of parameters and parameters_json_schema can be set.")
        schema = function.get("parametersJsonSchema")
        if schema is not None and (not isinstance(schema, dict) or schema.get("type") != "object"):
            raise Refusal(f"function_declarations[{n}].parameters_json_schema: schema should be of type object.")
        _schema(schema, f"function_declarations[{n}].parameters_json_schema")
    config = request.get("generationConfig") or {}
    _schema(config.get("responseJsonSchema"), "response_json_schema")
    if functions and config.get("responseMimeType") == "application/json" and version(model) < (3, 0):
        raise Refusal("Function calling with a response mime type: 'application/json' is unsupported")
    calling = (request.get("toolConfig") or {}).get("functionCallingConfig") or {}
    allowed = calling.get("allowedFunctionNames") or []
    if allowed and calling.get("mode") != "ANY":
        raise Refusal("Allowed function names can only be set when mode is ANY.")
    if set(allowed) - set(names):
        raise Refusal("allowed_function_names has names that are not declared.")


def _schema(schema: Any, at: str) -> None:
    if isinstance(schema, list):
        for inner in schema:
            _schema(inner, at)
    if not isinstance(schema, dict):
        return
    for word in ("$schema", "const", "definitions"):
        if word in schema and not isinstance(schema[word], dict | list):
            raise Refusal(f"{at}: the keyword {word} is not supported.")
    if "$ref" in schema and any(not name.startswith("$") for name in schema):
        raise Refusal(f"{at}: nothing may stand beside $ref.")
    for inner in schema.values():
        _schema(inner, at)


def declared(request: Json) -> list[Json]:
    return [function for tool in request.get("tools") or [] for function in tool.get("functionDeclarations") or []]
