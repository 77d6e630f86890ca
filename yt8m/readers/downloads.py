"""Small text files from the web, fetched once and kept in the cache folder.

They are asked for only where the user gives an address. What comes is not trusted: there is a time limit and a bound on the size,
no other protocol is followed to, and nothing is kept before it was checked.
"""

import hashlib
import http.client
import threading
import urllib.error
import urllib.parse
import urllib.request

from yt8m.errors import UserError
from yt8m.files import write_text
from yt8m.folders import cache_folder

MOST_BYTES = 1 << 20
SILENCE, TOGETHER = 20.0, 60.0  # seconds: without an answer, and for all of it


def is_address(path):
    """Whether a path is a http(s) address."""
    return path.lower().startswith(("http://", "https://"))


def fetched(url, parse):
    """What `parse` makes of the text at an address; fetched the first time, which is said, and kept when `parse` took it.

    Args:
        url: of a UTF-8 text.
        parse: function of the text; raises UserError where it is not what it should be.

    Raises:
        UserError: it cannot be fetched, or parse's.
    """
    path = cache_folder("downloads") / f"{hashlib.sha256(url.encode()).hexdigest()[:16]}.csv"
    try:
        return parse(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):  # it is not there, or damaged
        pass
    unsafe = "" if url.lower().startswith("https:") else "; http is not encrypted: anyone on the way can change it"
    print(f"Fetching {url} (cached in {path.parent}{unsafe}).", flush=True)
    try:
        text = _in_time(_read, url).decode("utf-8-sig")
    except (OSError, http.client.HTTPException, ValueError) as error:  # UserErrors are ValueErrors
        reason = error.reason if type(error) is urllib.error.URLError else error
        reason = " ".join(str(reason).split())[:200] or type(error).__name__
        raise UserError(f"cannot fetch {url}: {reason}. Download the file yourself and give its path instead.") from error
    result = parse(text)
    write_text(path, text)
    return result


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows to https, and from http to http; nowhere else."""

    def redirect_request(self, request, file, code, message, headers, new_url):
        scheme = urllib.parse.urlsplit(new_url).scheme
        if scheme not in ("https", request.type):
            raise UserError(f"it leads to {new_url[:100]}, which is not {request.type}")
        return super().redirect_request(request, file, code, message, headers, new_url)


def _in_time(function, *arguments):
    """What a function returns or raises; TimeoutError where it takes too long, whatever it waits for."""
    ended = []

    def call():
        try:
            ended.append((function(*arguments), None))
        except Exception as error:
            ended.append((None, error))

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(TOGETHER)
    if not ended:
        raise TimeoutError(f"it takes longer than {TOGETHER:.0f} seconds")
    result, error = ended[0]
    if error is not None:
        raise error
    return result


def _read(url):
    """The bytes at an address.

    Raises:
        OSError, http.client.HTTPException, ValueError: whatever goes wrong.
    """
    content = b""
    with urllib.request.build_opener(_Redirects).open(url, timeout=SILENCE) as response:
        while part := response.read1(1 << 16):
            content += part
            if len(content) > MOST_BYTES:
                raise ValueError(f"it is larger than {MOST_BYTES:,} bytes, more than such a file has")
        if response.length:
            raise ValueError(f"it breaks off {response.length:,} bytes before its end")
    return content
