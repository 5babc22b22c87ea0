"use strict";
// Bars (interactions, right axis) and a line (p95, left axis), one of each a minute. A minute without an answer breaks the line.

const MINUTE_MS = 60000;
const FRAME = { left: 60, right: 850, top: 12, bottom: 190 };

function shape(tag, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

// The smallest round number that is not below the value.
function ceiling(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 1.5, 2, 3, 4, 5, 6, 8, 10].find((step) => step * power >= value) * power;
}

function scale(values, least) {
  const top = ceiling(Math.max(least, ...values));
  return { top, y: (value) => FRAME.bottom - (value / top) * (FRAME.bottom - FRAME.top) };
}

function grid(slow, busy, format) {
  return [0, 0.5, 1].flatMap((share) => {
    const y = slow.y(share * slow.top);
    return [
      shape("line", { x1: FRAME.left, x2: FRAME.right, y1: y, y2: y }),
      shape("text", { x: FRAME.left - 8, y: y + 4, "text-anchor": "end" }, format.duration(share * slow.top)),
      shape("text", { x: FRAME.right + 8, y: y + 4 }, format.count(share * busy.top)),
    ];
  });
}

// One polyline for each stretch of minutes that follow each other.
function lines(answered, x, y) {
  const stretches = [];
  let before = null;
  for (const point of answered) {
    const moment = Date.parse(point.minute);
    if (before === null || moment - before > MINUTE_MS) stretches.push([]);
    stretches.at(-1).push(`${x(moment)},${y(point.p95_ms)}`);
    before = moment;
  }
  return stretches.map((points) => shape("polyline", { points: points.join(" ") }));
}

function drawChart(svg, points, from, to, format) {
  const [start, end] = [Date.parse(from), Date.parse(to)];
  const x = (moment) => FRAME.left + ((moment - start) / (end - start)) * (FRAME.right - FRAME.left);
  const width = x(start + MINUTE_MS) - x(start);
  const answered = points.filter((point) => point.p95_ms !== null);
  const slow = scale(answered.map((point) => point.p95_ms), 1000);
  const busy = scale(points.map((point) => point.interactions), 10);
  const bars = points.map((point) => {
    const [left, top] = [x(Date.parse(point.minute)), busy.y(point.interactions)];
    const bar = shape("rect", { x: left + width * 0.06, y: top, width: width * 0.88, height: FRAME.bottom - top });
    const told = `${format.clock(point.minute)}: ${format.count(point.interactions)} interactions, p95 ${format.duration(point.p95_ms)}`;
    bar.append(shape("title", {}, told));
    return bar;
  });
  const middle = (moment) => x(moment) + width / 2;
  // Dots where minutes are wide enough; a minute without neighbours is seen by its dot alone.
  const radius = width > 6 ? 2.5 : 1;
  const dots = answered.map((point) => shape("circle", { cx: middle(Date.parse(point.minute)), cy: slow.y(point.p95_ms), r: radius }));
  svg.replaceChildren(
    ...grid(slow, busy, format), ...bars, ...lines(answered, middle, slow.y), ...dots,
    shape("text", { x: FRAME.left, y: FRAME.bottom + 20 }, format.clock(from)),
    shape("text", { x: FRAME.right, y: FRAME.bottom + 20, "text-anchor": "end" }, format.clock(to)),
  );
  if (!points.length) svg.append(shape("text", { x: 455, y: 95, "text-anchor": "middle" }, "no rolled-up minute in this window"));
}
