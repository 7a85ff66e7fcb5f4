import { load } from "./detect.js";
import { runLengths, stretched } from "./masks.js";

const MOST_PIXELS_A_SIDE = 2048; // larger photographs are made smaller: they hold no more for a model
const MASK_OPACITY = 0.45;
const VISIBLE = 0.15; // CenterNet gives a keypoint without a candidate a score of 0.1
const at = (id) => document.getElementById(id);
const options = new URLSearchParams(location.search);
const canvas = at("canvas");
const pen = canvas.getContext("2d", { willReadFrequently: true });

let detector = null;
let shown = null; // the picture on the canvas, and what was found in it
let camera = null;

function say(text, isError = false) {
  at("status").textContent = text;
  at("status").className = isError ? "error" : "";
}

async function start(backend) {
  say("Loading the model");
  detector?.dispose();
  detector = null;
  detector = await load(backend);
  at("backend").value = detector.backend;
  at("title").textContent = `Object detection: ${detector.name}`;
  document.title = detector.name;
  say("Ready");
}

/** Detects in a picture and draws it; returns what was found, whatever its score. */
async function look(picture, width, height) {
  const share = Math.min(1, MOST_PIXELS_A_SIDE / Math.max(width, height));
  const source = document.createElement("canvas");
  source.width = Math.max(1, Math.round(width * share));
  source.height = Math.max(1, Math.round(height * share));
  source.getContext("2d").drawImage(picture, 0, 0, source.width, source.height);
  const begun = performance.now();
  const found = await detector.detect(source);
  shown = { source, found };
  draw();
  const time = Math.round(performance.now() - begun);
  say(`${time} ms on ${detector.backend}, ${source.width} x ${source.height} pixels`);
  return found;
}

function ink([red, green, blue]) {
  return 0.299 * red + 0.587 * green + 0.114 * blue > 140 ? "black" : "white"; // luma of BT.601
}

function draw() {
  if (!shown) return;
  const least = Number(at("score").value) / 100;
  const sure = shown.found.filter((item) => item.score >= least);
  const { width, height } = shown.source;
  // Small pictures are shown larger, so that the names can be read.
  const zoom = Math.max(1, Math.ceil(640 / Math.max(width, height)));
  canvas.width = width * zoom;
  canvas.height = height * zoom;
  pen.drawImage(shown.source, 0, 0, canvas.width, canvas.height);
  document.querySelector("main").classList.add("shown");
  // On a narrow screen the canvas is shown smaller: what is drawn on it must be larger.
  const shrunk = canvas.width / canvas.clientWidth;
  const line = Math.round(2 * shrunk);
  const size = Math.round(15 * shrunk);
  pen.font = `600 ${size}px system-ui, sans-serif`;
  pen.textBaseline = "top";
  for (const item of [...sure].reverse()) {
    drawMask(item, width, height);
    drawBox(item, line);
    drawKeypoints(item, line);
  }
  const taken = [];
  for (const item of sure) drawName(item, size, taken);
  at("found").replaceChildren(...counts(sure));
}

/** The corners of a box on the canvas: left, top, right, bottom. */
function corners(box) {
  const [top, left, bottom, right] = box.map((edge, place) => {
    const whole = place % 2 ? canvas.width : canvas.height;
    return Math.min(Math.max(edge, 0), 1) * whole;
  });
  return [left, top, right, bottom];
}

function drawBox({ box, colour }, line) {
  const [left, top, right, bottom] = corners(box);
  // A light or dark rim, so that a red box is seen on a red thing.
  for (const [style, width] of [[ink(colour), 2 * line], [`rgb(${colour})`, line]]) {
    pen.strokeStyle = style;
    pen.lineWidth = width;
    pen.strokeRect(left, top, right - left, bottom - top);
  }
}

/** Colours the pixels of an object's mask, in a picture of a size in px. */
function drawMask({ mask, box, colour }, width, height) {
  if (!mask) return;
  const part = stretched(mask, box, height, width);
  if (!part.inside.length) return;
  const image = new ImageData(part.width, part.height);
  part.inside.forEach((isIn, pixel) => {
    image.data.set([...colour, isIn ? 255 * MASK_OPACITY : 0], 4 * pixel);
  });
  const layer = document.createElement("canvas");
  layer.width = part.width;
  layer.height = part.height;
  layer.getContext("2d").putImageData(image, 0, 0);
  const [across, down] = [canvas.width / width, canvas.height / height];
  pen.drawImage(
    layer, part.left * across, part.top * down, part.width * across, part.height * down,
  );
}

function drawKeypoints({ keypoints = [], colour }, line) {
  pen.fillStyle = `rgb(${colour})`;
  pen.strokeStyle = ink(colour);
  pen.lineWidth = line / 2;
  for (const { y, x } of keypoints.filter((point) => point.score >= VISIBLE)) {
    pen.beginPath();
    pen.arc(x * canvas.width, y * canvas.height, 2 * line, 0, 2 * Math.PI);
    pen.fill();
    pen.stroke();
  }
}

/** Writes a name above its box; where a better one stands already, at its foot or inside. */
function drawName({ label, score, box, colour }, size, taken) {
  const [left, top, , bottom] = corners(box);
  const text = `${label} ${Math.round(score * 100)}%`;
  const width = pen.measureText(text).width + 8;
  const height = size + 6;
  const x = Math.max(0, Math.min(left - 1, canvas.width - width));
  const places = [top - height, bottom, top, bottom - height]
    .filter((y) => y >= 0 && y + height <= canvas.height);
  const free = (y) => taken.every(
    (other) => x + width <= other.x || other.x + other.width <= x || Math.abs(y - other.y) >= height,
  );
  const y = places.find(free) ?? places[0] ?? 0;
  taken.push({ x, y, width });
  pen.fillStyle = `rgb(${colour})`;
  pen.fillRect(x, y, width, height);
  pen.fillStyle = ink(colour);
  pen.fillText(text, x + 4, y + 4);
}

function counts(objects) {
  const kinds = new Map();
  for (const item of objects) {
    const kind = kinds.get(item.label) ?? { number: 0, colour: item.colour };
    kinds.set(item.label, { ...kind, number: kind.number + 1 });
  }
  const rows = [...kinds].map(([label, { number, colour }]) => {
    const row = document.createElement("li");
    row.textContent = `${number} ${label}`;
    row.style.background = `rgb(${colour})`;
    row.style.color = ink(colour);
    return row;
  });
  if (rows.length) return rows;
  const none = document.createElement("li");
  none.textContent = "Nothing found at this score.";
  return [none];
}

async function open(file) {
  stopCamera();
  let picture;
  try {
    picture = await createImageBitmap(file);
  } catch {
    return say(`${file.name} is no picture that this browser can read.`, true);
  }
  say("Looking");
  await attempt(() => look(picture, picture.width, picture.height));
}

async function attempt(work) {
  try {
    await work();
  } catch (error) {
    say(String(error.message ?? error), true);
    console.error(error);
  }
}

async function startCamera() {
  const video = document.createElement("video");
  video.playsInline = video.muted = true;
  video.srcObject = await navigator.mediaDevices.getUserMedia({
    video: { facingMode: "environment" },
  });
  await video.play();
  camera = video;
  at("camera").textContent = "Stop the camera";
  while (camera === video) {
    await look(video, video.videoWidth, video.videoHeight);
    await new Promise(requestAnimationFrame);
  }
}

function stopCamera() {
  camera?.srcObject.getTracks().forEach((track) => track.stop());
  camera = null;
  at("camera").textContent = "Start the camera";
}

/** Detects in what the server gives, one picture after the other: how an export proves itself. */
async function beDriven() {
  const last = document.createElement("img");
  last.src = "driven/end.svg"; // the page counts as loaded when this comes
  last.alt = "";
  document.body.append(last);
  const post = (body) => fetch("driven/found", { method: "POST", body: JSON.stringify(body) });
  try {
    await start(options.get("backend") ?? undefined);
    for (;;) {
      const next = await fetch("driven/next");
      if (next.status === 410) return;
      if (next.status !== 200) continue;
      const picture = await createImageBitmap(await next.blob());
      const found = await look(picture, picture.width, picture.height);
      const { width, height } = picture;
      const objects = found.map(({ mask, ...item }) => (
        mask ? { ...item, mask: runLengths(stretched(mask, item.box, height, width), height, width) }
          : item
      ));
      await post({ backend: detector.backend, objects });
    }
  } catch (error) {
    say(String(error), true);
    await post({ error: String(error) });
  }
}

function listen() {
  at("file").addEventListener("change", ({ target }) => target.files[0] && open(target.files[0]));
  at("score").addEventListener("input", ({ target }) => {
    at("score-shown").textContent = `${target.value}%`;
    draw();
  });
  at("backend").addEventListener("change", ({ target }) => {
    stopCamera();
    attempt(async () => {
      await start(target.value);
      if (shown) await look(shown.source, shown.source.width, shown.source.height);
    });
  });
  at("camera").addEventListener("click", () => (camera ? stopCamera() : attempt(startCamera)));
  const main = document.querySelector("main");
  for (const kind of ["dragover", "dragleave", "drop"]) {
    main.addEventListener(kind, (event) => {
      event.preventDefault();
      main.classList.toggle("over", kind === "dragover");
      const file = kind === "drop" && event.dataTransfer.files[0];
      if (file) open(file);
    });
  }
}

listen();
if (options.has("driven")) beDriven();
else attempt(() => start(options.get("backend") ?? undefined));
