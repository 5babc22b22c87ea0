"use strict";
// The panel of the rule's form: sends the form as it stands, shows what the rule would have done, drawn over its value.
// Everything is put in as text, never as markup.

const panel = document.getElementById("tryout");
const asked = panel.querySelector(".asked");
const found = panel.querySelector(".found");
const sheet = panel.closest("form");
const chosen = (name) => document.getElementById(`try_${name}`);
const buttons = [chosen("backtest"), chosen("suggest")];

const plain = (value, digits = 4) => value.toLocaleString("en", { maximumSignificantDigits: digits });
const units = {
  ms: (value) => (Math.abs(value) < 1000 ? `${plain(value, 3)} ms` : `${plain(value / 1000, 3)} s`),
  USD: (value) => `$${plain(value)}`,
  share: (value) => `${plain(value * 100, 3)} %`,
  "%": (value) => `${plain(value)} %`,
};
const measured = (value, unit) => (units[unit] || ((number) => plain(number)))(value);

function when(iso, withDay = true) {
  const moment = new Date(iso);
  const part = (options) => moment.toLocaleString("en", { timeZone: "UTC", ...options });
  const time = part({ hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  return withDay ? `${part({ day: "numeric", month: "short" })} ${time}` : time;
}

function piece(tag, text = "", className = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

function action(text, run) {
  const made = piece("button", text, "button");
  made.type = "button";
  made.addEventListener("click", run);
  return made;
}

// A little air around the values and the limits, from zero on unless there are values below it.
function range(values) {
  const [low, high] = [Math.min(0, ...values), Math.max(...values)];
  const span = high - low || Math.abs(high) || 1;
  return low < 0 ? { low: low - span * 0.05, high: high + span * 0.08 } : { low: 0, high: ceiling(high + span * 0.02) };
}

// Stretches of points that follow each other: the line breaks where there is no value.
function stretches(chart) {
  const made = [];
  let open = false;
  chart.least.forEach((low, index) => {
    if (low !== null) {
      if (!open) made.push([]);
      made.at(-1).push(index);
    }
    open = low !== null;
  });
  return made;
}

function limit(name, value, y, unit) {
  const at = y(value);
  return [
    shape("line", { class: name, x1: FRAME.left, x2: FRAME.right, y1: at, y2: at }),
    shape("text", { class: name, x: FRAME.right + 6, y: at + 4 }, measured(value, unit)),
  ];
}

// As many marks as there is room for, at round hours.
function marks(start, end, x) {
  const hours = [0.25, 0.5, 1, 2, 3, 6, 12, 24, 48, 120].find((step) => (end - start) / (step * 3600e3) <= 8) || 240;
  const step = hours * 3600e3;
  const made = [];
  for (let at = Math.ceil(start / step) * step; at <= end; at += step) {
    made.push(
      shape("line", { class: "grid", x1: x(at), x2: x(at), y1: FRAME.bottom, y2: FRAME.bottom + 4 }),
      shape("text", { x: x(at), y: FRAME.bottom + 18, "text-anchor": "middle" }, when(at, hours >= 12 || new Date(at).getUTCHours() === 0)),
    );
  }
  return made;
}

function drawn(chart, body) {
  const svg = shape("svg", { viewBox: "0 0 920 220", role: "img", "aria-label": `${body.condition}: ${body.summary}` });
  const [start, end, step] = [Date.parse(body.from), Date.parse(body.to), chart.step_seconds * 1000];
  const limits = [chart.threshold, ...(chart.recovery_threshold === null ? [] : [chart.recovery_threshold])];
  const values = [...chart.least, ...chart.greatest].filter((value) => value !== null);
  const { low, high } = range([...values, ...limits]);
  const x = (moment) => FRAME.left + ((moment - start) / (end - start)) * (FRAME.right - FRAME.left);
  const y = (value) => FRAME.bottom - ((value - low) / (high - low)) * (FRAME.bottom - FRAME.top);
  const middle = (index) => x(Math.min(start + (index + 0.5) * step, end));
  for (const share of [0, 0.5, 1]) {
    const value = low + share * (high - low);
    svg.append(
      shape("line", { class: "grid", x1: FRAME.left, x2: FRAME.right, y1: y(value), y2: y(value) }),
      shape("text", { x: FRAME.left - 8, y: y(value) + 4, "text-anchor": "end" }, measured(value, body.unit)),
    );
  }
  for (const one of chart.episodes) {
    const [from, to] = [Date.parse(one.from), one.to === null ? end : Date.parse(one.to)];
    const left = x(from);
    const box = shape("rect", { class: "firing", x: left, y: FRAME.top, width: Math.max(2, x(to) - left), height: FRAME.bottom - FRAME.top });
    box.append(shape("title", {}, `fires from ${when(one.from)} ${one.to === null ? "on" : `to ${when(one.to)}`} UTC`));
    svg.append(box);
  }
  for (const own of stretches(chart)) {
    const upper = own.map((index) => `${middle(index)},${y(chart.greatest[index])}`);
    const lower = own.map((index) => `${middle(index)},${y(chart.least[index])}`);
    svg.append(shape("polygon", { class: "between", points: [...upper, ...lower.reverse()].join(" ") }));
    svg.append(shape("polyline", { class: "value", points: upper.join(" ") }));
    if (step > MINUTE_MS) svg.append(shape("polyline", { class: "value", points: lower.join(" ") }));
    if (own.length === 1) svg.append(shape("circle", { class: "value", cx: middle(own[0]), cy: y(chart.greatest[own[0]]), r: 2 }));
  }
  svg.append(...limit("threshold", chart.threshold, y, body.unit));
  if (chart.recovery_threshold !== null) svg.append(...limit("recovery", chart.recovery_threshold, y, body.unit));
  svg.append(...marks(start, end, x));
  if (!values.length) svg.append(shape("text", { x: 455, y: 95, "text-anchor": "middle" }, "no value in this range: too few samples, or none"));
  return svg;
}

function legend(chart) {
  const made = piece("p", "", "legend");
  const step = chart.step_seconds / 60;
  made.append(piece("span", step > 1 ? `value, least and greatest of ${step} minutes` : "value by minute", "key value"));
  made.append(piece("span", "threshold", "key threshold"));
  if (chart.recovery_threshold !== null) made.append(piece("span", "recovery threshold", "key recovery"));
  made.append(piece("span", "would have fired", "key firing"), piece("span", "times are UTC", "zone"));
  return made;
}

function figure(body) {
  const made = piece("figure");
  const whose = body.chart.tenant === null ? "all tenants together" : body.chart.tenant;
  const scroll = piece("div", "", "scroll");
  scroll.append(drawn(body.chart, body));
  made.append(piece("figcaption", `${body.condition} – ${whose}`), scroll, legend(body.chart));
  return made;
}

function heading(name) {
  const made = piece("th", name);
  made.scope = "col";
  return made;
}

function worst(body) {
  const table = piece("table", "", "worst");
  const head = piece("tr");
  head.append(...["tenant", "fired", "minutes", "flaps", ""].map(heading));
  table.append(head);
  for (const one of body.worst) {
    const line = piece("tr");
    const cells = [one.fired, one.firing_minutes, one.flaps].map((number) => piece("td", number.toLocaleString("en"), "figure"));
    const show = piece("td");
    show.append(action("draw", () => ask({}, one.tenant)));
    line.append(piece("td", one.tenant), ...cells, show);
    table.append(line);
  }
  const more = body.tenants_fired - body.worst.length;
  const made = piece("details");
  made.open = body.worst.length <= 10;
  made.append(piece("summary", `${body.tenants_fired.toLocaleString("en")} of ${body.tenants_tried.toLocaleString("en")} tenants would have had alerts`), table);
  if (more > 0) made.append(piece("p", `and ${more.toLocaleString("en")} more`, "help"));
  return made;
}

function showBacktest(body) {
  const often = body.fired ? `, about ${plain(body.per_week, 2)} a week` : "";
  const parts = [piece("p", `It ${body.summary}${often}.`, "conclusion")];
  const told = body.notifications ? ` and notified ${body.notifications.toLocaleString("en")} times, reminders and ends included` : "";
  parts.push(piece("p", `From ${when(body.from)} to ${when(body.to)} UTC${told}.`, "help"));
  if (body.is_cut) {
    const numbers = `${body.tenants_tried.toLocaleString("en")} of ${body.tenants.toLocaleString("en")} tenants`;
    parts.push(piece("p", `There was time for ${numbers}, those with the most alerts first: all of them would have had more. Choose one tenant or a shorter range.`, "errornote"));
  }
  if (body.chart) parts.push(figure(body));
  else parts.push(piece("p", body.undrawn, "help"));
  if (body.is_each && body.worst.length) parts.push(worst(body));
  found.replaceChildren(...parts);
}

function fill(id, value) {
  const field = document.getElementById(id);
  field.value = value === null ? "" : String(value);
  field.dispatchEvent(new Event("change", { bubbles: true }));
}

function showSuggestion(body) {
  const basis = body.computed_from;
  const from = `Computed from ${basis.values.toLocaleString("en")} values of ${basis.tenants.toLocaleString("en")} ${basis.tenants === 1 ? "tenant" : "tenants"}, ${when(body.from)} to ${when(body.to)} UTC.`;
  if (body.threshold === null) return found.replaceChildren(piece("p", `No threshold: ${body.reason}.`, "conclusion"), piece("p", from, "help"));
  const back = body.recovery_threshold === null ? "" : `, recovery ${measured(body.recovery_threshold, body.unit)}`;
  const said = piece("p", `${measured(body.threshold, body.unit)}${back}: ${body.reason}. `, "conclusion");
  said.append(action("Use it", () => {
    fill("id_threshold", body.threshold);
    fill("id_recovery_threshold", body.recovery_threshold);
    ask({});
  }));
  found.replaceChildren(said, piece("p", from, "help"));
}

// Where Django shows its own complaints: above the field.
function complain(errors) {
  const rest = [];
  for (const [name, texts] of Object.entries(errors)) {
    const row = document.querySelector(`.field-${CSS.escape(name)}`);
    if (!row) {
      rest.push(...texts);
      continue;
    }
    const list = piece("ul", "", "errorlist try");
    list.append(...texts.map((text) => piece("li", text)));
    row.classList.add("errors", "try-errors");
    row.prepend(list);
  }
  const first = document.querySelector(".try-errors");
  if (first) first.scrollIntoView({ block: "center" });
  found.replaceChildren(piece("p", rest.join(" ") || "The rule cannot work as it stands: see the fields in red.", "errornote"));
}

function forget() {
  for (const list of document.querySelectorAll("ul.try")) list.remove();
  for (const row of document.querySelectorAll(".try-errors")) row.classList.remove("errors", "try-errors");
}

// How far it is: a bar that fills while minutes are read and judged, and only moves while thresholds are tried.
const bar = piece("progress");
const done = piece("span", "", "done");
const busy = piece("label", "", "busy");
busy.append(done, bar);

function show(share) {
  if (share === null) bar.removeAttribute("value");
  else bar.value = share;
  done.textContent = share === null ? "Trying thresholds …" : `Judging stored minutes: ${Math.floor(share * 100)} %`;
  if (!busy.isConnected) found.before(busy);
}

// The lines of an answer as they come, each of them JSON.
async function* lines(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done: ended } = await reader.read();
    if (ended) return;
    const whole = (rest + value).split("\n");
    rest = whole.pop();
    for (const line of whole) yield JSON.parse(line);
  }
}

// The last line is the answer; the ones before say how much is done.
async function told(answer) {
  const type = answer.headers.get("Content-Type") || "";
  if (type.startsWith("application/json")) return answer.json();
  if (!type.startsWith("application/x-ndjson")) return {};
  for await (const line of lines(answer)) {
    if (!("share" in line)) return line;
    show(line.share);
  }
  return { error: "The server broke off." };
}

let asking = null;

async function ask(more, tenant) {
  asking?.abort();
  const mine = (asking = new AbortController());
  forget();
  if (tenant !== undefined) chosen("tenant").value = tenant;
  const form = new FormData(sheet);
  const given = { try_range: chosen("range").value, try_tenant: chosen("tenant").value.trim(), ...more };
  for (const [name, value] of Object.entries(given)) form.append(name, value);
  for (const button of buttons) button.disabled = true;
  panel.setAttribute("aria-busy", "true");
  show(0);
  try {
    const answer = await fetch(panel.dataset.url, { method: "POST", body: form, signal: mine.signal, headers: { Accept: "application/x-ndjson, application/json" } });
    const body = await told(answer);
    if (body.errors) complain(body.errors);
    else if (body.error || !answer.ok) found.replaceChildren(piece("p", body.error || "The server refused: load the page again, you may be signed out.", "errornote"));
    else if ("computed_from" in body) showSuggestion(body);
    else showBacktest(body);
  } catch {
    if (!mine.signal.aborted) found.replaceChildren(piece("p", "The server does not answer.", "errornote"));
  }
  if (asking === mine) {
    busy.remove();
    for (const button of buttons) button.disabled = false;
    panel.removeAttribute("aria-busy");
  }
}

// Only a rule for every tenant has tenants to choose from.
function whom() {
  const scope = document.getElementById("id_scope");
  panel.querySelector(".whom").hidden = scope !== null && scope.value !== "every_tenant";
}

asked.hidden = panel.querySelector("p.help[hidden]").hidden = false;
document.getElementById("id_scope")?.addEventListener("change", whom);
whom();
chosen("backtest").addEventListener("click", () => ask({}));
chosen("suggest").addEventListener("click", () => ask({ try_per_week: chosen("per_week").value }));
// Enter in the panel tries; it does not save the rule.
for (const field of asked.querySelectorAll("input, select")) {
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    (field.id === "try_per_week" ? chosen("suggest") : chosen("backtest")).click();
  });
}
