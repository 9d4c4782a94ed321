// A number over the course of training: a line for each series, a bar for each standard error.
const HEIGHT = 420;
const COLOURS = 10;
const place = document.getElementById("plot");
if (place) draw();

function draw() {
  const points = JSON.parse(document.getElementById("points").textContent);
  const overTime = place.dataset.axis === "time";
  const at = (point) => (overTime ? Date.parse(point.completed_at) / 1000 : Number(point.step));
  const known = points.filter((point) => Number.isFinite(at(point)) && (overTime || point.step !== null));
  const names = [...new Set(known.map((point) => point.series))];
  // Of several evaluations of one step the newest counts.
  const xs = [...new Set(known.map(at))].sort((a, b) => a - b);
  const index = new Map(xs.map((x, position) => [x, position]));
  const byName = new Map(names.map((name) => [name, new Array(xs.length).fill(null)]));
  for (const point of known) byName.get(point.series)[index.get(at(point))] = point;
  const left = points.length - known.length;
  if (left) document.getElementById("plot-hint").textContent += ` ${left} without a step that is a number are not shown.`;

  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const axis = { stroke: colour("--soft"), grid: { stroke: colour("--edge"), width: 1 }, ticks: { stroke: colour("--edge"), width: 1 } };
  let focused = null;
  const plot = new uPlot(
    {
      width: place.clientWidth,
      height: HEIGHT,
      scales: { x: { time: overTime }, y: { range: (_plot, low, high) => around(known, low, high) } },
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
          stroke: colour(`--series-${position % COLOURS}`),
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
            place.classList.toggle("pointing", Boolean(point));
          },
        ],
      },
    },
    [xs, ...names.map((name) => byName.get(name).map((point) => point && point.value))],
    place,
  );
  plot.over.addEventListener("click", () => {
    const point = nearest(plot, names, byName, focused);
    if (point) location.href = `/ui/jobs/${point.job_id}`;
  });
  addEventListener("resize", () => plot.setSize({ width: place.clientWidth, height: HEIGHT }));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => location.reload());
  document.getElementById("png").addEventListener("click", () => save(plot.ctx.canvas));
}

function around(points, low, high) {
  const errors = points.map((point) => point.stderr || 0);
  const room = Math.max((high - low) * 0.08, Math.max(0, ...errors) * 1.2) || Math.abs(high) * 0.1 || 1;
  return [low - room, high + room];
}

function nearest(plot, names, byName, focused) {
  const { idx, top } = plot.cursor;
  if (idx === null || idx === undefined) return null;
  const here = names.map((name) => byName.get(name)[idx]).filter(Boolean);
  if (focused) {
    const point = byName.get(names[focused - 1])[idx];
    if (point) return point;
  }
  const distance = (point) => Math.abs(plot.valToPos(point.value, "y") - top);
  return here.sort((a, b) => distance(a) - distance(b))[0] || null;
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

function save(canvas) {
  const whole = document.createElement("canvas");
  whole.width = canvas.width;
  whole.height = canvas.height;
  const ctx = whole.getContext("2d");
  ctx.fillStyle = getComputedStyle(document.documentElement).getPropertyValue("--surface");
  ctx.fillRect(0, 0, whole.width, whole.height);
  ctx.drawImage(canvas, 0, 0);
  whole.toBlob((blob) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = "trends.png";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });
}
