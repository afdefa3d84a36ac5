"""Boards at another computer: `kiln port share` on one side, a whole station on the other."""

import json
import subprocess
import unittest

from share import Share, SlowNetwork, free_port
from station import BIN, Simulator, Station, await_true


class ShareTest(unittest.TestCase):
    def start(self, sim_options=(), port=None, config=""):
        """A station whose one port, "far", is lent at `self.tcp_port`."""
        self.tcp_port = free_port()
        lines = ["[pipeline]", 'replug_window = "90s"', config, "[[port]]", 'name = "far"',
                 f'address = "rfc2217://127.0.0.1:{port or self.tcp_port}"']
        station = Station([], config="\n".join(lines))
        self.addCleanup(station.close)
        station.simulator = Simulator(station.home, ["sim-0:esp32c3"], *sim_options)
        self.station = station
        return station

    def share(self):
        share = Share(self.station.home, f"pty://{self.station.simulator.folder}/sim-0", self.tcp_port)
        self.addCleanup(share.stop)
        return share

    def succeeds(self, name, seconds=180):
        ended = self.station.await_end(name, seconds)
        self.assertEqual(ended["state"], "STATE_SUCCEEDED", json.dumps(ended) + self.station.log.read_text()[-3000:])
        return ended

    def await_half(self, name):
        """Until the flash is being written, well before its end."""
        await_true(lambda: self.station.deployment(name)["progress_percent"] >= 20, 90,
                   lambda: json.dumps(self.station.deployment(name)))
        self.assertEqual(self.station.deployment(name)["step"], "STEP_FLASH")

    def test_a_lent_board_is_a_port_like_any_other(self):
        station = self.start()
        share = self.share()
        station.start()
        (board,) = station.answers("boards")
        self.assertEqual((board["port"], board["address"]), ("far", share.url))
        bundle = station.make_bundle("esp32c3", 512 << 10)
        first = self.succeeds(station.order(bundle)["name"])
        self.assertGreater(int(first["flash"]["written_bytes"]), 500_000)
        second = self.succeeds(station.order(bundle, "far")["name"])
        self.assertEqual(second["mac"], first["mac"])
        self.assertLess(int(second["flash"]["written_bytes"]), 64 << 10)
        # Between deployments the board is free for others.
        share.await_event("PARTED", 2)
        share.stop()
        self.assertEqual(share.process.returncode, 0, share.log.read_text())

    def test_a_share_that_dies_in_the_middle_of_the_flash_and_comes_back_ends_right(self):
        station = self.start(sim_options=["--pace"])
        share = self.share()
        station.start()
        bundle = station.make_bundle("esp32c3", 1 << 20)
        name = station.order(bundle, "far")["name"]
        self.await_half(name)
        share.kill()
        await_true(lambda: "waiting for it to come back" in station.log.read_text(), 60, station.log.read_text)
        self.share()
        ended = self.succeeds(name)
        self.assertEqual(ended["attempt"], 1)
        self.assertTrue(station.verify_ledger()["ok"])

    def test_a_board_that_is_unplugged_at_the_share_may_come_back(self):
        station = self.start(sim_options=["--pace"])
        share = self.share()
        station.start()
        bundle = station.make_bundle("esp32c3", 1 << 20)
        name = station.order(bundle, "far")["name"]
        self.await_half(name)
        self.simulate("unplug sim-0")
        share.await_event("NO_BOARD")
        await_true(lambda: station.answers("boards")[0]["state"] == "STATE_ABSENT" or
                   station.deployment(name)["state"] != "STATE_RUNNING", 30, station.log.read_text)
        self.simulate("replug sim-0")
        self.succeeds(name)
        self.assertGreaterEqual(share.events().count("READY"), 2, share.log.read_text())

    def test_a_slow_network_only_takes_longer(self):
        self.tcp_port = free_port()
        network = SlowNetwork(self.tcp_port, 0.12)
        self.addCleanup(network.close)
        port = self.tcp_port
        # A busy machine makes the network slower still, and this is not about the steps' own deadlines.
        station = self.start(port=network.port, config='connect_timeout = "3m"\nidentify_timeout = "3m"')
        self.tcp_port = port
        self.share()
        station.start()
        bundle = station.make_bundle("esp32c3", 64 << 10)
        self.succeeds(station.order(bundle, "far")["name"])

    def test_nobody_at_the_other_end_is_a_board_that_was_not_found(self):
        station = self.start(config='max_replugs = 0')
        station.start()
        bundle = station.make_bundle("esp32c3", 64 << 10)
        ended = station.await_end(station.order(bundle, "far")["name"])
        self.assertEqual((ended["state"], ended["failure"]["code"]), ("STATE_FAILED", "BOARD_NOT_FOUND"), ended)

    def simulate(self, command):
        subprocess.run([BIN / "kiln-sim", "ctl", "--dir", self.station.simulator.folder, command], check=True,
                       capture_output=True)


if __name__ == "__main__":
    unittest.main()
