/** Tests of what help says of flags, and of the flags that commands have of their own. */

import assert from "node:assert/strict";
import { z } from "zod";
import {
  type FlagField,
  formatHelp,
  ownFlags,
  parseFlags,
  runFlags,
  selectFlags,
} from "../../src/cli/flags.ts";
import { fields as compareFields } from "../../src/cli/compare.ts";
import { fields } from "../../src/cli/prune.ts";
import { fields as sensitivityFields } from "../../src/cli/sensitivity.ts";
import { configFlags } from "../../src/config/words.ts";
import { runTask } from "../helpers/command.ts";

Deno.test("formatHelp() names the flags that most people need with their defaults, and examples", () => {
  const common = ["sparsity", "refit", "config"], examples = ["./winnow prune --sparsity 0.8"];
  const help = formatHelp({
    usage: "./winnow prune [FLAGS]",
    summary: "Prunes.",
    fields,
    common,
    examples,
  });
  assert.deepEqual([...help.matchAll(/^ {2}(--\S+(?: all)?)/gm)].map(([, flag]) => flag), [
    ...["--sparsity", "--refit", "--config", "--help", "--help all"],
  ]);
  assert.match(help, /--sparsity NUMBER +Goal: fraction of the weights to remove. Default 0.5.\n/);
  assert.match(help, /\nExamples:\n {2}\.\/winnow prune --sparsity 0.8$/);
  assert(help.split("\n").every((line) => line.length <= 100));
});

Deno.test("formatHelp() names every flag under its branch, in lines of at most 100 characters", () => {
  const help = formatHelp({ usage: "./winnow prune [FLAGS]", summary: "Prunes.", fields, common: [] }, "all");
  const replaced = fields.map((field) => "at" in field ? field.at : undefined);
  const shown = fields.filter(({ key, kind }) => !replaced.includes(key) && kind !== "part");
  assert(shown.length > 85);
  for (const { flag, kind, default: preset } of shown) {
    const isNegated = kind === "boolean" && preset === true;
    assert(help.includes(isNegated ? `--no-${flag}` : `--${flag}`), flag);
  }
  assert.match(
    help,
    /\ntrain.schedule:\n[^:]*\(cosine: [^:]*:[^:]*--rate-floor NUMBER +Share of the learning rate[^:]*\(floor\)/,
  );
  assert(help.split("\n").every((line) => line.length <= 100));
  // Branches are headings, in the order of the tree; what has none comes first.
  const headings = [...help.matchAll(/^(\S.*):$/gm)].map(([, heading]) => heading);
  assert.deepEqual(headings, [
    ...[
      "Flags",
      "data",
      "model",
      "device",
      "train",
      "train.optimizer",
      "train.optimizer.clip",
      "train.schedule",
      "train.averaging",
    ],
    ...[
      "train.distillation",
      "train.distillation.features",
      "validation",
      "prune.goal",
      "prune.goal.pattern",
    ],
    ...[
      "prune.score",
      "prune.select",
      "prune.after",
      "prune.after.refit",
      "prune.finetune",
      "prune",
      "output",
    ],
  ]);
  assert.match(
    formatHelp({ usage: "x", summary: "Does.", fields: runFlags.fields }),
    /\nFlags:\n {2}--config/,
  );
});

Deno.test("ownFlags() makes flags of schemas, fills in their defaults, and refuses what they refuse by the flag", () => {
  const own = ownFlags({
    top: z.int().min(1).default(3).describe("Most."),
    lastOne: z.string().optional().describe("--last: The last."),
  });
  assert.deepEqual(
    own.fields.map((
      { key, flag, kind, default: preset, description },
    ) => [key, flag, kind, preset, description]),
    [
      ["top", "top", "integer", 3, "Most."],
      ["lastOne", "last", "text", undefined, "The last."],
    ],
  );
  const read = (...argv: readonly string[]) =>
    own.read(parseFlags(argv, [...own.fields, ...selectFlags("seed")]).values);
  assert.deepEqual([read(), read("--top=1", "--last=x", "--seed=2")], [{ top: 3 }, { top: 1, lastOne: "x" }]);
  assert.throws(() => read("--top=0"), {
    message: 'Cannot use "--top": 0, expected a whole number, at least 1',
  });
});

Deno.test("selectFlags() takes the flags of keys and of all below a branch", () => {
  assert.deepEqual(selectFlags("data.folder", "train.averaging").map(({ flag }) => flag), [
    ...["data", "averaging", "average-from", "recalibrate", "ema-decay"],
  ]);
  assert(fields.length > configFlags.length);
});

/** What `--help all` says of some flags, on one line. */
function helpOn(fields: readonly FlagField[]): string {
  const help = formatHelp({ usage: "./winnow x", summary: "Does.", fields, common: [] }, "all");
  return help.replaceAll(/\s+/g, " ");
}

Deno.test("formatHelp() says what switches do that are on by default, or that may be set either way", () => {
  const help = helpOn(fields);
  assert.match(
    help,
    /--no-compact Keep the empty channels of the pruned model, and so the network's shapes\./,
  );
  assert.match(help, /--no-compare Do not prune the same trained network by the other criteria too\./);
  assert.match(help, /--no-decay-bias Decay neither biases nor batch norm's parameters/);
  assert.match(help, /--onnx, --no-onnx Write the pruned model as ONNX too/);
  const on = fields.filter(({ kind, default: preset }) => kind === "boolean" && preset === true);
  assert.deepEqual(on.filter(({ without }) => without === undefined), []);
});

Deno.test("formatHelp() says with which kinds a flag goes by the words of their flag", () => {
  const help = helpOn(fields);
  assert.match(help, /--momentum NUMBER [^-]*Only with sgd, momentum or nesterov\. Default 0\.9/);
  assert.match(help, /--warmup NUMBER [^-]*Only with step, constant or cosine\./);
  assert.match(help, /--rewind NUMBER .*Only where fine-tuning has epochs\. Default 0\.75/);
  assert.match(help, /--refit NAME .*for --refit-steps steps \(300 by default, whatever --limit is\)/);
});

Deno.test("formatHelp() says of each command what it writes and what it holds examples out for", () => {
  const [prune, compare, sensitivity] = [fields, compareFields, sensitivityFields].map(helpOn);
  assert.match(prune, /--out TEXT Folder that the report and the pruned model are written to/);
  assert.match(compare, /--out TEXT Folder that compare\.json, compare\.svg and the trained networks are/);
  assert.match(sensitivity, /--out TEXT Folder that sensitivity\.json and the trained network are/);
  assert.match(prune, /--validation NUMBER .*the rounds to undo, the temperature and the network of/);
  assert.match(compare, /--validation NUMBER .*the temperature T=auto, and say which variant is best\./);
  assert.match(
    sensitivity,
    /--validation NUMBER .*measured on them after each removal.*Default a fifth .*at most 1000\./,
  );
});

Deno.test("model, evaluate and predict name all that a model may be, once", async () => {
  for (const name of ["model", "evaluate", "predict"] as const) {
    const { stdout } = await runTask(name, ["--help"]);
    const text = stdout.replaceAll(/\s+/g, " ");
    const lists = text.match(/the path of a graph \(JSON\) or of weights \(safetensors or ONNX\)/g);
    assert.equal(lists?.length, 1, name);
    assert(!text.includes("that winnow wrote"), name);
  }
});
