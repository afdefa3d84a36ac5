"""Batches from the bench's side: boards come and go, fail and move, the daemon dies, and what was ordered is made.

The order of everything is drawn from KILN_TEST_SEED, so that a run can be had again.
"""

import collections
import json
import os
import pathlib
import random
import subprocess
import unittest

from station import BIN, CUSTOMER, ENDED, Simulator, Station, await_true

BOARDS = 50
PORTS = [f"P{number}" for number in range(1, 9)]
FAULT_RATE = 0.05
# What a bench sees: boards that do not answer, are locked, break off, lie, or go mute.
FAULTS = ["dead-loader", "secure-boot", "power-loss-after=20000", "unplug-after=20000", "wrong-md5=9",
          "no-identity-line", "identity-mac=7c:df:a1:ff:ff:ff"]
QUICK_CONFIG = """
[pipeline]
connect_timeout = "20s"
replug_window = "1s"
[confirm]
serial = true
"""


class Bench(Simulator):
    """Boards on a heap beside a few ports: each port is a link to whatever board is plugged in there."""

    def __init__(self, home, boards, *options):
        super().__init__(home, boards, *options)
        self.boards = self.names
        self.board_folder = self.folder
        self.folder = home / "ports"
        self.folder.mkdir()
        self.names = PORTS
        self.at = {}  # port: board
        for board in self.boards:
            self.control(f"unplug {board}")

    def control(self, command):
        folder = getattr(self, "board_folder", self.folder)
        done = subprocess.run([BIN / "kiln-sim", "ctl", "--dir", folder, command],
                              capture_output=True, text=True, check=True)
        return done.stdout

    def plug(self, port, board, fault="none"):
        assert port not in self.at and board not in self.at.values()
        self.control(f"fault {board} {fault}")
        self.control(f"replug {board}")
        for end in (".ctl", ""):  # the modem lines, then the terminal that they belong to
            (self.folder / (port + end)).symlink_to(self.board_folder / (board + end))
        self.at[port] = board

    def unplug(self, port):
        board = self.at.pop(port)
        for end in ("", ".ctl"):
            (self.folder / (port + end)).unlink()
        self.control(f"unplug {board}")
        return board


class BenchStation(Station):
    simulator_class = Bench


def mac_of(number):
    return f"7c:df:a1:00:{number // 256:02x}:{number % 256:02x}"


class BatchTest(unittest.TestCase):
    def make_station(self, boards):
        names = [f"b{number:02}:esp32c3,mac={mac_of(number)}" for number in range(boards)]
        station = BenchStation(names, config=QUICK_CONFIG)
        self.addCleanup(station.close)
        self.mac = {f"b{number:02}": mac_of(number) for number in range(boards)}
        station.start()
        self.bundle = station.make_bundle("esp32c3", 48 << 10)
        return station

    def order(self, station, *options):
        return station.answers("batch", "create", *options, "--bundle", self.bundle)[0]["name"]

    def batch(self, station, name):
        return station.answers("batch", "show", name)[0]

    def deployments(self, station, name):
        """Newest first."""
        return station.answers("deployments", "list", "--batch", name, "--limit", 10000)

    def await_batch(self, station, name, condition, what):
        await_true(lambda: condition(self.batch(station, name)), 60,
                   lambda: f"{what}: {self.batch(station, name)}\n{station.log.read_text()[-3000:]}")
        return self.batch(station, name)

    def test_fifty_boards_through_eight_ports_with_faults_and_three_kills(self):
        seed = int(os.environ.get("KILN_TEST_SEED", "20261126"))
        draw = random.Random(seed)
        station = self.make_station(BOARDS)
        bench = station.simulator
        name = self.order(station, *CUSTOMER, "--count", BOARDS, "--ports", "P*")
        heap = list(bench.boards)
        kills = [12, 25, 38]  # when so many boards are made
        plugged_after = {}  # port: the newest event when its board came
        faulty = collections.Counter()
        newest = 0

        def plug(port):
            board = heap.pop(draw.randrange(len(heap)))
            # The first one at any rate: of so few boards at this rate, one run in twenty would have none.
            fails = draw.random() < FAULT_RATE or not plugged_after
            fault = draw.choice(FAULTS) if fails else "none"
            faulty[fault.split("=")[0]] += fault != "none"
            plugged_after[port] = newest
            bench.plug(port, board, fault)

        def unplug(port):
            heap.append(bench.unplug(port))

        def step():
            nonlocal newest
            rows = self.deployments(station, name)
            newest = max([newest, *(int(row["sequence"]) for row in rows)])
            made = {row["mac"] for row in rows if row["state"] == "STATE_SUCCEEDED"}
            busy = {row["requested_port"] for row in rows if row["state"] not in ENDED}
            for port in draw.sample(PORTS, len(PORTS)):
                if port in bench.at:
                    over = [row for row in rows if row["requested_port"] == port and
                            row["state"] in ENDED and int(row["sequence"]) > plugged_after[port]]
                    if over and port not in busy:
                        unplug(port)
                        # A finished board comes back now and then, by mistake.
                        if self.mac[heap[-1]] in made and draw.random() < 0.9:
                            heap.pop()
                elif heap and (port not in busy or draw.random() < 0.2):
                    # Into a port that waits for its own board goes, now and then, another one.
                    plug(port)
            for board in bench.boards:
                if self.mac[board] not in made and board not in heap and board not in bench.at.values():
                    heap.append(board)
            if kills and len(made) >= kills[0]:
                kills.pop(0)
                station.kill()
                # While nobody looks, two boards change places with the heap.
                for port in draw.sample(sorted(bench.at), min(2, len(bench.at))):
                    unplug(port)
                    plug(port)
                station.start()
            return len(made) == BOARDS

        try:
            await_true(step, 300, lambda: json.dumps(self.batch(station, name)))
        except AssertionError:
            print(f"KILN_TEST_SEED={seed}", station.log.read_text()[-3000:])
            raise
        self.assertEqual(kills, [], "the daemon was killed three times")
        self.expect_all_made(station, name, seed, faulty)

    def expect_all_made(self, station, name, seed, faulty):
        batch = self.batch(station, name)
        rows = self.deployments(station, name)
        story = f"KILN_TEST_SEED={seed} {dict(faulty)} {batch}"
        self.assertEqual(batch["state"], "STATE_COMPLETED", story)
        self.assertEqual(batch["succeeded"], BOARDS, story)
        self.assertEqual(batch["accepted"], len(rows), story)
        self.assertTrue(station.verify_ledger()["ok"])

        # Exactly 50 good records with 50 different identities, of 50 different boards.
        records = [json.loads(path.read_text()) for path in station.records.glob("*.json")]
        self.assertEqual(len(records), BOARDS, story)
        good = [row for row in rows if row["state"] == "STATE_SUCCEEDED"]
        self.assertEqual({row["mac"] for row in good}, set(self.mac.values()), story)
        self.assertEqual(len(good), BOARDS, "nothing was made twice " + story)
        self.assertEqual(len({row["batch_slot"] for row in good}), BOARDS, story)
        for path in (("wifi", "ssid"), ("wifi", "password"), ("kiln", "deployment_id")):
            values = {record[path[0]][path[1]] for record in records}
            self.assertEqual(len(values), BOARDS, f"{path} {story}")
        (daily,) = station.records.glob("*.csv")
        self.assertEqual(len(daily.read_text().splitlines()), 1 + BOARDS, "header and a line each")

        # Every failure is told, and has its record; a refusal is told.
        failed = {row["name"] for row in rows if row["state"] in ENDED - {"STATE_SUCCEEDED"} and
                  row["failure"]["code"] != "BOARD_ALREADY_MADE"}
        self.assertEqual(batch["failed"], len(failed), story)
        self.assertEqual(batch["refused"], len(rows) - len(good) - len(failed), story)
        told = collections.Counter(
            "deployments/" + json.loads(path.read_text())["kiln"]["deployment_id"]
            for path in (station.records / "failed").glob("*.json"))
        self.assertEqual(set(told), failed, story)
        self.assertEqual(set(told.values()) - {1}, set(), "one record for each failure")
        self.assertGreaterEqual(sum(faulty.values()), 1, story)

    def test_a_list_of_customers_is_one_board_for_each_line(self):
        station = self.make_station(3)
        table = station.home / "list.csv"
        table.write_text("customer_id;organization;application_name\r\n"
                         "AAA001;\"โรงพยาบาล; กรุงเทพ\";Ward A\r\nbbb002;Clinic;Ward B\r\n", "utf-8-sig")
        name = self.order(station, "--customers", table, "--ports", "P1", "P2")
        for number in (0, 1):
            station.simulator.plug(PORTS[number], f"b{number:02}")
        self.await_batch(station, name, lambda b: b["state"] == "STATE_COMPLETED", "both lines")

        customers = {(row["batch_slot"], row["customer"]["customer_id"])
                     for row in self.deployments(station, name)}
        self.assertEqual(customers, {(1, "AAA001"), (2, "BBB002")})

    def test_a_bad_list_is_refused_with_its_line(self):
        station = self.make_station(1)
        table = station.home / "list.csv"
        head = "customer_id,organization,application_name\n"
        for text, says in ((head + "\nAAA001,Clinic\n", "line 3: there are 2 cells"),
                           (head + "AAA001,Clinic,Ward\n\nno,Clinic,Ward\n", "line 4: customer_id"),
                           ("", "line 1:"), (head + "\xff" * 3000, "line 2: a cell is too long")):
            table.write_text(text, "utf-8")
            done = station.kiln("batch", "create", "--customers", table, "--ports", "P*",
                                "--bundle", self.bundle, check=False)
            self.assertNotEqual(done.returncode, 0, text)
            self.assertIn(says, done.stderr + done.stdout, text)
        self.assertEqual(station.answers("batch", "list"), [])

    def test_pause_resume_end_and_a_board_once_more(self):
        station = self.make_station(3)
        bench = station.simulator
        name = self.order(station, *CUSTOMER, "--count", 5, "--ports", "P1")
        bench.plug("P1", "b00")
        self.await_batch(station, name, lambda b: b.get("succeeded") == 1, "the first board")
        self.assertEqual(self.batch(station, name)["accepted"], 1)

        bench.unplug("P1")
        bench.plug("P1", "b00")
        self.await_batch(station, name, lambda b: b.get("refused") == 1, "the refusal")
        station.kiln("batch", "allow", name, self.mac["b00"].upper())
        self.await_batch(station, name,
                         lambda b: b["accepted"] == 3 and b.get("running", 0) == 0, "once more")
        self.assertEqual(self.batch(station, name)["succeeded"], 1, "it is still one board")

        station.kiln("batch", "pause", name)
        bench.unplug("P1")
        bench.plug("P1", "b01")
        station.kiln("batch", "resume", name)
        self.await_batch(station, name, lambda b: b["succeeded"] == 2, "the second board")
        ended = station.answers("batch", "end", name)[0]
        self.assertEqual(ended["state"], "STATE_ENDED")
        self.assertEqual(station.kiln("batch", "resume", name, check=False).returncode, 5)
        self.assertEqual(station.kiln("batch", "watch", name, check=False).returncode, 1)


if __name__ == "__main__":
    unittest.main()
