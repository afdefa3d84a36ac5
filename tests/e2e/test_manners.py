"""How the daemon starts, stops and answers for itself."""

import os
import pathlib
import socket
import stat
import subprocess
import time
import unittest

from station import BIN, Station


class MannersTest(unittest.TestCase):
    def start(self, boards=("sim-0:esp32c3",), **options):
        station = Station(list(boards), **options)
        self.addCleanup(station.close)
        station.start()
        return station

    def test_the_socket_is_for_owner_and_group_only(self):
        station = self.start()
        mode = stat.S_IMODE((station.home / "kilnd.sock").stat().st_mode)
        self.assertEqual(oct(mode), oct(0o660))
        ledger = stat.S_IMODE((station.home / "state" / "ledger.db").stat().st_mode)
        self.assertEqual(oct(ledger), oct(0o600))

    def test_a_second_daemon_on_the_same_ledger_is_refused(self):
        station = self.start()
        second = subprocess.run([BIN / "kilnd", "--config", station.home / "kiln.toml"],
                                capture_output=True, text=True, timeout=20)
        self.assertNotEqual(second.returncode, 0)
        self.assertEqual(station.kiln("health").returncode, 0, "the first one goes on")

    def test_a_damaged_ledger_stops_the_daemon_with_a_sentence_and_is_left_as_it_is(self):
        station = self.start()
        station.stop()
        ledger = station.home / "state" / "ledger.db"
        content = bytearray(ledger.read_bytes())
        content[100:4000] = os.urandom(3900)
        ledger.write_bytes(content)
        done = subprocess.run([BIN / "kilnd", "--config", station.home / "kiln.toml"],
                              capture_output=True, text=True, timeout=20)
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertIn("damaged", done.stderr)
        self.assertIn("backup", done.stderr)
        self.assertEqual(ledger.read_bytes(), bytes(content))

    def test_sigterm_drains_and_the_next_start_continues(self):
        station = self.start(sim_options=["--pace"])
        bundle = station.make_bundle("esp32c3", 512 << 10)
        name = station.order(bundle, "sim-0")["name"]
        deadline = time.monotonic() + 30
        while station.deployment(name)["step"] != "STEP_FLASH" and time.monotonic() < deadline:
            pass
        begin = time.monotonic()
        station.stop()
        self.assertEqual(station.daemon.returncode, 0, station.log.read_text()[-2000:])
        self.assertLess(time.monotonic() - begin, 15)
        station.start()
        self.assertEqual(station.await_end(name)["state"], "STATE_SUCCEEDED")
        self.assertEqual(station.answers("deployments", "show", name)[0]["attempt"], 1)

    def test_checks_its_configuration_and_names_what_is_wrong(self):
        station = Station([])
        self.addCleanup(station.close)
        path = station.home / "kiln.toml"
        good = subprocess.run([BIN / "kilnd", "--config", path, "--check-config"], capture_output=True, text=True)
        self.assertEqual(good.returncode, 0, good.stderr)
        path.write_text(path.read_text() + "\n[flash.typo]\nbaud = 1\n")
        bad = subprocess.run([BIN / "kilnd", "--config", path, "--check-config"], capture_output=True, text=True)
        self.assertNotEqual(bad.returncode, 0)
        self.assertIn("typo", bad.stderr)

    def test_tells_systemd_when_it_is_ready_and_when_it_stops(self):
        station = Station([])
        self.addCleanup(station.close)
        path = str(station.home / "notify.sock")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind(path)
            notify.settimeout(10)
            os.environ["NOTIFY_SOCKET"] = path
            self.addCleanup(os.environ.pop, "NOTIFY_SOCKET", None)
            station.start()
            self.assertIn("READY=1", notify.recv(4096).decode())
            station.stop()
            messages = ""
            while "STOPPING=1" not in messages:
                messages += notify.recv(4096).decode() + "\n"

    def test_the_documented_configuration_is_valid(self):
        example = pathlib.Path(__file__).parents[2] / "deploy" / "kiln.toml"
        done = subprocess.run([BIN / "kilnd", "--config", example, "--check-config"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)


if __name__ == "__main__":
    unittest.main()
