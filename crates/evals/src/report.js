"use strict";
const all = JSON.parse(document.getElementById("samples").textContent);
const pick = (id) => document.getElementById(id);
const options = (select, names) => names.forEach((name) => select.add(new Option(name, name)));
options(pick("model"), [...new Set(all.map((part) => part.model))]);
options(pick("task"), [...new Set(all.map((part) => part.task))]);
let at = 0;
const element = (kind, text, of) => {
  const made = document.createElement(kind);
  made.textContent = text;
  of.append(made);
  return made;
};
const show = () => {
  const part = all.find((one) => one.model === pick("model").value && one.task === pick("task").value);
  const which = pick("which").value;
  const shown = (part ? part.samples : []).filter((one) => which === "all" || one.right === (which === "right"));
  at = Math.max(0, Math.min(at, shown.length - 1));
  const home = pick("sample");
  home.replaceChildren();
  pick("count").textContent = shown.length ? `${at + 1} of ${shown.length}` : "none";
  if (part && part.samples.length < part.documents) {
    element("p", `The first ${part.samples.length} of ${part.documents} documents are in this page.`, home);
  }
  const one = shown[at];
  if (!one) return;
  element("p", one.place, home);
  element("pre", one.context, home);
  one.choices.forEach((choice, i) => {
    const line = element("div", "", home);
    line.className = "choice";
    element("span", (i === one.chosen ? "▸" : "") + (i === one.gold ? "✓" : ""), line);
    element("span", choice.score, line);
    element("span", choice.text, line);
  });
};
["model", "task", "which"].forEach((id) => pick(id).addEventListener("change", () => { at = 0; show(); }));
pick("before").addEventListener("click", () => { at -= 1; show(); });
pick("after").addEventListener("click", () => { at += 1; show(); });
show();
