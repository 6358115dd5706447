"use strict";
// Makes the report's charts live. Everything it needs is in this file; it fetches nothing.
(() => {
  const data = JSON.parse(document.getElementById("run").textContent);
  const root = document.documentElement;
  const one = (id) => document.getElementById(id);
  root.classList.add("scripted");

  const { color, trim, percent, short, millis, decades, line, legend } = Charts;
  const columns = { t: data.time, r: data.requests };
  const state = { x: data.byRequests ? "r" : "t", zoomY: false, shares: false, phase: 0, range: null };
  const charts = [];

  // ---- numbers ----
  const atX = (v) => (v == null ? "–" : state.x === "t" ? trim(v, 1) + " s" : short(v) + " gets");

  // ---- what all charts over the run share ----
  const frames = {
    hooks: {
      drawClear: [(u) => {
        const ctx = u.ctx, top = u.bbox.top, height = u.bbox.height;
        ctx.save();
        ctx.beginPath(); ctx.rect(u.bbox.left, top, u.bbox.width, height); ctx.clip();
        data.phases.forEach((phase, index) => {
          const [from, to] = phase[state.x].map((v) => u.valToPos(v, "x", true));
          if (index % 2 === 0) { ctx.fillStyle = color("phase"); ctx.fillRect(from, top, to - from, height); }
          if (u.over.closest("#chart-hit")) {
            ctx.fillStyle = color("faint"); ctx.font = 11 * devicePixelRatio + "px system-ui, sans-serif"; ctx.textAlign = "left";
            const left = Math.max(from, u.bbox.left), right = Math.min(to, u.bbox.left + u.bbox.width);
            const padding = 6 * devicePixelRatio;
            if (ctx.measureText(phase.name).width + 2 * padding < right - left) ctx.fillText(phase.name, left + padding, top + height - padding);
          }
        });
        ctx.restore();
      }],
      draw: [Charts.eventLines(() => data.events.map((event) => ({ label: event.label, x: event[state.x] })), (u) => u.over.closest("#chart-hit"))],
    },
  };

  const axes = (yValues, yLabel, log) => Charts.axes(state.x === "t" ? "seconds since the start" : "gets since the start", yValues, yLabel, log);

  const mount = (id, height, build) => {
    const holder = one(id);
    if (!holder) return;
    const draw = () => {
      const { options, values } = build();
      const width = Math.max(holder.clientWidth - 20, 280);
      holder.textContent = "";
      const chart = new uPlot({ width, height, padding: [id === "chart-hit" ? 24 : 10, id === "chart-percentiles" ? 40 : 14, 0, 0], ...options }, values, holder);
      charts.push({ id, chart, holder });
    };
    draw();
  };

  const timeSeries = (id, height, y, series, values, bands, extra) =>
    mount(id, height, () => ({
      options: {
        scales: { x: { time: false, range: (_, min, max) => (state.range ? state.range : [Math.min(0, min), max]) }, y: y.scale },
        axes: axes(y.format, y.label, y.log),
        series: [{ label: state.x === "t" ? "at" : "after", value: (_, v) => atX(v) }, ...series],
        cursor: { sync: { key: "run" }, drag: { x: true, y: false }, points: { size: 6 } },
        legend,
        plugins: [frames],
        bands,
        ...extra,
      },
      values: [columns[state.x][state.x], ...values],
    }));

  // ---- charts ----
  const hitRate = () => {
    const c = columns[state.x];
    const known = [c.hit, c.predicted];
    const inside = c[state.x].map((v) => !data.phases.some((phase) => phase.kind === "warmup" && v >= phase[state.x][0] && v < phase[state.x][1]));
    const shown = known.flatMap((list) => list.filter((v, i) => v != null && inside[i] && (!state.range || (c[state.x][i] >= state.range[0] && c[state.x][i] <= state.range[1]))));
    const low = Math.min(...shown), high = Math.max(...shown);
    const fitted = shown.length > 1 && high > low ? [Math.max(0, low - (high - low) * 0.12), Math.min(1, high + (high - low) * 0.12)] : [0, 1];
    const warm = c[state.x].map((v) => data.events.reduce((last, event) => (event.warm != null && event[state.x] <= v ? event.warm : last), null));
    timeSeries("chart-hit", 320, { scale: { range: () => (state.zoomY ? fitted : [0, 1]) }, format: (v) => trim(v * 100, state.zoomY ? 1 : 0) + " %", label: "hit rate" }, [
      line("lower edge", "measured", percent, { width: 0 }),
      line("upper edge", "measured", percent, { width: 0 }),
      line("warm, before the event", "warm", percent, { width: 1.3, dash: [6, 4] }),
      line("all other keys", "unaffected", percent),
      line("keys the event made cold", "affected", percent),
      line("measured", "measured", percent, { width: 2.2 }),
      line("predicted", "predicted", percent, { width: 2.2, dash: [2, 4] }),
    ], [c.low, c.high, warm, c.unaffected, c.affected, c.hit, c.predicted], [{ series: [2, 1], fill: color("band") }]);
    const chart = charts[charts.length - 1];
    // The band's edges are drawn, not told.
    const rows = [...chart.holder.querySelectorAll(".u-legend .u-series")];
    rows.forEach((row, index) => { if (index === 1 || index === 2) row.style.display = "none"; });
    // The legend tells what matters first.
    chart.holder.querySelector(".u-legend").append(...[6, 7, 3, 5, 4].map((index) => rows[index]));
  };

  const backend = () => {
    const c = columns[state.x];
    const series = [line("reads per second", "measured", short, { width: 2, fill: color("band") })];
    const values = [c.backend];
    if (c.queue.some((v) => v > 0)) { series.push(line("waiting reads", "affected", short)); values.push(c.queue); }
    if (data.capacity) { series.push(line("capacity", "warm", short, { dash: [6, 4] })); values.push(c.backend.map(() => data.capacity)); }
    timeSeries("chart-backend", 220, { scale: { range: (_, min, max) => [0, Math.max(max, data.capacity || 0, 1) * 1.06] }, format: short, label: "reads/s" }, series, values);
  };

  const misses = () => {
    const c = columns[state.x];
    const used = data.reasons.map((name, index) => ({ name, index })).filter(({ index }) => c.misses[index].some((v) => v > 0));
    if (used.length === 0) { one("chart-misses").textContent = "There were no misses."; return; }
    const totals = c[state.x].map((_, at) => used.reduce((sum, { index }) => sum + (c.misses[index][at] || 0), 0));
    const sums = totals.map(() => 0);
    const stacked = used.map(({ index }) => c.misses[index].map((v, at) => (sums[at] += state.shares ? (totals[at] > 0 ? (v || 0) / totals[at] : 0) : v || 0)));
    const format = state.shares ? percent : short;
    // From the top of the pile down, each layer hides what the one above it covers below.
    const order = used.map((_, at) => at).reverse();
    const series = order.map((at) => {
      const { name, index } = used[at];
      return { ...line(name.replace("_", " "), "r-" + name, format, { width: 1, fill: color("r-" + name) }), value: (_, __, ___, i) => (i == null ? "–" : state.shares ? percent(totals[i] > 0 ? (c.misses[index][i] || 0) / totals[i] : 0) : short(c.misses[index][i])) };
    });
    timeSeries("chart-misses", 240, { scale: { range: (_, min, max) => (state.shares ? [0, 1] : [0, Math.max(max, 1) * 1.06]) }, format: state.shares ? (v) => trim(v * 100, 0) + " %" : short, label: state.shares ? "share of misses" : "misses/s" }, series, order.map((at) => stacked[at]));
  };

  const latency = () => {
    const c = columns[state.x];
    timeSeries("chart-latency", 240, { scale: { distr: 3, log: 10 }, format: millis, label: "response time", log: true }, [
      line("p99.9", "affected", millis), line("p99", "predicted", millis), line("p90", "unaffected", millis), line("p50", "measured", millis, { width: 2 }),
    ], [c.p999, c.p99, c.p90, c.p50]);
  };

  const percentiles = () => {
    const entry = data.latency[state.phase];
    if (!entry || !one("chart-percentiles")) return;
    const xs = [...new Set([...entry.response[0], ...entry.service[0]])].sort((a, b) => a - b);
    const on = ([x, y]) => { const known = new Map(x.map((v, i) => [v, y[i]])); return xs.map((v) => known.get(v) ?? null); };
    const name = (v) => (v == null ? "–" : v <= 1 ? "0 %" : trim((1 - 1 / v) * 100, Math.max(0, Math.round(Math.log10(v)) - 1) + 1) + " %");
    mount("chart-percentiles", 240, () => ({
      options: {
        scales: { x: { time: false, distr: 3, log: 10 }, y: { distr: 3, log: 10 } },
        axes: (() => { const [x, y] = axes(millis, "time", true); return [{ ...x, label: "share of requests at least this fast", filter: decades, ticks: { ...x.ticks, filter: decades }, values: (_, ticks) => ticks.map((v) => (v == null ? "" : name(v))) }, y]; })(),
        series: [{ label: "percentile", value: (_, v) => name(v) }, { ...line("response, from the intended start", "measured", millis, { width: 2, spanGaps: true }) }, { ...line("service, from sending", "predicted", millis, { spanGaps: true, dash: [5, 4] }) }],
        cursor: { drag: { x: false, y: false }, points: { size: 6 } },
        legend: { markers: { dash: (u, i) => (u.series[i].dash ? "dashed" : "solid") } },
      },
      values: [xs, on(entry.response), on(entry.service)],
    }));
  };

  // ---- controls ----
  const press = (button, on) => button.setAttribute("aria-pressed", String(on));
  const draw = () => {
    charts.splice(0).forEach(({ chart }) => chart.destroy());
    if (!one("chart-hit")) return;
    hitRate(); backend(); misses(); latency(); percentiles();
    one("y-toggle").textContent = state.zoomY ? "Show 0–100 %" : "Zoom to data";
    one("x-toggle").textContent = state.x === "t" ? "By requests" : "By seconds";
    one("x-toggle").hidden = data.time.t.length < 2 || data.requests.t.length < 2;
    one("miss-toggle").textContent = state.shares ? "Show misses per second" : "Show shares";
  };
  const zoomTo = (which) => {
    state.range = null;
    if (which !== "all") {
      const at = data.events[which][state.x], xs = columns[state.x][state.x];
      const rate = state.x === "t" ? 1 : xs[xs.length - 1] / Math.max(data.time.t[data.time.t.length - 1] || 60, 1);
      state.range = [Math.max(0, at - 10 * rate), at + 30 * rate];
    }
    document.querySelectorAll("[data-zoom]").forEach((button) => press(button, button.dataset.zoom === which && which !== "all"));
    draw();
  };
  document.querySelectorAll("[data-zoom]").forEach((button) => button.addEventListener("click", () => zoomTo(button.dataset.zoom)));
  one("y-toggle")?.addEventListener("click", () => { state.zoomY = !state.zoomY; draw(); });
  one("x-toggle")?.addEventListener("click", () => { state.x = state.x === "t" ? "r" : "t"; zoomTo("all"); });
  one("miss-toggle")?.addEventListener("click", () => { state.shares = !state.shares; draw(); });
  document.querySelectorAll("[data-copy]").forEach((button) => button.addEventListener("click", async () => {
    const text = one(button.dataset.copy).textContent;
    try { await navigator.clipboard.writeText(text); button.textContent = "Copied"; } catch { getSelection().selectAllChildren(one(button.dataset.copy)); }
  }));
  const phases = one("percentile-phases");
  if (phases) data.latency.forEach((entry, index) => {
    const button = document.createElement("button");
    button.type = "button"; button.textContent = entry.phase || "Whole run"; press(button, index === 0);
    button.addEventListener("click", () => { state.phase = index; phases.querySelectorAll("button").forEach((other, at) => press(other, at === index)); draw(); });
    phases.append(button);
  });
  one("theme")?.addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    draw();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  Charts.onPaper(draw);
  let resizing = 0;
  addEventListener("resize", () => { clearTimeout(resizing); resizing = setTimeout(draw, 120); });

  // ---- downloads: the figures of the charts, without a server ----
  const downloads = one("downloads");
  const link = (name, type, text) => {
    const anchor = document.createElement("a");
    anchor.download = data.scenario.replace(/[^A-Za-z0-9._-]+/g, "-") + "-" + name; anchor.textContent = name;
    anchor.href = "data:" + type + ";charset=utf-8," + encodeURIComponent(text);
    downloads.append(anchor);
  };
  const csv = (c) => {
    const names = Object.keys(c).filter((name) => name !== "misses");
    const all = [...names.map((name) => c[name]), ...c.misses];
    return [[...names, ...data.reasons.map((name) => "misses_" + name)].join(","), ...c.t.map((_, i) => all.map((list) => list[i] ?? "").join(","))].join("\n") + "\n";
  };
  if (downloads) {
    link("charts.json", "application/json", JSON.stringify(data));
    link("seconds.csv", "text/csv", csv(data.time));
    if (data.requests.t.length) link("requests.csv", "text/csv", csv(data.requests));
  }
  draw();
})();
