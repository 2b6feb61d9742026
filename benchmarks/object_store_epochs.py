"""Run epochs of 1,000 rows in an opened project, and print the median of what one takes.

    python object_store_epochs.py PROJECT EPOCHS [--requests]

Milliseconds; with `--requests`, requests to the server that AWS_ENDPOINT_URL names.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import threading
import time
from pathlib import Path

import qanat


class Relay:
    """Passes connections on to a server, and counts the requests in them."""

    def __init__(self, endpoint: str) -> None:
        host, _, port = endpoint.removeprefix("http://").partition(":")
        self._server = host, int(port)
        self.requests = 0
        self.port = 0
        ready = threading.Event()
        threading.Thread(target=lambda: asyncio.run(self._serve(ready)), daemon=True).start()
        ready.wait()

    async def _serve(self, ready: threading.Event) -> None:
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        await server.serve_forever()

    async def _connected(
        self, client: asyncio.StreamReader, answers: asyncio.StreamWriter
    ) -> None:
        upstream, requests = await asyncio.open_connection(*self._server)

        async def forward(
            source: asyncio.StreamReader, target: asyncio.StreamWriter, count: bool
        ) -> None:
            while piece := await source.read(65536):
                if count:
                    self.requests += sum(
                        line.endswith(b" HTTP/1.1") for line in piece.split(b"\r\n")
                    )
                target.write(piece)
                await target.drain()
            target.close()

        await asyncio.gather(
            forward(client, requests, True),
            forward(upstream, answers, False),
            return_exceptions=True,
        )


def main(folder: Path, epochs: int, requests: bool) -> None:
    """Run them and print the median."""
    relay = Relay(os.environ["AWS_ENDPOINT_URL"]) if requests else None
    if relay is not None:
        os.environ["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{relay.port}"
    taken: list[float] = []
    with qanat.open(folder) as project:
        for number in range(epochs):
            rows = "".join(f"{number * 1000 + i},{i}\n" for i in range(1000))
            (folder / "in" / f"{number}.csv").write_text(f"id,v\n{rows}", encoding="utf-8")
            before = relay.requests if relay else 0
            start = time.perf_counter()
            project.run()
            seconds = time.perf_counter() - start
            taken.append(relay.requests - before if relay else 1000 * seconds)
    print(statistics.median(taken))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), "--requests" in sys.argv)
