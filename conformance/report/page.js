"use strict";
/* Shows the document that report.schema.json describes. What strangers said is text and never markup: nothing here uses innerHTML. */

const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);

const VERDICTS = {
  "pass": ["✓", "good", "pass"],
  "non-strict": ["≈", "doubt", "non-strict"],
  "fail": ["✗", "bad", "fail"],
  "inconclusive": ["?", "doubt", "inconclusive"],
  "not-supported": ["–", "other", "not supported"],
  "harness-error": ["!", "bad", "harness error"],
};
const WORST_FIRST = ["harness-error", "fail", "inconclusive", "non-strict", "pass", "not-supported"];
const good = (run) => run.verdict === "pass" || run.verdict === "non-strict";

/* An element with attributes and children; a text becomes a text node. */
function el(name, attributes, ...children) {
  const svg = ["svg", "g", "line", "path", "rect", "text", "title", "desc"].includes(name);
  const element = svg ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {}))
    if (value !== null && value !== undefined && value !== false)
      element.setAttribute(key, value === true ? "" : value);
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

function mark(verdict, standing) {
  const [sign, colour, words] = VERDICTS[verdict];
  const known = standing === "expected" ? ", known" : standing === "alarm" ? ", no longer as expected" : "";
  const shade = standing === "expected" ? "doubt" : standing === "alarm" ? "bad" : colour;
  return el("span", { class: "mark " + shade }, el("span", { "aria-hidden": "true" }, (standing === "alarm" ? "⚑" : sign) + " "), words + known);
}

function worst(runs) {
  const standings = ["bad", "alarm", "expected", "good"];
  let found = null;
  for (const run of runs) {
    const rank = standings.indexOf(run.standing) * 10 + WORST_FIRST.indexOf(run.verdict);
    if (!found || rank < found.rank)
      found = { rank, run };
  }
  return found && found.run;
}

/* ---- what belongs together ---- */

const scenarios = new Map(data.scenarios.map((scenario) => [scenario.path, scenario]));
const requirements = new Map(data.requirements.map((requirement) => [requirement.id, requirement]));
for (const scenario of data.scenarios) {
  scenario.runs = [];
  scenario.id = `s-${scenario.subject}-${scenario.name}`;
}
for (const run of data.runs) scenarios.get(run.path).runs.push(run);
const backends = [...new Set(data.runs.map((run) => run.backend))];

function about(scenario, topic) {
  return scenario.folder === topic ||
    scenario.covers.some((id) => id === topic || id.split("-")[0] === topic);
}

/* ---- head ---- */

function sayHead() {
  const bad = data.runs.filter((run) => run.standing === "bad");
  const alarms = data.runs.filter((run) => run.standing === "alarm").length;
  const counts = WORST_FIRST.filter((verdict) => data.totals[verdict]).map((verdict) =>
    el("span", { class: "key" }, mark(verdict), " " + data.totals[verdict]));
  const passed = data.runs.filter(good).length;
  const words = !passed && !bad.length ? "Nothing was judged." : alarms && !bad.length ? "Expectations are out of date." :
    bad.length ? bad.length + (bad.length === 1 ? " run is bad." : " runs are bad.") : "All is well.";
  const known = data.runs.filter((run) => run.standing === "expected").length;
  byId("verdict").append(el("strong", { class: bad.length || alarms || !passed ? "bad" : "good" }, words), known ? ` ${known} more ${known === 1 ? "is" : "are"} known. ` : " ", ...counts);
  byId("about").append(`${data.runs.length} runs of ${data.scenarios.length} scenarios on ${backends.join(", ") || "nothing"}; ` +
    `split ${data.splits.join(", ")}; seed ${data.seed}` + (data.shard ? `; shard ${data.shard.join("/")}` : "") +
    `; ${(data.ms / 1000).toFixed(1)} s; `, el("time", { datetime: data.when }, data.when.replace("T", " ").replace("Z", " UTC")), ".");
  const aside = data.left_out.map((one) =>
    el("p", { class: "quiet" }, `${one.scenarios.length} not run${one.backend ? ` on ${one.backend}` : ""}, because ${one.because}` +
      (one.backend ? ": " + one.scenarios.join(", ") : "")));
  byId("about").after(...aside);
  document.title = (bad.length ? "✗ " : "✓ ") + document.title;
  byId("legend").append(...Object.keys(VERDICTS).map((verdict) => el("span", { class: "key" }, mark(verdict))));
}

/* ---- matrix ---- */

const columns = data.implementations.flatMap((implementation) => {
  const own = backends.filter((backend) =>
    data.runs.some((run) => run.implementation === implementation.name && run.backend === backend));
  return (own.length ? own : [""]).map((backend, i) => ({ implementation: implementation.name, backend, edge: i ? null : "edge" }));
});

function cell(topic, column) {
  const runs = data.runs.filter((run) => run.implementation === column.implementation && run.backend === column.backend &&
    (!topic || about(scenarios.get(run.path), topic.name)));
  const judged = runs.filter((run) => run.verdict !== "not-supported");
  if (!judged.length)
    return el("td", { class: column.edge }, el("div", { class: "none" }, runs.length ? el("abbr", { title: "not supported" }, "– n/s") : "–"));
  const first = worst(judged);
  const button = el("button", { type: "button", class: mark(first.verdict, first.standing).className }, `${VERDICTS[first.verdict][0]} ${judged.filter(good).length}/${judged.length}`);
  button.setAttribute("aria-label", `${topic ? topic.name : "all"}, ${column.implementation}, ${column.backend}: worst ${VERDICTS[first.verdict][2]}, ` +
    `${judged.filter(good).length} of ${judged.length} good; show these scenarios`);
  button.addEventListener("click", () => choose({ topic: topic ? topic.name : "", ...column }));
  return el("td", { class: column.edge }, button);
}

function matrixHead() {
  const top = el("tr", {}, el("th", { scope: "col", rowspan: 2 }, "Topic"));
  for (const implementation of data.implementations)
    top.append(el("th", { scope: "colgroup", colspan: columns.filter((one) => one.implementation === implementation.name).length, class: "edge" }, implementation.name));
  return el("thead", {}, top, el("tr", {}, ...columns.map((column) => el("th", { scope: "col", class: column.edge }, column.backend || "not run"))));
}

function matrixRow(topic) {
  const name = topic ? el("th", { scope: "row" }, topic.name, topic.title ? el("span", { class: "quiet" }, " " + topic.title) : null) : el("th", { scope: "row" }, "All");
  return el("tr", {}, name, ...columns.map((column) => cell(topic, column)));
}

function showMatrix() {
  const body = el("tbody", {}, matrixRow(null));
  for (const folder of [false, true]) {
    body.append(el("tr", {}, el("th", { scope: "rowgroup", colspan: columns.length + 1 }, folder ? "Folders of scenarios" : "Requirements of the specification")));
    for (const topic of data.topics.filter((one) => one.folder === folder))
      body.append(matrixRow(topic));
  }
  byId("matrix-table").append(el("caption", {}, "Good runs of all runs, by topic, implementation and backend"), matrixHead(), body);
}

/* ---- one scenario ---- */

function script(scenario, run) {
  const lines = scenario.script.replace(/\n$/, "").split("\n");
  const pre = el("pre", { tabindex: 0, role: "region", "aria-label": "Script of " + scenario.name });
  lines.forEach((line, i) => {
    const here = run && run.line === i + 1 && run.verdict !== "pass";
    pre.append(el("span", { class: here ? "here" : null }, el("span", { class: "n" }, String(i + 1)), line || " "));
    if (here)
      pre.append(el("span", { class: "why" }, `${VERDICTS[run.verdict][0]} ${VERDICTS[run.verdict][2]} in this line: ${run.got}`));
  });
  return pre;
}

/* The specification's Markdown: code between backticks, and links, of which the words stay. */
function prose(text) {
  return text.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1").split("`").map((part, i) => i % 2 ? el("code", {}, part) : part);
}

function requirementList(ids) {
  return el("ul", { class: "plain" }, ...ids.map((id) => el("li", {}, el("a", { href: "#r-" + id }, id), " ",
    ...prose(requirements.has(id) ? requirements.get(id).text : ""))));
}

function logEntries(run) {
  const entries = (run.trace || []).filter((line) => line.who === "log");
  if (!entries.length)
    return [el("p", { class: "quiet" }, "No entry of the event log in the trace.")];
  return [el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Event log" }, el("table", {}, el("thead", {}, el("tr", {},
    ...["Time", "Id", "Level", "Entry"].map((name) => el("th", { scope: "col" }, name)))),
  el("tbody", {}, ...entries.map((line) => {
    let entry = null;
    try { entry = JSON.parse(line.text); } catch { /* cut, or no JSON: shown as it is */ }
    const { time, id, level, name, message, source, vm, ...rest } = entry || {};
    return el("tr", {}, el("td", { class: "mono" }, seconds(line.ms)), el("td", {}, entry ? `${id} ${name}` : ""), el("td", {}, level || ""),
      el("td", {}, entry ? message : line.text, Object.keys(rest).length ? el("div", { class: "mono quiet" }, Object.entries(rest).map(([key, value]) => `${key}=${value}`).join(" ")) : null));
  }))))];
}

function seconds(ms) {
  return (ms / 1000).toFixed(3) + " s";
}

function trace(run) {
  const pre = el("pre", { tabindex: 0, role: "region", "aria-label": "Trace" });
  for (const line of run.trace)
    pre.append(el("span", { class: line.step && line.step === run.line && run.verdict !== "pass" ? "here" : null },
      `${(line.ms / 1000).toFixed(3).padStart(9)}  ${line.step ? line.step + ": " : line.who ? (line.who + " " + line.direction + " ").padStart(line.who === "bus" ? 8 : 6) : "  "}${line.text}`));
  return el("details", {}, el("summary", {}, "The trace as text"), pre);
}

function runDetail(scenario, run) {
  const facts = el("dl", {});
  const fact = (name, value) => value && facts.append(el("dt", {}, name), el("dd", {}, value));
  fact("Line", run.line ? `${scenario.path}:${run.line}` : "");
  fact("Expected", run.expected);
  fact("Got", run.got);
  if (run.expectation)
    fact("Known", `${run.expectation.verdict}: ${run.expectation.reason} (${run.expectation.place})`);
  fact("Again", run.folder ? run.folder + "/repeat.sh" : "");
  const body = [facts];
  const blamed = run.requirement.split(" ").filter(Boolean);
  if (run.verdict !== "pass" && blamed.length && blamed.join(" ") !== scenario.covers.join(" "))
    body.push(el("h4", {}, "Requirements to blame"), requirementList(blamed));
  if (run.verdict !== "pass")
    body.push(el("h4", {}, "Script"), script(scenario, run));
  if (run.trace) {
    const holder = el("div", { class: "ladder" });
    body.push(el("h4", {}, "What went by"), holder, trace(run), el("h4", {}, "Event log"), ...logEntries(run));
    holder.draw = () => holder.childElementCount || holder.append(ladder(run, holder.clientWidth || 600));
  }
  return body;
}

function runEntry(scenario, run, open) {
  const entry = el("details", { class: "run" }, el("summary", {}, mark(run.verdict, run.standing),
    ` ${run.implementation}, ${run.backend}, split ${run.split}, ${run.ms} ms`));
  const fill = () => {
    if (entry.open && entry.childElementCount === 1)
      entry.append(el("div", { class: "body" }, ...runDetail(scenario, run)));
    if (entry.open)
      entry.querySelectorAll(".ladder").forEach((holder) => holder.draw());
  };
  entry.addEventListener("toggle", fill);
  entry.fill = fill;
  entry.open = open;
  return entry;
}

function fillScenario(details, scenario) {
  const order = [...scenario.runs].sort((a, b) => WORST_FIRST.indexOf(a.verdict) - WORST_FIRST.indexOf(b.verdict));
  const shown = order.filter((run) => run.verdict !== "not-supported" && (run.trace || run.verdict !== "pass"));
  const others = order.filter((run) => !shown.includes(run));
  const entries = shown.map((run, i) => runEntry(scenario, run, i === 0));
  const body = el("div", { class: "body" }, el("h3", {}, "Requirements"), requirementList(scenario.covers));
  if (!shown.length || shown[0].verdict === "pass")
    body.append(el("h3", {}, "Script"), script(scenario, null));
  body.append(el("h3", {}, "Runs"), ...entries);
  if (others.length)
    body.append(el("ul", { class: "plain" }, ...others.map((run) => el("li", {}, mark(run.verdict, run.standing),
      ` ${run.implementation}, ${run.backend}, split ${run.split}` + (run.verdict === "not-supported" ? `: needs ${run.got}` : `, ${run.ms} ms`)))));
  if (!scenario.runs.length)
    body.append(el("p", { class: "quiet" }, "It was not run."));
  details.append(body);
  entries.forEach((entry) => entry.fill());
}

function scenarioEntry(scenario) {
  const first = worst(scenario.runs);
  const details = el("details", { id: scenario.id, "data-worst": first ? (first.standing === "alarm" ? "bad" : first.standing) : "good" },
    el("summary", { "data-title": scenario.title }, first ? mark(first.verdict, first.standing) : el("span", { class: "mark other" }, "– not run"),
      el("span", {}, el("strong", {}, scenario.name), el("span", { class: "quiet" }, ` ${scenario.subject}, ${scenario.folder} ${scenario.runs.length} ${scenario.runs.length === 1 ? "run" : "runs"}`))));
  details.addEventListener("toggle", () => details.open && details.childElementCount === 1 && fillScenario(details, scenario));
  return details;
}

/* ---- ladder ---- */

/* Of a long row of alike messages the first and the last stay. */
function folded(lines) {
  const kind = (line) => line.step || !line.who ? "" : `${line.who}${line.direction}${line.text.split(" ")[0].slice(0, 12)}`;
  const result = [];
  for (let i = 0; i < lines.length;) {
    let end = i + 1;
    while (end < lines.length && kind(lines[end]) && kind(lines[end]) === kind(lines[i])) end++;
    if (end - i > 4)
      result.push(lines[i], { ms: lines[i].ms, text: `… ${end - i - 2} more`, who: lines[i].who, more: true }, lines[end - 1]);
    else
      result.push(...lines.slice(i, end));
    i = end;
  }
  return result;
}

const ROW = 24;

/* What an entry, event or answer says first; the trace as text has all of it. */
function brief(line) {
  let json = null;
  try { json = JSON.parse(line.text); } catch { return line.text; }
  if (line.who === "log") return `${json.id} ${json.name} ${json.message}`;
  if (json.event) return `event ${json.event}`;
  if (json.execute) return `${json.execute} ${JSON.stringify(json.arguments || {})}`;
  return json.error ? `error ${json.error.class || JSON.stringify(json.error)}` : line.text;
}

function arrow(line, y, from, to, width) {
  const forward = to > from, tip = forward ? -7 : 7, colour = line.direction === ">" ? "to" : "from";
  const left = Math.min(from, to), room = Math.floor((width - 12) / 7.3);
  const words = line.who === "bus" || line.more ? line.text : `${line.who}: ${brief(line)}`;
  const shown = words.length > room ? words.slice(0, room - 1) + "…" : words;
  return el("g", {}, el("title", {}, `${line.who} ${line.direction || ""} ${line.text}`),
    line.more ? null : el("line", { class: colour, x1: from, y1: y, x2: to, y2: y, "stroke-width": 1.5 }),
    line.more ? null : el("path", { class: colour, d: `M${to},${y} l${tip},-4 v8 z` }),
    el("text", { class: line.more ? "step" : colour, x: left + 8, y: y - 4 }, shown));
}

function ladder(run, space) {
  const lines = folded(run.trace);
  if (run.standing !== "good")
    lines.push({ ms: lines.length ? lines[lines.length - 1].ms : 0, text: run.got, end: true });
  const width = Math.max(330, Math.min(space, 1000)), at = 62;
  const lanes = [at, at + (width - at) * 0.5, width - 12];
  const height = (lines.length + 2) * ROW;
  const failing = run.verdict === "pass" ? 0 : run.line;
  const lastStep = lines.map((line) => line.step).lastIndexOf(failing);
  const svg = el("svg", { role: "img", viewBox: `0 0 ${width} ${height}`, width, height },
    el("title", {}, `Ladder of ${run.scenario}: ${lines.length} lines` + (failing && lastStep >= 0 ? `, ${VERDICTS[run.verdict][2]} in line ${failing}` : "")),
    el("desc", {}, "Time runs down. Left the harness as the peer on the bus, in the middle the subject, right the programs at its other side. The trace as text follows."));
  ["peer (harness)", "subject", "programs"].forEach((name, i) => svg.append(
    el("line", { class: "lane", x1: lanes[i], y1: ROW, x2: lanes[i], y2: height - 6 }),
    el("text", { class: "head", x: lanes[i], y: 15, "text-anchor": i === 1 ? "middle" : i ? "end" : "start" }, name)));
  let before = -1;
  lines.forEach((line, i) => {
    const y = (i + 2) * ROW;
    const fails = line.end || (failing && i === lastStep);
    if (fails)
      svg.append(el("rect", { class: "band", x: 0, y: y - 17, width, height: ROW }));
    if (line.ms !== before)
      svg.append(el("text", { class: "t", x: 0, y: y - 1 }, (line.ms / 1000).toFixed(3)));
    before = line.ms;
    if (line.who === "bus" && !line.step)
      svg.append(arrow(line, y, line.direction === "<" ? lanes[1] : lanes[0], line.direction === "<" ? lanes[0] : lanes[1], lanes[1] - lanes[0]));
    else if (line.who && !line.step)
      svg.append(arrow(line, y, line.direction === ">" ? lanes[2] : lanes[1], line.direction === ">" ? lanes[1] : lanes[2], lanes[2] - lanes[1]));
    else
      svg.append(note(line, y, at, width, fails && VERDICTS[run.verdict]));
  });
  return svg;
}

function note(line, y, x, width, failed) {
  const room = Math.floor((width - x - 8) / 7.3);
  const words = (failed ? `${failed[0]} ${line.end ? failed[2] + ": " : ""}` : "") + (line.step ? `${line.step}: ` : "") + line.text;
  return el("text", { class: failed ? "fail" : "step", x: x + 8, y: y - 1 }, words.length > room ? words.slice(0, room - 1) + "…" : words);
}

/* ---- filter ---- */

const form = byId("filter");

function fillSelect(name, all, options) {
  form.elements[name].append(el("option", { value: "" }, all), ...options.map(([value, words]) => el("option", { value }, words || value)));
}

function fits(run, wanted) {
  return (!wanted.implementation || run.implementation === wanted.implementation) && (!wanted.backend || run.backend === wanted.backend) &&
    (!wanted.verdict || run.verdict === wanted.verdict || (wanted.verdict === "bad" && (run.standing === "bad" || run.standing === "alarm")));
}

function filter() {
  const wanted = Object.fromEntries(new FormData(form));
  const text = wanted.text.trim().toLowerCase();
  const ofRuns = wanted.implementation || wanted.backend || wanted.verdict;
  let shown = 0;
  for (const scenario of data.scenarios) {
    const words = [scenario.name, scenario.title, scenario.folder, ...scenario.covers, ...scenario.runs.map((run) => run.got)].join(" ").toLowerCase();
    const show = (!text || words.includes(text)) && (!wanted.topic || about(scenario, wanted.topic)) &&
      (!ofRuns || scenario.runs.some((run) => fits(run, wanted)));
    byId(scenario.id).hidden = !show;
    shown += show;
  }
  byId("shown").textContent = `${shown} of ${data.scenarios.length} scenarios shown`;
}

function choose(wanted) {
  form.reset();
  for (const [name, value] of Object.entries(wanted))
    if (form.elements[name]) form.elements[name].value = value;
  filter();
  byId("scenarios").focus({ preventScroll: true });
  byId("scenarios").scrollIntoView();
}

function showFilter() {
  fillSelect("verdict", "any", [["bad", "anything bad"], ...Object.keys(VERDICTS).map((verdict) => [verdict, VERDICTS[verdict][2]])]);
  fillSelect("topic", "any", [...data.topics.map((topic) => [topic.name, `${topic.name} ${topic.title}`]), ...data.requirements.map((one) => [one.id])]);
  fillSelect("implementation", "any", data.implementations.map((one) => [one.name]));
  fillSelect("backend", "any", backends.map((backend) => [backend]));
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(filter));
}

/* ---- coverage ---- */

function showCoverage() {
  const body = el("tbody", {});
  let covered = 0, gaps = 0;
  for (const one of data.requirements) {
    const own = data.scenarios.filter((scenario) => scenario.covers.includes(one.id));
    const first = worst(own.flatMap((scenario) => scenario.runs));
    covered += own.length > 0;
    gaps += one.must && !own.length;
    body.append(el("tr", { id: "r-" + one.id }, el("th", { scope: "row" }, one.id), el("td", {}, one.must ? "MUST" : ""),
      el("td", {}, own.length ? first ? mark(first.verdict, first.standing) : el("span", { class: "other" }, "– not run") : el("span", { class: one.must ? "mark bad" : "other" }, one.must ? "✗ no scenario" : "– none")),
      el("td", {}, ...prose(one.text)), el("td", {}, ...own.flatMap((scenario, i) => [i ? ", " : "", el("a", { href: "#" + scenario.id }, `${scenario.subject}/${scenario.name}`)]))));
  }
  byId("covered").textContent = `${covered} of ${data.requirements.length} requirements have a scenario among these; ${gaps} MUSTs have none.`;
  byId("coverage-table").append(el("caption", {}, "Each requirement with the worst verdict of its scenarios"),
    el("thead", {}, el("tr", {}, ...["Id", "Level", "Verdict", "Text", "Scenarios"].map((name) => el("th", { scope: "col" }, name)))), body);
}

/* A link to a scenario opens it, whatever the filter says. */
function follow() {
  const target = location.hash.startsWith("#s-") && byId(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  target.hidden = false;
  target.open = true;
  target.scrollIntoView();
}

sayHead();
showMatrix();
showFilter();
byId("list").append(...[...data.scenarios].sort((a, b) => rank(a) - rank(b)).map(scenarioEntry));
showCoverage();
filter();
addEventListener("hashchange", follow);
follow();

/* What is bad stands first; the rest keeps its order. */
function rank(scenario) {
  const first = worst(scenario.runs);
  return first && first.standing !== "good" ? 0 : 1;
}
