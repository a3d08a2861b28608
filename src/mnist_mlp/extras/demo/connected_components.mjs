// The connected pieces of a mask, and which of them belong to one digit, as mnist_mlp/extras/handwriting/connected_components.py does it.

const BODY = 0.5; // of the tallest piece's height: a piece at least this tall is the body of a digit
const SMALL = 0.25; // of it, too: a separate piece at least this tall is a digit of its own, as in 5²
const REACH = 0.2; // of a digit's height: how far a piece may lie from the rest of its digit

export const widthOf = (box) => box.x1 - box.x0;
export const heightOf = (box) => box.y1 - box.y0;
export const longestOf = (box) => Math.max(widthOf(box), heightOf(box));

export function union(a, b) {
  return {
    x0: Math.min(a.x0, b.x0),
    y0: Math.min(a.y0, b.y0),
    x1: Math.max(a.x1, b.x1),
    y1: Math.max(a.y1, b.y1),
  };
}

/** Pixels of nothing between the two, along the axis where they are further apart; 0 if they meet. */
function gap(a, b) {
  const across = Math.max(a.x0, b.x0) - Math.min(a.x1, b.x1);
  const down = Math.max(a.y0, b.y0) - Math.min(a.y1, b.y1);
  return Math.max(across, down, 0);
}

/** The columns that both cover, as a share of the narrower one's. */
function sharedWidth(a, b) {
  const both = Math.min(a.x1, b.x1) - Math.max(a.x0, b.x0);
  return Math.max(both, 0) / Math.min(widthOf(a), widthOf(b));
}

/** Labels, 0 outside and 1.. for each 8-connected piece in reading order of its first pixel, and the pieces' boxes. */
export function label(mask, height, width) {
  const labels = new Int32Array(height * width);
  const boxes = [];
  const stack = [];
  for (let first = 0; first < mask.length; first++) {
    if (!mask[first] || labels[first]) continue;
    const name = boxes.length + 1;
    const box = { x0: width, y0: height, x1: 0, y1: 0 };
    labels[first] = name;
    stack.push(first);
    while (stack.length) {
      const i = stack.pop();
      const x = i % width;
      const y = (i - x) / width;
      box.x0 = Math.min(box.x0, x);
      box.y0 = Math.min(box.y0, y);
      box.x1 = Math.max(box.x1, x + 1);
      box.y1 = Math.max(box.y1, y + 1);
      for (let ny = Math.max(y - 1, 0); ny <= Math.min(y + 1, height - 1); ny++)
        for (let nx = Math.max(x - 1, 0); nx <= Math.min(x + 1, width - 1); nx++) {
          const next = ny * width + nx;
          if (mask[next] && !labels[next]) {
            labels[next] = name;
            stack.push(next);
          }
        }
    }
    boxes.push(box);
  }
  return { labels, boxes };
}

/** Which pieces make up each digit, by their positions in `boxes`. */
export function gather(boxes) {
  const tallest = Math.max(...boxes.map(heightOf));
  const positions = boxes.map((_, i) => i);
  const tall = boxes.filter((box) => heightOf(box) >= BODY * tallest);
  const isBody = boxes.map((box) => {
    if (heightOf(box) >= BODY * tallest) return true;
    return heightOf(box) >= SMALL * tallest && tall.every((other) => apart(box, other));
  });
  const bodies = positions.filter((i) => isBody[i]);
  let groups = [];
  for (const i of bodies.sort((a, b) => heightOf(boxes[b]) - heightOf(boxes[a]))) {
    let [box, members] = [boxes[i], [i]];
    const above = groups.filter((group) => stacked(group.box, boxes[i]));
    groups = groups.filter((group) => !above.includes(group));
    for (const group of above) [box, members] = [union(box, group.box), [...members, ...group.members]];
    groups.push({ box, members });
  }
  for (const i of positions.filter((i) => !isBody[i])) {
    const within = groups.filter((group) => gap(group.box, boxes[i]) <= REACH * heightOf(group.box));
    const gaps = within.map((group) => gap(group.box, boxes[i]));
    if (within.length > 0) within[gaps.indexOf(Math.min(...gaps))].members.push(i);
  }
  return groups.map((group) => group.members);
}

/** Whether a small piece is no part of a tall one: far from it, or clearly beside it. */
function apart(small, tall) {
  const distance = gap(small, tall);
  return distance > REACH * heightOf(tall) || (sharedWidth(small, tall) === 0 && distance > 1);
}

function stacked(a, b) {
  return sharedWidth(a, b) > 0.5 && gap(a, b) <= REACH * Math.max(heightOf(a), heightOf(b));
}

/** Positions line by line from the top, each line from left to right. */
export function readingOrder(boxes) {
  const positions = boxes.map((_, i) => i);
  const lines = [];
  const tallestFirst = (a, b) => heightOf(boxes[b]) - heightOf(boxes[a]) || boxes[a].y0 - boxes[b].y0;
  for (const i of [...positions].sort(tallestFirst)) {
    const { y0, y1 } = boxes[i];
    const line = lines.find(({ extent }) => Math.min(extent.y1, y1) - Math.max(extent.y0, y0) > 0.25 * (y1 - y0));
    if (line) {
      line.extent = union(line.extent, boxes[i]);
      line.members.push(i);
    } else lines.push({ extent: boxes[i], members: [i] });
  }
  lines.sort((a, b) => a.extent.y0 - b.extent.y0);
  return lines.flatMap(({ members }) => members.sort((a, b) => boxes[a].x0 - boxes[b].x0));
}
