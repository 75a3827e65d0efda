import { expect, test } from "vitest";

import { OTHER_COLOUR, SERIES_COLOURS, type Scheme, colourPlaces } from "./palette.ts";

type Triple = [number, number, number];

/** Machado, Oliveira and Fernandes (2009), severity 1, on linear light. */
const SIGHTS: Record<string, [Triple, Triple, Triple]> = {
  normal: [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
  protanopia: [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
  deuteranopia: [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
  tritanopia: [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
};
const SURFACE = { light: "#ffffff", dark: "#17181c" };

function linear(colour: string): Triple {
  const channel = (at: number) => {
    const value = parseInt(colour.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  };
  return [channel(1), channel(3), channel(5)];
}

const dot = (a: Triple, b: Triple) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const luminance = (rgb: Triple) => dot(rgb, [0.2126, 0.7152, 0.0722]);

function contrast(a: string, b: string): number {
  const [one, other] = [luminance(linear(a)) + 0.05, luminance(linear(b)) + 0.05];
  return Math.max(one, other) / Math.min(one, other);
}

function oklab(rgb: Triple): Triple {
  const seen = rgb.map((channel) => Math.min(1, Math.max(0, channel))) as Triple;
  const l = Math.cbrt(dot(seen, [0.4122214708, 0.5363325363, 0.0514459929]));
  const m = Math.cbrt(dot(seen, [0.2119034982, 0.6806995451, 0.1073969566]));
  const s = Math.cbrt(dot(seen, [0.0883024619, 0.2817188376, 0.6299787005]));
  const lms: Triple = [l, m, s];
  return [dot(lms, [0.2104542553, 0.793617785, -0.0040720468]), dot(lms, [1.9779984951, -2.428592205, 0.4505937099]), dot(lms, [0.0259040371, 0.7827717662, -0.808675766])];
}

/** The smallest distance between any two colours, in OKLab. 0.02 can just be seen side by side. */
function closest(colours: readonly string[], sight: string): number {
  const matrix = SIGHTS[sight] ?? [];
  const seen = colours.map((colour) => oklab(matrix.map((row) => dot(row, linear(colour))) as Triple));
  let least = Infinity;
  seen.forEach((a, at) => {
    for (const b of seen.slice(at + 1)) least = Math.min(least, Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]));
  });
  return least;
}

test.each(["light", "dark"] as Scheme[])("%s: eight colours and the grey are told apart by everybody and stand out", (scheme) => {
  const colours = [...SERIES_COLOURS[scheme], OTHER_COLOUR[scheme]];
  expect(new Set(colours).size).toBe(9);
  for (const sight of Object.keys(SIGHTS)) expect(closest(colours, sight), sight).toBeGreaterThan(sight === "normal" ? 0.14 : 0.075);
  for (const colour of colours) expect(contrast(colour, SURFACE[scheme]), colour).toBeGreaterThanOrEqual(3);
});

test("a measure of distance that finds red and green alike to a deuteranope", () => {
  expect(closest(["#c44e52", "#7a7a30"], "deuteranopia")).toBeLessThan(0.075);
  expect(closest(["#c44e52", "#7a7a30"], "normal")).toBeGreaterThan(0.14);
});

test("a name keeps its place among other names, and no two of eight share one", () => {
  const names = ["US", "DE", "GB", "JP", "BR", "IN", "FR", "ES"];
  expect(new Set(colourPlaces(names)).size).toBe(8);
  expect(colourPlaces(["US"])[0]).toBe(colourPlaces(names)[0]);
  expect(colourPlaces([...names, "IT"])).toHaveLength(9);
});
