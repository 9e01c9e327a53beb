"use strict";
// Everything that a model or a person wrote becomes a text node. Nothing here reads HTML.
const data = JSON.parse(document.getElementById("data").textContent);
const page = document.getElementById("page");

function make(tag, options, ...inner) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(options || {})) {
    if (name === "on") for (const [event, call] of Object.entries(value)) element.addEventListener(event, call);
    else if (value !== undefined && value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  for (const part of inner.flat(Infinity)) if (part !== null && part !== undefined) element.append(part);
  return element;
}

// ---- the figures ----

function overview() {
  const tables = data.tables.map(table => [
    make("h2", {}, table.title),
    make("div", { class: "scroll" }, make("table", {}, table.cells.map((row, i) =>
      make("tr", {}, row.map(cell => make(i === 0 ? "th" : "td", {}, cell)))))),
    table.remark ? make("p", { class: "dim" }, table.remark) : null,
  ]);
  const charts = data.charts.map(chart => make("figure", {}, make("img", { src: chart.src, alt: chart.title })));
  page.append(
    make("h1", {}, data.title),
    make("p", { class: "dim" }, `${data.prompts.length} prompts · SHA-256 ${data.sha256}`),
    data.warnings.map(text => make("p", { class: "warning" }, text)).reduce((all, one) => (all.append(one), all), make("div")),
    make("section", { class: "charts" }, charts),
    make("section", {}, tables, data.notes.map(note => make("p", { class: "dim" }, note))),
    make("h2", { id: "answers" }, "Answers"),
  );
}

// ---- which prompts ----

const totalOf = grade => grade.scores ? grade.scores.reduce((sum, score) => sum + score, 0) : null;

// By prompt: what of its grades is at odds.
const odds = data.prompts.map(() => ({ judges: false, orders: false, missing: false }));
data.graders.forEach(grader => {
  const orders = new Map();
  grader.grades.forEach(grade => {
    if (grade.missing) odds[grade.prompt].missing = true;
    if (grade.winner === undefined) return;
    const key = [grade.prompt, grade.repeat, Math.min(...grade.seats), Math.max(...grade.seats)].join();
    if (orders.has(key) && orders.get(key) !== grade.winner) odds[grade.prompt].orders = true;
    orders.set(key, grade.winner);
  });
});
data.answers.forEach(answers => answers.forEach((answer, prompt) => { if (answer.missing) odds[prompt].missing = true; }));
{
  const seen = new Map();
  data.graders.filter(grader => grader.criteria).forEach((grader, which) => grader.grades.forEach(grade => {
    const total = totalOf(grade);
    if (total === null) return;
    const key = [grade.prompt, grade.turn, grade.seats[0], grader.criteria.join(), grader.scale.join()].join("|");
    const before = seen.get(key);
    // A step of the scale on average of the criteria, or more.
    if (before && before.which !== which && Math.abs(before.total - total) >= grader.criteria.length) odds[grade.prompt].judges = true;
    if (!before) seen.set(key, { total, which });
  }));
}

const state = { category: "", odds: "", search: "", at: 0, blind: false, grader: "", grades: {} };
const keyOf = (prompt, turn, who) => [data.prompts[prompt].id, turn, data.contestants[who]].join("\u0000");
// Grades of an answer that has changed since, and scores that this page does not ask for, would make its file a wrong one.
function valid(grades) {
  const [low, high] = data.human.scale;
  const asked = score => Number.isInteger(score) && low <= score && score <= high;
  const left = {};
  data.answers.forEach((answers, who) => answers.forEach((answer, prompt) => (answer.hashes || []).forEach((hash, turn) => {
    const key = keyOf(prompt, turn, who), grade = grades[key];
    if (!grade || grade.answer !== hash) return;
    const scores = Object.fromEntries(data.human.criteria.map(name => [name, (grade.scores || {})[name]]).filter(([, score]) => asked(score)));
    left[key] = { prompt: data.prompts[prompt].id, turn, contestant: data.contestants[who], answer: hash, scores, comment: String(grade.comment || "") };
  })));
  return left;
}
const memory = "sai-judge " + data.sha256 + " " + data.contestants.join();
try {
  const kept = JSON.parse(localStorage.getItem(memory) || "{}");
  state.grader = kept.grader || "";
  state.grades = valid(kept.grades || {});
} catch (_) { /* a page from a file may have no memory */ }
function remember() {
  try { localStorage.setItem(memory, JSON.stringify({ grader: state.grader, grades: state.grades })); } catch (_) { /* as above */ }
}

function shown() {
  const search = state.search.toLowerCase();
  return data.prompts.map((_, i) => i).filter(i => {
    const prompt = data.prompts[i];
    const texts = () => [prompt.id, ...prompt.turns, ...(state.blind ? [] : data.answers.flatMap(of => of[i].turns || []))];
    return (!state.category || prompt.category === state.category)
      && (!state.odds || odds[i][state.odds])
      && (!search || texts().some(text => text.toLowerCase().includes(search)));
  });
}

// ---- one prompt ----

// Letters in an order of the prompt's own, so that no place stands for a model.
function shuffled(prompt) {
  let state = 2166136261;
  for (const c of data.sha256 + data.prompts[prompt].id) state = Math.imul(state ^ c.codePointAt(0), 16777619) >>> 0;
  const order = data.contestants.map((_, i) => i);
  for (let i = order.length - 1; i > 0; i--) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const j = Math.floor(state / 4294967296 * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}

function gradesOf(prompt, who) {
  return data.graders.filter(grader => grader.criteria).map(grader => {
    const grades = grader.grades.filter(grade => grade.prompt === prompt && grade.seats[0] === who);
    return grades.map(grade => make("div", { class: "grade" },
      make("b", {}, `${grader.judge}${grader.human ? " (by hand)" : ""} · ${grader.name}`),
      data.prompts[prompt].turns.length > 1 ? ` · turn ${grade.turn + 1}` : null,
      grade.repeat ? ` · repeat ${grade.repeat + 1}` : null,
      grade.missing ? make("span", { class: "missing" }, " missing: " + grade.missing)
        : [` · total ${totalOf(grade)} of ${grader.scale[1] * grader.criteria.length}`,
          grader.criteria.map((name, i) => make("div", {}, make("span", { class: "score" }, String(grade.scores[i])), ` ${name} `,
            make("span", { class: "why" }, grade.why[i])))]));
  });
}

function pairsOf(prompt) {
  return data.graders.filter(grader => !grader.criteria).map(grader => {
    const grades = grader.grades.filter(grade => grade.prompt === prompt);
    if (!grades.length) return null;
    const name = i => data.contestants[i];
    return make("div", { class: "grade" }, make("b", {}, `${grader.judge} · ${grader.name}`),
      grades.map(grade => make("div", {}, `${name(grade.seats[0])} first, ${name(grade.seats[1])} second: `,
        grade.missing ? make("span", { class: "missing" }, "missing: " + grade.missing)
          : [make("b", {}, grade.winner < 0 ? "tie" : name(grade.winner)), " ", make("span", { class: "why" }, grade.why[0])])));
  });
}

function handle(prompt, turn, who, letter) {
  const key = keyOf(prompt, turn, who);
  const hash = data.answers[who][prompt].hashes[turn];
  const known = state.grades[key];
  const grade = known && known.answer === hash ? known
    : { prompt: data.prompts[prompt].id, turn, contestant: data.contestants[who], answer: hash, scores: {}, comment: "" };
  const set = () => { state.grades[key] = grade; remember(); counted(); };
  const [low, high] = data.human.scale;
  return make("div", { class: "grade" },
    data.human.criteria.map(name => make("fieldset", {}, make("legend", {}, name),
      Array.from({ length: high - low + 1 }, (_, i) => low + i).map(score => make("label", { class: "choice" },
        make("input", {
          type: "radio", name: `${letter}-${turn}-${name}`, value: score, checked: grade.scores[name] === score,
          on: { change: () => { grade.scores[name] = score; set(); } },
        }), ` ${score}`)))),
    make("textarea", { "aria-label": `Comment on ${letter}`, placeholder: "Why?", on: { input: event => { grade.comment = event.target.value; set(); } } }, grade.comment));
}

function answerCard(prompt, who, letter) {
  const answer = data.answers[who][prompt];
  const head = state.blind ? `Answer ${letter}` : data.contestants[who];
  if (answer.missing) {
    return make("article", { class: "answer" }, make("h3", {}, head), make("p", { class: "missing" }, state.blind ? "no answer" : "no answer: " + answer.missing));
  }
  return make("article", { class: "answer" }, make("h3", {}, head),
    answer.turns.map((text, turn) => [
      answer.turns.length > 1 ? make("div", { class: "dim" }, `turn ${turn + 1}`) : null,
      make("div", { class: "text", lang: data.prompts[prompt].lang || null }, text || make("span", { class: "missing" }, "(empty)")),
      state.blind ? handle(prompt, turn, who, letter) : null,
    ]),
    state.blind ? null : [
      make("div", { class: "dim" }, `${Array.from(answer.turns.join("")).length} characters${answer.cut ? " · cut at its limit of tokens" : ""}`),
      gradesOf(prompt, who),
    ]);
}

const view = make("section", { id: "view" });
function show() {
  const list = shown();
  state.at = Math.max(0, Math.min(state.at, list.length - 1));
  view.replaceChildren();
  place.textContent = list.length ? `${state.at + 1} of ${list.length}` : "none";
  before.disabled = state.at === 0;
  after.disabled = state.at >= list.length - 1;
  if (!list.length) { view.append(make("p", { class: "dim" }, "No prompt is like that.")); return; }
  const i = list[state.at], prompt = data.prompts[i];
  const order = state.blind ? shuffled(i) : data.contestants.map((_, who) => who);
  view.append(
    make("div", { class: "question" },
      make("div", { class: "dim" }, [prompt.id, prompt.category, prompt.task].filter(Boolean).join(" · ")),
      prompt.turns.map((text, turn) => make("div", {}, prompt.turns.length > 1 ? make("b", {}, `${turn + 1}. `) : null, make("span", { class: "text" }, text))),
      (prompt.references || []).filter(Boolean).map(text => make("p", { class: "dim text" }, "Reference: " + text)),
      prompt.rules ? make("p", { class: "dim text" }, "Rule: " + prompt.rules) : null),
    make("div", { class: "answers" }, order.map((who, n) => answerCard(i, who, String.fromCharCode(65 + n)))),
    state.blind ? "" : make("div", {}, pairsOf(i)));
}

// ---- the bar above it ----

const categories = [...new Set(data.prompts.map(prompt => prompt.category).filter(Boolean))];
const choose = (label, key, options) => make("select", { "aria-label": label, id: key, on: { change: event => { state[key] = event.target.value; state.at = 0; show(); } } },
  options.map(([value, text]) => make("option", { value }, text)));
const before = make("button", { id: "before", on: { click: () => { state.at--; show(); } } }, "← before");
const after = make("button", { id: "after", on: { click: () => { state.at++; show(); } } }, "next →");
const place = make("span", { class: "dim", id: "place" });
const blind = make("button", { id: "blind", on: { click: () => turn(!state.blind) } }, "Grade by hand, blind");
const name = make("input", { id: "grader", placeholder: "your name", "aria-label": "Your name", value: state.grader, hidden: true,
  on: { input: event => { state.grader = event.target.value.trim(); remember(); counted(); } } });
const save = make("button", { id: "save", class: "main", hidden: true, on: { click: download } }, "Save grades");
const count = make("span", { class: "dim", id: "count" });

function complete() {
  return Object.values(state.grades).filter(grade => data.human.criteria.every(name => grade.scores[name] !== undefined));
}
function counted() {
  const whole = complete().length, begun = Object.keys(state.grades).length - whole;
  count.textContent = state.blind ? `${whole} answers graded${begun ? `, ${begun} begun` : ""}` : "";
  save.disabled = !whole || !state.grader;
}
function file() {
  const grades = complete().map(({ prompt, turn, contestant, answer, scores, comment }) => ({ prompt, turn, contestant, answer, scores, comment }));
  return { format: data.human.format, prompts_sha256: data.sha256, grader: state.grader, criteria: data.human.criteria, scale: data.human.scale, grades };
}
function download() {
  const link = make("a", { download: `grades-${state.grader}.json`, href: URL.createObjectURL(new Blob([JSON.stringify(file(), null, 1)], { type: "application/json" })) });
  document.body.append(link);
  link.click();
  link.remove();
}
function turn(on) {
  state.blind = on;
  blind.textContent = on ? "Show names and grades" : "Grade by hand, blind";
  // What is above tells who wrote what.
  for (const part of document.querySelectorAll("section.charts, main > section:not(#view), .warning, h1 + .dim")) part.hidden = on;
  name.hidden = save.hidden = !on;
  counted();
  show();
}

overview();
page.append(make("nav", {},
  choose("Category", "category", [["", "every category"], ...categories.map(category => [category, category])]),
  choose("Disagreement", "odds", [["", "all prompts"], ["judges", "judges disagree"], ["orders", "orders disagree"], ["missing", "something is missing"]]),
  make("input", { type: "search", id: "search", placeholder: "search", "aria-label": "Search", on: { input: event => { state.search = event.target.value; state.at = 0; show(); } } }),
  before, place, after, blind, name, save, count), view);
document.addEventListener("keydown", event => {
  if (/^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName)) return;
  if (event.key === "ArrowLeft" && !before.disabled) before.click();
  if (event.key === "ArrowRight" && !after.disabled) after.click();
});
show();
if (location.hash === "#blind") turn(true);
