// What is on the sheet, drawn on a canvas: paper, strokes, an opened picture, a digit of the test set.

export const SHEET = 200; // units along a side of the sheet, and pixels of the picture that is read from it
const ERASER = 0.16 * SHEET;

/** On an opened picture the pen and the paper have its colours, on the screen too: the network sees no others. */
export function draw(context, items, pen, colours) {
  const { ink, paper } = items[0]?.colours ?? colours;
  context.fillStyle = paper;
  context.fillRect(0, 0, SHEET, SHEET);
  context.lineCap = context.lineJoin = "round";
  for (const item of items) {
    if (item.kind === "picture") drawWhole(context, item.bitmap);
    else if (item.kind === "digit") drawDigit(context, item.image, ink);
    else {
      context.strokeStyle = item.kind === "ink" ? ink : paper;
      context.lineWidth = item.kind === "ink" ? pen * item.width : ERASER;
      drawStroke(context, item.points);
    }
  }
}

/** A smooth line: each point is the control point of a curve from one middle between two points to the next. */
function drawStroke(context, points) {
  if (points.length === 0) return;
  context.beginPath();
  context.moveTo(points[0].x, points[0].y);
  for (let i = 1; i < points.length - 1; i++) {
    const [a, b] = [points[i], points[i + 1]];
    context.quadraticCurveTo(a.x, a.y, (a.x + b.x) / 2, (a.y + b.y) / 2);
  }
  const last = points[points.length - 1];
  context.lineTo(last.x + 0.01, last.y); // where it is the first as well, a dot: a line of no length draws nothing
  context.stroke();
}

function drawWhole(context, bitmap) {
  const scale = SHEET / Math.max(bitmap.width, bitmap.height);
  const [width, height] = [bitmap.width * scale, bitmap.height * scale];
  context.drawImage(bitmap, (SHEET - width) / 2, (SHEET - height) / 2, width, height);
}

/** A digit of the test set in ink: its grey levels are how opaque the ink is. */
function drawDigit(context, image, ink) {
  const small = new OffscreenCanvas(28, 28).getContext("2d");
  const pixels = small.createImageData(28, 28);
  image.forEach((grey, i) => (pixels.data[4 * i + 3] = grey));
  small.putImageData(pixels, 0, 0);
  small.globalCompositeOperation = "source-in";
  small.fillStyle = ink;
  small.fillRect(0, 0, 28, 28);
  context.imageSmoothingQuality = "high";
  context.drawImage(small.canvas, 0, 0, SHEET, SHEET);
}
