import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { formatReport } from "../../src/text/prune.ts";
import { configOf } from "../helpers/config.ts";
import type { PruneReport } from "../../src/report/prune_report.ts";

const round = {
  ...{ round: 1, removed: 40, sparsity: 0.4, outflow: 40, inflow: 0 },
  ...{ accuracyPruned: 0.5, accuracyFinetuned: 0.75, isUndone: false },
};

const report: PruneReport = {
  version: 3,
  adapter: "an adapter",
  dataset: { name: "tiny", source: "a test", classes: ["a"], train: 80, calibration: 16, test: 40 },
  model: "seed",
  seed: 0,
  config: configOf({}),
  accuracy: { untrained: 0.25, trained: 1, pruned: 0.5, finetuned: 0.75 },
  criteria: [],
  parameters: { total: 110, prunable: 100, removed: 40 },
  bytes: { before: 440, after: 293 },
  cost: {
    before: { parameters: 110, multiplyAdds: 900, bytes: 440 },
    after: { parameters: 70, multiplyAdds: 540.4, bytes: 440 },
  },
  fileBytes: { before: 1000, after: 999 },
  compaction: null,
  rounds: [round],
  end: "asked sparsity",
  layers: [],
  classes: [],
  flips: { rightToWrong: 10, wrongToRight: 0, stayedRight: 30, stayedWrong: 0 },
};

Deno.test("formatReport() shows what the model costs before and after", () => {
  const text = formatReport(report);
  for (
    const line of [
      /^parameters +110 +70$/m,
      /^multiply-adds per image +900 +540$/m,
      /^bytes of the file +1000 +999$/m,
    ]
  ) {
    assert(line.test(text), `${line}`);
  }
  assert(!text.includes("Compacted"));
});

Deno.test("formatReport() shows what came back and what was undone only where there was any", () => {
  const headOf = (rounds: PruneReport["rounds"]) =>
    formatReport({ ...report, rounds }).split("\n").find((line) => line.startsWith("round "))!.split(/ {2,}/);
  const usual = ["round", "removed in all", "sparsity", "removed now", "pruned", "fine-tuned"];
  assertEquals(headOf([round]), usual);
  assertEquals(headOf([round, { ...round, inflow: 3 }]), [
    ...usual.slice(0, 4),
    "brought back",
    ...usual.slice(4),
  ]);
  const posteriorTemperature = { temperature: 0.25, tried: [{ temperature: 0.25, loss: 1 }] };
  const tempered = [round, { ...round, posteriorTemperature }];
  assertEquals(headOf(tempered), [...usual.slice(0, 3), "T", ...usual.slice(3)]);
  assert(/40\.0 % +- +40/.test(formatReport({ ...report, rounds: tempered })));
  assert(/40\.0 % +0\.25 +40/.test(formatReport({ ...report, rounds: tempered })));
  const validated = { ...round, accuracyValidation: 0.625, isUndone: true };
  assertEquals(headOf([validated]), [...usual, "validation", "undone"]);
  // sqrt(0.625 (1 - 0.625) / 60)
  const config = configOf({ validation: 60 });
  assert(/ 62\.5 \+- 6\.3 % +yes$/m.test(formatReport({ ...report, config, rounds: [validated] })));
});

Deno.test("formatReport() shows what training ended with, and its best epoch where examples were held out", () => {
  const epochs = [{ loss: 2, accuracy: 0.25 }, { loss: 1.23456, accuracy: 0.5 }];
  const rowsOf = (training: PruneReport["training"]) =>
    formatReport({ ...report, training, config: configOf({ validation: 60 }) }).split("\n").filter((
      line,
    ) => /^(phase|train|fine-tune) /.test(line))
      .map((line) => line.trim().split(/ {2,}/));
  const plain = { phase: "train", epochs }, columns = ["phase", "epochs", "loss", "accuracy"];
  assertEquals(rowsOf([plain]), [columns, ["train", "2", "1.2346", "50.0 %"]]);
  const watched = { phase: "fine-tune 1/1", epochs, best: { epoch: 0, loss: 1, accuracy: 0.375 } };
  assertEquals(rowsOf([plain, watched]), [
    [...columns, "best epoch", "validation"],
    ["train", "2", "1.2346", "50.0 %", "-", "-"],
    // sqrt(0.375 (1 - 0.375) / 60)
    ["fine-tune 1/1", "2", "1.2346", "50.0 %", "1", "37.5 +- 6.3 %"],
  ]);
  assert(!formatReport({ ...report, training: [] }).includes("Training"));
});

Deno.test("formatReport() says what compaction is worth", () => {
  const cost = { parameters: 70, multiplyAdds: 540, sizeBytes: 280 };
  const text = formatReport({
    ...report,
    compaction: {
      before: { parameters: 110, multiplyAdds: 900, sizeBytes: 440 },
      after: cost,
      removedLayers: ["conv2"],
      channels: [{ name: "conv1", before: 5, after: 4 }],
      largestDifference: 1.26e-7,
    },
  }, { batch: 40, beforeMs: 2, afterMs: 1.5 });
  assert(/^size +before +compacted, dense +what is kept$/m.test(text));
  assert(/^parameters +[0-9]+ +70 +[0-9]+$/m.test(text), text);
  assert(/^compacted +channels before +after +kept$/m.test(text));
  assert(/^conv1 +5 +4 +80\.0 %$/m.test(text));
  assertStringIncludes(text, "\n\nTaken out: conv2.\n");
  assertStringIncludes(text, "A batch of 40 takes 2.00 ms before and 1.50 ms after, medians of 7 in turn.");
  assertStringIncludes(text, "Logits differ by at most 1.3e-7 of the largest.");
});

Deno.test("formatReport() leaves warnings to standard error, and marks layers of which compaction left little", () => {
  assertEquals(formatReport({ ...report, warnings: ["nothing is left of conv1"] }), formatReport(report));
  const cost = { parameters: 70, multiplyAdds: 540, sizeBytes: 280 };
  const compacted = (after: number) =>
    formatReport({
      ...report,
      compaction: {
        ...{ before: cost, after: cost, removedLayers: [], largestDifference: 0 },
        channels: [{ name: "conv1", before: 40, after }, { name: "relu1", before: 40, after: 30 }],
      },
    });
  assert(/^conv1 +40 +1 +2\.5 % +under 5 %$/m.test(compacted(1)));
  assert(/^relu1 +40 +30 +75\.0 %$/m.test(compacted(1)));
  assert(!compacted(2).includes("under 5 %"));
});

Deno.test("formatReport() says why the rounds ended", () => {
  assertStringIncludes(formatReport(report), "Rounds (ended by: asked sparsity)");
  assertStringIncludes(
    formatReport({ ...report, end: "rounds" }),
    "Rounds (ended by: the most rounds allowed)",
  );
});

Deno.test("formatReport() says nothing of logits where compaction changed nothing", () => {
  const cost = { parameters: 70, multiplyAdds: 540, sizeBytes: 280 };
  const compaction = { before: cost, after: cost, removedLayers: [], channels: [], largestDifference: 0 };
  const text = formatReport({ ...report, compaction });
  assertStringIncludes(text, "Compacted: no layer has fewer channels.");
  assert(!text.includes("Logits differ"));
});

/** The rows of the table of networks, and the heads of those below it that have an accuracy. */
function statesOf(more: Partial<PruneReport>): { readonly states: string[][]; readonly heads: string[] } {
  const lines = formatReport({ ...report, ...more }).split("\n");
  const from = lines.findIndex((line) => line.startsWith("network ")) + 2, to = lines.indexOf("", from);
  return {
    states: lines.slice(from, to).map((line) => line.split(/ {2,}/)),
    heads: lines.filter((line) => /^(round|criterion) /.test(line)).map((line) =>
      line.split(/ {2,}/).at(-1)!
    ),
  };
}

Deno.test("formatReport() names only states that the network was in, each with the standard error of its accuracy", () => {
  // By 40 examples: of 1/4 and of 3/4 sqrt(3 / 16 / 40), of 1/2 sqrt(1 / 4 / 40), of 1 none.
  const criteria = [{ criterion: "random", sparsity: 0.4, accuracy: 0.25, accuracyFinetuned: 0.5 }];
  assertEquals(statesOf({ criteria, start: "random" }), {
    states: [
      ["untrained", "25.0 +- 6.8 %"],
      ["trained", "100.0 +- 0.0 %"],
      ["pruned by confidence", "50.0 +- 7.9 %"],
      ["fine-tuned", "75.0 +- 6.8 %"],
    ],
    heads: ["fine-tuned", "fine-tuned"],
  });
  const config = configOf({ weights: "a", finetuneEpochs: 0, refit: "layers", criterion: "confidence" });
  for (const start of [{}, { start: "given" }] as const) {
    assertEquals(statesOf({ criteria, config, ...start }), {
      states: [["as loaded", "25.0 +- 6.8 %"], ["pruned by confidence, the rest refitted", "50.0 +- 7.9 %"]],
      heads: ["pruned", "pruned"],
    });
  }
  assertEquals(statesOf({ start: "given" }).states.slice(0, 2).map(([name]) => name), [
    "as loaded",
    "trained",
  ]);
});

Deno.test("formatReport() says how far accuracy changed, with the standard error of a change on the same examples", () => {
  const flips = { rightToWrong: 7, wrongToRight: 1, stayedRight: 20, stayedWrong: 12 };
  // Of 40 examples 8 changed: -6 / 40, and sqrt((8 / 40 - (6 / 40)^2) / 40) = 0.0666.
  assertStringIncludes(formatReport({ ...report, flips }), "accuracy changed by -15.0 +- 6.7 points.");
});
