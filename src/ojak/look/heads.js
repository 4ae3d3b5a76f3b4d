(() => {
  for (const part of data.parts) { // bytes, 255 for a weight of 1
    part.levels = Uint8Array.from(atob(part.weights), (letter) => letter.charCodeAt(0));
    part.size = part.rows.length * part.columns.length;
  }
  let part = data.parts.find((each) => each.name === "Over the source") || data.parts[0];
  let shown = 0; // the head shown large, counted through all layers
  let held = false;
  let pixels = []; // colours of the 256 levels
  let large = null;

  function colours() {
    pixels = Array.from({ length: 256 }, (_, level) => rgb(level / 255));
    const pen = byId("scale").getContext("2d");
    for (let i = 0; i < 200; i++) {
      pen.fillStyle = `rgb(${pixels[Math.round(i * 255 / 199)].join(",")})`;
      pen.fillRect(i, 0, 1, 1);
    }
  }

  const level = (head, r, c) => part.levels[head * part.size + r * part.columns.length + c];
  const title = (head) => `${part.name}: layer ${Math.floor(head / part.heads)}, head ${head % part.heads}`;

  function small(head) {
    const height = part.rows.length, width = part.columns.length;
    const canvas = element("canvas", { width, height });
    const pen = canvas.getContext("2d");
    const image = pen.createImageData(width, height);
    for (let i = 0; i < part.size; i++) image.data.set([...pixels[part.levels[head * part.size + i]], 255], 4 * i);
    pen.putImageData(image, 0, 0);
    const side = Math.max(44, Math.min(130, Math.floor(620 / part.heads) - 12));
    const scale = side / Math.max(width, height);
    if (scale < 1) canvas.style.imageRendering = "auto"; // else whole columns would be left out
    canvas.style.width = `${Math.max(16, Math.round(width * scale))}px`;
    canvas.style.height = `${Math.max(16, Math.round(height * scale))}px`;
    return canvas;
  }

  function buildGrid() {
    const head = element("tr", {}, [element("th"), ...Array.from({ length: part.heads }, (_, h) =>
      element("th", { scope: "col", textContent: `head ${h}` }))]);
    const rows = Array.from({ length: part.layers }, (_, layer) => element("tr", {}, [
      element("th", { scope: "row", textContent: `layer ${layer}` }),
      ...Array.from({ length: part.heads }, (_, h) => {
        const number = layer * part.heads + h;
        const button = element("button", { type: "button", className: "cell" }, [small(number)]);
        button.dataset.head = number;
        button.setAttribute("aria-label", title(number));
        button.title = title(number);
        button.addEventListener("pointerenter", () => { if (!held) show(number); });
        button.addEventListener("focus", () => { if (!held) show(number); });
        button.addEventListener("click", () => { held = !(held && shown === number); show(number); });
        return element("td", {}, [button]);
      }),
    ]));
    byId("grid").replaceChildren(element("table", {}, [element("thead", {}, [head]), element("tbody", {}, rows)]));
  }

  function buildLarge() { // once for each part: another head changes the colours only
    const pen = document.createElement("canvas").getContext("2d");
    const family = getComputedStyle(document.body).fontFamily;
    const cut = (text) => (Array.from(text).length > 20 ? Array.from(text).slice(0, 19).join("") + "…" : text);
    const rows = part.rows.map(cut), columns = part.columns.map(cut);
    const wide = (texts) => Math.max(0, ...texts.map((text) => pen.measureText(text).width));
    // As large as fits beside the grid; a long sentence is scrolled through.
    pen.font = `bold 14px ${family}`;
    const gaps = part.column_gaps.filter(Boolean).length;
    const room = (byId("large").clientWidth - wide(rows) - 16) / (columns.length + 0.15 * gaps);
    const side = Math.min(34, Math.max(11, Math.floor(Math.min(room, 560 / Math.max(1, rows.length)))));
    const font = Math.min(14, Math.max(10, side * 0.72));
    pen.font = `bold ${font}px ${family}`;
    const left = wide(rows) + 12, top = wide(columns) + 12, gap = 0.15 * side;
    const xs = edges(left, side, gap, part.column_gaps), ys = edges(top, side, gap, part.row_gaps);
    const width = xs[xs.length - 1] + side + 4, height = ys[ys.length - 1] + side + 4;
    const root = drawn("svg", { width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
    const label = (text, attributes) => {
      const made = drawn("text", { "font-size": font, ...attributes }, text);
      root.append(made);
      return made;
    };
    large = { xs, ys, side, cells: [] };
    large.columns = columns.map((text, c) => label(text,
      { transform: `translate(${xs[c] + side / 2 + font * 0.35} ${top - 6}) rotate(-90)` }));
    large.rows = rows.map((text, r) => label(text, { x: left - 6, y: ys[r] + side / 2 + font * 0.35, "text-anchor": "end" }));
    const line = side >= 18 ? 1 : 0.5;
    ys.forEach((y, r) => xs.forEach((x, c) => {
      const cell = drawn("rect", { x, y, width: side - line, height: side - line });
      cell.dataset.r = r;
      cell.dataset.c = c;
      large.cells.push(cell);
      root.append(cell);
    }));
    large.cursor = drawn("rect", { class: "cursor", visibility: "hidden" });
    root.append(large.cursor);
    root.addEventListener("pointerover", (event) => {
      if (event.target.dataset && event.target.dataset.r !== undefined) point(Number(event.target.dataset.r), Number(event.target.dataset.c));
    });
    root.addEventListener("pointerleave", () => point(null));
    byId("large").replaceChildren(root);
    byId("large").setAttribute("role", "img");
  }

  let at = null; // the cell under pointer or keys

  function point(r, c) {
    at = r === null ? null : { r, c };
    large.rows.forEach((text, i) => text.classList.toggle("lit", at !== null && i === r));
    large.columns.forEach((text, i) => text.classList.toggle("lit", at !== null && i === c));
    large.cursor.setAttribute("visibility", at ? "visible" : "hidden");
    if (!at) {
      byId("readout").textContent = "";
      return;
    }
    for (const [name, value] of Object.entries({ x: large.xs[c], y: large.ys[r], width: large.side, height: large.side })) {
      large.cursor.setAttribute(name, value);
    }
    const most = part.columns.map((text, i) => [level(shown, r, i) / 255, text]).filter(([w]) => w >= 0.01)
      .sort((a, b) => b[0] - a[0]).slice(0, 5).map(([w, text]) => `${text} ${w.toFixed(2)}`).join(" · ");
    byId("readout").textContent = `${part.rows[r]} ← ${part.columns[c]}: ${(level(shown, r, c) / 255).toFixed(2)}. ` +
      `${part.about.replace("{row}", part.rows[r])}: ${most}`;
  }

  function show(head) {
    shown = head;
    byId("large-title").textContent = title(head) + (held ? " (held)" : "");
    byId("large").setAttribute("aria-label", `Map of ${title(head)}`);
    large.cells.forEach((cell, i) => { cell.style.fill = `rgb(${pixels[part.levels[head * part.size + i]].join(",")})`; });
    for (const button of byId("grid").querySelectorAll("button")) {
      const mine = Number(button.dataset.head) === head;
      button.classList.toggle("shown", mine);
      button.classList.toggle("held", mine && held);
      button.setAttribute("aria-pressed", String(mine && held));
    }
    if (at) point(at.r, at.c);
  }

  function choose(next) {
    part = next;
    held = false;
    at = null;
    for (const tab of byId("tabs").children) tab.setAttribute("aria-selected", String(tab.value === part.name));
    buildGrid();
    buildLarge();
    show(0);
  }

  byId("tabs").append(...data.parts.map((each) => {
    const tab = element("button", { type: "button", value: each.name, textContent: `${each.name} (${each.layers} × ${each.heads})` });
    tab.setAttribute("role", "tab");
    tab.addEventListener("click", () => choose(each));
    return tab;
  }));
  byId("large").addEventListener("keydown", (event) => {
    const step = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] }[event.key];
    if (!step) return;
    event.preventDefault();
    const inside = (value, count) => Math.min(count - 1, Math.max(0, value));
    point(inside((at ? at.r : 0) + (at ? step[0] : 0), part.rows.length), inside((at ? at.c : 0) + (at ? step[1] : 0), part.columns.length));
  });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") { held = false; show(shown); } });
  night.addEventListener("change", () => { colours(); buildGrid(); show(shown); });
  showTexts(data.source, data.source_lang, data.text, data.text_lang);
  colours();
  choose(part);
})();
