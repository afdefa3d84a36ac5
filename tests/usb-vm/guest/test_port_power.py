"""Hubs that can switch their ports: the kernel's own attribute, of its own root hub."""

import unittest

from station import await_true
from usb_station import UsbStation


class PortPower(unittest.TestCase):
    def test_a_board_whose_port_is_switched_off_and_on_comes_back_and_deploys(self):
        station = UsbStation(["board:esp32c3,adapter=ch340"])
        self.addCleanup(station.close)
        station.simulator.await_tty("board")
        before = station.simulator.node("board")
        station.start()
        port = station.simulator.ports["board"]
        (shown,) = station.answers("boards", "show", port)
        self.assertTrue(shown["usb"]["power_switch"], shown)
        station.kiln("boards", "power-cycle", port)
        await_true(lambda: station.simulator.node("board") not in (0, before), 20,
                   lambda: f"before {before}, now {station.simulator.node('board')}")
        ended = station.deploy([("board", station.make_bundle("esp32c3", 64 << 10))])
        self.assertEqual(ended["board"]["state"], "STATE_SUCCEEDED", ended)
