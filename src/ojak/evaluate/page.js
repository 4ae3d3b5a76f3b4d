// The list of sentences: sorted, filtered and shown some at a time. All text goes in as text, never as HTML.
const STEP = 50;
const several = data.systems.length > 1;
let shown = STEP;

function node(name, text, kind) {
  return element(name, { ...(text !== undefined && { textContent: text }), ...(kind && { className: kind }) });
}

// The marks of a system are drawn by the page's maker, from numbers alone.
function called(place) {
  const name = node("dt");
  if (several) name.innerHTML = data.swatches[place];
  name.append(several ? ` ${data.systems[place]}` : data.systems[place]);
  return name;
}

const ORDERS = several
  ? [["gain", "better than the baseline"], ["loss", "worse than the baseline"], ["apart", "most different"], ["file", "as in the file"]]
  : [["worst", "worst first"], ["best", "best first"], ["file", "as in the file"]];

byId("rival").append(...data.systems.slice(1).map((name, place) => option(place, `${name} with ${data.systems[0]}`)));
byId("measure").append(...data.measures.map((one, place) => option(place, one.name)));
byId("order").append(...ORDERS.map((entry) => option(...entry)));
byId("label").append(option("", "all"), ...data.labels.map((name, place) => option(place, name || "no label")));
byId("rival-choice").hidden = data.systems.length < 3;
byId("label-choice").hidden = data.labels.length < 2;
byId("measure").value = Math.max(0, data.measures.findIndex((one) => one.name === "chrF2"));

function legend() {
  const parts = [["missed", "dotted"], ["wrong", "wavy"], ["only", "shaded"]];
  const said = {
    missed: ` words of the reference that ${several ? "neither said" : "were not said"}; `,
    wrong: ` words that are not in the reference${several ? "; " : "."}`,
    only: " words that the other did not say. Words count as the same in the same order.",
  };
  for (const [kind, name] of parts.slice(0, several ? 3 : 2)) {
    byId("legend").append(node("span", name, kind), said[kind]);
  }
  if (data.left_out) byId("legend").append(` ${data.left_out.toLocaleString("en")} pairs are left out here: those that tell least.`);
}

function marked(segments, kinds, lang) {
  const made = node("dd");
  if (lang) made.lang = lang;
  made.dir = "auto";
  for (const [text, mark] of segments) {
    const kind = kinds(mark);
    made.append(kind ? node("span", text, kind) : text);
  }
  return made;
}

const ofSystem = (mark) => [mark & 1 ? "wrong" : "", several && mark & 2 ? "only" : ""].filter(Boolean).join(" ");
const ofReference = (mark) => (mark === 3 ? "missed" : "");

function item(row, rival, measure) {
  const list = node("li");
  const head = node("div", `${row.n}`, "soft");
  if (data.labels.length > 1 && data.labels[row.l]) head.append(`, ${data.labels[row.l]}`);
  const { digits, name } = data.measures[measure];
  const value = (place) => row.v[measure][place].toFixed(digits);
  if (several) {
    const apart = row.v[measure][rival + 1] - row.v[measure][0];
    head.append(`, ${name} ${apart < 0 ? "−" : "+"}${Math.abs(apart).toFixed(digits)}`);
  }
  if (row.k) head.append(" ", node("span", "in training", "known"));
  const body = node("dl");
  const [reference, base, other] = row.c[rival];
  const source = node("dd", row.s);
  source.lang = data.languages[0];
  source.dir = "auto";
  body.append(node("dt", "source"), source, node("dd", "", "score"));
  body.append(node("dt", "reference"), marked(reference, ofReference, data.languages[1]), node("dd", "", "score"));
  body.append(called(0), marked(base, ofSystem, data.languages[1]), node("dd", value(0), "score"));
  if (several) {
    body.append(called(rival + 1), marked(other, ofSystem, data.languages[1]), node("dd", value(rival + 1), "score"));
  }
  list.append(head, body);
  return list;
}

function holds(row, text) {
  const sides = row.c.flat().map((segments) => segments.map((segment) => segment[0]).join(""));
  return [row.s, ...sides].some((side) => side.toLowerCase().includes(text));
}

function draw() {
  const rival = Number(byId("rival").value || 0), measure = Number(byId("measure").value);
  const label = byId("label").value, text = byId("text").value.toLowerCase(), order = byId("order").value;
  const sign = data.measures[measure].lower ? -1 : 1;
  const good = (row) => sign * (several ? row.v[measure][rival + 1] - row.v[measure][0] : row.v[measure][0]);
  const rank = {
    gain: (row) => -good(row), loss: good, apart: (row) => -Math.abs(good(row)),
    worst: good, best: (row) => -good(row), file: (row) => row.n,
  }[order];
  const chosen = data.sentences
    .filter((row) => (label === "" || row.l === Number(label)) && (!text || holds(row, text)))
    .map((row) => [rank(row), row])
    .sort((one, two) => one[0] - two[0] || one[1].n - two[1].n);
  byId("list").replaceChildren(...chosen.slice(0, shown).map(([, row]) => item(row, rival, measure)));
  byId("count").textContent = `${Math.min(shown, chosen.length).toLocaleString("en")} of ${chosen.length.toLocaleString("en")} pairs`;
  byId("more").hidden = chosen.length <= shown;
}

for (const id of ["rival", "measure", "order", "label", "text"]) {
  byId(id).addEventListener("input", () => { shown = STEP; draw(); });
}
byId("more").addEventListener("click", () => { shown += STEP; draw(); });
legend();
draw();
