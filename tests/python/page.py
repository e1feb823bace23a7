"""The page of a run in a headless Chromium: `report.html` from disk, and the one that `sim watch` serves.

    python tests/python/page.py --sim target/debug/sim [--chromium PATH] [--pictures DIR] [--large]

What it shows is compared with the CSV files; the console stays empty, nothing is fetched from elsewhere, no text becomes markup, it
fits 400 and 1,600 pixels in both color schemes, and the keyboard alone reaches every peer. `--large` makes a run of 20,000 rounds and
250 peers, and measures how long the page takes to open and what following a run costs.
"""

import argparse
import csv
import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

NETWORK = """
name = "net"
summary = "five peers and a copycat"
seed = 3
rounds = 40
model = { preset = "nano", sequence_length = 16 }
corpus = { held_out_pages = 8 }
training = { lr = 3e-3, pages_per_round = 4, micro_batch = 4, eval_every = 3 }
scheme = { topk = 8 }
protocol = { top_peers = 4, min_peers = 2 }
mechanism = { evaluated_per_round = 3 }
chain = { weights_every = 2 }
[[peers]]
count = 4
[[peers]]
behaviour = "copycat"
[[peers]]
behaviour = { kind = "offline", leave = 0.2 }
"""
HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>\"'&"
WAIT = 60_000
SIM: Path
FAILED: list[str] = []


def check(holds: bool, what: str) -> None:
    """Notes what does not hold, and goes on."""
    print(("ok      " if holds else "FAILED  ") + what)
    if not holds:
        FAILED.append(what)


def sim(*words: object, where: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([SIM, *map(str, words)], cwd=where, capture_output=True, text=True)


def succeed(*words: object, where: Path) -> str:
    done = sim(*words, where=where)
    assert done.returncode == 0, f"sim {words}: {done.stderr}"
    return done.stdout


@contextmanager
def served(*words: object, where: Path):
    """A command that serves a page, and its address."""
    child = subprocess.Popen([SIM, *map(str, words)], cwd=where, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        line = child.stdout.readline()
        found = re.search(r"http://\S+/", line)
        assert found, f"sim {words} printed {line!r} {child.stdout.read() if child.poll() is not None else ''}"
        yield child, found.group()
    finally:
        child.kill()
        child.wait()


def rows(folder: Path, name: str) -> list[dict[str, str]]:
    with open(folder / name, newline="") as file:
        return list(csv.DictReader(file))


def shown(text: str) -> float:
    """The number in a text of the page."""
    plain = text.replace("−", "-").replace(",", "").replace(" %", "").strip()
    return float(plain)


def near(found: float, expected: float, digits: float) -> bool:
    return abs(found - expected) <= max(abs(expected) * 6e-5, digits)


def until(page: Page, holds: str) -> None:
    """Waits until an expression is true. Playwright's own way needs `eval`, which the page's policy forbids."""
    end = time.monotonic() + WAIT / 1000
    while not page.evaluate(holds):
        assert time.monotonic() < end, f"never: {holds}"
        page.wait_for_timeout(20)


class Watch:
    """What a page says and fetches while it is looked at."""

    def __init__(self, page: Page, own: str) -> None:
        self.said: list[str] = []
        page.on("console", lambda message: self.said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.said.append(f"error: {error}"))
        page.on("dialog", lambda dialog: (self.said.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: self.fetched(request.url))
        self.own = own
        self.foreign: list[str] = []

    def fetched(self, url: str) -> None:
        if not url.startswith((self.own, "data:", "blob:")):
            self.foreign.append(url)

    def check(self, name: str) -> None:
        check(self.said == [], f"{name}: the console is empty {self.said[:3]}")
        check(self.foreign == [], f"{name}: nothing is fetched from elsewhere {self.foreign[:3]}")


def tip(page: Page, chart: str) -> dict[str, str]:
    """What a chart tells at its cursor."""
    page.wait_for_selector(f"{chart} .tip:not([hidden])", timeout=WAIT)
    lines = page.locator(f"{chart} .tip tr")
    cells = [[lines.nth(row).locator("td").nth(cell).inner_text() for cell in (0, 1)] for row in range(lines.count())]
    return {"": page.locator(f"{chart} .tip .quiet").inner_text(), **dict(cells)}


def check_numbers(page: Page, folder: Path, name: str) -> None:
    """Charts and table have the numbers of the CSV files."""
    rounds, peers, board = rows(folder, "rounds.csv"), rows(folder, "peers.csv"), rows(folder, "leaderboard.csv")
    page.locator("#loss").focus()
    for key in ("End", "ArrowLeft", "ArrowLeft"):
        page.keyboard.press(key)
    told = tip(page, "#loss")
    place = len(rounds) - 3
    check(told[""] == f"round {place}", f"{name}: arrow keys walk over rounds: {told['']}")
    last = max(nth for nth in range(place + 1) if rounds[nth]["loss"])
    line = next(label for label in told if label.startswith("the network"))
    check(near(shown(told[line]), float(rounds[last]["loss"]), 0), f"{name}: held-out loss {told[line]} of round {last}")
    check(last == place or f"(round {last})" in line, f"{name}: it says which round it was measured in: {line}")
    trained = next(label for label in told if label.startswith("on the pages"))
    check(near(shown(told[trained]), float(rounds[place]["train_loss"]), 0), f"{name}: loss of training {told[trained]}")

    page.locator("#pay-card label", has_text="together").click()
    page.locator("#pay").focus()
    page.keyboard.press("End")
    told = tip(page, "#pay")
    paid = {f"uid {row['uid']}, {row['behaviour']}": float(row["incentive"]) for row in peers if row["round"] == rounds[-1]["round"]}
    found = {label: shown(value) / 100 for label, value in told.items() if label}
    check(set(found) == set(paid), f"{name}: each peer has a layer")
    check(all(near(found[label], paid[label], 6e-4) for label in paid), f"{name}: pay of the last round {found}")
    page.locator("#pay-card label", has_text="a peer").click()
    page.locator("#pay").focus()
    page.keyboard.press("End")
    told = tip(page, "#pay")
    honest = [float(row["incentive"]) for row in peers if row["round"] == rounds[-1]["round"] and row["behaviour"] == "honest"]
    value = told["honest"].split("×")[0]
    check(near(shown(value) / 100, sum(honest) / len(honest), 6e-4), f"{name}: mean pay of an honest peer {value}")
    page.locator("#pay-card label", has_text="together").click()

    by_uid = {row["uid"]: row for row in board}
    heads = page.locator("#board thead th").all_inner_texts()
    lines = [line.locator("td").all_inner_texts() for line in page.locator("#board tbody tr").all()]
    check([line[0] for line in lines] == [row["uid"] for row in board], f"{name}: peers in the order of leaderboard.csv")
    for title, column, scale in (("pay, last tenth", "incentive_final", 100), ("of all pay", "incentive_total", 100), ("peer score", "peer_score", 1),
                                 ("rating mu", "rating_mu", 1), ("aggregated", "rounds_aggregated", 1), ("failed", "rounds_failed", 1)):
        cell = next(nth for nth, head in enumerate(heads) if head.startswith(title))
        good = [near(shown(line[cell]), scale * float(by_uid[line[0]][column]), 0.06 if scale == 100 else 0) for line in lines]
        check(len(good) == 6 and all(good), f"{name}: the column {title!r} is {column}")


def check_peer(page: Page, folder: Path, name: str) -> None:
    """The keyboard alone opens a peer, whose story is that of `sim explain`."""
    page.evaluate("document.activeElement.blur()")
    page.locator("#find").focus()
    for _ in range(40):
        page.keyboard.press("Tab")
        uid = page.evaluate("document.activeElement.closest('#board tbody tr')?.dataset.uid ?? ''")
        if uid == "4":
            break
    check(uid == "4", f"{name}: Tab reaches the peer")
    page.keyboard.press("Enter")
    until(page, "document.getElementById('story').textContent.length > 100")
    told = page.locator("#story").text_content()
    expected = succeed("explain", folder, "--peer", 4, where=folder)
    check("".join(told.split()) == "".join(expected.replace("->", "→").split()), f"{name}: its story is that of sim explain")
    lines = page.locator("#story p").all_inner_texts()
    broken = [line for line in lines if line[0].islower() and not line.startswith(("uid ", "round"))]
    check(len(lines) > 5 and broken == [], f"{name}: with whole lines {broken}")
    page.locator("#peer-pay").focus()
    page.keyboard.press("End")
    pay = tip(page, "#peer-pay")["uid 4"]
    own = [float(row["incentive"]) for row in rows(folder, "peers.csv") if row["uid"] == "4"][-1]
    check(near(shown(pay) / 100, own, 6e-4), f"{name}: its pay {pay}")
    page.keyboard.press("Escape")
    check(page.locator("dialog[open]").count() == 0, f"{name}: Esc closes it")
    focused = page.evaluate("document.activeElement.closest('#board tbody tr')?.dataset.uid ?? ''")
    check(focused == "4", f"{name}: and the focus is where it was")
    page.locator("#grid canvas").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog[open]", timeout=WAIT)
    check(page.locator("#peer-name").inner_text() == "Peer with uid 0", f"{name}: the picture of uploads opens its first peer")
    page.keyboard.press("Escape")


def check_controls(page: Page, name: str) -> None:
    """Filter, zoom and sorting."""
    chip = page.locator("#filter button", has_text="copycat")
    chip.focus()
    page.keyboard.press("Enter")
    check(page.locator("#board tbody tr").count() == 5 and chip.get_attribute("aria-pressed") == "false", f"{name}: a behaviour can be hidden")
    page.keyboard.press("Enter")
    check(page.locator("#board tbody tr").count() == 6, f"{name}: and shown again")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("+")
    narrow = page.locator("#span").inner_text()
    check(narrow == "rounds 10 to 29", f"{name}: zoom by a key: {narrow}")
    axis = page.evaluate("[lossChart, payChart, numbersChart].map(({plot}) => [plot.scales.x.min, plot.scales.x.max])")
    check(axis == [[10, 29]] * 3, f"{name}: all charts show the same rounds {axis}")
    page.keyboard.press("0")
    box = page.locator("#pay .u-over").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 60, steps=4)
    page.mouse.up()
    low, high = page.evaluate("[lossChart.plot.scales.x.min, lossChart.plot.scales.x.max]")
    check(8 <= low <= 11 and 18 <= high <= 21, f"{name}: zoom by dragging: {low} to {high}")
    page.mouse.dblclick(box["x"] + 30, box["y"] + 30)
    check(page.locator("#span").inner_text() == "rounds 0 to 39", f"{name}: all rounds by a double-click")
    page.locator("#board th button", has_text="uid").click()
    check(page.locator("#board tbody td:first-child").all_inner_texts() == list("012345"), f"{name}: sorted by uid")
    page.locator("#board th button", has_text="pay, last tenth").click()
    page.locator("#column").select_option(label="Proof of computation")
    check(page.locator("#numbers-title").inner_text() == "Proof of computation", f"{name}: another number of the mechanism")


def check_looks(browser, address: str, own: str, pictures: Path | None, name: str) -> None:
    """Both widths and both color schemes."""
    for width in (400, 1600):
        for scheme in ("light", "dark"):
            context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
            page = context.new_page()
            watch = Watch(page, own)
            page.goto(address)
            page.wait_for_selector("#board tbody tr", timeout=WAIT)
            page.wait_for_timeout(300)
            wide = page.evaluate("document.documentElement.scrollWidth")
            check(wide <= width, f"{name}, {width} {scheme}: {wide} pixels wide")
            brightness = page.evaluate(
                "['backgroundColor', 'color'].map(what => getComputedStyle(document.documentElement)[what].match(/\\d+/g).slice(0, 3)"
                ".reduce((sum, part) => sum + Number(part), 0) / 765)"
            )
            paper, ink = brightness
            check((paper > 0.9 and ink < 0.2) if scheme == "light" else (paper < 0.1 and ink > 0.8), f"{name}, {width} {scheme}: colors {brightness}")
            if pictures:
                page.screenshot(path=pictures / f"{name}-{width}-{scheme}.png", full_page=True)
            page.evaluate("openPeer(4)")
            until(page, "document.getElementById('story').textContent.length > 100")
            fits = page.evaluate("document.getElementById('peer').scrollWidth <= document.getElementById('peer').clientWidth")
            check(fits, f"{name}, {width} {scheme}: a peer fits")
            if pictures:
                page.screenshot(path=pictures / f"{name}-{width}-{scheme}-peer.png")
            watch.check(f"{name}, {width} {scheme}")
            context.close()


def check_page(browser, address: str, own: str, folder: Path, pictures: Path | None, name: str) -> None:
    context = browser.new_context(viewport={"width": 1600, "height": 1000})
    page = context.new_page()
    watch = Watch(page, own)
    page.goto(address)
    page.wait_for_selector("#board tbody tr", timeout=WAIT)
    check(page.title() == "net, seed 3", f"{name}: its title")
    check_numbers(page, folder, name)
    check_peer(page, folder, name)
    check_controls(page, name)
    watch.check(name)
    context.close()
    check_looks(browser, address, own, pictures, name)


def check_live(browser, where: Path) -> None:
    """A run whose page is open while it goes on."""
    words = ["run", "net.toml", "--rounds", 400, "--quiet", "--no-baseline", "--watch=127.0.0.1:0", "--out", "live"]
    with served(*words, where=where) as (child, address):
        page = browser.new_page()
        watch = Watch(page, address)
        page.goto(address)
        seen = set()
        for _ in range(600):
            state = page.locator("#state").inner_text()
            if state == "live":
                seen.add(page.locator("#done").inner_text())
            if state == "finished":
                break
            page.wait_for_timeout(100)
        check(len(seen) > 1, f"live: the page follows the run {sorted(seen)[:4]}")
        check(state == "finished" and page.locator("#done").inner_text() == "400 of 400 rounds", f"live: and shows its end: {state}")
        done = page.evaluate("[run.rounds.round.length, run.peers.round.length, [...run.peers.status.values()].every(row => row.length === 400)]")
        check(done == [400, 400, True], f"live: no round is lost or told twice {done}")
        sums = page.evaluate("run.peers.round.map((_, nth) => [...run.peers.behaviours.values()].reduce((sum, one) => sum + one.pay[nth], 0))")
        paid = [0.0] * 400
        for row in rows(where / "live", "peers.csv"):
            paid[int(row["round"])] += float(row["incentive"])
        check(all(near(one, other, 1e-5) for one, other in zip(sums, paid)), "live: pay of all rounds is that of peers.csv")
        leaving = browser.new_page()
        leaving.goto(address, wait_until="commit")
        leaving.close()
        with urllib.request.urlopen(address + "data") as answer:
            check(json.load(answer)["about"]["finished"], "live: a browser that goes away does no harm")
        watch.check("live")
        child.send_signal(signal.SIGINT)
        check(child.wait(20) == 0, "live: Ctrl-C ends the page of a finished run")
        page.wait_for_selector("#alert:not([hidden])", timeout=WAIT)
        said = page.locator("#alert").inner_text()
        check("does not answer" in said and page.locator("#board tbody tr").count() == 6, f"live: the page says so and keeps what it has: {said}")
        page.close()


def check_network(browser, where: Path) -> None:
    """The bucket of a network of real processes."""
    succeed("launch", "net.toml", "--rounds", 6, "--clock", "virtual", "--quiet", "--out", "launched", where=where)
    for place in ("launched", "launched/bucket"):
        with served("watch", place, "--at", "127.0.0.1:0", where=where) as (_, address):
            page = browser.new_page()
            watch = Watch(page, address)
            page.goto(address)
            until(page, "document.getElementById('state').textContent === 'finished'")
            done, summary = page.locator("#done").inner_text(), page.locator("#summary").inner_text()
            check(done == "6 of 6 rounds" and "a real network" in summary, f"{place}: {done}; {summary}")
            losses = page.evaluate("run.rounds.train_loss")
            expected = [float(row["train_loss"]) for row in rows(where / "launched", "rounds.csv")]
            check(all(near(one, other, 0) for one, other in zip(losses, expected)), f"{place}: its losses")
            watch.check(place)
            page.close()


def check_hostile(browser, where: Path, run: Path) -> None:
    """Names that others chose never become markup."""
    folder = where / "hostile"
    shutil.copytree(run, folder)
    quoted = '"' + HOSTILE.replace('"', '""') + '"'
    for name in ("peers.csv", "slots.csv", "leaderboard.csv"):
        text = (folder / name).read_text()
        (folder / name).write_text(text.replace(",copycat,", f",{quoted},").replace(",copycat\n", f",{quoted}\n"))
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["scenario"]["summary"] = manifest["device"] = HOSTILE
    (folder / "manifest.json").write_text(json.dumps(manifest))
    succeed("plot", folder, where=where)
    with served("watch", folder, "--at", "127.0.0.1:0", where=where) as (_, address):
        for name, at in (("hostile names, served", address), ("hostile names, report.html", (folder / "report.html").as_uri())):
            page = browser.new_page()
            watch = Watch(page, at)
            page.goto(at)
            page.wait_for_selector("#board tbody tr", timeout=WAIT)
            page.evaluate("openPeer(4)")
            until(page, "document.getElementById('story').textContent.length > 100")
            page.keyboard.press("Escape")
            texts = [page.locator(f"#{place}").text_content() for place in ("summary", "board", "filter", "story", "facts")]
            check(all(HOSTILE in text for text in texts), f"{name}: they are shown as they are")
            check(page.locator("img, body script:not([id]):not(:last-of-type), [onerror]").count() == 0, f"{name}: none is markup")
            watch.check(name)
            page.close()
        request = urllib.request.Request(address + "data", headers={"Host": "evil.example"})
        try:
            urllib.request.urlopen(request)
            check(False, "another site's name is refused")
        except urllib.error.HTTPError as error:
            check(error.code == 403, "another site's name is refused")


def longer(run: Path, folder: Path, rounds: int, peers: int) -> None:
    """A folder of an invented long run, by the header of a real one."""
    shutil.copytree(run, folder, ignore=shutil.ignore_patterns("plots", "checkpoints", "*.bin", "report.html", "leaderboard.csv", "baseline.csv"))
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["scenario"]["rounds"], manifest["rounds_done"], manifest["finished"] = rounds, rounds, False
    (folder / "manifest.json").write_text(json.dumps(manifest))
    head = (run / "rounds.csv").read_text().splitlines()[0]
    digest = "ab" * 32
    with open(folder / "rounds.csv", "w") as file:
        file.write(head + "\n")
        for number in range(rounds):
            loss = f"{2 + 3 / (1 + number / 500):.15f}" if number % 5 == 4 else ""
            file.write(f"{number},{84.0 * number},0.0004,{loss},{2.1 + 3 / (1 + number / 480):.15f},15,{peers},40,123456,1234567,{digest}\n")
    with open(folder / "slots.csv", "w") as file:
        file.write("round,uid,peer,hotkey,behaviour\n")
        file.writelines(f"0,{uid},{uid},{uid:064x},{'copycat' if uid % 5 == 4 else 'honest'}\n" for uid in range(peers))
    with open(folder / "peers.csv", "w") as file:
        file.write((run / "peers.csv").read_text().splitlines()[0] + "\n")
        for number in range(rounds):
            file.writelines(line(number, uid, peers) for uid in range(peers))


def line(number: int, uid: int, peers: int) -> str:
    kind, pay = ("copycat", 0.0) if uid % 5 == 4 else ("honest", 1.25 / peers)
    wave = ((number * 37 + uid * 101) % 1009) / 1009
    measured = f"{wave / 100:.17f},{wave / 200:.17f}" if (number + uid) % 6 == 0 else ","
    return (f"{number},{uid},{kind},passed,0.0,{measured},{25 + wave:.15f},{8.1 + wave / 10:.15f},{wave:.17f},{wave * 9:.15f},"
            f"{pay * (0.5 + wave):.17f},{'true' if uid < 15 else 'false'},2048,47000,705000\n")


def check_long(browser, where: Path, run: Path, rounds: int, peers: int) -> None:
    """A run of which the page holds one round in N, and more where it is looked at closely."""
    folder = where / f"long-{rounds}"
    longer(run, folder, rounds, peers)
    size = (folder / "peers.csv").stat().st_size
    with served("watch", folder, "--at", "127.0.0.1:0", where=where) as (child, address):
        page = browser.new_page()
        watch = Watch(page, address)
        started = time.monotonic()
        page.goto(address)
        until(page, f"document.querySelectorAll('#board tbody tr').length === {peers}")
        print(f"        {rounds} rounds x {peers} peers, {size / 1e6:.0f} MB of peers.csv: open after {time.monotonic() - started:.2f} s")
        every = page.evaluate("run.peers.every")
        check(every > 1 and f"one round in {every}" in page.locator("#pay-note").inner_text(), f"long: it says that it holds one round in {every}")
        page.evaluate(f"show([{rounds // 2}, {rounds // 2 + 99}])")
        until(page, "fine !== null")
        check(page.evaluate("[fine.every, fine.round.length]") == [1, 100], "long: and all rounds of a closer view")
        status = page.evaluate("fine.status.get('7')")
        check(status == "A" * 100, f"long: with their statuses {status[:9]}")
        found = page.evaluate("fine.behaviours.get('honest').pay[0]")
        expected = sum(float(line(rounds // 2, uid, peers).split(",")[11]) for uid in range(peers))
        check(near(found, expected, 1e-6), f"long: and their pay {found}")
        page.keyboard.press("0")
        if rounds >= 20_000:
            measure(folder, child.pid, rounds, peers)
        watch.check("long")
        page.close()
    shutil.rmtree(folder)


def follow(browser, where: Path, run: Path, rounds: int, peers: int) -> None:
    """What it costs to follow a run of which the page holds every round, such as `mixed-250`."""
    folder = where / "followed"
    longer(run, folder, rounds, peers)
    with served("watch", folder, "--at", "127.0.0.1:0", where=where) as (child, address):
        page = browser.new_page()
        page.goto(address)
        until(page, f"document.querySelectorAll('#board tbody tr').length === {peers}")
        measure(folder, child.pid, rounds, peers)
        until(page, f"run.peers.round.length === {rounds + 60}")
        page.close()


def measure(folder: Path, process: int, rounds: int, peers: int) -> None:
    """The part of a core that the server needs while a round a second comes and the page is open."""
    ticks = lambda: sum(int(part) for part in Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[11:13])
    before, started = ticks(), time.monotonic()
    for number in range(rounds, rounds + 60):
        with open(folder / "peers.csv", "a") as file:
            file.writelines(line(number, uid, peers) for uid in range(peers))
        with open(folder / "rounds.csv", "a") as file:
            file.write(f"{number},{84.0 * number},0.0004,,2.1,15,{peers},40,123456,1234567,{'ab' * 32}\n")
        time.sleep(1)
    share = (ticks() - before) / 100 / (time.monotonic() - started)
    print(f"        following it at a round a second takes the server {100 * share:.2f} % of a core")


def main() -> None:
    global SIM
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--sim", type=Path, required=True)
    options.add_argument("--chromium", default=shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome"))
    options.add_argument("--pictures", type=Path)
    options.add_argument("--large", action="store_true")
    given = options.parse_args()
    SIM = given.sim.resolve()
    if not given.chromium:
        sys.exit("there is no Chromium; `apt-get install chromium`, or name one by --chromium")
    if given.pictures:
        given.pictures.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as made, sync_playwright() as playwright:
        where = Path(made)
        (where / "net.toml").write_text(NETWORK)
        run = where / "net"
        succeed("run", "net.toml", "--quiet", "--out", run, where=where)
        # Containers have no user namespaces for its own sandbox; the pages are ours.
        browser = playwright.chromium.launch(executable_path=given.chromium, args=["--no-sandbox", "--disable-gpu"])
        if given.large:
            follow(browser, where, run, 100, 250)
            check_long(browser, where, run, 20_000, 250)
        else:
            report = (run / "report.html").as_uri()
            check_page(browser, report, report, run, given.pictures, "report.html")
            with served("watch", run, "--at", "127.0.0.1:0", where=where) as (_, address):
                check_page(browser, address, address, run, given.pictures, "served")
                taken = sim("watch", run, "--at", address.split("/")[2], where=where)
                check(taken.returncode == 2 and "takes a free port" in taken.stderr, f"a port in use: {taken.stderr.strip()}")
            check_live(browser, where)
            check_network(browser, where)
            check_hostile(browser, where, run)
            check_long(browser, where, run, 3000, 20)
        browser.close()
    if FAILED:
        sys.exit(f"{len(FAILED)} of the checks failed:\n  " + "\n  ".join(FAILED))
    print("the page shows what the files hold")


if __name__ == "__main__":
    main()
