// Runs the page's own modules outside of a browser: node port.mjs <input.json> prints what they make of it.
// Input: {pictures: [{width, height, rgba}], networks: [description], images: [784 numbers], together: one number?}.
import { readFileSync } from "node:fs";
import { findDigits } from "../../../src/mnist_mlp/extras/demo/segmentation.mjs";
import { Network } from "../../../src/mnist_mlp/extras/demo/network.mjs";
import { greyOf } from "../../../src/mnist_mlp/extras/demo/picture.mjs";

const { pictures = [], networks = [], images = [], together = false } = JSON.parse(readFileSync(process.argv[2], "utf8"));
const digits = pictures.map(({ width, height, rgba }) =>
  findDigits(greyOf({ width, height, data: Buffer.from(rgba, "base64") }).grey),
);
const plain = ({ image, box, halves }) => ({
  image: [...image],
  box: [box.x0, box.y0, box.x1, box.y1],
  halves: halves.map(plain),
});
// The first network reads the pictures: digit by digit its best guess, and whether it is an answer.
const reader = pictures.length && networks.length ? new Network(networks[0]) : null;
const readings = reader && digits.map((pieces) =>
  reader.read(pieces).map(({ probabilities, isSure }) => [probabilities.indexOf(Math.max(...probabilities)), isSure]),
);
const answers = networks.map((description) => {
  const network = new Network(description);
  const answers = images.map((image) => network.answer(image));
  const decided = together ? network.decide(answers) : answers.map((answer) => network.decide([answer])[0]);
  return decided.map(({ probabilities, hidden, inDistribution, isSure }, n) => {
    const image = images[n];
    return {
      probabilities: [...probabilities],
      hidden: hidden.map((values) => [...values]),
      evidence: [...network.evidence(image, 3)],
      inDistribution,
      isSure,
    };
  });
});
process.stdout.write(JSON.stringify({ digits: digits.map((pieces) => pieces.map(plain)), answers, readings }));
