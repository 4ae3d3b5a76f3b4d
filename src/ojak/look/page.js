(() => {
  // What is on the page now. A place is {side: "source" | "target", i} or {side: "cell", t, s}.
  let sentence = data.sentences[0];
  let view = data.view;
  let weights = []; // T rows of S numbers, of the view shown
  let scale = { most: 1, signed: false, digits: 2, unit: "weight", notes: [] }; // and how it is drawn
  let held = null;
  let pointed = false; // whether the pointer chose what is shown: a pointer that leaves clears only its own choice
  let focus = { source: 0, target: 0, t: 0, s: 0 };
  let map = null;
  let tags = { source: [], target: [] };

  // --- numbers and colours ---------------------------------------------------------------------------------------

  function indices(name) {
    // The first views are of attention, and the mean is of these; each of the others is by itself.
    return sentence.views.map((_, k) => k).filter((k) => name === "mean" ? k < sentence.heads
      : sentence.views[k] === name || sentence.views[k].startsWith(name + "."));
  }

  function mean(name) {
    const chosen = indices(name);
    return sentence.tokens.map((_, t) => sentence.source_tokens.map((_, s) =>
      chosen.reduce((sum, k) => sum + sentence.weights[k][t][s], 0) / chosen.length));
  }

  const css = (weight) => `rgb(${rgb(weight / scale.most).join(",")})`;

  function ink(weight) { // white or dark letters, whichever reads on the colour
    const [r, g, b] = rgb(weight / scale.most).map((part) => (part / 255) ** 2.2);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b < 0.22 ? "#ffffff" : "#1b2230";
  }

  const number = (weight, digits = Math.abs(weight) >= 10 ? 1 : scale.digits) =>
    (scale.signed && weight > 0 ? "+" : "") + weight.toFixed(digits);
  const seen = (weight, least) => Math.abs(weight) / scale.most >= least;

  // --- building ----------------------------------------------------------------------------------------------------

  function fillViews() {
    const list = byId("view");
    const count = sentence.heads;
    const layers = [...new Set(sentence.views.filter((v) => v.includes(".")).map((v) => v.split(".")[0]))];
    list.replaceChildren();
    if (count > 1) list.append(option("mean", `mean of ${count} views`));
    for (const layer of layers) {
      const heads = sentence.views.filter((v) => v.startsWith(layer + "."));
      const group = element("optgroup", { label: layer });
      if (heads.length > 1) group.append(option(layer, `${layer}, mean of ${heads.length} views`));
      group.append(...heads.map((v) => option(v, v)));
      list.append(group);
    }
    const names = sentence.views.map((v, k) => [v, sentence.names[k], k]);
    list.append(...names.filter(([v, , k]) => k < count && !v.includes(".")).map(([v, name]) => option(v, name)));
    const others = names.slice(count).map(([v, name]) => option(v, name));
    if (count && others.length) list.append(element("optgroup", { label: "other views" }, others));
    else list.append(...others);
    list.value = view;
    if (list.selectedIndex < 0) { // the sentence has not this view, or only the one that the mean is of
      list.selectedIndex = 0;
      view = list.value;
    }
  }

  function fillWords(side, labels, gaps, lang) {
    const box = byId(side);
    box.lang = lang || "";
    tags[side] = labels.map((text, i) => {
      const tag = element("span", { className: gaps[i + 1] ? "word ends" : "word", tabIndex: -1 }, [
        element("bdi", { textContent: text }), element("small"),
      ]);
      tag.setAttribute("role", "option");
      tag.addEventListener("pointerenter", () => { if (!held) show({ side, i }, true); });
      tag.addEventListener("pointerleave", () => { if (!held && pointed) show(null); });
      tag.addEventListener("click", () => { move(side, i); hold({ side, i }); });
      tag.addEventListener("focus", () => { if (tag.matches(":focus-visible")) { held = null; show({ side, i }); } });
      return tag;
    });
    box.replaceChildren(...tags[side]);
    if (tags[side].length) tags[side][0].tabIndex = 0;
  }

  function buildMap() {
    const box = byId("map");
    const longest = Math.max(sentence.tokens.length, sentence.source_tokens.length, 1);
    const row = Math.min(40, Math.max(16, Math.round(620 / longest)));
    const font = Math.min(14, row * 0.72);
    const pen = document.createElement("canvas").getContext("2d");
    pen.font = `bold ${font}px ${getComputedStyle(document.body).fontFamily}`;
    const wide = (text) => pen.measureText(text).width;
    const cut = (text) => {
      const letters = Array.from(text);
      return letters.length > 24 ? letters.slice(0, 23).join("") + "…" : text;
    };
    const sources = sentence.source_labels.map(cut);
    const targets = sentence.labels.map(cut);
    const widest = Math.max(0, ...sources.map(wide));
    const straight = widest + 8 <= Math.max(row * 1.7, Math.min(130, 560 / Math.max(1, sources.length)));
    const column = straight ? Math.max(row, widest + 8) : row;
    const angle = straight ? 0 : row * Math.SQRT1_2 >= font * 1.2 ? 45 : 60;
    const sine = Math.sin(angle * Math.PI / 180), cosine = Math.cos(angle * Math.PI / 180);
    const left = Math.max(60, Math.max(0, ...targets.map(wide)) + 14);
    const top = Math.max(30, straight ? font * 1.7 : widest * sine + font * 1.4);
    const gap = 0.15 * row, line = row >= 20 ? 1 : 0.5;
    const xs = edges(left, column, gap, sentence.source_gaps);
    const ys = edges(top, row, gap, sentence.gaps);
    const right = xs.length ? xs[xs.length - 1] + column : left;
    const bottom = ys.length ? ys[ys.length - 1] + row : top;
    const width = Math.max(right, ...xs.map((x, i) => x + column / 2 + (straight ? 0 : wide(sources[i]) * cosine))) + 4;

    const root = drawn("svg", { width, height: bottom + 4, viewBox: `0 0 ${width} ${bottom + 4}`, "aria-hidden": "true" });
    root.append(drawn("text", { x: left - 8, y: top - 17, "text-anchor": "end", "font-size": 10, class: "faded" }, `${sentence.axes[0]} →`));
    root.append(drawn("text", { x: left - 8, y: top - 5, "text-anchor": "end", "font-size": 10, class: "faded" }, `${sentence.axes[1]} ↓`));
    const label = (text, lang, attributes) => {
      const made = drawn("text", { "font-size": font, ...attributes }, text);
      if (lang) made.setAttribute("lang", lang);
      root.append(made);
      return made;
    };
    map = { cells: [], numbers: [], source: [], target: [], xs, ys, column, row, line };
    map.source = sources.map((text, s) => label(text, sentence.source_lang, straight
      ? { x: xs[s] + column / 2, y: top - 6, "text-anchor": "middle" }
      : { transform: `translate(${xs[s] + column / 2 + font * 0.35 * sine} ${top - 6}) rotate(${-angle})` }));
    map.target = targets.map((text, t) => label(text, sentence.text_lang,
      { x: left - 8, y: ys[t] + row / 2 + font * 0.35, "text-anchor": "end" }));
    map.cells = ys.map((y, t) => xs.map((x, s) => {
      const cell = drawn("rect", { x, y, width: column - line, height: row - line });
      cell.dataset.t = t;
      cell.dataset.s = s;
      root.append(cell);
      return cell;
    }));
    const labelled = row >= 30;
    map.numbers = labelled ? ys.map((y, t) => xs.map((x) => {
      const text = drawn("text", { x: x + (column - line) / 2, y: y + row / 2 + 3.5, "font-size": 10.5,
        "text-anchor": "middle", "pointer-events": "none" });
      root.append(text);
      return text;
    })) : [];
    map.cursor = drawn("rect", { class: "cursor", visibility: "hidden" });
    root.append(map.cursor);
    // One listener for all cells: a long sentence has thousands.
    root.addEventListener("pointerover", (event) => {
      if (held || !event.target.dataset || event.target.dataset.t === undefined) return;
      show({ side: "cell", t: Number(event.target.dataset.t), s: Number(event.target.dataset.s) }, true);
    });
    root.addEventListener("pointerleave", () => { if (!held && pointed) show(null); });
    root.addEventListener("click", (event) => {
      if (!event.target.dataset || event.target.dataset.t === undefined) return;
      focus.t = Number(event.target.dataset.t);
      focus.s = Number(event.target.dataset.s);
      hold({ side: "cell", t: focus.t, s: focus.s });
    });
    box.replaceChildren(root);
  }

  function thumbnail(k) {
    const rows = sentence.tokens.length, columns = sentence.source_tokens.length;
    const canvas = element("canvas", { width: Math.max(1, columns), height: Math.max(1, rows) });
    const pen = canvas.getContext("2d");
    const pixels = pen.createImageData(canvas.width, canvas.height);
    sentence.weights[k].forEach((row, t) => row.forEach((weight, s) => {
      pixels.data.set([...rgb(weight / sentence.scales[k].most), 255], 4 * (t * columns + s));
    }));
    pen.putImageData(pixels, 0, 0);
    return canvas;
  }

  function buildGallery() {
    const several = sentence.views.length > 1;
    byId("gallery-section").hidden = !several;
    if (!several) return byId("gallery").replaceChildren();
    const rows = new Map();
    sentence.views.forEach((name, k) => {
      const layer = name.includes(".") ? name.split(".")[0] : "";
      if (!rows.has(layer)) rows.set(layer, element("div", { className: "row" }, layer ? [element("span", { textContent: layer })] : []));
      const button = element("button", { type: "button", className: "thumb", value: name }, [
        thumbnail(k), name.includes(".") ? name.split(".").slice(1).join(".") : name,
      ]);
      button.setAttribute("aria-label", name);
      button.addEventListener("click", () => { byId("view").value = view = name; update(); });
      rows.get(layer).append(button);
    });
    byId("gallery").replaceChildren(...rows.values());
  }

  // --- showing -----------------------------------------------------------------------------------------------------

  function show(place, byPointer = false) {
    pointed = byPointer;
    const sources = sentence.source_tokens.map(() => null);
    const targets = sentence.tokens.map(() => null);
    const lit = { source: -1, target: -1 };
    let words = "";
    const most = (labels, values) => values.map((w, i) => [w, labels[i]]).filter(([w]) => seen(w, 0.005))
      .sort((a, b) => Math.abs(b[0]) - Math.abs(a[0])).slice(0, 6).map(([w, text]) => `${text} ${number(w)}`).join(" · ") || "nothing above 0.01";
    if (place && place.side === "target") {
      lit.target = place.i;
      weights[place.i].forEach((w, s) => { sources[s] = w; });
      words = `${scale.signed ? "For" : "To write"} “${sentence.labels[place.i]}” ${scale.signed ? "these counted" : "it read"}: ${most(sentence.source_labels, weights[place.i])}`;
    } else if (place && place.side === "source") {
      lit.source = place.i;
      const column = weights.map((row) => row[place.i]);
      column.forEach((w, t) => { targets[t] = w; });
      words = `“${sentence.source_labels[place.i]}” ${scale.signed ? "counted for" : "was read to write"}: ${most(sentence.labels, column)}`;
    } else if (place) {
      lit.source = place.s;
      lit.target = place.t;
      sources[place.s] = targets[place.t] = weights[place.t][place.s];
      words = `${sentence.source_labels[place.s]} → ${sentence.labels[place.t]}: ${number(weights[place.t][place.s], 4)}`;
    }
    paint("source", sources, lit.source);
    paint("target", targets, lit.target);
    const cell = place && place.side === "cell";
    map.cursor.setAttribute("visibility", place ? "visible" : "hidden");
    if (place) {
      const end = (places, size) => places[places.length - 1] + size - places[0];
      const first = { x: map.xs[0], y: map.ys[0], width: end(map.xs, map.column), height: end(map.ys, map.row) };
      if (cell || place.side === "source") Object.assign(first, { x: map.xs[lit.source], width: map.column });
      if (cell || place.side === "target") Object.assign(first, { y: map.ys[lit.target], height: map.row });
      for (const [name, value] of Object.entries(first)) {
        map.cursor.setAttribute(name, name === "width" || name === "height" ? value - map.line : value);
      }
    }
    byId("readout").textContent = words + (held ? " (held)" : "");
  }

  function paint(side, values, chosen) {
    tags[side].forEach((tag, i) => {
      const value = values[i];
      tag.style.background = value === null ? "" : css(value);
      tag.style.color = value === null ? "" : ink(value);
      tag.lastChild.textContent = value === null || !seen(value, 0.005) ? "" : number(value);
      tag.classList.toggle("chosen", i === chosen);
      tag.setAttribute("aria-selected", String(i === chosen));
      map[side][i].classList.toggle("lit", i === chosen);
    });
  }

  function hold(place) {
    held = held && JSON.stringify(held) === JSON.stringify(place) ? null : place;
    show(held || place);
  }

  function update() { // another view of the same sentence
    weights = mean(view);
    const chosen = sentence.views.indexOf(view);
    scale = sentence.scales[chosen < 0 ? 0 : chosen];
    drawScale();
    byId("notes").replaceChildren(...scale.notes.map((textContent) => element("p", { className: "soft", textContent })));
    weights.forEach((row, t) => row.forEach((weight, s) => {
      map.cells[t][s].style.fill = css(weight);
      if (map.numbers.length) {
        const shown = seen(weight, 0.05);
        map.numbers[t][s].textContent = shown ? number(weight) : "";
        if (shown) map.numbers[t][s].style.fill = ink(weight);
      }
    }));
    for (const button of byId("gallery").querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(view === button.value));
    }
    byId("map").setAttribute("aria-label", `Attention map of ${sentence.tokens.length} target by ` +
      `${sentence.source_tokens.length} source tokens, view ${view}`);
    show(held);
  }

  function choose(place) {
    sentence = data.sentences[place];
    held = null;
    focus = { source: 0, target: 0, t: 0, s: 0 };
    fillViews();
    fillWords("source", sentence.source_labels, sentence.source_gaps, sentence.source_lang);
    fillWords("target", sentence.labels, sentence.gaps, sentence.text_lang);
    buildMap();
    buildGallery();
    byId("warnings").replaceChildren(...sentence.warnings.map((text) =>
      element("p", { className: "warning", textContent: `Warning: ${text}` })));
    showTexts(sentence.source, sentence.source_lang, sentence.text, sentence.text_lang);
    const others = sentence.alternatives;
    byId("alternatives-section").hidden = others.length === 0;
    byId("alternatives").replaceChildren(...[{ text: sentence.text, score: sentence.score }, ...others].map((each) =>
      element("tr", {}, [
        element("td", { textContent: each.score.toFixed(2) }),
        element("td", { textContent: each.text, lang: sentence.text_lang || "" }),
      ])));
    update();
  }

  // --- keys --------------------------------------------------------------------------------------------------------

  function move(side, i) {
    tags[side][focus[side]].tabIndex = -1;
    focus[side] = i;
    tags[side][i].tabIndex = 0;
  }

  function keysOfWords(event) {
    const side = event.currentTarget.id;
    const other = side === "source" ? "target" : "source";
    const last = tags[side].length - 1;
    let i = focus[side];
    if (event.key === "ArrowRight") i = Math.min(last, i + 1);
    else if (event.key === "ArrowLeft") i = Math.max(0, i - 1);
    else if (event.key === "Home") i = 0;
    else if (event.key === "End") i = last;
    else if ((event.key === "ArrowDown" || event.key === "ArrowUp") && tags[other].length) {
      event.preventDefault();
      return tags[other][focus[other]].focus();
    } else if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      return hold({ side, i });
    } else return;
    event.preventDefault();
    move(side, i);
    tags[side][i].focus();
  }

  function keysOfMap(event) {
    const steps = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] };
    const step = steps[event.key];
    if (!sentence.tokens.length || !sentence.source_tokens.length) return;
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      return hold({ side: "cell", t: focus.t, s: focus.s });
    }
    if (!step) return;
    event.preventDefault();
    focus.t = Math.min(sentence.tokens.length - 1, Math.max(0, focus.t + step[0]));
    focus.s = Math.min(sentence.source_tokens.length - 1, Math.max(0, focus.s + step[1]));
    held = null;
    show({ side: "cell", t: focus.t, s: focus.s });
  }

  // --- beginning ---------------------------------------------------------------------------------------------------

  function drawScale() {
    const pen = byId("scale").getContext("2d");
    for (let i = 0; i < 200; i++) {
      pen.fillStyle = css(scale.most * (scale.signed ? 2 * i / 199 - 1 : i / 199));
      pen.fillRect(i, 0, 1, 1);
    }
    byId("scale-low").textContent = `${scale.unit} ${scale.signed ? number(-scale.most) : 0}`;
    byId("scale-high").textContent = scale.signed ? number(scale.most) : "1";
  }

  byId("sentence").append(...data.sentences.map((each, i) => option(String(i), `${i + 1}. ${each.source}`)));
  byId("sentence-choice").hidden = data.sentences.length < 2;
  byId("sentence").addEventListener("change", (event) => choose(Number(event.target.value)));
  byId("view").addEventListener("change", (event) => { view = event.target.value; update(); });
  byId("source").addEventListener("keydown", keysOfWords);
  byId("target").addEventListener("keydown", keysOfWords);
  byId("map").addEventListener("keydown", keysOfMap);
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") { held = null; show(null); } });
  night.addEventListener("change", () => { buildGallery(); update(); });
  choose(0);
})();
