"""kiln-gateway for a test, in front of a Station."""

import json
import socket
import subprocess
import urllib.request

from station import BIN, await_true


def free_port():
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Gateway:
    def __init__(self, station, *options):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = station.home / "gateway.log"
        self.arguments = [BIN / "kiln-gateway", "--listen", f"127.0.0.1:{self.port}", "--metrics-listen", "",
                          "--daemon", station.address, *options]
        with self.log.open("a") as log:
            self.process = subprocess.Popen(self.arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        await_true(self.ready, 30, self.log.read_text)

    def ready(self):
        return subprocess.run([*self.arguments, "--check"], capture_output=True).returncode == 0

    def get(self, path, **headers):
        request = urllib.request.Request(self.url + path, headers=headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def stop(self):
        self.process.terminate()
        if self.process.wait(timeout=30) != 0:
            raise AssertionError(f"the gateway ended with {self.process.returncode}\n{self.log.read_text()[-3000:]}")
