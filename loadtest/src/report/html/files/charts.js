"use strict";
// What the charts of the report and of the live page share: numbers, colours, axes, lines.
const Charts = (() => {
  const root = document.documentElement;
  const color = (name) => getComputedStyle(root).getPropertyValue("--" + name).trim();

  const trim = (value, digits) => String(Number(value.toFixed(digits)));
  const percent = (v) => (v == null ? "–" : (v * 100).toFixed(1) + " %");
  const grouped = (text) => text.replace(/\B(?=(\d{3})+$)/g, ",");
  const short = (v) => {
    if (v == null) return "–";
    const a = Math.abs(v);
    if (a >= 1e3 && a < 1e4) return grouped(trim(v, 0));
    return a >= 1e9 ? trim(v / 1e9, 1) + " G" : a >= 1e6 ? trim(v / 1e6, 1) + " M" : a >= 1e4 ? trim(v / 1e3, 1) + " k" : trim(v, a < 10 ? 1 : 0);
  };
  const millis = (v) => (v == null ? "–" : v >= 1000 ? trim(v / 1000, 2) + " s" : v >= 1 ? trim(v, 1) + " ms" : trim(v * 1000, 0) + " µs");

  // Steps between the marks of an x axis: 12.5 s would be written 13.
  const WHOLE = [...Array(10).keys()].flatMap((power) => [1, 2, 5].map((step) => step * 10 ** power));
  // Of a logarithmic axis: powers of ten; where there are too few of them to read anything off, 1, 2 and 5 of each.
  const leads = (v, of) => of.some((lead) => { const at = Math.log10(v / lead); return Math.abs(at - Math.round(at)) < 1e-6; });
  const decades = (_, ticks) => {
    const of = ticks.filter((v) => leads(v, [1])).length > 2 ? [1] : [1, 2, 5];
    return ticks.map((v) => (leads(v, of) ? v : null));
  };
  // Axes of a chart over the run; `log` for a logarithmic y.
  const axes = (xLabel, yValues, yLabel, log) => {
    const base = { stroke: color("soft"), font: "11px system-ui, sans-serif", grid: { stroke: color("rule"), width: 1 }, ticks: { stroke: color("rule"), width: 1, size: 4 } };
    return [
      { ...base, grid: { show: false }, incrs: WHOLE, values: (_, ticks) => ticks.map(short), label: xLabel, labelSize: 18, labelFont: "11px system-ui, sans-serif", size: 30 },
      { ...base, ...(log ? { filter: decades, grid: { ...base.grid, filter: decades }, ticks: { ...base.ticks, filter: decades } } : {}), values: (_, ticks) => ticks.map((v) => (v == null ? "" : yValues(v))), size: 62, label: yLabel, labelSize: 16, labelFont: "11px system-ui, sans-serif" },
    ];
  };
  const line = (label, name, format, more) => ({ label, stroke: color(name), width: 1.4, value: (_, v) => format(v), points: { show: false }, spanGaps: false, ...more });
  const legend = { live: true, markers: { dash: (u, i) => (u.series[i].dash ? (u.series[i].dash[0] < 4 ? "dotted" : "dashed") : "solid") } };

  // Dotted lines where events happened, labelled if `labelled`. `events()` gives {label, x}.
  const eventLines = (events, labelled) => (u) => {
    const ctx = u.ctx, scale = devicePixelRatio;
    let labelEnd = -Infinity;
    ctx.save();
    ctx.font = "600 " + 11 * scale + "px system-ui, sans-serif"; ctx.textAlign = "left";
    events().forEach((event) => {
      const x = u.valToPos(event.x, "x", true);
      if (x < u.bbox.left - 1 || x > u.bbox.left + u.bbox.width + 1) return;
      ctx.strokeStyle = color("event"); ctx.globalAlpha = 0.65; ctx.lineWidth = scale; ctx.setLineDash([2 * scale, 3 * scale]);
      ctx.beginPath(); ctx.moveTo(x, u.bbox.top - 4 * scale); ctx.lineTo(x, u.bbox.top + u.bbox.height); ctx.stroke();
      ctx.globalAlpha = 1;
      if (labelled(u)) {
        const text = event.label.slice(0, 32), width = ctx.measureText(text).width;
        const start = Math.min(Math.max(x - width / 2, u.bbox.left), u.bbox.left + u.bbox.width - width);
        if (start > labelEnd) { ctx.fillStyle = color("ink"); ctx.fillText(text, start, u.bbox.top - 9 * scale); labelEnd = start + width + 10 * scale; }
      }
    });
    ctx.restore();
  };

  // On paper everything is light, whatever the screen is.
  const onPaper = (redraw) => {
    let theme;
    addEventListener("beforeprint", () => { theme = root.dataset.theme; root.dataset.theme = "light"; redraw(); });
    addEventListener("afterprint", () => { if (theme) root.dataset.theme = theme; else delete root.dataset.theme; redraw(); });
  };

  return { onPaper, color, trim, percent, short, millis, decades, axes, line, legend, eventLines };
})();
