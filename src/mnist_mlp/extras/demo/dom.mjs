// The document's elements, by id; and new ones in a drawing.

export const element = (id) => document.getElementById(id);

export function svg(kind, attributes) {
  const result = document.createElementNS("http://www.w3.org/2000/svg", kind);
  for (const [name, value] of Object.entries(attributes)) result.setAttribute(name, value);
  return result;
}
