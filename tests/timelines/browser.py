"""A headless Chromium, driven over a pipe by its own protocol; tests that need one skip where there is none."""

import base64
import itertools
import json
import os
import shutil
import subprocess
import time

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "chrome")
PROGRAM = next(filter(None, map(shutil.which, PROGRAMS)), None)
WHY_NOT = f"no browser: none of {', '.join(PROGRAMS)} is on the PATH (apt-get install chromium)"
_SECONDS = 30


class Browser:
    """A browser with one page open.

    Args:
        folder: for its profile.
        *switches: of the command line.

    Attributes:
        events: what it told without being asked, dicts with `method` and `params`.
    """

    def __init__(self, folder, *switches):
        read_here, write_there = os.pipe()
        read_there, write_here = os.pipe()
        self._buffer, self.events, self._numbers, self._session = b"", [], itertools.count(1), None
        command = [PROGRAM, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
        command += ["--disable-background-networking", "--disable-component-update", "--mute-audio", "--remote-debugging-pipe"]
        command += ["--autoplay-policy=no-user-gesture-required", f"--user-data-dir={folder}", *switches]
        shell = f'exec "$@" 3<&{read_there} 4>&{write_there}'
        self._process = subprocess.Popen(
            ["bash", "-c", shell, "bash", *command],
            pass_fds=(read_there, write_there),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(read_there)
        os.close(write_there)
        self._read, self._write = read_here, write_here
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.ask(f"{domain}.enable")

    def close(self):
        """Ends the browser."""
        self._process.kill()
        self._process.wait()
        os.close(self._read)
        os.close(self._write)

    def ask(self, method, **params):
        """The result of a command of the protocol."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == number:
                assert "error" not in answer, (method, answer)
                return answer["result"]
            self.events.append(answer)

    def open(self, address):
        """Opens a page and waits until it is loaded; events of earlier pages are forgotten."""
        self.events.clear()
        self.ask("Page.navigate", url=address)
        self.until("document.readyState === 'complete'")

    def value(self, script):
        """The value of a JavaScript expression, by the protocol, which the page's policy does not hold for."""
        result = self.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def until(self, script):
        """Waits until an expression is true."""
        end = time.monotonic() + _SECONDS
        while not self.value(script):
            assert time.monotonic() < end, f"never: {script}"
            time.sleep(0.02)

    def key(self, name, text=""):
        """Presses and releases a key."""
        codes = {" ": 32, "Enter": 13, "Tab": 9, "End": 35, "Home": 36}
        codes |= {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}
        key = {"key": name, "windowsVirtualKeyCode": codes.get(name, ord(name[0]) if len(name) == 1 else 0)}
        text = {"Enter": "\r"}.get(name, name if len(name) == 1 else "")
        self.ask("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", text=text, **key)
        self.ask("Input.dispatchKeyEvent", type="keyUp", **key)

    def click(self, selector, x=0.5, y=0.5):
        """Clicks at a place in an element, shares of its width and height."""
        box = self.value(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)}); e.scrollIntoView({{block: 'center'}});"
            " const b = e.getBoundingClientRect(); return [b.left, b.top, b.width, b.height]; })()"
        )
        at = {"x": box[0] + x * box[2], "y": box[1] + y * box[3], "button": "left", "clickCount": 1}
        self.ask("Input.dispatchMouseEvent", type="mousePressed", **at)
        self.ask("Input.dispatchMouseEvent", type="mouseReleased", **at)

    def picture(self, path, width=1200, height=900, **media):
        """Writes a screenshot, a PNG."""
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        time.sleep(0.2)
        with open(path, "wb") as file:
            file.write(base64.b64decode(self.ask("Page.captureScreenshot", format="png")["data"]))

    def requested(self):
        """Addresses that the page asked for."""
        return [event["params"]["request"]["url"] for event in self.events if event.get("method") == "Network.requestWillBeSent"]

    def complaints(self):
        """What the page's console says is wrong: refused by its policy, not caught."""
        found = [event["params"]["entry"]["text"] for event in self.events if event.get("method") == "Log.entryAdded"]
        return found + [str(event["params"]) for event in self.events if event.get("method") == "Runtime.exceptionThrown"]

    def _next(self):
        while b"\0" not in self._buffer:
            part = os.read(self._read, 1 << 16)
            assert part, "the browser ended"
            self._buffer += part
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)
