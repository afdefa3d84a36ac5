"""Boards that come while the station runs."""

import unittest

from usb_station import UsbStation


class Hotplug(unittest.TestCase):
    def test_an_order_for_any_port_waits_for_a_board_to_come(self):
        station = UsbStation(["late:esp32c3,adapter=ch340"])
        self.addCleanup(station.close)
        station.simulator.unplug("late")
        station.start()
        name = station.order(station.make_bundle("esp32c3", 256 << 10))["name"]
        self.assertEqual(station.deployment(name)["state"], "STATE_PENDING")
        station.simulator.control("replug late")
        ended = station.await_end(name)
        self.assertEqual(ended["state"], "STATE_SUCCEEDED", ended)
        self.assertEqual(ended["port"], station.simulator.ports["late"])
        self.assertTrue(station.verify_ledger()["ok"])
