"""The emulated machine itself: a whole deployment over a pseudo-terminal, without USB."""

import unittest

from station import CUSTOMER, Station


class PseudoTerminal(unittest.TestCase):
    def test_a_deployment_succeeds(self):
        station = Station(["sim-1:esp32c3"])
        self.addCleanup(station.close)
        station.start()
        bundle = station.make_bundle("esp32c3", 256 << 10)
        station.kiln("deploy", *CUSTOMER, "--bundle", bundle, "--port", "sim-1", "--wait")
        (ended,) = station.answers("deployments")
        self.assertEqual(ended["state"], "STATE_SUCCEEDED", ended)
        self.assertTrue(station.verify_ledger()["ok"])
