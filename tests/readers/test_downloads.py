"""A file from the web: fetched once and said; every failure is one line, and nothing bad is kept."""

import contextlib
import http.server
import socket
import threading
import time

import pytest

from yt8m.errors import UserError
from yt8m.readers import downloads, labels

GOOD = b"Index\n4\n2\n"


class Server(http.server.BaseHTTPRequestHandler):
    """Answers with `answers[path]`: (status, headers, body), or a function of the handler."""

    answers: dict

    def do_GET(self):
        answer = self.answers[self.path]
        if callable(answer):
            answer(self)
            return
        status, headers, body = answer
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body)

    def log_message(self, *arguments):
        pass


def drip(handler):
    """A header line that does not end."""
    with contextlib.suppress(OSError):
        handler.wfile.write(b"HTTP/1.0 200 OK\r\nX-Slow: ")
        for _ in range(100):
            handler.wfile.write(b"x")
            time.sleep(0.05)


@pytest.fixture
def serve(tmp_path, monkeypatch):
    """Function {path: answer} -> address of the server; the cache is the test's."""
    monkeypatch.setenv("YT8M_CACHE", str(tmp_path))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with contextlib.ExitStack() as stack:

        def start(answers):
            handler = type("Handler", (Server,), {"answers": answers})
            server = stack.enter_context(http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler))
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, daemon=True).start()
            stack.callback(server.shutdown)
            return f"http://127.0.0.1:{server.server_address[1]}"

        yield start


def refused(address, *parts):
    with pytest.raises(UserError) as caught:
        labels.read_label_ids(address)
    line = str(caught.value)
    assert "\n" not in line and address in line
    for part in parts:
        assert part in line
    return line


def test_fetched_once_and_said(serve, tmp_path, capsys):
    answers = {"/ids.csv": (200, {"Content-Length": str(len(GOOD))}, GOOD)}
    address = serve(answers) + "/ids.csv"
    assert labels.read_label_ids(address) == (4, 2)
    assert f"Fetching {address} (cached in {tmp_path}/downloads; http is not encrypted" in capsys.readouterr().out
    answers.clear()
    assert labels.read_label_ids(address) == (4, 2)
    assert capsys.readouterr().out == ""


def test_a_byte_order_mark_costs_no_class(serve, tmp_path):
    mark, answers = "\ufeff".encode(), {}
    address = serve(answers) + "/ids.csv"
    answers["/ids.csv"] = 200, {}, mark + b"4\n2\n"
    assert labels.read_label_ids(address) == (4, 2)
    (copy,) = (tmp_path / "downloads").iterdir()
    copy.write_bytes(mark + b"4\n3\n")  # as earlier versions kept it
    assert labels.read_label_ids(address) == (4, 3)


def test_a_damaged_copy_is_fetched_again(serve, tmp_path):
    address = serve({"/ids.csv": (200, {}, GOOD)}) + "/ids.csv"
    assert labels.read_label_ids(address) == (4, 2)
    (copy,) = (tmp_path / "downloads").iterdir()
    for damage in (b"<html>", b"\xff\xfe", b""):
        copy.write_bytes(damage)
        assert labels.read_label_ids(address) == (4, 2) and copy.read_bytes() == GOOD


@pytest.mark.parametrize(
    ("answer", "part"),
    [
        ((404, {}, b"gone"), "404"),
        ((200, {}, b"<html>no\nids</html>"), "is no label id"),
        ((200, {}, b"\xff\xfe\n3\n"), "utf-8"),
        ((200, {}, b""), "no label id"),
        ((200, {}, b"1\n" * downloads.MOST_BYTES), "larger than"),
        ((200, {"Content-Length": "500"}, GOOD), "breaks off"),
        ((302, {"Location": "file:///etc/passwd"}, b""), "file:///etc/passwd"),
        ((302, {"Location": "ftp://127.0.0.1/ids.csv"}, b""), "leads to ftp:"),
        ((302, {"Location": "/ids.csv"}, b""), "infinite loop"),
        (drip, "takes longer than"),
        (lambda handler: time.sleep(5), "timed out"),
        (lambda handler: handler.wfile.write(b"no http\r\n\r\n"), "no http"),
    ],
)
def test_failures_are_one_line_and_nothing_is_kept(serve, tmp_path, monkeypatch, answer, part):
    monkeypatch.setattr(downloads, "SILENCE", 0.5)
    monkeypatch.setattr(downloads, "TOGETHER", 1.5)
    refused(serve({"/ids.csv": answer}) + "/ids.csv", part)
    assert not (tmp_path / "downloads").exists()


def test_addresses_that_nobody_answers(monkeypatch, tmp_path):
    monkeypatch.setenv("YT8M_CACHE", str(tmp_path))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        line = refused(f"http://127.0.0.1:{free.getsockname()[1]}/ids.csv", "cannot fetch", "give its path instead")
    assert "refused" in line
    refused("https://[::1/ids.csv")
    refused("https://127.0.0.1:port/ids.csv", "cannot fetch")


def test_https_does_not_lead_to_http():
    request = downloads.urllib.request.Request("https://example.invalid/ids.csv")
    with pytest.raises(UserError, match=r"leads to http://example\.invalid/x, which is not https"):
        downloads._Redirects().redirect_request(request, None, 302, "Found", {}, "http://example.invalid/x")
    assert downloads._Redirects().redirect_request(request, None, 302, "Found", {}, "https://example.invalid/x") is not None
