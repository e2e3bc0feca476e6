/* Draw scribbles on a picture: the strokes of some labels, as lists of points in its pixels.
 *
 *   (x, y) = (0, 0) at the middle of the first pixel,      lines = [[label, [[x, y], ...]], ...].
 *
 * The library makes a label map of them (scribble_pad.py), so the page has only to collect them. */

const COLORS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"];
const STYLE = `
:host { display: block; max-width: 44em; font: 15px/1.45 system-ui, sans-serif; }
.bar { display: flex; flex-wrap: wrap; gap: 8px; align-items: center; margin: 0 0 8px; }
fieldset { border: 0; margin: 0; padding: 0; display: flex; flex-wrap: wrap; gap: 4px 14px; }
legend { padding: 0; float: left; margin-right: 10px; }
label { display: flex; gap: 6px; align-items: center; cursor: pointer; }
.dot { width: 12px; height: 12px; border-radius: 50%; border: 1.5px solid #fff; box-shadow: 0 0 0 1px #0005; }
button { font: inherit; padding: 5px 10px; cursor: pointer; }
canvas { width: 100%; display: block; touch-action: none; cursor: crosshair; image-rendering: pixelated; }
.status { margin: 6px 0 0; }`;

/** A pad in `host`; `changed(lines)` is called after every stroke, undo and clear. Returns it. */
export function mount(host, { url, height, width, labels, pen, lines = [], changed = () => {} }) {
  const root = host.attachShadow({ mode: "open" });
  const zoom = Math.max(1, Math.round(640 / width));
  root.innerHTML = `<style>${STYLE}</style><div class="bar"><fieldset><legend>Draw:</legend></fieldset>
    <button class="undo">Undo</button><button class="clear">Clear</button></div>
    <canvas width="${zoom * width}" height="${zoom * height}" role="img"></canvas>
    <p class="status" role="status"></p>`;
  const $ = (name) => root.querySelector(name);
  const canvas = $("canvas"), context = canvas.getContext("2d"), picture = new Image();
  const pad = { lines: lines.map(([label, points]) => [label, points.map((p) => [...p])]), label: labels.length - 1 };
  let open = null;

  labels.forEach((name, label) => {
    const row = document.createElement("label"), input = document.createElement("input");
    const dot = document.createElement("span");
    Object.assign(input, { type: "radio", name: "label", checked: label === pad.label });
    input.addEventListener("change", () => { pad.label = label; });
    dot.className = "dot";
    dot.style.background = COLORS[label % COLORS.length];
    row.append(input, dot, name);
    $("fieldset").append(row);
  });

  function draw() {
    context.imageSmoothingEnabled = false;
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (picture.complete) context.drawImage(picture, 0, 0, canvas.width, canvas.height);
    context.lineWidth = Math.max(1, pen) * zoom;
    context.lineCap = context.lineJoin = "round";
    for (const [label, points] of pad.lines) {
      const ends = points.map(([x, y]) => [(x + 0.5) * zoom, (y + 0.5) * zoom]);
      context.strokeStyle = COLORS[label % COLORS.length];
      context.beginPath();
      context.moveTo(...ends[0]);
      for (const end of ends.length > 1 ? ends.slice(1) : ends) context.lineTo(...end);
      context.stroke();
    }
    const counts = labels.map((name, k) => `${pad.lines.filter(([label]) => label === k).length} of ${name}`);
    $(".status").textContent = `Strokes: ${counts.join(", ")}.`;
    canvas.setAttribute("aria-label", `A picture to draw on with mouse, pen or finger. ${$(".status").textContent}`);
    for (const name of [".undo", ".clear"]) $(name).disabled = !pad.lines.length;
  }

  function place(event) {
    const box = canvas.getBoundingClientRect();
    const share = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    return [width, height].map((side, k) => Math.round(100 * (share[k] * side - 0.5)) / 100);
  }

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    event.preventDefault();
    canvas.setPointerCapture(event.pointerId);
    open = [place(event)];
    pad.lines.push([pad.label, open]);
    draw();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!open) return;
    const [x, y] = place(event), [a, b] = open[open.length - 1];
    if (Math.hypot(x - a, y - b) < 0.5) return;
    open.push([x, y]);
    draw();
  });
  for (const name of ["pointerup", "pointercancel"])
    canvas.addEventListener(name, () => {
      if (open) changed(pad.lines);
      open = null;
    });
  for (const [name, act] of [[".undo", () => pad.lines.pop()], [".clear", () => { pad.lines = []; }]])
    $(name).addEventListener("click", () => { act(); draw(); changed(pad.lines); });

  pad.show = (newer) => {
    if (!open) { pad.lines = newer; draw(); }
  };
  picture.addEventListener("load", draw);
  picture.src = url;
  draw();
  host.pad = pad;
  return pad;
}

/** anywidget: what is drawn becomes the widget's `lines`. */
function render({ model, el }) {
  const host = document.createElement("div");
  el.append(host);
  const names = ["url", "height", "width", "labels", "pen", "lines"];
  const pad = mount(host, {
    ...Object.fromEntries(names.map((name) => [name, model.get(name)])),
    changed: (lines) => { model.set("lines", structuredClone(lines)); model.save_changes(); },
  });
  const follow = () => pad.show(structuredClone(model.get("lines")));
  model.on("change:lines", follow);
  return () => { model.off("change:lines", follow); host.remove(); };
}

export default { render };
