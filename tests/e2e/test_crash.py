"""kill -9 at every step: after a restart every accepted deployment ends as it should, once."""

import json
import unittest

from station import Station, await_true

STEPS = ["prepare", "connect", "identify", "flash", "verify", "boot", "confirm", "export"]


class CrashTest(unittest.TestCase):
    def crash_at(self, failpoint):
        station = Station(["sim-0:esp32c3"])
        try:
            station.start()
            bundle = station.make_bundle("esp32c3", 512 << 10)
            station.stop()
            station.start(failpoint=failpoint)
            name = station.order(bundle, "sim-0")["name"]
            station.await_killed()
            station.start()
            ended = station.await_end(name)
            self.assertEqual(ended["state"], "STATE_SUCCEEDED", ended)
            records = [json.loads(path.read_text()) for path in station.records.glob("*.json")]
            self.assertEqual(len(records), 1, "one deployment, one record")
            (daily,) = station.records.glob("*.csv")
            self.assertEqual(len(daily.read_text().splitlines()), 2, "header and one line")
            self.assertTrue(station.verify_ledger()["ok"])
            finished = [event for event in station.events(name)
                        if event.get("deployment", {}).get("state") == "STATE_SUCCEEDED"]
            self.assertEqual(len(finished), 1, "it succeeded once")
        finally:
            station.close()

    def test_killed_at_every_step(self):
        for step in STEPS:
            for moment in ("enter", "leave"):
                with self.subTest(failpoint=f"{step}:{moment}"):
                    self.crash_at(f"{step}:{moment}")
        with self.subTest(failpoint="outcome:enter"):
            self.crash_at("outcome:enter")

    def test_killed_in_the_middle_of_writing_continues_with_what_differs(self):
        station = Station(["sim-0:esp32"], sim_options=["--pace"])
        self.addCleanup(station.close)
        station.start()
        bundle = station.make_bundle("esp32", 1 << 20)
        name = station.order(bundle, "sim-0")["name"]

        def half_written():
            now = station.deployment(name)
            self.assertNotEqual(now["state"], "STATE_FAILED", now)
            return now["step"] == "STEP_FLASH" and now["progress_percent"] >= 40

        await_true(half_written, 60, lambda: json.dumps(station.deployment(name)))
        station.kill()
        station.start()
        ended = station.await_end(name, seconds=120)
        self.assertEqual(ended["state"], "STATE_SUCCEEDED", ended)
        self.assertLess(int(ended["flash"]["written_bytes"]), int(ended["flash"]["image_bytes"]))
        self.assertTrue(station.verify_ledger()["ok"])


if __name__ == "__main__":
    unittest.main()
