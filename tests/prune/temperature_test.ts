import { assertEquals } from "@std/assert";
import { pickTemperature, posteriorTemperatures } from "../../src/prune/score/temperature.ts";

const pickOf = (losses: Readonly<Record<number, number>>) => {
  const tried = Object.entries(losses).map(([temperature, loss]) => {
    return { temperature: Number(temperature), loss };
  }).sort((a, b) => a.temperature - b.temperature);
  const choice = pickTemperature(tried);
  assertEquals(choice.tried, tried);
  return choice.temperature;
};

Deno.test("pickTemperature() takes the lowest loss, and of equal losses the nearest to 1", () => {
  assertEquals(pickOf({ 0.25: 2, 1: 3, 4: 1 }), 4);
  assertEquals(pickOf({ 0.25: 1, 1: 3, 4: 2 }), 0.25);
  assertEquals(pickOf({ 0.25: 1, 1: 1, 4: 1 }), 1);
  assertEquals(pickOf({ 0.0625: 1, 1: 2, 4: 1 }), 4);
  // As far from 1 on either side: the first.
  assertEquals(pickOf({ 0.25: 1, 1: 2, 4: 1 }), 0.25);
});

Deno.test("posteriorTemperatures rise by one factor, and 1 is among them", () => {
  const factors = posteriorTemperatures.slice(1).map((next, i) => next / posteriorTemperatures[i]);
  assertEquals(new Set(factors).size, 1);
  assertEquals(posteriorTemperatures.includes(1), true);
});
