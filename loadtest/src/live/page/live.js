"use strict";
// Draws the run as it happens. Hears /events, fetches nothing else.
(() => {
  const { color, trim, percent, short, millis, axes, line, legend, eventLines } = Charts;
  const root = document.documentElement;
  const one = (id) => document.getElementById(id);
  const REASONS = ["error", "compulsory", "invalidated", "expired", "node_cold", "remapped", "evicted"];
  const ROWS_MAX = 3600, HEAT_MAX = 240;
  root.classList.add("scripted");

  let facts = { capacity: null, phases: [] }, now = null, done = null;
  let rows = [], heat = [], range = null, dirty = false;
  const charts = new Map();

  // ---- row 1 ----
  const tile = (id, big, small, tone) => {
    const holder = one("tile-" + id);
    holder.className = "tile " + (tone || "");
    holder.querySelector("b").textContent = big;
    holder.querySelector("small").textContent = small;
  };
  // A number stays on one line with its unit.
  const glued = (text) => text.replace(/(\d) (?=(?:%|ms|s|µs|k|M|MiB|GiB|points|pp)(?![\p{L}\p{N}]))/gu, "$1\u00a0");
  const top = () => {
    const row = rows[rows.length - 1], status = done || (now && now.status);
    if (!status) return;
    one("top").className = "verdict " + status.tone;
    one("pill").textContent = status.word;
    one("sentence").textContent = glued(status.sentence) + (done && done.report ? " Report: " + done.report : "");
    one("name").textContent = facts.scenario || "loadtest";
    document.title = status.word + " · " + (facts.scenario || "loadtest");
    if (!row || !now.totals) return;
    const t = now.totals, end = row.t + row.seconds;
    tile("hit", percent(row.hit_rate), now.warm == null ? "nothing to compare with yet" : "warm is " + percent(now.warm), now.warm != null && row.hit_rate < 0.95 * now.warm ? "warn" : "");
    const share = facts.capacity ? row.backend_rate / facts.capacity : 0;
    tile("backend", short(row.backend_rate) + "/s", facts.capacity ? "of " + short(facts.capacity) + " reads/s, " + short(row.backend_queue) + " wait" : "reads, no limit set", share > 0.95 ? "bad" : share > 0.8 ? "warn" : "");
    tile("p99", millis(row.p99_us / 1e3), "p50 " + millis(row.p50_us / 1e3) + ", " + short(row.rate_done) + " requests/s");
    const bad = t.stale_reads + t.mismatches;
    tile("errors", short(row.errors), short(t.errors) + " in all, " + short(bad) + " stale or wrong values", row.errors > 0 || bad > 0 ? "bad" : "");
    const next = now.next;
    const left = next && next.at_seconds != null ? next.at_seconds - end : null;
    tile("next", done ? "run over" : now.held ? "paused" : next ? next.label : "no event", done ? "" : (next ? (left == null ? "later" : left > 0 ? "in " + trim(left, 0) + " s" : "now") + ", " : "") + "phase " + (row.phase || "–"));
    const progress = one("progress"), whole = done ? 100 : Math.round((now.run_done || 0) * 100);
    progress.setAttribute("aria-valuenow", String(whole));
    progress.querySelector("i").style.width = whole + "%";
  };

  // ---- charts over time ----
  const column = (of) => rows.map((row) => { const v = of(row); return v == null ? null : v; });
  const share = (count) => (count && count.hits + count.misses > 0 ? count.hits / (count.hits + count.misses) : null);
  const xRange = (_, min, max) => range || [Math.min(0, min == null ? 0 : min), Math.max(max || 0, 10)];
  const marks = eventLines(() => ((now && now.events) || []).map((event) => ({ label: event.label, x: event.at_seconds })), (u) => u.over.closest("#chart-hit"));
  const build = (id, height, y, series, more) => {
    const holder = one(id);
    holder.textContent = "";
    const chart = new uPlot({
      width: Math.max(holder.clientWidth - 20, 260), height, padding: [id === "chart-hit" ? 24 : 10, 14, 0, 0],
      scales: { x: { time: false, range: xRange }, y: y.scale },
      axes: axes("seconds since the start", y.format, y.label, y.log),
      series: [{ label: "at", value: (_, v) => (v == null ? "–" : trim(v, 0) + " s") }, ...series],
      cursor: { sync: { key: "live" }, drag: { x: true, y: false, setScale: false }, points: { size: 6 } },
      legend, hooks: {
        draw: [marks],
        setSelect: [(u) => { if (u.select.width > 4) { range = [u.posToVal(u.select.left, "x"), u.posToVal(u.select.left + u.select.width, "x")]; u.setSelect({ width: 0, height: 0, left: 0, top: 0 }, false); feed(); } }],
      },
      ...more,
    }, [[], ...series.map(() => [])], holder);
    chart.over.addEventListener("dblclick", () => { range = null; feed(); });
    charts.set(id, chart);
  };
  const draw = () => {
    charts.forEach((chart) => chart.destroy());
    charts.clear();
    build("chart-hit", 300, { scale: { range: () => [0, 1] }, format: (v) => trim(v * 100, 0) + " %", label: "hit rate" }, [
      line("measured", "measured", percent, { width: 2.2 }), line("predicted", "predicted", percent, { width: 2.2, dash: [2, 4] }), line("warm", "warm", percent, { width: 1.3, dash: [6, 4] }),
      line("keys the event made cold", "affected", percent), line("all other keys", "unaffected", percent),
    ]);
    build("chart-backend", 200, { scale: { range: (_, min, max) => [0, Math.max(max || 0, facts.capacity || 0, 1) * 1.06] }, format: short, label: "reads/s" }, [
      line("reads per second", "measured", short, { width: 2, fill: color("band") }), line("capacity", "warm", short, { dash: [6, 4] }), line("waiting", "affected", short),
    ]);
    build("chart-misses", 200, { scale: { range: (_, min, max) => [0, Math.max(max || 0, 1) * 1.06] }, format: short, label: "misses/s" }, [...REASONS].reverse().map((name, at) => ({
      ...line(name.replace("_", " "), "r-" + name, short, { width: 1, fill: color("r-" + name) }),
      value: (u, _, __, i) => (i == null || !rows[i] ? "–" : short(rows[i].misses_by_reason[name])),
    })));
    build("chart-latency", 200, { scale: { distr: 3, log: 10 }, format: millis, label: "response time", log: true }, [
      line("p99.9", "affected", millis), line("p99", "predicted", millis), line("p90", "unaffected", millis), line("p50", "measured", millis, { width: 2 }),
    ]);
    feed();
  };
  const feed = () => {
    if (!charts.size) return;
    const x = column((row) => row.t + row.seconds / 2);
    let warm = null;
    const warms = rows.map((row) => (warm = row.warm == null ? warm : row.warm));
    charts.get("chart-hit").setData([x, column((r) => r.hit_rate), column((r) => r.predicted), warms, column((r) => share(r.affected)), column((r) => share(r.unaffected))]);
    charts.get("chart-backend").setData([x, column((r) => r.backend_rate), rows.map(() => facts.capacity || null), column((r) => (r.backend_queue > 0 ? r.backend_queue : null))]);
    const sums = rows.map(() => 0);
    const stacked = REASONS.map((name) => rows.map((row, at) => (sums[at] += row.misses_by_reason[name] / Math.max(row.seconds, 1e-9))));
    charts.get("chart-misses").setData([x, ...stacked.reverse()]);
    const ms = (name) => column((r) => (r[name] > 0 ? r[name] / 1e3 : null));
    charts.get("chart-latency").setData([x, ms("p999_us"), ms("p99_us"), ms("p90_us"), ms("p50_us")]);
  };

  // ---- nodes ----
  const nodes = () => {
    const list = (now && now.nodes) || [], holder = one("nodes");
    const total = list.reduce((sum, node) => sum + node.gets, 0);
    holder.textContent = "";
    list.forEach((node) => {
      const part = total > 0 ? node.gets / total : 0;
      const box = document.createElement("div"), fill = document.createElement("i"), name = document.createElement("b"), told = document.createElement("span"), items = document.createElement("span");
      box.className = "node" + (node.up ? "" : " down");
      box.style.flexGrow = String(Math.max(part * 100, 4));
      fill.style.height = (node.up ? (node.hit_rate || 0) * 100 : 0) + "%";
      name.textContent = node.node;
      told.textContent = node.up ? percent(node.hit_rate) + " hits, " + percent(part) + " of the load" : "does not answer";
      items.textContent = short(node.items) + " items, " + short(node.bytes / 1048576) + " MiB";
      box.append(fill, name, told, items);
      const badge = !node.up ? "DOWN" : !node.member ? "NOT IN THE POOL" : node.cold ? "COLD" : "";
      if (badge) { const mark = document.createElement("em"); mark.textContent = badge; mark.className = node.up ? "" : "down"; box.append(mark); }
      holder.append(box);
    });
  };
  const drawHeat = () => {
    const holder = one("heat");
    const names = [...new Set(heat.flatMap((at) => at.nodes.map((node) => node.node)))];
    if (!names.length) { holder.textContent = ""; return; }
    let canvas = holder.querySelector("canvas");
    if (!canvas) {
      holder.textContent = "";
      canvas = document.createElement("canvas");
      const note = document.createElement("p");
      note.textContent = "bright: most gets hit; dark: few do; red: does not answer";
      holder.append(canvas, note);
    }
    const width = (canvas.width = canvas.clientWidth * devicePixelRatio), height = (canvas.height = 200 * devicePixelRatio);
    const ctx = canvas.getContext("2d"), left = 64 * devicePixelRatio, cell = (width - left) / Math.max(heat.length, 60), tall = height / names.length;
    ctx.font = 11 * devicePixelRatio + "px system-ui, sans-serif"; ctx.textBaseline = "middle";
    const [cold, warm] = [color("cold-end"), color("warm-end")].map((hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)));
    names.forEach((name, at) => {
      ctx.fillStyle = color("soft"); ctx.fillText(name.slice(0, 10), 0, (at + 0.5) * tall);
      heat.forEach((second, x) => {
        const node = second.nodes.find((node) => node.node === name);
        if (!node) return;
        const rate = node.gets > 0 ? node.hits / node.gets : null;
        ctx.fillStyle = !node.up ? color("bad") : rate == null ? color("sunken") : "rgb(" + cold.map((c, i) => Math.round(c + (warm[i] - c) * rate)).join(" ") + ")";
        ctx.fillRect(left + x * cell, at * tall + 1, Math.ceil(cell), tall - 2);
      });
    });
  };

  // ---- buttons: the first press asks, the second does ----
  const ARMED_MS = 4000;
  const orders = () => {
    const holder = one("orders"), group = holder.querySelector("span"), told = holder.querySelector("p");
    const offered = (!done && facts.orders) || [];
    holder.hidden = !offered.length;
    group.textContent = ""; told.textContent = "";
    offered.forEach(({ order, label }) => {
      const button = document.createElement("button");
      let armed = 0;
      const disarm = () => { clearTimeout(armed); armed = 0; button.textContent = label; button.classList.remove("armed"); };
      button.type = "button";
      button.dataset.order = order;
      disarm();
      button.addEventListener("click", async () => {
        if (!armed) { armed = setTimeout(disarm, ARMED_MS); button.textContent = "Sure? " + label; button.classList.add("armed"); return; }
        disarm();
        try {
          const answer = await fetch("/orders", { method: "POST", headers: { "x-loadtest-order": "1" }, body: JSON.stringify(order) });
          told.textContent = answer.ok ? "Asked for: " + label + "." : "Refused: " + (await answer.text()).trim() + ".";
        } catch { told.textContent = "The load test does not answer."; }
      });
      group.append(button);
    });
  };

  // ---- the log ----
  const log = (entry) => {
    const item = document.createElement("li"), time = document.createElement("time"), text = document.createElement("span");
    time.textContent = trim(entry.t, 1) + " s"; text.textContent = entry.text;
    item.append(time, text);
    one("log").prepend(item);
    while (one("log").children.length > 200) one("log").lastChild.remove();
  };

  // ---- messages ----
  const soon = () => {
    if (dirty) return;
    dirty = true;
    requestAnimationFrame(() => { dirty = false; top(); feed(); nodes(); drawHeat(); });
  };
  const add = (row, warm, list) => {
    rows.push({ ...row, warm });
    if (rows.length > ROWS_MAX) rows.shift();
    if (list) { heat.push({ nodes: list }); if (heat.length > HEAT_MAX) heat.shift(); }
  };
  const stream = new EventSource("/events");
  stream.addEventListener("start", (message) => {
    const data = JSON.parse(message.data);
    ({ facts, now, done } = data);
    rows = []; heat = []; range = null;
    const warmAt = (t) => (now.events || []).reduce((last, event) => (event.warm != null && event.at_seconds <= t ? event.warm : last), null);
    data.rows.forEach((row) => add(row, warmAt(row.t), null));
    heat = data.node_rows.map((nodes) => ({ nodes }));
    if (rows.length) rows[rows.length - 1].warm = now.warm;
    one("log").textContent = "";
    data.logs.forEach(log);
    orders();
    draw(); soon();
    if (done) stream.close();
  });
  stream.addEventListener("second", (message) => {
    const { row, ...rest } = JSON.parse(message.data);
    // Listening began before the snapshot was taken: a second may come twice.
    if (rows.length && row.t <= rows[rows.length - 1].t) return;
    now = rest;
    facts.capacity = rest.capacity;
    add(row, rest.warm, rest.nodes);
    soon();
  });
  stream.addEventListener("log", (message) => log(JSON.parse(message.data)));
  stream.addEventListener("end", (message) => { done = JSON.parse(message.data); stream.close(); orders(); soon(); });
  stream.addEventListener("error", () => {
    if (done) return;
    one("pill").textContent = "NO CONNECTION"; one("top").className = "verdict bad";
    one("sentence").textContent = "The load test does not answer any more: it ended, or was stopped. The figures below are the last ones heard.";
  });

  one("theme").addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    draw(); drawHeat();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { draw(); drawHeat(); });
  Charts.onPaper(() => { if (charts.size) { draw(); drawHeat(); } });
  let resizing = 0;
  addEventListener("resize", () => { clearTimeout(resizing); resizing = setTimeout(() => { draw(); drawHeat(); }, 120); });
})();
