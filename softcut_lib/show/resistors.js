// A circuit that a reader changes: choose a resistor or a node, move its conductance or its current,
// and Kirchhoff's law holds again (chapter 2). The equations, for every node p but the ground,
//
//     sum over resistors pq of w_pq (x_p - x_q) = current_p,      x_ground = 0,
//
// are solved in the page by elimination. The file asks for nothing from outside.

/** Voltages of {nodes: [{current}], edges: [{a, b, conductance}]}; b = -1 is the ground. */
export function voltages({ nodes, edges }) {
  const n = nodes.length, rows = nodes.map(({ current }) => {
    const row = new Float64Array(n + 1);
    row[n] = current;
    return row;
  });
  for (const { a, b, conductance } of edges) {
    rows[a][a] += conductance;
    if (b < 0) continue;
    rows[b][b] += conductance;
    rows[a][b] -= conductance;
    rows[b][a] -= conductance;
  }
  for (let k = 0; k < n; k++) { // no pivoting: the matrix is symmetric and positive definite
    for (let i = k + 1; i < n; i++) {
      const factor = rows[i][k] / rows[k][k];
      if (factor) for (let j = k; j <= n; j++) rows[i][j] -= factor * rows[k][j];
    }
  }
  const x = new Float64Array(n);
  for (let k = n - 1; k >= 0; k--) {
    x[k] = rows[k][n];
    for (let j = k + 1; j < n; j++) x[k] -= rows[k][j] * x[j];
    x[k] /= rows[k][k];
  }
  return x;
}

const STOPS = [[33, 102, 172], [146, 197, 222], [247, 247, 247], [244, 165, 130], [178, 24, 43]];
const color = (v) => { // blue below zero, red above
  const at = Math.max(0, Math.min(3.999, 2 + 2 * v)), low = Math.floor(at);
  return `rgb(${STOPS[low].map((c, k) => Math.round(c + (at - low) * (STOPS[low + 1][k] - c)))})`;
};
const number = (v) => (Math.abs(v) < 5e-4 ? "0" : Math.abs(v) >= 9.995 ? v.toFixed(0) : v.toFixed(2)).replace("-", "−");

const STYLE = `
:host { display: block; --ink: #1d232b; --dim: #59636f; --accent: #0b62a8; --soft: #f3f5f8; --flow: #0b7a4b;
  color: var(--ink); font: 15px/1.45 system-ui, sans-serif; }
:host([data-mode="dark"]) { --ink: #e8ebef; --dim: #a7b0bb; --accent: #6db9f2; --soft: #242a32; --flow: #63d6a0; }
svg { width: 100%; display: block; margin: 0 auto; touch-action: manipulation; }
g[role] { cursor: pointer; outline: none; }
.wire { fill: none; stroke: var(--dim); stroke-linejoin: round; }
.hit { fill: none; stroke: transparent; stroke-width: 30; pointer-events: stroke; }
.chosen .wire, .chosen circle { stroke: var(--accent); }
g[role]:focus-visible .wire, g[role]:focus-visible circle { stroke: var(--accent); stroke-width: 5; }
circle { stroke: var(--dim); stroke-width: 1.5; } .chosen circle { stroke-width: 4; }
text { font: 12px system-ui, sans-serif; fill: var(--dim); font-variant-numeric: tabular-nums; text-anchor: middle; }
text.left { text-anchor: end; } text.volt { fill: #1d232b; font-weight: 600; } text.flow { fill: var(--flow); font-weight: 600; }
.panel { background: var(--soft); border-radius: 8px; padding: 10px 14px; margin-top: 6px; }
label { display: flex; flex-wrap: wrap; gap: 4px 12px; align-items: center; }
label span { min-width: 15em; } input { flex: 1; min-width: 10em; accent-color: var(--accent); height: 26px; }
p { margin: 4px 0 0; font-variant-numeric: tabular-nums; } .hint { color: var(--dim); font-size: 13px; }`;

/** Put a live circuit {nodes: [{name, i, j, current}], edges} into an element of a page. */
export function mountCircuit(host, circuit, about) {
  const root = host.shadowRoot ?? host.attachShadow({ mode: "open" });
  const { nodes, edges } = circuit, unit = 130, margin = 76;
  const width = 2 * margin + unit * Math.max(...nodes.map((v) => v.j)) - 20;
  const height = 2 * margin + unit * Math.max(...nodes.map((v) => v.i)) - 10;
  root.innerHTML = `<style>${STYLE}</style><svg viewBox="0 0 ${width} ${height}" role="group"
    style="max-width:${width * 1.15}px"></svg><div class="panel"><label><span></span>
    <input type="range" min="0" max="200" step="1"></label><p class="law" role="status"></p>
    <p class="hint">Click a resistor, a ground or a node; with the keyboard Tab to it and press the up and
    down arrows.</p></div>`;
  const svg = root.querySelector("svg"), slider = root.querySelector("input");
  svg.setAttribute("aria-label", about);
  const draw = (tag, attributes, parent) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    parent.append(element);
    return element;
  };
  const place = (k) => [margin + unit * nodes[k].j, margin - 18 + unit * nodes[k].i];
  const zigzag = ([x0, y0], [x1, y1], size) => {
    const dx = x1 - x0, dy = y1 - y0, length = Math.hypot(dx, dy), points = [[x0, y0]];
    for (let k = 0; k < 8; k++) {
      const at = k === 0 ? 0.2 : k === 7 ? 0.8 : 0.2 + 0.6 * (k - 0.5) / 6;
      const side = k === 0 || k === 7 ? 0 : k % 2 ? size : -size;
      points.push([x0 + dx * at - dy / length * side, y0 + dy * at + dx / length * side]);
    }
    return [...points, [x1, y1]].map((p) => p.map((v) => v.toFixed(1)).join(",")).join(" ");
  };
  const live = { circuit, chosen: null, x: null };
  const parts = [];
  const item = (thing, kind, name) => {
    const group = draw("g", { tabindex: 0, role: "button" }, svg), part = { thing, kind, name, group };
    const choose = () => { live.chosen = part; update(); };
    group.addEventListener("click", choose);
    group.addEventListener("focus", choose);
    group.addEventListener("keydown", (event) => {
      const way = { ArrowUp: 4, ArrowDown: -4 }[event.key];
      if (!way) return;
      event.preventDefault();
      slider.value = Number(slider.value) + way;
      move();
    });
    parts.push(part);
    return part;
  };
  for (const edge of edges) {
    const ground = edge.b < 0, from = place(edge.a), to = ground ? [from[0] + 26, from[1] + 52] : place(edge.b);
    const name = ground ? `from ${nodes[edge.a].name} to the ground`
      : `between ${nodes[edge.a].name} and ${nodes[edge.b].name}`;
    const part = item(edge, "resistor", name), points = zigzag(from, to, ground ? 4 : 7);
    part.wire = draw("polyline", { class: "wire", points }, part.group);
    draw("polyline", { class: "hit", points: `${from} ${to}` }, part.group);
    if (ground) {
      for (const k of [0, 1, 2]) {
        const y = to[1] + 4 * k, half = 9 - 3 * k;
        draw("path", { class: "wire", d: `M${to[0] - half} ${y}h${2 * half}` }, part.group);
      }
    } else {
      const flat = from[1] === to[1], x = (from[0] + to[0]) / 2, y = (from[1] + to[1]) / 2;
      const words = (kind, above, aside) => draw("text", flat ? { class: kind, x, y: y + above }
        : { class: `${kind} left`, x: x - 13, y: y + aside }, part.group);
      part.weight = words("", -14, -4);
      part.flow = words("flow", 24, 12);
      part.arrows = flat ? ["→", "←"] : ["↓", "↑"];
    }
  }
  nodes.forEach((node, k) => {
    const part = item(node, "source", `into ${node.name}`), [x, y] = place(k);
    part.circle = draw("circle", { cx: x, cy: y, r: 22 }, part.group);
    part.volt = draw("text", { class: "volt", x, y: y + 4 }, part.group);
    part.source = draw("text", { class: "left", x: x - 13, y: y - 26 }, part.group);
  });

  const LOW = 0.01, HIGH = 100, REACH = 10; // siemens and amperes of the slider's ends
  function move() {
    const { thing, kind } = live.chosen, share = slider.value / 200;
    if (kind === "resistor") thing.conductance = LOW * (HIGH / LOW) ** share;
    else thing.current = Math.round(10 * REACH * (2 * share - 1)) / 10;
    update(false);
  }
  slider.addEventListener("input", move);
  function update(place = true) {
    const x = live.x = voltages(circuit), volt = (k) => (k < 0 ? 0 : x[k]);
    const reach = Math.max(1e-12, ...x.map(Math.abs));
    const sums = nodes.map((node) => -node.current);
    for (const { a, b, conductance } of edges) {
      const current = conductance * (volt(a) - volt(b));
      sums[a] += current;
      if (b >= 0) sums[b] -= current;
    }
    for (const part of parts) {
      const { thing, kind, name, group } = part;
      group.classList.toggle("chosen", part === live.chosen);
      if (kind === "source") {
        const v = x[nodes.indexOf(thing)];
        part.circle.setAttribute("fill", color(v / reach));
        part.volt.textContent = number(v);
        part.source.textContent = `${thing.current < 0 ? "↑" : "↓"} ${number(Math.abs(thing.current))} A`;
        group.setAttribute("aria-label", `Node ${thing.name}: ${number(v)} volt, source ${number(thing.current)} ampere`);
        continue;
      }
      const current = thing.conductance * (volt(thing.a) - volt(thing.b));
      part.wire.setAttribute("stroke-width", (1.4 + Math.log10(1 + 3 * thing.conductance) * 2.2).toFixed(2));
      if (part.weight) {
        part.weight.textContent = `${number(thing.conductance)} S`;
        part.flow.textContent = `${part.arrows[current >= 0 ? 0 : 1]} ${number(Math.abs(current))} A`;
      }
      group.setAttribute("aria-label", `Resistor ${name}: ${number(thing.conductance)} siemens, `
        + `current ${number(current)} ampere`);
    }
    const { thing, kind, name } = live.chosen, value = kind === "resistor" ? thing.conductance : thing.current;
    const words = kind === "resistor" ? `Conductance ${name}: ${number(value)} S` : `Current ${name}: ${number(value)} A`;
    root.querySelector("label span").textContent = words;
    slider.setAttribute("aria-valuetext", words);
    if (place) {
      slider.value = kind === "resistor" ? 200 * Math.log(value / LOW) / Math.log(HIGH / LOW) : 100 * (1 + value / REACH);
    }
    const k = kind === "resistor" ? thing.a : nodes.indexOf(thing);
    const outgoing = edges.filter((e) => e.a === k || e.b === k).map(({ a, b, conductance }) =>
      number(conductance * (a === k ? volt(a) - volt(b) : volt(b) - volt(a))));
    live.worst = Math.max(...sums.map(Math.abs));
    root.querySelector(".law").textContent = `Kirchhoff at ${nodes[k].name}: what leaves, `
      + `${outgoing.map((v) => (v.startsWith("−") ? `(${v})` : v)).join(" + ")}, is the source’s ${number(nodes[k].current)} A. `
      + `Worst node: ${live.worst.toExponential(0)} A off.`;
  }
  const follow = () => {
    const found = getComputedStyle(host.parentElement ?? host).color.match(/[\d.]+/g);
    if (!found) return requestAnimationFrame(follow); // a notebook attaches the element later
    const [r, g, b] = found.map(Number);
    host.dataset.mode = 0.3 * r + 0.6 * g + 0.1 * b > 140 ? "dark" : "light";
  };
  const watcher = new MutationObserver(follow);
  for (const element of [document.documentElement, document.body]) watcher.observe(element, { attributes: true });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", follow);
  follow();
  live.chosen = parts.find((part) => part.weight) ?? parts[0];
  update();
  host.circuit = live;
  return live;
}
