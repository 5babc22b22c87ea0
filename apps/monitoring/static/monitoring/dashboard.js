"use strict";
// Polls the numbers each five seconds. Everything is put in as text, never as markup.

const POLL_MS = 5000;
const nothing = "–";
const choice = document.getElementById("choice");

const number = (value, digits = 0) =>
  value === null || value === undefined ? nothing : value.toLocaleString("en", { maximumFractionDigits: digits });
const seconds = (ms) => (ms === null ? nothing : `${number(ms / 1000, 2)} s`);
const percent = (share) => (share === null ? nothing : `${number(100 * share, 1)} %`);
const dollars = (usd, digits = 2) => (usd === null || usd === undefined ? nothing : `$${number(usd, digits)}`);
const clock = (iso) => new Date(iso).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });

function element(tag, text, className) {
  const made = document.createElement(tag);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

function card(title, value, note) {
  const made = element("div", "", "card");
  made.append(element("h2", title), element("b", value), element("span", note));
  return made;
}

function cards(s) {
  const models = Object.keys(s.cost.by_model).length;
  document.getElementById("cards").replaceChildren(
    card("Interactions", number(s.interactions.total), `${number(s.interactions.answered)} answered`),
    card("Response p50", seconds(s.response_time.p50_ms), `mean ${seconds(s.response_time.mean_ms)}`),
    card("Response p95", seconds(s.response_time.p95_ms), `max ${seconds(s.response_time.max_ms)}`),
    card("Response p99", seconds(s.response_time.p99_ms), `${number(s.response_time.sample_count)} samples`),
    card("Cost", dollars(s.cost.total_usd), `${models} models, ${number(s.cost.unpriced_interactions)} unpriced`),
    card("Per conversation", dollars(s.cost.avg_per_conversation_usd, 4), `${number(s.token_usage.conversation_count)} conversations`),
    card("Tokens", number(s.token_usage.total_tokens), `${number(s.token_usage.completion_tokens)} completion`),
    card("Handoff rate", percent(s.handoff.handoff_rate), `${number(s.handoff.total_handoffs)} handoffs`),
    card("Knowledge hits", percent(s.knowledge_base.hit_rate), `similarity ${number(s.knowledge_base.avg_similarity_score, 2)}`),
    card("Error rate", percent(s.errors.error_rate), `${number(s.errors.total)} errors`),
    card("Confidence", number(s.confidence.mean, 2), `p50 ${number(s.confidence.p50, 2)}`),
    card("Model calls", number(s.llm_calls.total), `${percent(s.llm_calls.error_rate)} failed, p95 ${seconds(s.llm_calls.p95_ms)}`),
    card("Satisfaction", number(s.feedback.mean, 2), `${number(s.feedback.count)} answers`),
  );
}

function table(id, rows, empty) {
  const body = rows.map((cells) => {
    const row = document.createElement("tr");
    row.append(...cells);
    return row;
  });
  if (!body.length) {
    const row = document.createElement("tr");
    row.append(element("td", empty));
    body.push(row);
  }
  document.getElementById(id).replaceChildren(...body);
}

function shape(tag, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

function chart(points, from, to) {
  const svg = document.getElementById("chart");
  const [left, right, top, bottom] = [50, 850, 15, 190];
  const start = Date.parse(from), end = Date.parse(to);
  const x = (iso) => left + ((Date.parse(iso) - start) / (end - start)) * (right - left);
  const width = Math.max(1, ((right - left) * 60000) / (end - start) - 1);
  const slowest = Math.max(1, ...points.map((p) => p.p95_ms ?? 0));
  const busiest = Math.max(1, ...points.map((p) => p.interactions));
  const y = (ms) => bottom - (ms / slowest) * (bottom - top);
  const parts = [shape("line", { x1: left, x2: right, y1: bottom, y2: bottom })];
  for (const p of points) {
    const height = (p.interactions / busiest) * (bottom - top);
    const bar = shape("rect", { x: x(p.minute), y: bottom - height, width, height });
    bar.append(shape("title", {}, `${clock(p.minute)}: ${p.interactions} interactions, p95 ${seconds(p.p95_ms)}`));
    parts.push(bar);
  }
  const answered = points.filter((p) => p.p95_ms !== null);
  parts.push(shape("polyline", { points: answered.map((p) => `${x(p.minute) + width / 2},${y(p.p95_ms)}`).join(" ") }));
  for (const p of answered) parts.push(shape("circle", { cx: x(p.minute) + width / 2, cy: y(p.p95_ms), r: 2.5 }));
  parts.push(
    shape("text", { x: left - 6, y: top + 10, "text-anchor": "end" }, seconds(slowest)),
    shape("text", { x: right + 6, y: top + 10 }, number(busiest)),
    shape("text", { x: left, y: bottom + 20 }, clock(from)),
    shape("text", { x: right, y: bottom + 20, "text-anchor": "end" }, clock(to)),
  );
  if (!points.length) parts.push(shape("text", { x: 450, y: 100, "text-anchor": "middle" }, "no complete minute yet"));
  svg.replaceChildren(...parts);
}

function show(data) {
  const s = data.summary;
  cards(s);
  chart(data.points, s.from, s.to);
  table("firing", data.firing.map((a) => [
    element("td", a.severity, a.severity), element("td", `${a.rule} for ${a.tenant}`),
    element("td", `${number(a.value, 3)} (${number(a.threshold, 3)})`, "number"), element("td", `since ${clock(a.since)}`),
  ]), "nothing fires");
  table("history", data.history.map((h) => [
    element("td", clock(h.minute)), element("td", h.state, h.state), element("td", `${h.rule} for ${h.tenant}`),
    element("td", h.reason), element("td", h.notified ? "notified" : ""),
  ]), "nothing happened yet");
  table("models", Object.entries(s.model_usage).map(([name, m]) => [
    element("td", name), element("td", number(m.count), "number"), element("td", percent(m.share), "number"), element("td", dollars(m.cost_usd, 4), "number"),
  ]), nothing);
  table("intents", s.intents.slice(0, 10).map((i) => [
    element("td", i.intent), element("td", number(i.count), "number"), element("td", percent(i.share), "number"),
  ]), nothing);
  const reasons = [...Object.entries(s.handoff.by_reason).map((e) => ["handoff", ...e]), ...Object.entries(s.errors.by_operation).map((e) => ["error", ...e])];
  table("reasons", reasons.slice(0, 12).map(([kind, name, count]) => [element("td", kind), element("td", name), element("td", number(count), "number")]), nothing);
  const complete = s.complete_until === null ? "no minute is rolled up yet" : `complete until ${clock(s.complete_until)}`;
  state(`Live at ${new Date(data.now).toLocaleTimeString()}, ${complete}`, false);
}

function state(text, bad) {
  const line = document.getElementById("state");
  line.textContent = text;
  line.className = bad ? "bad" : "";
}

async function refresh() {
  const query = new URLSearchParams(new FormData(choice));
  try {
    const answer = await fetch(`${document.body.dataset.url}?${query}`, { headers: { accept: "application/json" } });
    const data = await answer.json();
    if (answer.ok) show(data);
    else state(data.error, true);
  } catch {
    state("The server does not answer; the numbers below are old.", true);
  }
}

choice.addEventListener("change", () => {
  history.replaceState(null, "", `?${new URLSearchParams(new FormData(choice))}`);
  refresh();
});
refresh();
setInterval(refresh, POLL_MS);
