// Plots a metric over training steps: a line for each series, an error bar for each standard error.
const HEIGHT = 420;
const COLORS = 10;

let plot = null;
draw();
document.body.addEventListener("htmx:after:swap", draw);
document.addEventListener("theme", draw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
addEventListener("resize", () => plot?.setSize({ width: document.getElementById("plot").clientWidth, height: HEIGHT }));
document.addEventListener("click", (event) => event.target.id === "png" && savePicture(plot.ctx.canvas));

function draw() {
  plot?.destroy();
  plot = null;
  const container = document.getElementById("plot");
  if (!container) return;
  container.replaceChildren();
  plot = drawInto(container);
}

function drawInto(container) {
  const points = JSON.parse(document.getElementById("points").textContent);
  const overTime = container.dataset.axis === "time";
  const xOf = (point) => (overTime ? Date.parse(point.completed_at) / 1000 : Number(point.step));
  const plotted = points.filter((point) => Number.isFinite(xOf(point)) && (overTime || point.step !== null));
  const names = [...new Set(plotted.map((point) => point.series))];
  // The newest evaluation of a step is plotted.
  const xs = [...new Set(plotted.map(xOf))].sort((a, b) => a - b);
  const index = new Map(xs.map((x, position) => [x, position]));
  const byName = new Map(names.map((name) => [name, new Array(xs.length).fill(null)]));
  for (const point of plotted) byName.get(point.series)[index.get(xOf(point))] = point;
  const omitted = points.length - plotted.length;
  document.getElementById("plot-omitted").textContent = omitted ? `Points without a numeric step are omitted: ${omitted}.` : "";

  const axis = { stroke: color("--soft"), grid: { stroke: color("--edge"), width: 1 }, ticks: { stroke: color("--edge"), width: 1 } };
  let focused = null;
  const plot = new uPlot(
    {
      width: container.clientWidth,
      height: HEIGHT,
      scales: { x: { time: overTime }, y: { range: (_plot, low, high) => yRange(plotted, low, high) } },
      cursor: { focus: { prox: 30 }, points: { size: 9 } },
      focus: { alpha: 0.35 },
      axes: [
        { ...axis, label: overTime ? undefined : "step", labelSize: 22, space: 90 },
        { ...axis, size: 64 },
      ],
      series: [
        { label: overTime ? "time" : "step" },
        ...names.map((name, position) => ({
          label: name,
          stroke: color(`--series-${position % COLORS}`),
          width: 2,
          spanGaps: true,
          points: { show: true, size: 7 },
        })),
      ],
      hooks: {
        draw: [(self) => drawErrors(self, names.map((name) => byName.get(name)))],
        setSeries: [(_self, position) => (focused = position)],
        setCursor: [
          (self) => {
            const point = focused && self.cursor.idx !== null && byName.get(names[focused - 1])?.[self.cursor.idx];
            container.classList.toggle("pointing", Boolean(point));
          },
        ],
      },
    },
    [xs, ...names.map((name) => byName.get(name).map((point) => point && point.value))],
    container,
  );
  plot.over.addEventListener("click", () => {
    const point = findNearest(plot, names, byName, focused);
    if (point) location.href = `/ui/jobs/${point.job_id}`;
  });
  return plot;
}

// The canvas needs the color that a name stands for in the current theme.
function color(name) {
  const probe = document.getElementById("plot");
  probe.style.color = `var(${name})`;
  const value = getComputedStyle(probe).color;
  probe.style.color = "";
  return value;
}

function yRange(points, low, high) {
  const errors = points.map((point) => point.stderr || 0);
  const margin = Math.max((high - low) * 0.08, Math.max(0, ...errors) * 1.2) || Math.abs(high) * 0.1 || 1;
  return [low - margin, high + margin];
}

function findNearest(plot, names, byName, focused) {
  const { idx, top } = plot.cursor;
  if (idx === null || idx === undefined) return null;
  const candidates = names.map((name) => byName.get(name)[idx]).filter(Boolean);
  if (focused) {
    const point = byName.get(names[focused - 1])[idx];
    if (point) return point;
  }
  const distance = (point) => Math.abs(plot.valToPos(point.value, "y") - top);
  return candidates.sort((a, b) => distance(a) - distance(b))[0] || null;
}

function drawErrors(plot, rows) {
  const { ctx } = plot;
  ctx.save();
  rows.forEach((row, position) => {
    const series = plot.series[position + 1];
    if (!series.show) return;
    ctx.strokeStyle = series.stroke(plot, position + 1);
    ctx.lineWidth = devicePixelRatio;
    for (const [index, point] of row.entries()) {
      if (!point || !point.stderr) continue;
      const x = Math.round(plot.valToPos(plot.data[0][index], "x", true)) + 0.5;
      ctx.beginPath();
      ctx.moveTo(x, plot.valToPos(point.value - point.stderr, "y", true));
      ctx.lineTo(x, plot.valToPos(point.value + point.stderr, "y", true));
      ctx.stroke();
    }
  });
  ctx.restore();
}

function savePicture(canvas) {
  const picture = document.createElement("canvas");
  picture.width = canvas.width;
  picture.height = canvas.height;
  const ctx = picture.getContext("2d");
  ctx.fillStyle = color("--surface");
  ctx.fillRect(0, 0, picture.width, picture.height);
  ctx.drawImage(canvas, 0, 0);
  picture.toBlob((blob) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = "trends.png";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });
}
