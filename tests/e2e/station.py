"""A whole station for a test: kiln-sim, kilnd and the kiln command line, in a folder of its own.

Standard library only. Every wait has a deadline and looks at real state; what a process printed is shown when
a wait fails.
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

BIN = pathlib.Path(os.environ["KILN_BIN"])
STUBS = os.environ.get("KILN_STUBS", "")
ENDED = {"STATE_SUCCEEDED", "STATE_FAILED", "STATE_CANCELED", "STATE_NEEDS_ATTENTION"}
# How many times slower than a PC this machine is; stretches every deadline.
PATIENCE = float(os.environ.get("KILN_TEST_PATIENCE", "1"))
CUSTOMER = ["--org", "โรงพยาบาลกรุงเทพ", "--id", "BGK001", "--app", "SMC_Cabinet_Ward_A"]


def await_true(condition, seconds, what):
    """Polls until `condition()` is true; fails with `what()` after `seconds`."""
    seconds *= PATIENCE
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.01 * PATIENCE)
    raise AssertionError(f"not within {seconds} s: {what()}")


class Simulator:
    """kiln-sim with some boards, each at a port of the same name."""

    def __init__(self, home, boards, *options):
        self.folder = home / "boards"
        self.log = home / "sim.log"
        arguments = [BIN / "kiln-sim", "run", "--dir", self.folder, *options]
        for board in boards:
            arguments += ["--board", board]
        self.names = [board.split(":")[0] for board in boards]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=subprocess.STDOUT)
        await_true(lambda: "\nready" in "\n" + self.log.read_text(), 30, self.log.read_text)

    def control(self, command):
        """What `kiln-sim ctl` answers."""
        done = subprocess.run([BIN / "kiln-sim", "ctl", "--dir", self.folder, command],
                              capture_output=True, text=True, check=True)
        return done.stdout

    def statistics(self, name):
        """What `kiln-sim ctl stats` says of a board."""
        return dict(word.split("=", 1) for word in self.control(f"stats {name}").split())

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=10 * PATIENCE)


class Station:
    """One kilnd and its folders. `start` and `kill` may alternate; the state stays."""

    simulator_class = Simulator

    def __init__(self, boards, sim_options=(), config="", stubs=True, station="", metrics=""):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="kiln-e2e-"))
        self.records = self.home / "records"
        self.log = self.home / "kilnd.log"
        self.address = f"unix://{self.home}/kilnd.sock"
        self.daemon = None
        self.simulator = self.simulator_class(self.home, boards, *sim_options) if boards else None
        self._write_config(config, stubs, station, metrics)

    def _write_config(self, extra, stubs, station, metrics):
        lines = [
            "[station]", 'id = "test"',
            f'state_directory = "{self.home}/state"',
            f'export_directory = "{self.records}"',
            f'temp_directory = "{self.home}/tmp"',
            f'socket = "{self.home}/kilnd.sock"',
            station,
            "[flash]", f'stub_directory = "{STUBS if stubs else ""}"',
            "[metrics]", f'address = "{metrics}"',
            "[testing]", "failpoints = true",
            extra,
        ]
        for name in self.simulator.names if self.simulator else []:
            lines += ["[[port]]", f'name = "{name}"',
                      f'address = "pty://{self.simulator.folder}/{name}"']
        (self.home / "kiln.toml").write_text("\n".join(lines) + "\n")

    def start(self, failpoint="", environment=None, wait=True):
        environment = dict(os.environ, KILN_FAILPOINT=failpoint, **(environment or {}))
        with self.log.open("a") as log:
            self.daemon = subprocess.Popen(
                [BIN / "kilnd", "--config", self.home / "kiln.toml"], env=environment,
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        if not wait:
            return
        await_true(lambda: self.kiln("health", check=False).returncode in (0, 6) or
                   self.daemon.poll() is not None, 60, self.log.read_text)

    def kill(self):
        self.daemon.kill()
        self.daemon.wait()

    def stop(self):
        if self.daemon and self.daemon.poll() is None:
            self.daemon.terminate()
            self.daemon.wait(timeout=30 * PATIENCE)

    def close(self):
        try:
            self.stop()
        finally:
            if self.daemon and self.daemon.poll() is None:
                self.kill()
            if self.simulator:
                self.simulator.stop()
            shutil.rmtree(self.home, ignore_errors=True)

    def kiln(self, *arguments, check=True, timeout=120):
        """Runs the command line with --json; CompletedProcess."""
        done = subprocess.run(
            [BIN / "kiln", "--address", self.address, "--json", "--lang", "en", *map(str, arguments)],
            capture_output=True, text=True, timeout=timeout * PATIENCE)
        if check and done.returncode != 0:
            raise AssertionError(f"kiln {arguments} answered {done.returncode}: {done.stderr}\n"
                                 f"{self.log.read_text()[-3000:]}")
        return done

    def answers(self, *arguments, **options):
        """The JSON messages the command printed."""
        return [json.loads(line) for line in self.kiln(*arguments, **options).stdout.splitlines()]

    def make_bundle(self, chip, size, seed=1):
        """Imports a demonstration bundle; its id."""
        folder = self.home / f"firmware-{chip}-{size}-{seed}"
        subprocess.run([BIN / "kiln-sim", "make-bundle", "--chip", chip, "--size", str(size),
                        "--seed", str(seed), folder], check=True, capture_output=True)
        return self.answers("firmware", "import", folder)[0]["bundle"]["id"]

    def order(self, bundle, port="any", *options, check=True):
        """Orders one deployment without waiting; its message."""
        return self.answers("deploy", *CUSTOMER, "--bundle", bundle, "--port", port, "--no-wait",
                            *options, check=check)[0]

    def deployment(self, name):
        return self.answers("deployments", "show", name)[0]

    def await_end(self, name, seconds=60):
        last = {}

        def ended():
            last.update(self.deployment(name))
            return last["state"] in ENDED

        await_true(ended, seconds, lambda: json.dumps(last) + self.log.read_text()[-3000:])
        return last

    def verify_ledger(self):
        return self.answers("station", "verify")[0]

    def events(self, name=None):
        filters = ["--deployment", name] if name else []
        return self.answers("events", "--limit", 100000, *filters)

    def memory_bytes(self):
        for line in pathlib.Path(f"/proc/{self.daemon.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("no VmRSS")

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.daemon.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def await_killed(self, seconds=60):
        """Waits for the daemon to die of its failpoint."""
        await_true(lambda: self.daemon.poll() is not None, seconds,
                   lambda: "the failpoint never came\n" + self.log.read_text()[-3000:])
        if self.daemon.returncode != -signal.SIGKILL:
            raise AssertionError(f"kilnd ended with {self.daemon.returncode}\n{self.log.read_text()[-3000:]}")
