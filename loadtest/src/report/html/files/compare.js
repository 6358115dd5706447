"use strict";
// Overlays the hit rates, backing store reads and latencies of several runs. Fetches nothing.
(() => {
  const { trim, percent, short, millis, axes, line, legend } = Charts;
  const data = JSON.parse(document.getElementById("run").textContent);
  const root = document.documentElement;
  const one = (id) => document.getElementById(id);
  const TONES = ["measured", "predicted", "unaffected", "affected", "r-expired", "r-node_cold", "r-evicted", "warm"];
  const DASHES = [undefined, [8, 4], [2, 4]];
  root.classList.add("scripted");
  const charts = [];
  // uPlot wants one x for all: the union of the runs' own, null where a run has none.
  const xs = [...new Set(data.flatMap((run) => run.x))].sort((a, b) => a - b);
  const on = (run, name) => { const known = new Map(run.x.map((x, i) => [x, run[name][i]])); return xs.map((x) => known.get(x) ?? null); };
  const build = (id, name, y) => {
    const holder = one(id);
    holder.textContent = "";
    charts.push(new uPlot({
      width: Math.max(holder.clientWidth - 20, 280), height: 280, padding: [10, 14, 0, 0],
      scales: { x: { time: false }, y: y.scale },
      axes: axes("seconds since the first event (or the start)", y.format, y.label, y.log),
      series: [{ label: "at", value: (_, v) => (v == null ? "–" : trim(v, 1) + " s") }, ...data.map((run, at) => line(run.name, TONES[at % TONES.length], y.value, { width: at === 0 ? 2.4 : 1.6, dash: DASHES[Math.floor(at / TONES.length) % DASHES.length], spanGaps: true }))],
      cursor: { sync: { key: "compare" }, drag: { x: true, y: false }, points: { size: 6 } },
      legend,
    }, [xs, ...data.map((run) => on(run, name))], holder));
  };
  const draw = () => {
    charts.splice(0).forEach((chart) => chart.destroy());
    build("chart-hit", "hit", { scale: { range: () => [0, 1] }, format: (v) => trim(v * 100, 0) + " %", value: percent, label: "hit rate" });
    build("chart-backend", "backend", { scale: { range: (_, min, max) => [0, Math.max(max || 0, 1) * 1.06] }, format: short, value: short, label: "reads/s" });
    build("chart-latency", "p99", { scale: { distr: 3, log: 10 }, format: millis, value: millis, label: "p99", log: true });
  };
  one("theme").addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    draw();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  let resizing = 0;
  addEventListener("resize", () => { clearTimeout(resizing); resizing = setTimeout(draw, 120); });
  Charts.onPaper(draw);
  draw();
})();
