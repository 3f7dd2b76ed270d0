"""The built site on this machine, answering as GitHub Pages does."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@contextmanager
def serve(root: Path, prefix: str) -> Iterator[str]:
    """Serve a folder at a free port of 127.0.0.1 under a path prefix.

    A path that is not there answers 404 with the folder's ``404.html``, at any depth.

    Args:
      root: the folder.
      prefix: the path under which the public site has it, with both slashes: ``"/wide-limit/"``.

    Yields:
      the site's address, with its final slash.
    """

    class Pages(SimpleHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def __init__(self, *arguments):
            super().__init__(*arguments, directory=str(root))

        def do_GET(self):
            if self.path.startswith(prefix):
                self.path = "/" + self.path.removeprefix(prefix)
                super().do_GET()
            else:
                super().send_error(HTTPStatus.NOT_FOUND)

        def send_error(self, code, message=None, explain=None):
            page = root / "404.html"
            if code != HTTPStatus.NOT_FOUND or not page.is_file():
                super().send_error(code, message, explain)
                return
            body = page.read_bytes()
            self.send_response(code)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def list_directory(self, path):
            self.send_error(HTTPStatus.NOT_FOUND)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}{prefix}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
