"""`kiln port share` for a test, and a network between it and the station."""

import json
import select
import socket
import subprocess
import threading
import time

from station import BIN, await_true


def free_port():
    """A TCP port of loopback that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Share:
    """One `kiln port share`, ready for a client; also a context that ends it."""

    count = 0

    def __init__(self, home, address, port=None):
        self.port = port or free_port()
        self.url = f"rfc2217://127.0.0.1:{self.port}"
        Share.count += 1
        self.log = home / f"share-{Share.count}.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [BIN / "kiln", "--json", "port", "share", "--port", address, "--listen", f"127.0.0.1:{self.port}"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        self.await_event("READY")

    def events(self):
        lines = self.log.read_text().splitlines(keepends=True)
        return [json.loads(line)["event"] for line in lines if line.startswith("{") and line.endswith("\n")]

    def await_event(self, event, count=1, seconds=30):
        await_true(lambda: self.events().count(event) >= count or self.process.poll() is not None, seconds,
                   self.log.read_text)
        if self.events().count(event) < count:
            raise AssertionError(f"the share ended with {self.process.poll()}: {self.log.read_text()}")

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(timeout=30)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class SlowNetwork:
    """Passes TCP connections on to another port, every byte later by `delay` seconds each way."""

    def __init__(self, target, delay):
        self.target = target
        self.delay = delay
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.closing = False
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def close(self):
        self.closing = True
        self.listener.close()

    def _accept(self):
        while not self.closing:
            try:
                client, _ = self.listener.accept()
                server = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                return
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._carry, args=(source, sink), daemon=True).start()

    def _carry(self, source, sink):
        waiting = []  # (when it is due, bytes)
        try:
            while not self.closing:
                now = time.monotonic()
                while waiting and waiting[0][0] <= now:
                    data = waiting.pop(0)[1]
                    if not data:
                        return
                    sink.sendall(data)
                limit = waiting[0][0] - now if waiting else 0.5
                if select.select([source], [], [], max(0, limit))[0]:
                    data = source.recv(65536)
                    waiting.append((time.monotonic() + self.delay, data))
                    if not data:
                        time.sleep(self.delay)
        except OSError:
            pass
        finally:
            for end in (source, sink):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
