"""kill -9 at every step: after a restart every accepted deployment ends as it should, once."""

import json
import unittest

from station import Station, await_true

STEPS = ["prepare", "connect", "identify", "flash", "verify", "boot", "confirm", "export"]
MAX_RECOVERIES = 5  # kMaxRecoveries of daemon/pipeline/recovery.h


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

    def failed_records(self, station):
        return [json.loads(path.read_text()) for path in (station.records / "failed").glob("*.json")]

    def expect_one_failed_record(self, station, name, state):
        """After this start and another one, the deployment has ended so and has one record."""
        for _ in range(2):
            station.start()
            ended = station.deployment(name)
            self.assertEqual(ended["state"], state, ended)
            (record,) = self.failed_records(station)
            self.assertEqual(f"deployments/{record['kiln']['deployment_id']}", name)
            self.assertNotIn("password", json.dumps(record))
            station.stop()
        station.start()
        self.assertTrue(station.verify_ledger()["ok"])

    def test_a_failure_has_its_record_once_wherever_the_daemon_dies_after_its_end(self):
        for failpoint in ("failed-record:enter", "failed-record:leave"):
            for again in ("", failpoint):
                with self.subTest(failpoint=failpoint, start_dies_too=bool(again)):
                    station = Station(["sim-0:esp32c3"], sim_options=["--fault", "secure-boot"])
                    try:
                        station.start()
                        bundle = station.make_bundle("esp32c3", 128 << 10)
                        station.stop()
                        station.start(failpoint=failpoint)
                        name = station.order(bundle, "sim-0")["name"]
                        station.await_killed()
                        if again:
                            station.start(failpoint=again)
                            station.await_killed()
                        self.expect_one_failed_record(station, name, "STATE_FAILED")
                    finally:
                        station.close()

    def test_a_deployment_that_keeps_killing_the_daemon_ends_with_a_record(self):
        station = Station(["sim-0:esp32c3"])
        self.addCleanup(station.close)
        station.start()
        bundle = station.make_bundle("esp32c3", 128 << 10)
        station.stop()
        station.start(failpoint="flash:enter")
        name = station.order(bundle, "sim-0")["name"]
        station.await_killed()
        for _ in range(MAX_RECOVERIES):
            station.start(failpoint="flash:enter")
            station.await_killed()
        station.start(failpoint="failed-record:enter")
        station.await_killed()
        self.expect_one_failed_record(station, name, "STATE_NEEDS_ATTENTION")

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
