"""Opens reports in a real browser and fails where one cannot be read.

    browser.py bin/churn

Trains on testdata and on a small world, opens report.html of each at 360, 800
and 1280 pixels and as it would be printed, and looks at what a reader would
see. Then breaks a report in every way it looks for, and fails where that is
not noticed. Screenshots are left in run/browser. Needs a Chromium: playwright's
own is not downloaded.
"""

import base64
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

from playwright.sync_api import sync_playwright

OUT = pathlib.Path("run/browser")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync"]
SCREENS = [("360", 360, 640, "screen"), ("800", 800, 900, "screen"), ("1280", 1280, 800, "screen"), ("print", 718, 1000, "print")]

# What can be seen without looking at pixels; returns a list of complaints.
LOOK = r"""
([height, print]) => {
  const bad = [];
  const text = e => (e.textContent || "").trim().replace(/\s+/g, " ").slice(0, 60);
  const shown = e => e.checkVisibility();

  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) bad.push(`the page is ${root.scrollWidth} wide on ${root.clientWidth}`);
  for (const e of document.querySelectorAll("body *")) {
    if (!shown(e) || e.closest("svg") || (!print && e.closest(".wide") && !e.matches(".wide"))) continue;
    const box = e.getBoundingClientRect();
    if (box.right > root.clientWidth + 1 || box.left < -1) bad.push(`<${e.tagName}> "${text(e)}" reaches from ${box.left} to ${box.right}`);
  }

  const headings = [...document.querySelectorAll("h1, h2, h3, h4, h5, h6")];
  if (headings.filter(h => h.tagName === "H1").length !== 1) bad.push("there is not one h1");
  let level = 0;
  for (const h of headings) {
    const l = +h.tagName[1];
    if (l > level + 1) bad.push(`<${h.tagName}> "${text(h)}" follows level ${level}`);
    if (!text(h)) bad.push(`an empty ${h.tagName}`);
    level = l;
  }

  const ids = new Set();
  for (const e of document.querySelectorAll("[id]")) {
    if (ids.has(e.id)) bad.push(`two have the id ${e.id}`);
    ids.add(e.id);
  }
  const links = [...document.querySelectorAll("a[href]")];
  if (links.length < 5) bad.push(`${links.length} links in the contents`);
  for (const a of links) {
    const to = a.getAttribute("href");
    if (!to.startsWith("#")) bad.push(`a link leaves the page: ${to}`);
    else if (!ids.has(to.slice(1))) bad.push(`nothing is at ${to}`);
  }

  const gate = document.querySelector("#gate strong");
  if (!gate || !shown(gate)) bad.push("no verdict of the gate");
  else {
    const box = gate.getBoundingClientRect();
    if (box.bottom > height || !/The gate (lets|refuses)/.test(text(gate))) bad.push(`the verdict "${text(gate)}" is at ${box.bottom} of ${height}`);
  }

  // WCAG 2.2: contrast of what is read.
  const rgb = c => { const m = c.match(/[\d.]+/g).map(Number); return m.length > 3 && m[3] === 0 ? null : m; };
  const light = c => {
    const [r, g, b] = c.slice(0, 3).map(v => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = e => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c) return c; } return [255, 255, 255]; };
  for (const e of document.querySelectorAll("body *")) {
    if (![...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()) || !shown(e)) continue;
    const style = getComputedStyle(e);
    const own = rgb(e.closest("svg") ? style.fill : style.color), back = behind(e.closest("svg") || e);
    const [a, b] = [light(own || back), light(back)];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) bad.push(`<${e.tagName}> "${text(e)}" has a contrast of ${contrast.toFixed(1)}`);
    const size = e.closest("svg") ? e.getBoundingClientRect().height : parseFloat(style.fontSize);
    if (size < 8) bad.push(`<${e.tagName}> "${text(e)}" is ${size.toFixed(1)} pixels high`);
    if (/\bNaN\b|\bInf\b|%!|undefined|<no value>/.test(e.textContent)) bad.push(`<${e.tagName}> says "${text(e)}"`);
  }

  for (const t of document.querySelectorAll("table")) {
    if (t.querySelectorAll("th").length === 0 || t.querySelector("thead th:not([scope=col]), tbody th:not([scope=row])")) bad.push(`table "${text(t)}" has headers without a scope`);
  }
  for (const f of document.querySelectorAll("figure")) {
    if (!text(f.querySelector("figcaption") || {})) bad.push("a picture without a title");
    if (!f.querySelector("svg")) bad.push(`"${text(f)}" has no picture`);
  }
  if (document.querySelectorAll("svg").length < 10) bad.push("fewer than 10 pictures");
  for (const s of document.querySelectorAll("svg")) {
    const box = s.getBoundingClientRect();
    if (!shown(s) || box.width < 80 || box.height < 80) bad.push(`picture "${s.getAttribute("aria-label")}" is ${box.width} x ${box.height}`);
    if (s.getAttribute("role") !== "img" || !s.getAttribute("aria-label")) bad.push("a picture without a name");
  }
  return bad;
}
"""

# The share of pixels of a PNG that are not of its most frequent colour.
INK = r"""
async data => {
  const image = new Image();
  image.src = "data:image/png;base64," + data;
  await image.decode();
  const canvas = Object.assign(document.createElement("canvas"), {width: image.width, height: image.height});
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  const pixels = new Uint32Array(context.getImageData(0, 0, image.width, image.height).data.buffer);
  const count = new Map();
  for (const p of pixels) count.set(p, (count.get(p) || 0) + 1);
  return 1 - Math.max(...count.values()) / pixels.length;
}
"""


def chromium():
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    sys.exit("browser: no chromium, chromium-browser or google-chrome: install one")


def look(browser, path, width, height, media, shot=None):
    """Complaints about one page at one size."""
    bad = []
    page = browser.new_page(viewport={"width": width, "height": height})
    page.on("console", lambda m: bad.append(f"console: {m.text}") if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda e: bad.append(f"script: {e}"))
    page.on("request", lambda r: bad.append(f"asks for {r.url}") if r.url != path.as_uri() and not r.url.startswith("data:") else None)
    page.emulate_media(media=media)
    page.goto(path.as_uri(), wait_until="load")
    bad += page.evaluate(LOOK, [height, media == "print"])
    if page.evaluate("document.scripts.length"):
        bad.append("the page has scripts")
    if shot:
        page.screenshot(path=f"{shot}-first.png")
        page.screenshot(path=f"{shot}.png", full_page=True)
        if media == "print":
            page.pdf(path=f"{shot}.pdf", format="A4", margin={side: "15mm" for side in ("top", "bottom", "left", "right")}, print_background=True)
    pixels = browser.new_page()
    for picture in page.query_selector_all("svg"):
        if picture.is_visible():
            ink = pixels.evaluate(INK, base64.b64encode(picture.screenshot()).decode())
            if ink < 0.005:
                bad.append(f"picture {picture.get_attribute('aria-label')!r} is blank")
    pixels.close()
    page.close()
    return bad


# Ways to break a report, and what must be said of it.
BREAKS = [
    ("a wide block", "<main>", '<main><div style="width:3000px">x</div>', "the page is"),
    ("a blank picture", 'd="', 'd="" data-d="', "is blank"),
    ("no picture", "<svg", "<g", "has no picture"),
    ("no contents", 'id="metrics"', 'id="metric"', "nothing is at #metrics"),
    ("pale text", "color: #1b1f24", "color: #a0a0a0", "has a contrast"),
    ("something fetched", "<main>", '<main><img src="x.png" alt="">', "asks for"),
    ("a script that fails", "<main>", "<main><script>nothing()</script>", "script:"),
    ("headings out of order", "<h2 id=\"short\">In short</h2>", "", "follows level"),
    ("a verdict far below", '<div class="verdict', '<div style="height:900px"></div><div class="verdict', "the verdict"),
    ("no number", "In short", "NaN", 'says "NaN"'),
    ("headers without scope", 'scope="row"', "", "without a scope"),
    ("no title", "figcaption>", "div>", "without a title"),
]


def reports(churn, work):
    """Trains, and gives the directories of reports."""
    def run(*args):
        done = subprocess.run([churn, *args, "--quiet"], cwd=work, capture_output=True, text=True)
        if done.returncode not in (0, 3):  # a gate may refuse
            sys.exit(f"churn {' '.join(args)}: {done.stdout}{done.stderr}")
    telco = pathlib.Path("testdata/telco/wa_churn.csv").resolve()
    run("train", "--table", str(telco), "--label", "churn=Yes", "--model", "telco", "--models", "models", "--report", "telco")
    yield "telco"
    lines = telco.read_text().splitlines()
    (work / "all.csv").write_text("\n".join(["id," + lines[0]] + [f"{i},{line}" for i, line in enumerate(lines[1:], 1)]) + "\n")
    run("models", "import", "--file", str(telco.parents[1] / "imported/lightgbm.txt"), "--table", "all.csv", "--id", "id",
        "--label", "churn=Yes", "--model", "imported", "--models", "models", "--report", "imported")
    yield "imported"
    run("simulate", "--out", "world", "--customers", "2000")
    config = ["--config", "world/churn.yaml"]
    run("import", *config)
    project = work / "world/churn.yaml"
    whole = project.read_text()
    project.write_text(whole.replace("\n  seed: 1\n", "\n  seed: 1\n  rungs: [logistic]\n"))
    run("train", *config, "--promote", "--force", "--reason", "to compare with", "--backtest", "3", "--report", "first")
    yield "first"
    project.write_text(whole)
    run("train", *config, "--report", "second")  # beside the champion
    yield "second"
    run("evaluate", *config, "--report", "evaluated")
    yield "evaluated"


def main():
    churn = str(pathlib.Path(sys.argv[1]).resolve())
    OUT.mkdir(parents=True, exist_ok=True)
    failed = 0
    with tempfile.TemporaryDirectory() as work, sync_playwright() as p:
        work = pathlib.Path(work)
        browser = p.chromium.launch(executable_path=chromium(), args=FLAGS)
        for name in reports(churn, work):
            path = work / name / "report.html"
            champion = json.loads((work / name / "report.json").read_text()).get("champion")
            if (name == "second") != bool(champion):
                failed += 1
                print(f"{name}: compared with {champion}")
            for size, width, height, media in SCREENS:
                bad = look(browser, path, width, height, media, OUT / f"{name}-{size}")
                failed += len(bad)
                print(f"{name:10} {size:>5}  {'good' if not bad else f'{len(bad)} complaints'}")
                for b in bad[:20]:
                    print("  ", b)
        whole = (work / "telco/report.html").read_text()
        for what, old, new, said in BREAKS:
            broken = work / "broken.html"
            if old not in whole:
                sys.exit(f"browser: {what}: the report has no {old}")
            broken.write_text(whole.replace(old, new))
            bad = look(browser, broken, 360, 640, "screen")
            if not any(said in b for b in bad):
                failed += 1
                print(f"{what} is not noticed: {bad[:5]}")
        print(f"{len(BREAKS)} ways to break a report")
        browser.close()
    if failed:
        sys.exit(f"browser: {failed} complaints; screenshots are in {OUT}")
    print(f"browser: every report can be read; screenshots are in {OUT}")


main()
