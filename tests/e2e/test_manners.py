"""How the daemon starts, stops and answers for itself."""

import datetime
import os
import pathlib
import signal
import socket
import stat
import subprocess
import threading
import time
import unittest
import urllib.request

from station import BIN, Station, await_true


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

    def test_a_second_signal_ends_a_drain_on_the_spot_and_the_next_start_continues(self):
        station = self.start(station='drain_timeout = "10m"', config='[pipeline]\nexport_timeout = "15m"')
        bundle = station.make_bundle("esp32c3", 128 << 10)
        # A disk that hangs: the daily list, of today and of tomorrow in Bangkok, is a pipe without a writer.
        today = datetime.datetime.now(datetime.timezone(datetime.timedelta(hours=7))).date()
        pipes = [station.records / f"esp32-deployments-{day}.csv"
                 for day in (today, today + datetime.timedelta(days=1))]
        for pipe in pipes:
            os.mkfifo(pipe)
        name = station.order(bundle, "sim-0")["name"]
        await_true(lambda: list(station.records.glob("*.json")), 60, lambda: station.log.read_text()[-2000:])
        station.daemon.send_signal(signal.SIGTERM)
        await_true(lambda: "TYPE_DRAINING" in station.log.read_text(), 30, lambda: station.log.read_text()[-2000:])
        self.assertIsNone(station.daemon.poll(), "the first signal waits for the record")

        station.daemon.send_signal(signal.SIGTERM)

        self.assertEqual(station.daemon.wait(timeout=60), -signal.SIGTERM)
        for pipe in pipes:
            pipe.unlink()
        station.start()
        ended = station.await_end(name)
        self.assertEqual(ended["state"], "STATE_SUCCEEDED", ended)
        self.assertEqual(len(list(station.records.glob("*.json"))), 1)
        self.assertTrue(station.verify_ledger()["ok"])

    def listen(self, station):
        """The service manager's socket, and the environment that names it."""
        path = str(station.home / "notify.sock")
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(notify.close)
        notify.bind(path)
        notify.settimeout(30)
        return notify, {"NOTIFY_SOCKET": path}

    def test_tells_systemd_when_it_is_ready_and_when_it_stops(self):
        station = Station([])
        self.addCleanup(station.close)
        notify, environment = self.listen(station)
        station.start(environment=environment)
        self.assertEqual(notify.recv(4096).decode(), "READY=1", "the first word")
        station.stop()
        messages = [""]
        while messages[-1] != "STOPPING=1":
            messages.append(notify.recv(4096).decode())
        self.assertEqual(set(messages[1:-1]) - {"WATCHDOG=1"}, set(), "nothing else between")
        self.assertEqual(station.daemon.returncode, 0)

    def test_is_ready_when_it_serves_and_knows_what_is_plugged_in(self):
        station = Station(["sim-0:esp32c3", "sim-1:esp32s3"])
        self.addCleanup(station.close)
        notify, environment = self.listen(station)
        station.start(environment=environment, wait=False)
        self.assertEqual(notify.recv(4096).decode(), "READY=1")
        # No second try: the very first answer has them.
        boards = station.answers("boards", "list")
        self.assertEqual({board["port"]: board["state"] for board in boards},
                         {"sim-0": "STATE_READY", "sim-1": "STATE_READY"})

    def test_feeds_the_watchdog_as_often_as_it_asks_for(self):
        station = Station([])
        self.addCleanup(station.close)
        notify, environment = self.listen(station)
        # 400 ms: at the usual interval of 5 s, so many signs of life would take more than three minutes.
        station.start(environment=dict(environment, WATCHDOG_USEC="400000"))
        begin = time.monotonic()
        pulses = 0
        while pulses < 40:
            pulses += notify.recv(4096).decode() == "WATCHDOG=1"
        self.assertLess(time.monotonic() - begin, 100)

    def test_a_watchdog_of_another_process_is_not_fed_faster(self):
        station = Station([])
        self.addCleanup(station.close)
        notify, environment = self.listen(station)
        station.start(environment=dict(environment, WATCHDOG_USEC="1000", WATCHDOG_PID="1"))
        begin = time.monotonic()
        pulses = 0
        while pulses < 3:
            pulses += notify.recv(4096).decode() == "WATCHDOG=1"
        self.assertGreater(time.monotonic() - begin, 2, "two intervals of 5 s, not of half a millisecond")

    def test_stops_cleanly_while_boards_come_and_go(self):
        station = Station([f"sim-{i}:esp32c3" for i in range(4)])
        self.addCleanup(station.close)
        moving = threading.Event()

        def move():
            while not moving.is_set():
                for i in range(4):
                    station.simulator.control(f"unplug sim-{i}")
                for i in range(4):
                    station.simulator.control(f"replug sim-{i}")

        mover = threading.Thread(target=move)
        mover.start()
        try:
            for _ in range(3):
                station.start()
                seen = len(station.events())
                await_true(lambda: len(station.events()) >= seen + 4, 60, lambda: station.log.read_text()[-2000:])
                station.stop()
                self.assertEqual(station.daemon.returncode, 0, station.log.read_text()[-2000:])
        finally:
            moving.set()
            mover.join()
        station.start()
        types = [event["station"]["type"] for event in station.events() if "station" in event]
        self.assertNotIn("TYPE_RECOVERED", types, "STOPPED was the last word each time")

    def test_stops_cleanly_while_a_deployment_looks_for_its_board(self):
        station = self.start(sim_options=["--fault", "unplug-after=65536"],
                             config='[pipeline]\nreplug_window = "1m"')
        bundle = station.make_bundle("esp32c3", 256 << 10)
        name = station.order(bundle, "sim-0")["name"]
        await_true(lambda: "waiting for it to come back" in station.log.read_text(), 60,
                   lambda: station.log.read_text()[-2000:])
        station.stop()
        self.assertEqual(station.daemon.returncode, 0, station.log.read_text()[-2000:])
        station.simulator.control("fault sim-0 none")
        station.simulator.control("replug sim-0")
        station.start()
        self.assertEqual(station.await_end(name)["state"], "STATE_SUCCEEDED")
        types = [event["station"]["type"] for event in station.events() if "station" in event]
        self.assertNotIn("TYPE_RECOVERED", types)

    def test_counts_boards_by_the_family_of_their_adapter(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{free.getsockname()[1]}"
        station = self.start(boards=("sim-0:esp32c3", "sim-1:esp32s3"), metrics=address)

        def connected(bridge):
            with urllib.request.urlopen(f"http://{address}/metrics", timeout=30) as answer:
                lines = answer.read().decode().splitlines()
            (line,) = [line for line in lines if line.startswith(f'kiln_devices_connected{{bridge="{bridge}"}}')]
            return float(line.split()[-1])

        self.assertEqual(connected("pty"), 2)
        self.assertEqual(connected("cp210x"), 0)
        station.simulator.control("unplug sim-0")
        await_true(lambda: connected("pty") == 1, 30, lambda: station.log.read_text()[-2000:])
        station.simulator.control("replug sim-0")
        await_true(lambda: connected("pty") == 2, 30, lambda: station.log.read_text()[-2000:])

    def test_an_identified_board_runs_its_program_again_however_it_ended(self):
        station = self.start()
        bundle = station.make_bundle("esp32c3", 128 << 10)
        name = station.order(bundle, "sim-0")["name"]
        self.assertEqual(station.await_end(name)["state"], "STATE_SUCCEEDED")

        def runs_again(boots):
            now = station.simulator.statistics("sim-0")
            return now["mode"] == "running" and int(now["boots"]) > boots

        for fault, good in (("none", True), ("secure-download", None), ("dead-loader", False)):
            with self.subTest(fault=fault):
                station.simulator.control(f"fault sim-0 {fault}")
                boots = int(station.simulator.statistics("sim-0")["boots"])
                done = station.kiln("boards", "identify", "sim-0", check=False)
                if good is not None:
                    self.assertEqual(done.returncode == 0, good, done.stderr)
                await_true(lambda: runs_again(boots), 30, lambda: station.simulator.statistics("sim-0"))
        with self.subTest("a client that goes away"):
            station.simulator.control("fault sim-0 dead-loader")
            before = station.simulator.statistics("sim-0")
            client = subprocess.Popen([BIN / "kiln", "--address", station.address, "boards", "identify", "sim-0"],
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            await_true(lambda: station.simulator.statistics("sim-0")["mode"] == "download", 30,
                       lambda: station.simulator.statistics("sim-0"))
            client.kill()
            client.wait()
            station.simulator.control("fault sim-0 none")
            await_true(lambda: runs_again(int(before["boots"])), 30,
                       lambda: station.simulator.statistics("sim-0"))

    def test_a_certificate_that_cannot_be_used_is_named(self):
        station = Station([])
        self.addCleanup(station.close)
        path = station.home / "kiln.toml"
        text = path.read_text()
        (station.home / "empty.pem").write_text("")
        for certificate, words in ((station.home / "none.pem", "certificate_file"),
                                   (station.home / "empty.pem", "no certificate in PEM form")):
            with self.subTest(certificate=certificate.name):
                path.write_text(text + '[tls]\naddress = "127.0.0.1:0"\n' +
                                f'certificate_file = "{certificate}"\nkey_file = "{station.home}/empty.pem"\n'
                                f'client_ca_file = "{station.home}/empty.pem"\n')
                done = subprocess.run([BIN / "kilnd", "--config", path], capture_output=True, text=True, timeout=60)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertIn(words, done.stderr)
                self.assertNotIn("Retry", done.stderr)

    def test_the_documented_configuration_is_valid(self):
        example = pathlib.Path(__file__).parents[2] / "deploy" / "kiln.toml"
        done = subprocess.run([BIN / "kilnd", "--config", example, "--check-config"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)


if __name__ == "__main__":
    unittest.main()
