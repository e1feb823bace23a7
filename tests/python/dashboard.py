"""Tries the dashboard and the alerts of deploy/grafana with a real Prometheus that scrapes a launched network.

    tests/python/dashboard.py --sim target/debug/sim

Every query of the dashboard returns data, the dashboard and the alerts name only metrics that nodes serve, and no alert fires. Exit code 75
says that this machine has no Prometheus. Needs nothing but Python's own library.
"""

import argparse
import json
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from pathlib import Path

GRAFANA = Path(__file__).resolve().parents[2] / "deploy" / "grafana"
NOT_HERE = 75
# Rounds of four seconds, so that a rate over half a minute has some of them.
SCENARIO = """
name = "watched"
seed = 1
rounds = 100
model = { preset = "nano", sequence_length = 16 }
corpus = { held_out_pages = 8 }
training = { lr = 3e-3, pages_per_round = 4, micro_batch = 4, eval_every = 1 }
scheme = { topk = 8 }
protocol = { top_peers = 3, min_peers = 2, put_window_seconds = 1.5 }
mechanism = { evaluated_per_round = 3 }
chain = { weights_every = 2, block_seconds = 1.0, blocks_per_round = 4 }
peers = [{ count = 3 }, { behaviour = "copycat" }]
"""
# What Grafana puts in place of its variables.
VARIABLES = {"$job": "gauntlet", "$node": ".*", "$column": "peer_score", "$__rate_interval": "30s", "$__range": "1m"}
# Time until all series are there, in seconds.
PATIENCE = 240


def free_ports(count):
    """The first of some ports in a row that nothing listens on."""
    for first in range(19100, 60000, 100):
        sockets = []
        try:
            for port in range(first, first + count):
                sockets.append(socket.create_server(("127.0.0.1", port)))
            return first
        except OSError:
            continue
        finally:
            for each in sockets:
                each.close()
    raise SystemExit("no free ports")


def queries():
    """The dashboard's queries, each with the title of its panel."""
    dashboard = json.loads((GRAFANA / "dashboard.json").read_text())
    found = []
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            expression = target["expr"]
            for variable, value in VARIABLES.items():
                expression = expression.replace(variable, value)
            assert "$" not in expression, f"{panel['title']}: unknown variable in {expression}"
            found.append((panel["title"], expression))
    labels = [each["query"]["query"] for each in dashboard["templating"]["list"] if each["type"] == "query"]
    for query in labels:
        metric = re.fullmatch(r"label_values\(([^,]*), (\w+)\)", query)
        found.append((f"variable {metric[2]}", f"count by ({metric[2]}) ({metric[1].replace('$job', 'gauntlet')})"))
    return found


class Prometheus:
    def __init__(self, port):
        self.url = f"http://127.0.0.1:{port}/api/v1/"

    def get(self, what, **arguments):
        with urllib.request.urlopen(self.url + what + "?" + urllib.parse.urlencode(arguments), timeout=20) as answer:
            told = json.load(answer)
        assert told["status"] == "success", told
        return told["data"]

    def query(self, expression):
        return self.get("query", query=expression)["result"]

    def is_there(self):
        try:
            self.get("targets")
        except OSError:
            return False
        return True


def until(what, happened, *processes):
    """Waits for something to happen while the processes run."""
    end = time.monotonic() + PATIENCE
    while not (found := happened()):
        for process in processes:
            assert process.poll() is None, f"ended with {process.returncode} before {what}"
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.5)
    return found


def examine(sim, prometheus, folder, started):
    first = free_ports(7)
    (folder / "watched.toml").write_text(SCENARIO)
    launch = [sim, "launch", "watched.toml", "--out", "run", "--metrics", f"127.0.0.1:{first}", "--quiet"]
    network = subprocess.Popen(launch, cwd=folder, stderr=subprocess.PIPE)
    started.append(network)
    targets = folder / "run" / "nodes" / "metrics.json"
    until("the list of targets", targets.exists, network)
    nodes = [target["labels"]["process"] for target in json.loads(targets.read_text())]
    assert nodes == ["validator-0", "peer-0", "peer-1", "peer-2", "peer-3"], nodes

    config = (GRAFANA / "prometheus.yml").read_text()
    config, files = re.subn(r"- files: \[.*\]", f"- files: [{targets}]", config)
    config, intervals = re.subn(r"_interval: 15s", "_interval: 2s", config)
    assert (files, intervals) == (1, 2), config
    (folder / "prometheus.yml").write_text(config)
    shutil.copy(GRAFANA / "alerts.yml", folder)
    words = [prometheus, "--config.file=prometheus.yml", "--storage.tsdb.path=data"]
    words += [f"--web.listen-address=127.0.0.1:{first + 6}", "--log.level=error"]
    server = subprocess.Popen(words, cwd=folder)
    started.append(server)
    asked = Prometheus(first + 6)
    until("Prometheus", asked.is_there, server)
    until("all nodes to be up", lambda: len(asked.query('up{job="gauntlet"} == 1')) == 5, server, network)
    # Rates need some rounds, and the validator needs some to rate and pay peers.
    until("eight rounds", lambda: asked.query("max(gauntlet_round) >= 8"), server, network)

    failed = []
    for title, expression in queries():
        series = asked.query(expression)
        print(f"{len(series):4} series  {title}: {expression}")
        numbers = [series[0]["value"][1]] if series else []
        if not series or "NaN" in numbers:
            failed.append(f"{title}: {expression}: {numbers or 'no data'}")
    assert not failed, "\n".join(failed)

    served = set(asked.get("label/__name__/values"))
    text = (GRAFANA / "dashboard.json").read_text() + (GRAFANA / "alerts.yml").read_text()
    unknown = set(re.findall(r"gauntlet_\w+", text)) - served
    assert not unknown, f"no node serves {sorted(unknown)}"
    rules = asked.get("rules")["groups"][0]["rules"]
    bad = [rule["name"] for rule in rules if rule["health"] != "ok" or rule["state"] != "inactive"]
    assert len(rules) == 10 and not bad, bad
    print(f"{len(queries())} queries have data; {len(rules)} alerts are silent")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sim", required=True, type=lambda path: str(Path(path).resolve()))
    arguments = parser.parse_args()
    prometheus = shutil.which("prometheus")
    if not prometheus:
        print("there is no prometheus here (Debian's package is called prometheus)", file=sys.stderr)
        return NOT_HERE
    started = []
    with tempfile.TemporaryDirectory() as folder:
        try:
            examine(arguments.sim, prometheus, Path(folder), started)
        finally:
            for process in started:
                process.terminate()
            for process in started:
                process.wait(timeout=60)
    return 0


if __name__ == "__main__":
    sys.exit(main())
