"""The gateway in front of a real station: the commands of docs/api.md, roles, a restart of the daemon."""

import http.client
import json
import pathlib
import re
import subprocess
import unittest
import urllib.error
import urllib.request
import zipfile

from certificates import Authority
from gateway import Gateway, free_port
from station import BIN, Station, await_true

DOCS = pathlib.Path(__file__).parents[2] / "docs" / "api.md"


def commands_of_the_docs():
    """The shell blocks of docs/api.md, in order, as one script."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", DOCS.read_text(), re.MULTILINE | re.DOTALL)
    if len(blocks) < 6:
        raise AssertionError("docs/api.md has lost its commands")
    return "set -eu -o pipefail\n" + "\n".join(blocks)


def zip_bundle(station, path):
    folder = station.home / "package"
    subprocess.run([BIN / "kiln-sim", "make-bundle", "--chip", "esp32c3", "--size", "65536", folder],
                   check=True, capture_output=True)
    with zipfile.ZipFile(path, "w") as package:
        for file in sorted(folder.rglob("*")):
            package.write(file, file.relative_to(folder))


class GatewayTest(unittest.TestCase):
    def setUp(self):
        self.station = Station(["sim-1:esp32c3"])
        self.addCleanup(self.station.close)
        self.station.start()

    def gateway(self, *options):
        gateway = Gateway(self.station, *options)
        self.addCleanup(gateway.stop)
        return gateway

    def test_the_commands_of_the_docs_do_the_main_job(self):
        gateway = self.gateway()
        work = self.station.home / "work"
        work.mkdir()
        zip_bundle(self.station, work / "firmware.zip")
        script = commands_of_the_docs().replace("127.0.0.1:8080", f"127.0.0.1:{gateway.port}")
        # An event stream that is cut off after some seconds may end inside a Thai letter.
        done = subprocess.run(["bash", "-c", script], cwd=work, capture_output=True, text=True, errors="replace",
                              timeout=200)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr + self.station.log.read_text()[-3000:])

        deployment = gateway.get("/v1/deployments")["deployments"][0]
        self.assertEqual(deployment["state"], "STATE_SUCCEEDED")
        record = next(work.glob("customer-BGK001-*.json"))
        exported = next(self.station.records.glob("customer-BGK001-*.json"))
        self.assertEqual(record.read_bytes(), exported.read_bytes(), "the record as it was exported")
        password = json.loads(record.read_text())["wifi"]["password"]
        self.assertIn(password, done.stdout, "reveal answers it")

        table = (work / "history.csv").read_text(encoding="utf-8")
        self.assertTrue(table.startswith("\ufeffcreated,"))
        self.assertIn("โรงพยาบาลกรุงเทพ", table)
        self.assertNotIn(password, table)
        for path in ("/v1/deployments", "/v1/events:list?pageSize=1000", "/v1/station", "/v1/bundles"):
            self.assertNotIn(password, json.dumps(gateway.get(path)))
        self.assertNotIn(password, gateway.log.read_text() + self.station.log.read_text())

        audits = gateway.get("/v1/events:list?filter.kinds=EVENT_KIND_AUDIT")["events"]
        self.assertEqual([(event["audit"]["action"], event["audit"]["actor"], event["audit"]["reason"]) for event in audits],
                         [("get_record", "local", "handover"), ("reveal_credentials", "local", "label")])
        statistics = gateway.get("/v1/statistics")
        self.assertEqual((statistics["succeeded"], statistics["firstPassYield"]), ("1", 1))

    def test_the_daemon_keeps_each_role_to_what_it_may(self):
        tokens = self.station.home / "tokens"
        tokens.write_text("viewer:guest:guest-0123456789abcdef\noperator:somchai:somchai-0123456789abcdef\n"
                          "admin:ann:ann-0123456789abcdef\n")
        gateway = self.gateway("--token-file", tokens)

        def status(name, method, path, body="{}"):
            connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=60)
            connection.request(method, path, body, {"Content-Type": "application/json",
                                                    "Authorization": f"Bearer {name}-0123456789abcdef"})
            answer = connection.getresponse()
            content = answer.read()
            connection.close()
            return answer.status, content

        self.assertEqual(status("nobody", "GET", "/v1/station")[0], 401)
        for name, may_look, may_work, may_change in (("guest", 200, 403, 403), ("somchai", 200, 404, 403),
                                                     ("ann", 200, 404, 200)):
            self.assertEqual(status(name, "GET", "/v1/boards")[0], may_look, name)
            self.assertEqual(status(name, "POST", "/v1/deployments/00000000-0000-0000-0000-000000000000:reveal")[0],
                             may_work, name)
            self.assertEqual(status(name, "POST", "/v1/ledger:verify")[0], may_change, name)
        code, content = status("guest", "POST", "/v1/ledger:verify")
        self.assertEqual(json.loads(content)["code"], "NOT_ALLOWED")
        self.assertNotIn("0123456789abcdef", gateway.log.read_text())

    def test_browsers_and_the_daemon_are_reached_by_tls(self):
        self.station.stop()
        authority = Authority(self.station.home, "authority")
        stranger = Authority(self.station.home, "stranger")
        certificate, key = authority.sign("kilnd")
        address = f"127.0.0.1:{free_port()}"
        with (self.station.home / "kiln.toml").open("a") as config:
            config.write(f'[tls]\naddress = "{address}"\ncertificate_file = "{certificate}"\nkey_file = "{key}"\n'
                         f'client_ca_file = "{authority.certificate}"\n')
        self.station.start()
        own, own_key = authority.sign("gateway")
        front, front_key = authority.sign("front")

        gateway = self.gateway("--daemon", address, "--daemon-ca", authority.certificate, "--daemon-cert", own,
                               "--daemon-key", own_key, "--tls-cert", front, "--tls-key", front_key)
        url = f"https://127.0.0.1:{gateway.port}/v1/station"
        with urllib.request.urlopen(url, timeout=60, context=authority.context()) as answer:
            self.assertEqual(json.load(answer)["stationId"], "test")
            self.assertIn("max-age", answer.headers["Strict-Transport-Security"])
        with self.assertRaises(urllib.error.URLError):
            urllib.request.urlopen(url, timeout=60, context=stranger.context())

        # Somebody the daemon does not know is let in by the daemon neither.
        unknown, unknown_key = stranger.sign("unknown")
        port = free_port()
        refused = subprocess.Popen(
            [BIN / "kiln-gateway", "--listen", f"127.0.0.1:{port}", "--metrics-listen", "", "--daemon", address,
             "--daemon-ca", authority.certificate, "--daemon-cert", unknown, "--daemon-key", unknown_key],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(refused.wait)
        self.addCleanup(refused.terminate)

        def readiness():
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=60) as answer:
                    return answer.status
            except urllib.error.HTTPError as error:
                return error.code
            except OSError:
                return 0

        await_true(lambda: readiness() != 0, 30, lambda: "the second gateway does not listen")
        self.assertEqual(readiness(), 503)

    def test_a_stream_and_its_reader_outlive_the_daemon(self):
        gateway = self.gateway()
        connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=60)
        self.addCleanup(connection.close)
        connection.request("GET", "/v1/events/stream")
        stream = connection.getresponse()

        def next_event():
            fields = {}
            while True:
                line = stream.readline().decode().rstrip("\n")
                if not line and "event" in fields:
                    return fields
                name, _, value = line.partition(": ")
                fields[name] = value

        first = next_event()
        self.assertEqual(first["event"], "snapshot")
        seen = [int(first["id"])]
        self.station.kill()
        while next_event()["event"] != "error":
            pass
        self.station.start()
        last = self.station.events()[-1]
        while seen[-1] < int(last["sequence"]):
            event = next_event()
            if event["event"] == "event":
                seen.append(int(event["id"]))
        self.assertEqual(seen, list(range(seen[0], seen[0] + len(seen))), "no gap and no repeat")
        await_true(gateway.ready, 30, gateway.log.read_text)


if __name__ == "__main__":
    unittest.main()
