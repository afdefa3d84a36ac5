"""The code on docs/firmware-guide.md compiles, and what it prints is what a station accepts.

Stand-ins for the SDKs (sdk/) answer from one set of values; KILN_REPORT_CHECK is a program that runs the station's own
parser on its input and prints what it read.
"""

import json
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
GUIDE = (HERE.parents[1] / "docs/firmware-guide.md").read_text(encoding="utf8")
MAC = "7c:df:a1:c0:ff:ee"
# How the stand-ins spell it in test-only environment variables.
VALUES = {"customer_id": "BGK001", "application": "Ward \"A\" \\ 1 ??/ โรงพยาบาล", "ssid": "SMC_ESP32_BGK001_FFEE",
          "password": "h7Kp2mQx9RtVwz", "deployment": "0d9c6a52-6f0e-4a53-9f62-7a8f2f0f5a11",
          "organization": "โรงพยาบาลกรุงเทพ"}


def block(name):
    return re.search(rf"^```\w+ file={re.escape(name)}\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL).group(1)


class GuideTest(unittest.TestCase):
    def lines_of(self, source, suffix, compiler, values):
        """Builds the code with the stand-ins, runs it, and returns the reports it prints."""
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / ("code" + suffix)
            path.write_text(source, encoding="utf8")
            program = pathlib.Path(folder) / "program"
            subprocess.run([*compiler, "-Wall", "-Wextra", "-Werror", "-fsanitize=address,undefined",
                            "-fno-sanitize-recover=all", f"-I{HERE / 'sdk'}", path, "-o", program], check=True)
            done = subprocess.run([program], check=True, stdout=subprocess.PIPE, timeout=60,
                                  env={**os.environ, **{"NVS_" + key: text for key, text in values.items()}})
        self.assertNotIn(VALUES["password"].encode(), done.stdout)
        return [line for line in done.stdout.decode("utf8").replace("\r", "").split("\n") if line.startswith('{"kiln"')]

    def check(self, source, suffix, compiler):
        reports = self.lines_of(source, suffix, compiler, VALUES)
        self.assertGreaterEqual(len(reports), 5, "it is repeated")
        self.assertEqual(len(set(reports)), 1)
        self.assertLessEqual(len(reports[0].encode()), 1024)
        accepted = subprocess.run([os.environ["KILN_REPORT_CHECK"]], input=reports[0], text=True, check=True,
                                  stdout=subprocess.PIPE).stdout
        report = json.loads(accepted)
        self.assertEqual(report["mac_address"], MAC)
        for field, key in (("customer_id", "customer_id"), ("application", "application"), ("wifi_ssid", "ssid"),
                           ("deployment", "deployment")):
            self.assertEqual(report[field], VALUES[key])
        self.assertEqual(self.lines_of(source, suffix, compiler, {}), [], "a board without an identity reports nothing")

    def test_the_code_for_esp_idf(self):
        self.check(block("kiln_report.c") + "\nint main(void) { kiln_report_start(); }\n", ".c", ["gcc", "-std=c11"])

    def test_the_sketch_for_arduino(self):
        main = "\nint main() { setup(); while (millis() < 70000) { loop(); standInAdvance(100); } }\n"
        self.check(block("sketch.ino") + main, ".cc", ["g++", "-std=c++17"])


if __name__ == "__main__":
    unittest.main()
