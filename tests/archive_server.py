"""A local web server that serves one file, well or badly, and records the requests."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Behaviour:
    """What the server does, in the order of the attributes.

    Attributes:
      content: the file.
      statuses: the first answers, before anything else.
      headers: sent with those.
      drops: byte counts after which to drop the connection, one a request.
      ranges: whether it honours Range.
      lengths: whether it sends Content-Length.
      tag: the file's ETag.
      slow: seconds to wait before each answer.
      asked: (path, Range header) of every request so far.
    """

    content: bytes = b""
    statuses: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    drops: list[int] = field(default_factory=list)
    ranges: bool = True
    lengths: bool = True
    tag: str | None = '"one"'
    slow: float = 0.0
    asked: list[tuple[str, str | None]] = field(default_factory=list)


@contextmanager
def serving(behaviour: Behaviour) -> Iterator[str]:
    """Yields the server's address, such as http://127.0.0.1:40001."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            span = self.headers.get("Range")
            behaviour.asked.append((self.path, span))
            time.sleep(behaviour.slow)
            if behaviour.statuses:
                self.send_response(behaviour.statuses.pop(0))
                for name, value in behaviour.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                return
            content, start = behaviour.content, 0
            version = self.headers.get("If-Range")
            if span and behaviour.ranges and version in (None, behaviour.tag):
                start = int(span.removeprefix("bytes=").rstrip("-"))
                if start >= len(content):
                    self.send_response(416)
                    self.send_header("Content-Range", f"bytes */{len(content)}")
                    self.end_headers()
                    return
                self.send_response(206)
                self.send_header(
                    "Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}"
                )
            else:
                self.send_response(200)
            if behaviour.lengths:
                self.send_header("Content-Length", str(len(content) - start))
            if behaviour.tag:
                self.send_header("ETag", behaviour.tag)
            self.end_headers()
            end = start + behaviour.drops.pop(0) if behaviour.drops else len(content)
            self.wfile.write(content[start:end])

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
