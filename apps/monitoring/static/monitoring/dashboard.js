"use strict";
// Shows the numbers that came with the page, then asks for newer ones each five seconds.
// Everything is put in as text, never as markup. What has no samples is a dash, never 0.

const POLL_MS = 5000;
const PATIENCE_MS = 15000; // a server that takes longer to answer hangs
const LATE_MS = 5 * 60000;
const nothing = "–";
const choice = document.getElementById("choice");

const absent = (value) => value === null || value === undefined;
function number(value, digits = 0) {
  if (absent(value)) return nothing;
  const options = Math.abs(value) >= 1e8 ? { notation: "compact", maximumFractionDigits: 2 } : { maximumFractionDigits: digits };
  return value.toLocaleString("en", options);
}
const duration = (ms) => (absent(ms) ? nothing : ms < 1000 ? `${number(ms)} ms` : `${number(ms / 1000, 2)} s`);
const percent = (share) => (absent(share) ? nothing : `${number(100 * share, 1)} %`);
const money = { 2: { minimumFractionDigits: 2, maximumFractionDigits: 2 }, 4: { minimumFractionDigits: 2, maximumFractionDigits: 4 } };
const dollars = (usd, digits = 2) => (absent(usd) ? nothing : `$${usd >= 1e8 ? number(usd) : usd.toLocaleString("en", money[digits])}`);
const count = (value, one, many) => `${number(value)} ${value === 1 ? one : many}`;

function clock(iso) {
  const moment = new Date(iso);
  const time = moment.toLocaleTimeString("en", { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const today = moment.toDateString() === new Date().toDateString();
  return today ? time : `${moment.toLocaleDateString("en", { day: "numeric", month: "short" })} ${time}`;
}

function element(tag, text, className) {
  const made = document.createElement(tag);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

// A link to the form of a new rule on what is shown, for those who may make one. The threshold lies beyond what is seen now,
// two digits of it; a sum or a count belongs to the window that it is of.
const WINDOW_MINUTES = { "5m": 5, "15m": 15, "1h": 60, "6h": 360, "24h": 1440 };
const SUMS = ["sum", "count"];
function beyond(value, operator) {
  const wanted = value * (operator === "lt" ? 0.8 : 1.5);
  return Number(wanted.toPrecision(2));
}

// One failure in a quiet minute is no more than that; and all of them is as far as a share goes.
const shareBeyond = (share, operator) => (operator === "lt" ? beyond(share, operator) : Math.min(1, Math.max(0.01, beyond(share, operator))));

function ruleLink(of, text, threshold) {
  const link = element("a", text, "rule");
  const [metric, statistic, operator = "gt"] = of;
  const query = new URLSearchParams({ metric, statistic, operator });
  if (threshold) query.set("threshold", threshold);
  if (SUMS.includes(statistic)) query.set("window_minutes", WINDOW_MINUTES[choice.elements.window.value]);
  if (choice.elements.tenant.value) query.set("tenant", choice.elements.tenant.value);
  else query.set("scope", "global"); // the threshold is of all together
  link.href = `${document.body.dataset.ruleUrl}?${query}`;
  return link;
}

const mayAddRules = "ruleUrl" in document.body.dataset;

function card(title, value, note, of, now) {
  const made = element("div", "", "card");
  made.append(element("h2", title), element("b", value), element("span", note));
  if (mayAddRules) {
    const away = of[1] === "ratio" ? shareBeyond : beyond;
    const link = ruleLink(of, "+", absent(now) ? null : away(now, of[2]));
    link.title = link.ariaLabel = `Make a rule on ${title}`;
    made.append(link);
  }
  return made;
}

function showCards(s) {
  const { response_time: time, token_usage: tokens, cost, llm_calls: calls } = s;
  document.getElementById("cards").replaceChildren(
    card("Interactions", number(s.interactions.total), `in ${count(tokens.conversation_count, "conversation", "conversations")}`, ["interactions", "count"], s.interactions.total),
    card("Response p50", duration(time.p50_ms), `mean ${duration(time.mean_ms)}`, ["response_time", "p50"], time.p50_ms),
    card("Response p95", duration(time.p95_ms), count(time.sample_count, "answer", "answers"), ["response_time", "p95"], time.p95_ms),
    card("Response p99", duration(time.p99_ms), `longest ${duration(time.max_ms)}`, ["response_time", "p99"], time.p99_ms),
    card("Cost", dollars(cost.total_usd), `${dollars(cost.avg_per_conversation_usd, 4)} a conversation, ${number(cost.unpriced_interactions)} unpriced`, ["cost", "sum"], cost.total_usd),
    card("Tokens", number(tokens.total_tokens), `${number(tokens.prompt_tokens)} in, ${number(tokens.completion_tokens)} out`, ["tokens", "sum"], tokens.total_tokens),
    card("Handoff rate", percent(s.handoff.handoff_rate), count(s.handoff.total_handoffs, "handoff", "handoffs"), ["handoff_rate", "ratio"], s.handoff.handoff_rate),
    card("Error rate", percent(s.errors.error_rate), `of interactions; ${count(s.errors.total, "error", "errors")} in all`, ["error_rate", "ratio"], s.errors.error_rate),
    card("Knowledge hits", percent(s.knowledge_base.hit_rate), `${count(s.knowledge_base.total_searches, "search", "searches")}, similarity ${number(s.knowledge_base.avg_similarity_score, 2)}`, ["knowledge_hit_rate", "ratio", "lt"], s.knowledge_base.hit_rate),
    card("Model calls", number(calls.total), `${percent(calls.error_rate)} failed, p95 ${duration(calls.p95_ms)}`, ["llm_calls", "count"], calls.total),
    card("Confidence", number(s.confidence.mean, 2), `median ${number(s.confidence.p50, 2)}`, ["confidence", "mean", "lt"], s.confidence.mean),
    card("Satisfaction", number(s.feedback.mean, 2), count(s.feedback.count, "rating", "ratings"), ["feedback", "mean", "lt"], s.feedback.mean),
  );
}

const cell = (text, className) => element("td", text, className);
const figure = (text) => cell(text, "figure");

function linked(text, url) {
  const link = element("a", text);
  link.href = url;
  const made = cell("");
  made.append(link);
  return made;
}

// A heading that begins with "#" stands above figures.
function heading(name) {
  const made = element("th", name.replace("#", ""), name.startsWith("#") ? "figure" : "");
  made.scope = "col";
  return made;
}

function showTable(id, headings, rows, empty) {
  const line = (cells) => {
    const made = document.createElement("tr");
    made.append(...cells);
    return made;
  };
  const head = line(headings.map(heading));
  const body = rows.length ? [head, ...rows.map(line)] : [line([cell(empty, "empty")])];
  document.getElementById(id).replaceChildren(...body);
}

// Above everything that is drawn.
function showChartRule(points) {
  const highest = Math.max(0, ...points.map((point) => point.p95_ms ?? 0));
  const link = ruleLink(["response_time", "p95"], "make a rule", highest ? Number((highest * 1.05).toPrecision(2)) : null);
  document.getElementById("chart-rule").replaceChildren(link);
}

// Those who may not see alerts are told so: an empty list would say that all is well.
function showAlerts(data) {
  if (data.hidden) return ["firing", "history"].forEach((id) => showTable(id, [], [], data.hidden));
  showTable("firing", ["severity", "what", "#value", "#limit", "since"], data.firing.map((a) => [
    cell(a.severity, a.severity), linked(`${a.rule} for ${a.tenant}`, a.url), figure(a.seen ?? nothing), figure(a.limit),
    cell([clock(a.since), a.acknowledged && "acknowledged", a.held && `held back: ${a.held}`].filter(Boolean).join(", ")),
  ]), "Nothing fires.");
  showTable("history", ["minute", "state", "what", "why", ""], data.history.map((h) => [
    cell(clock(h.minute), "brief"), cell(h.event === "reminder" ? "still firing" : h.state, h.state), cell(`${h.rule} for ${h.tenant}`),
    cell(h.reason), cell(h.notified ? "notified" : "", "brief"),
  ]), "Nothing happened yet.");
}

function showBreakdowns(s) {
  showTable("models", ["model", "#interactions", "#share", "#cost"], Object.entries(s.model_usage).map(([name, m]) => [
    cell(name), figure(number(m.count)), figure(percent(m.share)), figure(dollars(m.cost_usd, 4)),
  ]), nothing);
  showTable("providers", ["provider", "#calls", "#failed", "#p95"], Object.entries(s.llm_calls.by_provider).map(([name, p]) => [
    cell(name), figure(number(p.count)), figure(percent(p.error_rate)), figure(duration(p.p95_ms)),
  ]), nothing);
  showTable("intents", ["intent", "#interactions", "#share"], s.intents.slice(0, 10).map((i) => [
    cell(i.intent), figure(number(i.count)), figure(percent(i.share)),
  ]), nothing);
  const reasons = (kind, counts) => Object.entries(counts).slice(0, 6).map(([name, times]) => [cell(kind), cell(name), figure(number(times))]);
  showTable("reasons", ["", "why", "#times"], [...reasons("handoff", s.handoff.by_reason), ...reasons("error", s.errors.by_operation)], nothing);
}

// A tenant comes with its first rolled-up minute. The chosen one stays, whether it is in the list or not.
function showTenants(names) {
  const picker = choice.elements.tenant;
  const chosen = picker.value;
  const wanted = [...new Set(chosen ? [...names, chosen] : names)];
  const [all, ...shown] = picker.options;
  if (wanted.join("\0") === shown.map((option) => option.value).join("\0")) return;
  picker.replaceChildren(all, ...wanted.map((name) => new Option(name, name)));
  picker.value = chosen;
}

// What there is beside the numbers: it comes without them when the hot store is away, or nothing is known of the tenant.
function showBeside(data) {
  if (!data.tenants) return;
  showTenants(data.tenants);
  showAlerts(data);
}

function show(data) {
  const s = data.summary;
  showBeside(data);
  showCards(s);
  drawChart(document.getElementById("chart"), data.points, s.from, s.to, { duration, clock, count: number });
  if (mayAddRules) showChartRule(data.points);
  showBreakdowns(s);
  if (s.complete_until === null) return say("Live.", false, "No minute is rolled up yet.");
  const lag = Date.parse(data.now) - Date.parse(s.complete_until);
  const late = lag > LATE_MS;
  say(late ? "Live, but late." : "Live.", late, `Rolled up until ${clock(s.complete_until)}, ${number(Math.max(0, lag) / 1000)} s ago.`);
}

// A screen reader reads the text aloud when it is set, even to what it was, so it is set when it changes. What changes with each
// poll is beside it and is not read aloud.
function say(text, bad, more = "") {
  const line = document.getElementById("state");
  if (line.textContent !== text) line.textContent = text;
  line.className = bad ? "bad" : "";
  document.getElementById("rolled-up").textContent = more;
}

let asking = null; // the request that is under way: an answer to an older choice must not overwrite a newer one
let timer = null;

// A page that nobody sees asks for nothing: it asks when it is shown.
function askLater() {
  if (!document.hidden) timer = setTimeout(refresh, POLL_MS);
}

async function ask(mine) {
  try {
    const query = new URLSearchParams(new FormData(choice));
    const answer = await fetch(`${document.body.dataset.url}?${query}`, { signal: mine.signal });
    const data = await answer.json();
    if (answer.ok) return show(data);
    showBeside(data);
    say(`${data.error} The numbers below are old.`, true);
  } catch {
    if (asking === mine) say("The server does not answer. The numbers below are old.", true);
  }
}

async function refresh() {
  clearTimeout(timer);
  asking?.abort();
  const mine = (asking = new AbortController());
  const patience = setTimeout(() => mine.abort(), PATIENCE_MS);
  await ask(mine);
  clearTimeout(patience);
  if (asking === mine) askLater();
}

choice.addEventListener("change", () => {
  history.replaceState(null, "", `?${new URLSearchParams(new FormData(choice))}`);
  refresh();
});
document.addEventListener("visibilitychange", () => {
  if (document.hidden) clearTimeout(timer);
  else refresh();
});

const first = JSON.parse(document.getElementById("first").textContent);
if (first.error) {
  showBeside(first);
  say(first.error, true);
} else show(first);
// On a small screen the newest minutes lie at the end of what can be scrolled.
document.getElementById("chart").parentElement.scrollLeft = Number.MAX_SAFE_INTEGER;
askLater();
