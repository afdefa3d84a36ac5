"""Every query of the alert rules and dashboards names a metric that a running station exports; every alert has a case
in which it fires; and a real Prometheus takes rules and station as they are. Ends in "N passed, N failed"."""

import json
import pathlib
import re
import socket
import subprocess
import tempfile
import unittest
import urllib.parse
import urllib.request

from station import Station, await_true

DEPLOY = pathlib.Path(__file__).parents[2] / "deploy"
RULES = DEPLOY / "prometheus" / "kiln.rules.yml"
METRIC = re.compile(r"\b((?:kiln|process)_[a-z0-9_]+)\b")
# Of kiln-gateway, which exports them itself.
GATEWAY = "kiln_gateway_"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def get(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


def rule_queries():
    """The expressions of the rules, by what promtool made of the file: one long text is enough here."""
    lines = RULES.read_text().splitlines()
    return "\n".join(line for line in lines if not re.match(r"\s*(#|summary:|action:)", line))


def dashboard_queries():
    for file in (DEPLOY / "grafana" / "dashboards").glob("*.json"):
        dashboard = json.loads(file.read_text())
        for panel in dashboard["panels"]:
            for target in panel.get("targets", []):
                yield target["expr"]


def wanted_metrics():
    """Names of metrics in all queries, without the suffixes of histograms."""
    text = "\n".join([rule_queries(), *dashboard_queries()])
    names = {re.sub(r"_(bucket|count|sum)$", "", name) for name in METRIC.findall(text)}
    return {name for name in names if not name.startswith(GATEWAY)}


class MonitoringTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.station = Station(["sim-0:esp32c3"])
        cls.addClassCleanup(cls.station.close)
        cls.metrics = f"127.0.0.1:{free_port()}"
        config = cls.station.home / "kiln.toml"
        config.write_text(config.read_text().replace('[metrics]\naddress = ""', f'[metrics]\naddress = "{cls.metrics}"'))
        cls.station.start()
        bundle = cls.station.make_bundle("esp32c3", 64 << 10)
        ended = cls.station.await_end(cls.station.order(bundle)["name"])
        assert ended["state"] == "STATE_SUCCEEDED", ended

    def test_every_query_names_a_metric_of_the_running_station(self):
        exported = set(re.findall(r"^# TYPE (\S+)", get(f"http://{self.metrics}/metrics"), re.MULTILINE))
        self.assertGreater(len(wanted_metrics()), 20)
        self.assertEqual(sorted(wanted_metrics() - exported), [])

    def test_every_alert_has_a_case_in_which_it_fires(self):
        alerts = set(re.findall(r"- alert: (\w+)", RULES.read_text()))
        cases = (DEPLOY / "prometheus" / "kiln.rules.test.yml").read_text()
        fired = set(re.findall(r'alertname="(\w+)",alertstate="firing"[^}]*}\)\', eval_time: \w+, exp_samples: \[{ value', cases))
        self.assertGreater(len(alerts), 15)
        self.assertEqual(sorted(alerts - fired), [])

    def test_a_real_prometheus_scrapes_the_station_and_evaluates_every_rule(self):
        with tempfile.TemporaryDirectory(prefix="kiln-prometheus-") as folder:
            home = pathlib.Path(folder)
            (home / RULES.name).write_text(RULES.read_text())
            config = (DEPLOY / "prometheus" / "prometheus.yml").read_text()
            (home / "prometheus.yml").write_text(
                config.replace("127.0.0.1:9464", self.metrics).replace("10s", "1s"))
            address = f"127.0.0.1:{free_port()}"
            with (home / "log").open("w") as log:
                process = subprocess.Popen(
                    ["prometheus", f"--config.file={home}/prometheus.yml", f"--storage.tsdb.path={home}/data",
                     f"--web.listen-address={address}"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            try:
                self.await_scrape(f"http://{address}/api/v1", home / "log")
                self.await_rules(f"http://{address}/api/v1", home / "log")
            finally:
                process.terminate()
                process.wait(timeout=30)

    def await_scrape(self, api, log):
        query = urllib.parse.quote('kiln_jobs_total{result="succeeded"}')
        answers = []

        def scraped():
            try:
                answers.append(json.loads(get(f"{api}/query?query={query}"))["data"]["result"])
            except OSError:
                return False
            return bool(answers[-1]) and answers[-1][0]["value"][1] == "1"

        await_true(scraped, 60, lambda: f"{answers[-1:]} {log.read_text()[-2000:]}")

    def await_rules(self, api, log):
        def rules():
            groups = json.loads(get(f"{api}/rules"))["data"]["groups"]
            return [rule for group in groups for rule in group["rules"]]

        await_true(lambda: all(rule["health"] == "ok" for rule in rules()), 60,
                   lambda: f"{[r for r in rules() if r['health'] != 'ok']} {log.read_text()[-2000:]}")
        self.assertEqual(len(rules()), RULES.read_text().count("- alert:"))


if __name__ == "__main__":
    program = unittest.main(exit=False, verbosity=2)
    bad = len(program.result.failures) + len(program.result.errors)
    print(f"{program.result.testsRun - bad} passed, {bad} failed")
    raise SystemExit(1 if bad else 0)
