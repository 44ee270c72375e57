import { assert, assertEquals } from "@std/assert";
import { configOf } from "../helpers/config.ts";
import { type PruneReport, pruneReportSchema } from "../../src/report/prune_report.ts";

const report: PruneReport = {
  version: 3,
  adapter: "an adapter",
  dataset: { name: "tiny", source: "a test", classes: ["a", "b"], train: 80, calibration: 16, test: 40 },
  model: "seed",
  seed: 7,
  config: configOf({ seed: 7 }),
  accuracy: { untrained: 0.25, trained: 1, pruned: 0.5, finetuned: 0.75 },
  criteria: [{ criterion: "magnitude", sparsity: 0.5, accuracy: 0.5, accuracyFinetuned: 1 }],
  parameters: { total: 100, prunable: 90, removed: 45 },
  bytes: { before: 400, after: 232 },
  cost: {
    before: { parameters: 100, multiplyAdds: 900, bytes: 400 },
    after: { parameters: 55, multiplyAdds: 450.5, bytes: 400 },
  },
  fileBytes: { before: 900, after: 700 },
  compaction: {
    before: { parameters: 100, multiplyAdds: 900, sizeBytes: 400 },
    after: { parameters: 80, multiplyAdds: 720, sizeBytes: 320 },
    removedLayers: [],
    channels: [{ name: "conv1", before: 5, after: 4 }],
    largestDifference: 1e-7,
  },
  rounds: [{
    round: 1,
    removed: 45,
    sparsity: 0.5,
    outflow: 45,
    inflow: 0,
    accuracyPruned: 0.5,
    accuracyFinetuned: 0.75,
    accuracyValidation: 0.7,
    isUndone: false,
  }],
  end: "asked sparsity",
  layers: [{
    name: "conv1.weight",
    weights: 90,
    kept: 45,
    channels: 5,
    emptyChannels: 1,
    confidenceHistogram: [40, 50],
    priorPrecision: 12.5,
  }],
  classes: [{
    name: "a",
    count: 20,
    before: 1,
    after: 0.5,
    change: -10,
    mistakenFor: { name: "b", count: 10 },
  }],
  flips: { rightToWrong: 10, wrongToRight: 0, stayedRight: 30, stayedWrong: 0 },
};

Deno.test("pruneReportSchema takes a report through JSON as it was", () => {
  assertEquals(pruneReportSchema.parse(JSON.parse(JSON.stringify(report))), report);
});

Deno.test("pruneReportSchema takes a report without compaction and without validation", () => {
  const rounds = report.rounds.map(({ accuracyValidation: _, ...round }) => round);
  assertEquals(pruneReportSchema.parse({ ...report, compaction: null, rounds }).rounds, rounds);
});

Deno.test("pruneReportSchema takes phases of training, with and without validation, and nothing else in them", () => {
  const epoch = { loss: 2.5, accuracy: 0.25 }, best = { ...epoch, epoch: 0 };
  const phase = { phase: "train", epochs: [epoch] };
  const watched = { phase: "fine-tune 1/1", epochs: [{ ...epoch, validation: epoch }], best };
  const training = [phase, watched];
  assertEquals(
    pruneReportSchema.parse(JSON.parse(JSON.stringify({ ...report, training }))).training,
    training,
  );
  const more = { surprise: 1 }, accuracy = 1.5;
  for (
    const wrong of [
      { ...phase, ...more },
      { phase: "train" },
      { ...phase, epochs: [{ ...epoch, ...more }] },
      { ...phase, epochs: [{ ...epoch, accuracy }] },
      { ...phase, epochs: [{ ...epoch, validation: { ...epoch, ...more } }] },
      { ...watched, best: { ...best, epoch: 0.5 } },
    ]
  ) {
    assert(!pruneReportSchema.safeParse({ ...report, training: [wrong] }).success, JSON.stringify(wrong));
  }
});

Deno.test("pruneReportSchema refuses unknown and missing keys, everywhere", () => {
  const refuses = (value: unknown, what: string) => assert(!pruneReportSchema.safeParse(value).success, what);
  for (const key of Object.keys(report)) {
    const { [key as keyof PruneReport]: _, ...rest } = report;
    refuses(rest, `no ${key}`);
    const value = report[key as keyof PruneReport];
    if (typeof value !== "object") continue;
    const [item] = Array.isArray(value) ? value : [value];
    if (typeof item !== "object") continue;
    const more = { ...item, surprise: 1 };
    refuses({ ...report, [key]: Array.isArray(value) ? [more] : more }, `a surprise in ${key}`);
  }
  refuses({ ...report, surprise: 1 }, "a surprise");
  refuses({ ...report, version: 4 }, "another version");
  refuses({ ...report, accuracy: { ...report.accuracy, pruned: 1.1 } }, "an accuracy above 1");
  refuses({ ...report, flips: { ...report.flips, stayedWrong: 0.5 } }, "half an example");
});
