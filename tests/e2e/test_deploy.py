"""Whole deployments: command line, daemon, simulated boards."""

import csv
import json
import unittest

from station import CUSTOMER, ENDED, Station

CHIPS = ["esp32", "esp32s3", "esp32c3", "esp32c6"]
BOARDS = [f"sim-{i}:{chip}" for i, chip in enumerate(CHIPS)]


class DeployTest(unittest.TestCase):
    def setUp(self):
        self.station = Station(BOARDS)
        self.addCleanup(self.station.close)
        self.station.start()
        self.bundles = [self.station.make_bundle(chip, 1 << 20) for chip in CHIPS]

    def deploy_all(self):
        names = [self.station.order(bundle, f"sim-{i}")["name"]
                 for i, bundle in enumerate(self.bundles)]
        return [self.station.await_end(name) for name in names]

    def test_four_boards_succeed_and_a_second_round_writes_only_their_identity(self):
        first = self.deploy_all()
        for deployment, chip in zip(first, CHIPS):
            self.assertEqual(deployment["state"], "STATE_SUCCEEDED", deployment)
            self.assertEqual(deployment["chip"].lower().replace("-", ""), chip)
            self.assertGreater(int(deployment["flash"]["written_bytes"]), 900_000, deployment)
        self.assertEqual(len({d["mac"] for d in first}), 4)
        self.assertEqual(len({d["wifi_ssid"] for d in first}), 4)

        second = self.deploy_all()
        for deployment in second:
            self.assertEqual(deployment["state"], "STATE_SUCCEEDED", deployment)
            self.assertLess(int(deployment["flash"]["written_bytes"]), 64 << 10, deployment)

        self.assertTrue(self.station.verify_ledger()["ok"])
        self.check_records(first + second)

    def check_records(self, deployments):
        records = [json.loads(path.read_text()) for path in self.station.records.glob("*.json")]
        self.assertEqual(len(records), len(deployments))
        self.assertEqual({r["esp32"]["mac_address"].lower() for r in records},
                         {d["mac"] for d in deployments})
        passwords = [r["wifi"]["password"] for r in records]
        self.assertEqual(len(set(passwords)), len(passwords), "every board has its own password")
        (daily,) = self.station.records.glob("esp32-deployments-*.csv")
        with daily.open(newline="") as lines:
            rows = list(csv.DictReader(lines))
        self.assertEqual(len(rows), len(deployments))
        log = self.station.log.read_text()
        events = json.dumps(self.station.events())
        for password in passwords:
            self.assertNotIn(password, log)
            self.assertNotIn(password, events)

    def test_the_same_request_id_is_one_deployment(self):
        first = self.station.order(self.bundles[0], "sim-0", "--request-id", "11111111-2222-4333-8444-555555555555")
        again = self.station.order(self.bundles[0], "sim-0", "--request-id", "11111111-2222-4333-8444-555555555555")
        self.assertEqual(first["name"], again["name"])
        other = self.station.kiln("deploy", *CUSTOMER, "--bundle", self.bundles[1], "--port", "sim-1", "--no-wait",
                                  "--request-id", "11111111-2222-4333-8444-555555555555", check=False)
        self.assertEqual(other.returncode, 5)
        self.assertIn("REQUEST_CONFLICT", other.stderr)
        self.assertIn(self.station.await_end(first["name"])["state"], ENDED)
        self.assertEqual(len(self.station.answers("deployments")), 1)

    def test_events_have_no_gaps_and_carry_no_secret(self):
        self.deploy_all()
        sequences = [int(event["sequence"]) for event in self.station.events()]
        self.assertEqual(sequences, list(range(1, len(sequences) + 1)))
        deployment = self.station.answers("deployments")[0]
        revealed = self.station.answers("deployments", "show", deployment["name"], "--reveal")[1]
        self.assertGreaterEqual(len(revealed["wifi_password"]), 12)
        self.assertEqual(self.station.events()[-1]["kind"], "EVENT_KIND_AUDIT")

    def test_a_board_with_the_wrong_chip_is_left_alone(self):
        name = self.station.order(self.bundles[2], "sim-0")["name"]
        ended = self.station.await_end(name)
        self.assertEqual((ended["state"], ended["failure"]["code"]), ("STATE_FAILED", "CHIP_MISMATCH"))
        self.assertEqual(len(list((self.station.records / "failed").glob("*.json"))), 1)


class TemplateTest(unittest.TestCase):
    def setUp(self):
        self.station = Station(["sim-0:esp32c3"])
        self.addCleanup(self.station.close)
        self.station.start()
        self.template = self.station.home / "ward-sensor"
        self.template.mkdir()
        (self.template / "kiln-template.toml").write_text(
            'title = "Ward sensor"\n[variables.ward]\ntype = "string"\n[variables.beeps]\ntype = "boolean"\ndefault = false\n')

    def test_puts_values_on_a_finished_bundle_without_a_build(self):
        base = self.station.make_bundle("esp32c3", 256 << 10)
        first = self.station.await_end(self.station.order(base)["name"])
        self.assertEqual(first["state"], "STATE_SUCCEEDED", first)

        result = self.station.answers("firmware", "build", "--template", self.template, "--on", base[:12],
                                      "--set", "ward=ห้อง 7 = ICU")[-1]["result"]
        self.assertNotEqual(result["bundle"]["id"], base)
        shown = self.station.answers("firmware", "show", result["bundle"]["id"])[0]
        self.assertEqual([(value["key"], value["value"]) for value in shown["nvs_values"]],
                         [("beeps", "0"), ("ward", "ห้อง 7 = ICU")])
        second = self.station.await_end(self.station.order(shown["id"], "sim-0")["name"])
        self.assertEqual(second["state"], "STATE_SUCCEEDED", second)
        self.assertLess(int(second["flash"]["written_bytes"]), 64 << 10, "the images were on the board")

    def test_refuses_what_it_cannot_do_in_words(self):
        for arguments, says in ((["--set", "ward=7"], "platformio is not set"),
                                (["--set", "ward=7", "--on", "0" * 64], "BUNDLE_NOT_FOUND"),
                                (["--on", "0" * 64], "ward has no default and must be set")):
            done = self.station.kiln("firmware", "build", "--template", self.template, *arguments, check=False)
            self.assertNotEqual(done.returncode, 0, arguments)
            self.assertIn(says, done.stdout + done.stderr)


class RomLoaderTest(unittest.TestCase):
    def test_deploys_without_any_stub_file(self):
        station = Station(["sim-0:esp32c3"], stubs=False)
        self.addCleanup(station.close)
        station.start()
        bundle = station.make_bundle("esp32c3", 256 << 10)
        ended = station.await_end(station.order(bundle, "any")["name"])
        self.assertEqual(ended["state"], "STATE_SUCCEEDED", ended)


if __name__ == "__main__":
    unittest.main()
