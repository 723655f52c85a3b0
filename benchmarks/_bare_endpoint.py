"""FastAPI and uvicorn alone: one endpoint that returns the bytes of a file. `python -m benchmarks._bare_endpoint FILE`."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from starlette.responses import Response


def main() -> None:
    """Serve until stopped."""
    content = Path(sys.argv[1]).read_bytes()
    app = FastAPI()

    @app.post("/v1/recommend")
    async def recommend() -> Response:
        return Response(content, media_type="application/json")

    @app.get("/v1/health/ready")
    async def ready() -> Response:
        return Response(b"{}", media_type="application/json")

    # with the protocol named, as uvicorn does by itself: without, answers wait for delayed acknowledgements
    place = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    place.bind(("127.0.0.1", 0))
    print(f"bare endpoint on http://127.0.0.1:{place.getsockname()[1]}", flush=True)
    uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False)).run(sockets=[place])


if __name__ == "__main__":
    main()
