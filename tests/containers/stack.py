"""A stack of containers for tests: started and stopped by the scripts of compose/, reached by REST.

Standard library only. Everything has a name of its own (project, networks, port, folders, image tag), so that a station
on the same engine is left alone; `close` removes all of it but the images.
"""

import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
import uuid

TOP = pathlib.Path(__file__).resolve().parents[2]
TAG = "test"
# Who owns records on the host: nobody whom the images know.
OWNER = 4711
ENDED = {"STATE_SUCCEEDED", "STATE_FAILED", "STATE_CANCELED", "STATE_NEEDS_ATTENTION"}


def await_true(condition, seconds, what):
    """Polls until `condition()` is true; fails with `what()` after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s: {what()}")


def run(*command, check=True, timeout=300, **options):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=timeout,
                          stdin=subprocess.DEVNULL, **options)
    if check and done.returncode != 0:
        raise AssertionError(f"{command} ended with {done.returncode}\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    return done


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Stack:
    def __init__(self, overlays, **settings):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="kiln-containers-"))
        self.records = self.home / "records"
        self.backups = self.home / "backups"
        self.port = free_port()
        self.token = ""
        self.settings = {
            "KILN_OVERLAYS": overlays, "KILN_TAG": TAG, "KILN_UID": OWNER, "KILN_PORT": self.port,
            "EXPORT_HOST_DIR": self.records, "KILN_BACKUP_DIR": self.backups,
            "KILN_TOKEN_FILE": self.home / "secrets" / "gateway_tokens",
            "KILN_SUBNET_FRONT": "172.28.220.0/24", "KILN_SUBNET_BACK": "172.28.221.0/24",
            "KILN_SUBNET_BOARDS": "172.28.222.0/24", "KILN_START_TIMEOUT": 300, **settings,
        }
        self.write_settings()
        self.environment = dict(os.environ, COMPOSE_PROJECT_NAME="kiln-test", KILN_ENV_FILE=str(self.home / ".env"))

    def write_settings(self):
        lines = [f"{name}={value}" for name, value in self.settings.items()]
        (self.home / ".env").write_text("\n".join(lines) + "\n")

    def script(self, name, *arguments, check=True, input_text=None):
        """Runs one of the scripts of compose/."""
        done = subprocess.run([str(TOP / "compose" / name), *map(str, arguments)], env=self.environment, text=True,
                              capture_output=True, input=input_text or "", timeout=900)
        if check and done.returncode != 0:
            raise AssertionError(f"{name} ended with {done.returncode}\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
        return done

    def start(self, *services):
        output = self.script("start", *services).stdout
        shown = re.search(r"shown this once: (\S+)", output)
        if shown:
            self.token = shown[1]
        return output

    def compose(self, *arguments, check=True):
        files = [word for name in ["", *str(self.settings["KILN_OVERLAYS"]).split()]
                 for word in ("-f", TOP / "compose" / f"compose{'.' if name else ''}{name}.yaml")]
        return run("docker", "compose", "--project-directory", TOP / "compose", "--env-file", self.home / ".env", *files,
                   *arguments, check=check, env=self.environment)

    def container(self, service):
        return self.compose("ps", "--all", "--quiet", service).stdout.strip()

    def inspect(self, service):
        return json.loads(run("docker", "inspect", self.container(service)).stdout)[0]

    def execute(self, service, *command, check=True):
        return run("docker", "exec", self.container(service), *command, check=check)

    def call(self, method, path, body=None, timeout=60):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", None if body is None else json.dumps(body).encode(), method=method,
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.code} {error.read().decode()[:500]}") from error

    def bundles(self):
        """The bundles that the boards' container imported, by chip."""
        return {bundle["title"].removeprefix("demo-"): bundle["name"]
                for bundle in self.call("GET", "/v1/bundles")["bundles"] if bundle["title"].startswith("demo-")}

    def make_bundle(self, chip, size):
        """Imports demonstration firmware of a size, and answers its name."""
        folder = f"/tmp/kiln-sim/made/{uuid.uuid4()}"
        self.execute("boards", "kiln-sim", "make-bundle", "--chip", chip, "--size", size, folder)
        made = self.execute("boards", "kiln", "--json", "firmware", "import", folder).stdout
        return "bundles/" + re.search(r'"id": *"([0-9a-f]+)"', made)[1]

    def order(self, bundle, port, customer="BGK001"):
        answer = self.call("POST", "/v1/deployments", {
            "requestId": str(uuid.uuid4()), "bundle": bundle, "port": port,
            "customer": {"organization": "โรงพยาบาลกรุงเทพ", "customerId": customer, "applicationName": "SMC_Cabinet_Ward_A"}})
        return answer["name"]

    def deployment(self, name):
        return self.call("GET", f"/v1/{name}")

    def await_end(self, names, seconds=600):
        """The deployments, once all of them have ended."""
        await_true(lambda: all(self.deployment(name)["state"] in ENDED for name in names), seconds,
                   lambda: [self.deployment(name) for name in names])
        return [self.deployment(name) for name in names]

    def events(self):
        """Every event of the ledger."""
        found, token = [], ""
        while True:
            page = self.call("GET", f"/v1/events:list?pageSize=500&pageToken={token}")
            found += page["events"]
            token = page.get("nextPageToken", "")
            if not token:
                return found

    def logs(self):
        return self.compose("logs", "--no-color", "--tail", "40", check=False).stdout

    def down(self):
        self.compose("--profile", "*", "down", "--volumes", "--remove-orphans", "--timeout", "20", check=False)

    def close(self):
        self.down()
        shutil.rmtree(self.home, ignore_errors=True)
