"""Calls of Amazon Bedrock's runtime by boto3: one attempt each, off the loop, errors as :class:`ModelError`.

boto3 is heavy at import: only a process whose agent asks a model on Bedrock imports this module. Credentials
come from boto3's own chain and from nowhere else.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    HTTPClientError,
    NoAuthTokenError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    ReadTimeoutError,
    SSOError,
    TokenRetrievalError,
)
from botocore.exceptions import (
    ConnectionError as NoConnectionError,
)

from headrace_agents.chat import ModelError, ModelErrorKind
from headrace_agents.model.daemon_threads import DaemonThreads
from headrace_agents.model.told import retry_after_s, told
from headrace_agents.spec import EndpointSpec

# Its debug lines have tokens of credentials and whole prompts.
logging.getLogger("botocore").setLevel(logging.INFO)

Call = Callable[[Any], Any]
"""Given boto3's client, makes one call of it and returns its whole answer."""

_KINDS: Mapping[str, ModelErrorKind] = {
    "ThrottlingException": "rate_limited",
    "ServiceQuotaExceededException": "rate_limited",
    "InternalServerException": "overloaded",
    "ModelErrorException": "overloaded",
    "ModelNotReadyException": "overloaded",
    "ServiceUnavailableException": "overloaded",
    "ModelTimeoutException": "timeout",
    "AccessDeniedException": "auth",
    "ExpiredToken": "auth",
    "ExpiredTokenException": "auth",
    "IncompleteSignature": "auth",
    "InvalidSignatureException": "auth",
    "MissingAuthenticationTokenException": "auth",
    "UnrecognizedClientException": "auth",
    "ResourceNotFoundException": "refused",
}
"""By the code of an error: those of Converse and InvokeModel, and AWS's common ones of credentials."""
_OF_LENGTH = ("too long", "context length", "context limit", "context window", "maximum context")
"""A ``ValidationException`` says it in words only, the model's own: "Input is too long for requested model",
"prompt is too long: N tokens > M maximum", "maximum context length is"."""
_OF_CREDENTIALS = (
    CredentialRetrievalError,
    NoAuthTokenError,
    NoCredentialsError,
    PartialCredentialsError,
    SSOError,
    TokenRetrievalError,
)


class BedrockClient:
    """As many connections and threads as calls in flight. An attempt that nobody waits for any more ends at
    the time-out of its socket, and its thread with it."""

    def __init__(self, spec: EndpointSpec) -> None:
        timeout_s = spec.timeout_ms / 1000
        config = Config(
            region_name=spec.region,
            retries={"total_max_attempts": 1},
            connect_timeout=timeout_s,
            read_timeout=timeout_s,
            max_pool_connections=spec.max_concurrency,
        )
        # A session of its own: the default one is not for several threads.
        session = boto3.session.Session()
        self._client = session.client("bedrock-runtime", endpoint_url=spec.endpoint, config=config)
        self._threads = DaemonThreads(spec.max_concurrency, "headrace-bedrock")

    async def made(self, call: Call) -> Any:
        """What the call returns. Raises ModelError."""
        return await self._threads.run(lambda: _heard(call, self._client))

    async def close(self) -> None:
        self._threads.close()
        self._client.close()


def _heard(call: Call, client: Any) -> Any:
    try:
        return call(client)
    except ClientError as error:
        raise _client_error(error) from error
    except ConnectTimeoutError as error:
        raise ModelError("timeout", told(error)) from error
    except EndpointConnectionError as error:
        raise ModelError("overloaded", told(error)) from error
    except ReadTimeoutError as error:
        raise ModelError("timeout", told(error), taken="unknown") from error
    except (HTTPClientError, NoConnectionError) as error:
        raise ModelError("overloaded", told(error), taken="unknown") from error
    except _OF_CREDENTIALS as error:
        raise ModelError("auth", told(error)) from error
    except ParamValidationError as error:
        raise ModelError("refused", told(error)) from error
    except BotoCoreError as error:
        raise ModelError("unknown", told(error)) from error
    except Exception as error:
        # boto3 checks what it sends, not what it gets: its parser raises whatever it stumbles over.
        what = f"not an answer of Bedrock: {type(error).__name__}"
        raise ModelError("malformed", what, taken="unknown") from error


def _client_error(error: ClientError) -> ModelError:
    code = error.response.get("Error", {}).get("Code", "")
    message = told(error.response.get("Error", {}).get("Message", ""))
    answer = error.response.get("ResponseMetadata", {})
    kind = _KINDS.get(code) or _of_status(answer.get("HTTPStatusCode", 0), message)
    asked_s = retry_after_s(answer.get("HTTPHeaders", {}).get("retry-after"))
    return ModelError(kind, f"{code}: {message}", retry_after_s=asked_s)


def _of_status(status: int, message: str) -> ModelErrorKind:
    """Where the code says nothing: a ``ValidationException``, or an answer of what is in between."""
    if status == 429:
        return "rate_limited"
    if status == 408:
        return "timeout"
    if status >= 500:
        return "overloaded"
    if status in (401, 403):
        return "auth"
    if status == 413 or any(words in message.lower() for words in _OF_LENGTH):
        return "too_long"
    return "refused" if status >= 400 else "unknown"
