// The sheet to draw on: strokes of a pen and an eraser, on paper, on a picture, or on a digit of the test set.

import { draw, SHEET } from "./drawing.mjs";
import { paperOf } from "./picture.mjs";

const STROKE = 0.117; // width of a stroke of MNIST, as a share of its digit's longer side (median of the test set)
const [FINEST, BROADEST] = [0.02 * SHEET, 0.1 * SHEET];
const SHOWN_PEN = 0.04 * SHEET;
const TAP = 3; // units that a finger may slip and still have tapped
const MOST_PIXELS = 4_000_000; // of an opened picture; the canvas scales a larger one, as Python does not

/**
 * Everything done to the sheet is a list of items, so undoing is taking the last one away:
 * {kind: "ink" | "erase", points, width}, {kind: "picture", bitmap, colours}, {kind: "digit", image, label, ...},
 * {kind: "clear"}.
 */
export class Pad {
  /** `onTap(place)` returns whether it took the tap for itself; otherwise a dot is drawn. */
  constructor(canvas, { onChange, onTap }) {
    Object.assign(this, { canvas, onChange, onTap });
    this.items = [];
    this.undone = [];
    this.erasing = false;
    this.width = 1; // of new strokes, in widths of the usual pen
    this.pointer = null; // the one that draws; a second finger does not
    this.drawing = null; // the stroke that the pointer or the cursor adds points to
    this.cursor = { x: SHEET / 2, y: SHEET / 2, shown: false, down: false }; // of the arrow keys
    this.sheet = new OffscreenCanvas(SHEET, SHEET).getContext("2d", { willReadFrequently: true });
    canvas.addEventListener("pointerdown", (event) => this.begin(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    for (const kind of ["pointerup", "pointercancel"]) canvas.addEventListener(kind, (event) => this.end(event));
    canvas.addEventListener("keydown", (event) => this.key(event));
    canvas.addEventListener("blur", () => this.hideCursor());
    new ResizeObserver(() => this.paint()).observe(canvas);
  }

  get isBlank() {
    return this.current().every((item) => item.kind === "erase");
  }

  /** The digit of the test set that lies on the sheet untouched, or undefined. */
  get sample() {
    const items = this.current();
    return items.length === 1 && items[0].kind === "digit" ? items[0] : undefined;
  }

  /** The stroke of the pen that was drawn last, where nothing came after it, or undefined. */
  get newestStroke() {
    const last = this.items[this.items.length - 1];
    return last?.kind === "ink" ? last : undefined;
  }

  /** The items since the sheet was last empty, or filled with something new. */
  current() {
    const start = this.items.findLastIndex((item) => !["ink", "erase"].includes(item.kind));
    return this.items.slice(start < 0 ? 0 : start).filter((item) => item.kind !== "clear");
  }

  put(item) {
    this.items.push(item);
    this.undone = [];
    this.liftPen();
    this.onChange();
  }

  open(bitmap) {
    this.put({ kind: "picture", bitmap, colours: coloursOf(bitmap) });
  }

  undo() {
    if (this.items.length) this.undone.push(this.items.pop());
    this.liftPen();
    this.onChange();
  }

  redo() {
    if (this.undone.length) this.items.push(this.undone.pop());
    this.liftPen();
    this.onChange();
  }

  /** The stroke ends: what comes after it, such as an undo in the middle of it, must not be drawn on. */
  liftPen() {
    this.drawing = null;
    this.cursor.down = false;
  }

  clear() {
    if (this.current().length) this.put({ kind: "clear" });
  }

  begin(event) {
    if (this.pointer !== null || event.button > 0) return;
    this.hideCursor();
    this.pointer = event.pointerId;
    this.canvas.setPointerCapture(event.pointerId);
    const erase = this.erasing || event.buttons === 32; // the other end of a pen
    this.beginStroke(erase, this.placeOf(event));
  }

  beginStroke(erase, place) {
    const stroke = { kind: erase ? "erase" : "ink", points: [place], width: this.width };
    this.undoneBefore = this.undone; // what can be redone again, if the stroke is a tap that draws nothing
    this.put(stroke);
    this.drawing = stroke;
  }

  move(event) {
    if (event.pointerId !== this.pointer || !this.drawing) return;
    const steps = event.getCoalescedEvents?.() ?? [];
    this.drawing.points.push(...(steps.length ? steps : [event]).map((e) => this.placeOf(e)));
    this.onChange();
  }

  end(event) {
    if (event.pointerId !== this.pointer) return;
    const stroke = this.drawing;
    this.pointer = this.drawing = null;
    if (stroke?.kind !== "ink" || longerSide(stroke.points) > TAP || !this.onTap(stroke.points[0])) return;
    this.items.pop();
    this.undone = this.undoneBefore;
    this.onChange();
  }

  placeOf(event) {
    const frame = this.canvas.getBoundingClientRect();
    return {
      x: ((event.clientX - frame.left) / frame.width) * SHEET,
      y: ((event.clientY - frame.top) / frame.height) * SHEET,
    };
  }

  /** Arrow keys move a cursor, the space bar puts the pen down and lifts it. */
  key(event) {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (event.ctrlKey || event.metaKey || (!way && event.key !== " ")) return;
    event.preventDefault();
    const { cursor } = this;
    cursor.shown = true;
    const length = event.shiftKey ? 2 : 7;
    if (way) {
      cursor.x = Math.min(Math.max(cursor.x + length * way[0], 0), SHEET);
      cursor.y = Math.min(Math.max(cursor.y + length * way[1], 0), SHEET);
    } else if (cursor.down) this.liftPen();
    else {
      this.beginStroke(this.erasing, { x: cursor.x, y: cursor.y });
      cursor.down = true;
    }
    if (way && cursor.down) this.drawing.points.push({ x: cursor.x, y: cursor.y });
    this.onChange();
  }

  hideCursor() {
    Object.assign(this.cursor, { shown: false, down: false });
    this.paint();
  }

  /** The picture that the digits are looked for in: an opened one as it came, or the sheet, black on white. */
  picture() {
    const items = this.current();
    if (items.length === 1 && items[0].kind === "picture") return pixelsOf(items[0].bitmap);
    // With one width of pen for all sizes of digit, small ones would fill up and large ones would be thin.
    draw(this.sheet, items, penWidth(items), { ink: "black", paper: "white" });
    return this.sheet.getImageData(0, 0, SHEET, SHEET);
  }

  /** What is on the sheet, on the screen; `onChange` asks for it with the next frame. */
  paint() {
    const { canvas, cursor } = this;
    const pixels = Math.max(Math.round(canvas.clientWidth * devicePixelRatio), 1);
    if (canvas.width !== pixels) canvas.width = canvas.height = pixels;
    const context = canvas.getContext("2d");
    const style = getComputedStyle(canvas);
    context.setTransform(pixels / SHEET, 0, 0, pixels / SHEET, 0, 0);
    const [ink, paper] = [style.getPropertyValue("--ink"), style.getPropertyValue("--paper")];
    draw(context, this.current(), SHOWN_PEN, { ink, paper });
    if (!cursor.shown) return;
    context.strokeStyle = style.getPropertyValue("--accent");
    context.lineWidth = 2;
    context.beginPath();
    context.arc(cursor.x, cursor.y, cursor.down ? SHOWN_PEN / 2 : SHOWN_PEN, 0, 2 * Math.PI);
    context.stroke();
  }
}

/** So broad that, with the largest stroke brought to the size of MNIST's digits, it is as broad as theirs. */
function penWidth(items) {
  const lengths = items.filter((item) => item.kind === "ink").map(({ points }) => longerSide(points));
  return Math.min(Math.max(STROKE * Math.max(0, ...lengths), FINEST), BROADEST);
}

/** Of the box around points. */
function longerSide(points) {
  const extent = (values) => Math.max(...values) - Math.min(...values);
  return Math.max(...["x", "y"].map((axis) => extent(points.map((point) => point[axis]))));
}

/** Width and height at which an opened picture is read: its own, or smaller ones. */
export function sizeRead(bitmap) {
  const scale = Math.min(1, Math.sqrt(MOST_PIXELS / (bitmap.width * bitmap.height)));
  const [width, height] = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.round(side * scale)));
  return { width, height };
}

/** The paper of a picture, and an ink that is seen on it. */
function coloursOf(bitmap) {
  const level = paperOf(pixelsOf(bitmap));
  return { paper: `rgb(${level} ${level} ${level})`, ink: level < 128 ? "white" : "black" };
}

function pixelsOf(bitmap) {
  const { width, height } = sizeRead(bitmap);
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0, width, height);
  return context.getImageData(0, 0, width, height);
}
