"""Bundles from a template, by real PlatformIO: built, cached, broken, too slow, and cancelled half-way."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))
from station import BIN, Station, await_true  # noqa: E402

PIO = os.environ["KILN_PIO"]
# A script of a project that never ends, and leaves a child in a session of its own.
HANG = """
import subprocess, time
subprocess.Popen(["sleep", "1000"], start_new_session=True)
print("hanging", flush=True)
time.sleep(1000)
"""


def install_platform(core):
    """What `pio pkg install` would do, had it a registry."""
    platform = core / "platforms/kiln_bench"
    shutil.copytree(HERE / "platform", platform)
    for name in ("pack.py", "hello-c3.ld"):
        shutil.copy(HERE.parents[1] / "firmware/hello-c3" / name, platform)
    scons = core / "packages/tool-scons"
    shutil.copytree(HERE / "tool-scons", scons)
    (scons / ".piopm").write_text(json.dumps({
        "type": "tool", "name": "tool-scons", "version": json.loads((scons / "package.json").read_text())["version"],
        "spec": {"owner": "platformio", "id": None, "name": "tool-scons", "requirements": None, "uri": None}}))


def processes_of(folder):
    """The processes that were started for a build below `folder`."""
    found = []
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if f"HOME={folder}".encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" "))
        except OSError:
            continue  # it is gone
    return found


class BuilderTest(unittest.TestCase):
    def start(self, pio=PIO, **settings):
        station = Station([], config=self.configuration(pio, settings))
        self.addCleanup(station.close)
        install_platform(station.home / "state/platformio")
        station.start()
        return station

    @staticmethod
    def configuration(pio, settings):
        probe = subprocess.run(["unshare", "--map-current-user", "--pid", "--fork", "--net", "true"],
                               stderr=subprocess.DEVNULL, check=False)
        # Without namespaces everything but their own promises can still be shown.
        settings = {"sandbox": probe.returncode == 0, **settings}
        lines = ["[builder]", f'platformio = "{pio}"']
        lines += [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
        return "\n".join(lines)

    def template(self, script=""):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="kiln-template-")) / "greeter"
        self.addCleanup(shutil.rmtree, folder.parent)
        shutil.copytree(HERE / "template", folder)
        if script:
            (folder / "script.py").write_text(script)
            with (folder / "platformio.ini").open("a") as file:
                file.write("extra_scripts = pre:script.py\n")
        return folder

    def build(self, station, folder, *arguments, check=True):
        """The messages of one build; (exit code, messages, what stood on stderr)."""
        done = subprocess.run([BIN / "kiln", "--address", station.address, "--json", "firmware", "build", "--template", folder,
                               *arguments], capture_output=True, text=True, timeout=300, check=False)
        messages = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        if check:
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr + station.log.read_text())
        return done.returncode, messages, done.stdout + done.stderr

    def result(self, station, folder, *arguments):
        return self.build(station, folder, *arguments)[1][-1]["result"]

    def assert_nothing_left(self, station):
        folder = station.home / "tmp"
        await_true(lambda: not processes_of(folder), 20, lambda: processes_of(folder))
        await_true(lambda: not list(folder.glob("kiln-build-*")), 20, lambda: list(folder.iterdir()))

    def image_of(self, station, bundle):
        app = next(image for image in bundle["images"] if image["offset"] == 0x10000)
        return (station.home / "state/firmware/images" / app["sha256"]).read_bytes()

    def test_builds_a_bundle_and_answers_the_same_order_from_the_cache(self):
        station = self.start()
        folder = self.template()
        greeting = 'สวัสดี "Ward" \\ ??/ %s {}'
        _, messages, _ = self.build(station, folder, "--set", f"greeting={greeting}", "--set", "interval_s=5")
        self.assertEqual([m["stage"] for m in messages if "stage" in m],
                         ["BUILD_STAGE_PREPARE", "BUILD_STAGE_BUILD", "BUILD_STAGE_IMPORT"])
        self.assertTrue(any("Compiling" in m.get("log_line", m.get("logLine", "")) for m in messages), messages)
        bundle = messages[-1]["result"]["bundle"]
        self.assertEqual(bundle["chip"], "ESP32-C3")
        self.assertEqual((bundle["title"], bundle["version"]), ("Greeter", "1.0.0"))
        self.assertIn(greeting.encode(), self.image_of(station, bundle))
        provenance = bundle["provenance"]
        source = provenance.get("source_kind", provenance.get("sourceKind"))
        self.assertEqual(source, "template")
        self.assertIn("PlatformIO Core", provenance["facts"]["platformio"])
        self.assertIn("kiln_bench 1.0.0", provenance["facts"]["tools"])
        self.assertEqual(len(provenance["facts"]["values_sha256"]), 64)

        began = time.monotonic()
        again = self.result(station, folder, "--set", f"greeting={greeting}", "--set", "interval_s=5")
        seconds = time.monotonic() - began
        print(f"the same order again: {seconds:.2f} s", file=sys.stderr)
        self.assertTrue(again.get("from_cache", again.get("fromCache")))
        self.assertEqual(again["bundle"]["id"], bundle["id"])

        # Built anew, from a copy elsewhere: the same bytes.
        rebuilt = self.result(station, self.template(), "--rebuild", "--set", f"greeting={greeting}", "--set", "interval_s=5")
        self.assertFalse(rebuilt.get("from_cache", rebuilt.get("fromCache", False)))
        self.assertEqual(rebuilt["bundle"]["id"], bundle["id"])
        self.assertNotEqual(self.result(station, folder)["bundle"]["id"], bundle["id"])
        self.assert_nothing_left(station)

    def test_a_value_for_nvs_needs_no_build(self):
        station = self.start()
        folder = self.template()
        built = self.result(station, folder)
        began = time.monotonic()
        _, messages, _ = self.build(station, folder, "--set", "ward=ห้อง 7")
        seconds = time.monotonic() - began
        print(f"the same images with another value: {seconds:.2f} s", file=sys.stderr)
        self.assertEqual([m["stage"] for m in messages if "stage" in m], ["BUILD_STAGE_PREPARE"])
        bundle = messages[-1]["result"]["bundle"]
        self.assertNotEqual(bundle["id"], built["bundle"]["id"])
        self.assertEqual(bundle["images"], built["bundle"]["images"])
        values = bundle.get("nvs_values", bundle.get("nvsValues"))
        self.assertEqual(values, [{"namespace": "greeter", "key": "ward", "type": "string", "value": "ห้อง 7"}])

    def test_a_compiler_error_is_shown(self):
        station = self.start()
        code, _, said = self.build(station, self.template(), "--set", "broken=true", check=False)
        self.assertNotEqual(code, 0)
        self.assertIn("BUILD_FAILED", said)
        self.assertIn("this template was asked to be broken", said)
        self.assert_nothing_left(station)

    def test_a_value_that_is_not_allowed_builds_nothing(self):
        station = self.start()
        code, _, said = self.build(station, self.template(), "--set", "interval_s=soon", check=False)
        self.assertNotEqual(code, 0)
        self.assertIn("TEMPLATE_VALUE_INVALID", said)

    def test_a_build_that_takes_too_long_is_ended_with_all_it_started(self):
        station = self.start(timeout="10s")
        code, _, said = self.build(station, self.template(HANG), check=False)
        self.assertNotEqual(code, 0)
        self.assertIn("BUILD_TIMED_OUT", said)
        self.assert_nothing_left(station)

    def cancelled(self, station, end):
        folder = self.template(HANG)
        client = subprocess.Popen([BIN / "kiln", "--address", station.address, "--json", "firmware", "build", "--template", folder],
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.addCleanup(client.stdout.close)
        self.addCleanup(client.wait)
        self.addCleanup(client.kill)
        for line in client.stdout:
            if "hanging" in line:
                break
        else:
            self.fail("the build did not come so far: " + station.log.read_text())
        self.assertTrue(processes_of(station.home / "tmp"))
        end(client)
        self.assert_nothing_left(station)

    def test_a_client_that_goes_away_ends_its_build(self):
        station = self.start()
        self.cancelled(station, lambda client: client.terminate())
        self.result(station, self.template())

    def test_a_station_that_stops_ends_its_build(self):
        station = self.start()
        self.cancelled(station, lambda client: station.stop())

    def test_what_a_killed_station_left_is_removed_at_the_next_start(self):
        station = self.start()
        self.cancelled(station, lambda client: (station.kill(), station.start()))

    def test_the_build_has_no_network(self):
        probe = "import os\nprint('interfaces', sorted(os.listdir('/proc/self/net') and [l.split(':')[0].strip() for l in " \
                "open('/proc/self/net/dev') if ':' in l]), flush=True)\n"
        if "sandbox = true" not in self.configuration(PIO, {}):
            self.skipTest("this system allows no namespaces")
        station = self.start()
        _, messages, _ = self.build(station, self.template(probe))
        self.assertTrue(any("interfaces ['lo']" in json.dumps(m) for m in messages), messages)

    def test_health_says_what_is_missing(self):
        station = self.start(pio="/no/such/pio")
        health = station.kiln("health", check=False).stdout
        self.assertIn("/no/such/pio is not there; install PlatformIO", health)
        code, _, said = self.build(station, self.template(), check=False)
        self.assertNotEqual(code, 0)
        self.assertIn("BUILDER_UNAVAILABLE", said)

    def test_a_station_without_a_builder_is_a_station(self):
        station = self.start(pio="")
        self.assertEqual(station.kiln("health", check=False).returncode, 0)
        code, _, said = self.build(station, self.template(), check=False)
        self.assertNotEqual(code, 0)
        self.assertIn("BUILDER_UNAVAILABLE", said)


if __name__ == "__main__":
    unittest.main()
