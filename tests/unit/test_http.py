"""Posts to servers that answer as no server should."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from qanat.errors import Again, UndeliveredError
from qanat.http import Poster


@contextmanager
def server(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """The address of a server that answers the only connection it takes."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with suppress(OSError):
                connected, _ = listening.accept()
                with connected:
                    connected.recv(1 << 16)
                    answer(connected)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"127.0.0.1:{listening.getsockname()[1]}"


@pytest.mark.parametrize(
    "begin",
    [b"HTTP/1.1 ", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"],
)
def test_a_server_that_answers_byte_by_byte_has_its_time_and_no_more(begin: bytes) -> None:
    left = threading.Event()

    def answer(connected: socket.socket) -> None:
        connected.sendall(begin)
        with suppress(OSError):
            # Each byte comes long before a timeout of its own, the answer never.
            while not left.wait(0.05):
                connected.sendall(b"x")

    with server(answer) as address:
        poster = Poster(f"http://{address}", 0.5)
        began = time.monotonic()
        with pytest.raises(UndeliveredError) as caught:
            poster.post(b"{}", {})
        poster.close()
        # Without a limit it reads until the end of a line is missing: after an hour.
        assert 0.4 < time.monotonic() - began < 60.0
        left.set()
    assert (caught.value.again, caught.value.got) == (Again.SOON, "no answer in time")


@pytest.mark.parametrize("status", ["404 Not Found", "500 Oh"])
def test_what_a_server_repeats_of_a_request_is_not_shown(status: str) -> None:
    path = "/T0-hunter1/it%27s-hunter2?key=hunter3&b=hunter4"
    echo = f"Cannot POST {path} /T0-hunter1/it's-hunter2?key=hunter3&amp;b=hunter4 hunter5 hunter6"
    text = f"HTTP/1.1 {status}\r\nContent-Length: {len(echo)}\r\n\r\n{echo}".encode()
    with server(lambda connected: connected.sendall(text)) as address:
        poster = Poster(
            f"http://{address}{path}", 9.0, headers={"Authorization": "Bearer hunter5"}
        )
        with pytest.raises(UndeliveredError) as caught:
            poster.post(b"{}", {})
        poster.close()
    shown = str(caught.value).replace("hunter6", "")
    assert "Cannot POST …" in shown
    assert "hunter" not in shown


def test_a_header_that_none_can_be_is_told_without_what_it_says() -> None:
    with server(lambda connected: None) as address:
        poster = Poster(f"http://{address}", 9.0, headers={"Authorization": "Bearer hunter2\n"})
        with pytest.raises(UndeliveredError, match="cannot be asked") as caught:
            poster.post(b"{}", {})
        poster.close()
    assert caught.value.again is Again.LATER
    assert "hunter2" not in f"{caught.value}{caught.value.__cause__}"
