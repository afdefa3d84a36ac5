"""A whole stack with simulated boards: four deployments, a killed daemon, monitoring, and what keeps others out."""

import json
import pathlib
import tarfile
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

from stack import OWNER, TOP, Stack, await_true, free_port, run

SERVICES = ("kilnd", "kiln-gateway", "boards", "prometheus")
PROMETHEUS = "kiln-test/prometheus"
BASE = "debian:trixie-slim"
CHIPS = {"sim-1": "esp32", "sim-2": "esp32s3", "sim-3": "esp32c3", "sim-4": "esp32c6"}


class StackTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        # The distribution's Prometheus in place of the public image, which no registry gives here.
        run("docker", "build", "-q", "-t", PROMETHEUS, "--build-arg", f"BASE={BASE}",
            "-f", TOP / "tests" / "containers" / "prometheus.Dockerfile", TOP / "tests" / "containers", timeout=1200)
        cls.prometheus = free_port()
        cls.stack = Stack("sim monitoring", PROMETHEUS_IMAGE=PROMETHEUS, PROMETHEUS_PORT=cls.prometheus)
        cls.addClassCleanup(cls.stack.close)
        # Grafana's image is nowhere to be had here either; its password is asked for all the same.
        password = cls.stack.home / "grafana"
        password.write_text("Rq3vN0m8Zs6yK1dTe4Wz\n")
        password.chmod(0o444)
        cls.stack.settings["GRAFANA_PASSWORD_FILE"] = password
        cls.stack.write_settings()
        # What a run that was killed has left on this engine.
        cls.stack.down()
        output = cls.stack.start(*SERVICES)
        assert cls.stack.token, output

    def run(self, result=None):
        before = len(result.failures) + len(result.errors)
        super().run(result)
        if len(result.failures) + len(result.errors) > before:
            print(self.stack.logs())

    def test_four_deployments_by_rest_leave_records_on_the_host_folder(self):
        bundles = {port: self.stack.make_bundle(chip, 256 << 10) for port, chip in CHIPS.items()}
        names = [self.stack.order(bundles[port], port, f"REST0{port[-1]}") for port in CHIPS]
        for deployment in self.stack.await_end(names):
            self.assertEqual(deployment["state"], "STATE_SUCCEEDED", deployment)
        for port in CHIPS:
            records = list(self.stack.records.glob(f"customer-REST0{port[-1]}-*.json"))
            self.assertEqual(len(records), 1, list(self.stack.records.iterdir()))
            found = records[0].stat()
            self.assertEqual((found.st_uid, found.st_gid), (OWNER, 1001))
            self.assertEqual(found.st_mode & 0o007, 0, "a record holds a password")
            self.assertEqual(json.loads(records[0].read_text())["customer"]["customer_id"], f"REST0{port[-1]}")

    def test_a_daemon_that_is_killed_in_mid_flash_ends_everything_right(self):
        bundles = {port: self.stack.make_bundle(chip, 1536 << 10) for port, chip in CHIPS.items()}
        names = {self.stack.order(bundles[port], port, f"KILL0{port[-1]}"): port for port in CHIPS}

        def flashing():
            return [d for d in map(self.stack.deployment, names) if d.get("step") == "STEP_FLASH" and d.get("progressPercent", 0) > 20]

        await_true(lambda: len(flashing()) >= 2, 300, lambda: list(map(self.stack.deployment, names)))
        run("docker", "kill", self.stack.container("kilnd"))
        interrupted = run("docker", "inspect", "-f", "{{.State.ExitCode}}", self.stack.container("kilnd")).stdout.strip()
        self.assertEqual(interrupted, "137")
        run("docker", "start", self.stack.container("kilnd"))
        await_true(lambda: self.stack.inspect("kilnd")["State"]["Health"]["Status"] == "healthy", 180,
                   lambda: self.stack.inspect("kilnd")["State"])
        await_true(self.gateway_is_ready, 180, self.stack.logs)
        for deployment in self.stack.await_end(names):
            self.assertEqual(deployment["state"], "STATE_SUCCEEDED", deployment)
        for port in names.values():
            self.assertEqual(len(list(self.stack.records.glob(f"customer-KILL0{port[-1]}-*.json"))), 1)

    def gateway_is_ready(self):
        try:
            return bool(self.stack.call("GET", "/v1/station"))
        except (AssertionError, OSError):
            return False

    def test_down_and_up_again_keeps_every_event(self):
        name = self.stack.order(self.stack.bundles()["esp32c3"], "sim-3", "DOWN01")
        self.assertEqual(self.stack.await_end([name])[0]["state"], "STATE_SUCCEEDED")
        before = [event for event in self.stack.events() if "health" not in json.dumps(event)]
        self.stack.script("stop")
        self.assertEqual(self.stack.container("kilnd"), "")
        begin = time.monotonic()
        self.stack.compose("up", "--detach", "--wait", "kilnd", "kiln-gateway")
        print(f"figure: daemon and gateway from nothing to healthy: {time.monotonic() - begin:.1f} s (goal: under 10)")
        self.stack.start(*SERVICES)
        after = {event["sequence"]: event for event in self.stack.events()}
        self.assertGreater(len(before), 5)
        for event in before:
            self.assertEqual(after[event["sequence"]], event)
        self.assertEqual(self.stack.deployment(name)["state"], "STATE_SUCCEEDED")
        self.stack.call("POST", "/v1/ledger:verify", {})

    def test_a_backup_brings_the_station_back_as_it_was(self):
        bundle = self.stack.bundles()["esp32s3"]
        kept = self.stack.order(bundle, "sim-2", "BACK01")
        self.assertEqual(self.stack.await_end([kept])[0]["state"], "STATE_SUCCEEDED")
        archive = self.full_backup()
        before = {event["sequence"]: event for event in self.stack.events()}
        lost = self.stack.order(bundle, "sim-2", "BACK02")
        self.assertEqual(self.stack.await_end([lost])[0]["state"], "STATE_SUCCEEDED")

        listed = self.stack.script("restore", check=False)
        self.assertEqual(listed.returncode, 2)
        self.assertIn(archive.name, listed.stderr)
        refused = self.stack.script("restore", archive.name, check=False, input_text="no\n")
        self.assertNotEqual(refused.returncode, 0)
        self.assertEqual(self.stack.deployment(lost)["state"], "STATE_SUCCEEDED", "nothing was touched, and it runs again")
        self.stack.script("restore", archive.name, input_text="yes\n")
        self.assertEqual(self.stack.deployment(kept)["state"], "STATE_SUCCEEDED")
        with self.assertRaisesRegex(AssertionError, ": 404 "):
            self.stack.deployment(lost)
        after = {event["sequence"]: event for event in self.stack.events()}
        for sequence, event in before.items():
            self.assertEqual(after.get(sequence, event), event)
        self.assertIn("The ledger is sound", self.stack.script("kiln", "station", "verify").stdout)

    def full_backup(self):
        """The archive of the station that compose/full-backup makes on its way."""
        self.stack.script("full-backup")
        archive = max(self.stack.backups.glob("kiln-kiln-sim-*.tar.gz"), key=lambda path: path.stat().st_mtime)
        self.assertEqual((archive.stat().st_uid, archive.stat().st_mode & 0o007), (OWNER, 0))
        full = next(self.stack.backups.glob("full-*.tar.gz"))
        self.assertEqual(full.stat().st_mode & 0o077, 0, "it holds the secrets")
        with tarfile.open(full) as content:
            names = content.getnames()
        for name in ("full/compose/.env", "full/compose/compose.yaml", "full/secrets/gateway_tokens", f"full/{archive.name}"):
            self.assertIn(name, names)
        return archive

    def test_prometheus_sees_the_counters(self):
        name = self.stack.order(self.stack.bundles()["esp32c6"], "sim-4", "PROM01")
        self.assertEqual(self.stack.await_end([name])[0]["state"], "STATE_SUCCEEDED")

        def value(query):
            url = f"http://127.0.0.1:{self.prometheus}/api/v1/query?query={urllib.parse.quote(query)}"
            with urllib.request.urlopen(url, timeout=30) as answer:
                found = json.load(answer)["data"]["result"]
            return float(found[0]["value"][1]) if found else 0

        await_true(lambda: value('kiln_jobs_total{result="succeeded"}') >= 1, 180, self.stack.logs)
        await_true(lambda: value("kiln_gateway_daemon_up") == 1, 180, self.stack.logs)
        self.assertEqual(value("count(up == 1)"), 2)

    def test_containers_are_not_root_and_their_roots_are_read_only(self):
        for service, user in (("kilnd", OWNER), ("kiln-gateway", 1002), ("boards", 1001)):
            status = dict(line.split(":", 1) for line in
                          self.stack.execute(service, "cat", "/proc/self/status").stdout.splitlines())
            self.assertEqual(status["Uid"].split(), [str(user)] * 4)
            self.assertEqual(int(status["CapEff"], 16) | int(status["CapBnd"], 16), 0, service)
            self.assertEqual(status["NoNewPrivs"].strip(), "1")
            for path in ("/usr/bin/x", "/etc/x", "/x"):
                self.assertIn("Read-only file system", self.stack.execute(service, "touch", path, check=False).stderr)
            host = self.stack.inspect(service)["HostConfig"]
            self.assertTrue(host["ReadonlyRootfs"])
            self.assertFalse(host["Privileged"])
            self.assertGreater(host["Memory"], 0)
            self.assertGreater(host["PidsLimit"], 0)
            self.assertEqual(host["LogConfig"]["Config"]["max-size"], "10m")

    def test_the_daemon_has_no_way_out_and_is_reached_by_the_gateway_alone(self):
        networks = self.stack.inspect("kilnd")["NetworkSettings"]
        self.assertEqual(list(networks["Networks"]), ["kiln-test_back"])
        self.assertFalse([port for port in networks["Ports"].values() if port])
        # bash's own TCP, to the host's page and to the world (an address of the documentation's range).
        for address in (f"172.28.220.1/{self.stack.port}", "192.0.2.1/80"):
            reached = self.stack.execute("kilnd", "timeout", "5", "bash", "-c", f"exec 3<>/dev/tcp/{address}", check=False)
            self.assertNotEqual(reached.returncode, 0, address)
        self.stack.execute("kilnd", "timeout", "60", "bash", "-c", "exec 3<>/dev/tcp/boards/2220")
        published = self.stack.inspect("kiln-gateway")["NetworkSettings"]["Ports"]["8080/tcp"]
        self.assertEqual([port["HostIp"] for port in published], ["127.0.0.1"])

    def test_without_a_token_nothing_is_answered(self):
        for path, code in (("/livez", 200), ("/v1/station", 401), ("/v1/deployments", 401)):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.stack.port}{path}", timeout=30) as answer:
                    found = answer.status
            except urllib.error.HTTPError as error:
                found = error.code
            self.assertEqual(found, code, path)

    def test_the_daemon_stays_small(self):
        process = run("docker", "top", self.stack.container("kilnd"), "-o", "pid,rss,comm").stdout
        resident = max(int(line.split()[1]) for line in process.splitlines() if line.split()[-1] == "kilnd") / 1024
        print(f"figure: RSS of kilnd in its container: {resident:.0f} MiB (goal: under 80)")
        self.assertLess(resident, 80)

    @unittest.skipIf(pathlib.Path("/dev/bus/usb").exists(), "this machine has USB")
    def test_a_station_of_real_boards_says_at_once_that_there_is_no_usb(self):
        other = Stack("", COMPOSE_PROJECT="")
        other.environment["COMPOSE_PROJECT_NAME"] = "kiln-test-usb"
        self.addCleanup(other.close)
        other.settings.pop("COMPOSE_PROJECT")
        other.settings |= {"KILN_SUBNET_FRONT": "172.28.223.0/24", "KILN_SUBNET_BACK": "172.28.224.0/24"}
        other.write_settings()
        failed = other.script("start", check=False)
        self.assertNotEqual(failed.returncode, 0)
        self.assertIn("/dev/bus/usb", failed.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
