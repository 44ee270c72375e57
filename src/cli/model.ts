/**
 * `deno task model NAME|FILE`: prints the layers, the coupled channels or the plan of a preset, a graph or a file of
 * weights.
 *
 * @module
 */
import { z } from "zod";
import { ConfigError } from "../errors.ts";
import { defaultChooser } from "../kernels/gemm.ts";
import type { PassMode } from "../model/layer.ts";
import { lowerPlan } from "../plan/lower.ts";
import { sgd } from "../plan/optimizer.ts";
import { describePlan, type Plan } from "../plan/plan.ts";
import { imageBounds } from "../shape.ts";
import {
  countRemoved,
  coupleChannels,
  type Coupling,
  denoFiles,
  type Graph,
  loadModel,
  type ModelSummary,
  presetNames,
  summarizeModel,
} from "../../mod.ts";
import { modelFiles } from "../config/tree.ts";
import { runCommand } from "./command.ts";
import { type FlagField, formatHelp, jsonFlag, ownFlags, parseFlags, selectFlags } from "./flags.ts";
import { parseConfigFlags } from "./run_config.ts";
import { print, printJson } from "./print.ts";
import { escapeLine } from "../text/escape.ts";
import { formatGroups } from "../text/groups.ts";
import { formatTable } from "../text/table.ts";

const usage = "./winnow model [FLAGS] NAME|FILE   (or: deno task model [FLAGS] NAME|FILE)";
const summary =
  "Prints the layers of a model with their output shapes, parameters and multiply-adds for one image, or its coupled " +
  "channels, or the plan by which a step is computed. The model is " +
  `a preset (${presetNames.join(", ")}), or ${modelFiles}.`;

const own = ownFlags({
  input: z.string().default("3x32x32").meta({
    description: "Channels, height and width of the images, for presets and files that do not tell.",
    wanted: "sizes such as 3x32x32",
  }),
  classes: z.int().min(1).max(imageBounds.classes).default(10).describe("Classes of a preset."),
  groups: z.boolean().default(false).describe(
    "Print the channels that go together, which --granularity channel removes.",
  ),
  plan: z.enum(["train", "score", "evaluate"]).optional().describe(
    "Print the dispatches of a step and their memory, as planned for a GPU before any tuning.",
  ),
  batch: z.int().min(1).default(64).describe("Examples per step of --plan."),
  ...jsonFlag,
});

/** Its flags. */
export const fields: readonly FlagField[] = [...own.fields, ...selectFlags("model.preset", "model.weights")];

/** Reads CxHxW. */
export function parseInput(text: string): { channels: number; height: number; width: number } {
  const sizes = /^(\d+)x(\d+)x(\d+)$/.exec(text)?.slice(1).map(Number);
  const bounds = [imageBounds.channels, imageBounds.side, imageBounds.side];
  if (sizes === undefined || sizes.some((size, i) => size < 1 || size > bounds[i])) {
    throw new ConfigError({
      act: "use",
      thing: "--input",
      current: `"${text}"`,
      wanted: `sizes such as 3x32x32, at most ${bounds.join("x")}`,
    });
  }
  return { channels: sizes[0], height: sizes[1], width: sizes[2] };
}

async function main(): Promise<number> {
  const { help, positionals, values } = parseFlags(Deno.args, fields, { positionals: true });
  if (help) {
    print(formatHelp({ usage, summary, fields }));
    return 0;
  }
  if (positionals.length !== 1) {
    const current = positionals.length === 0 ? "nothing was named" : `${positionals.length} were named`;
    const wanted = `one of ${presetNames.join(", ")}, or ${modelFiles}`;
    throw new ConfigError({ act: "describe", thing: "model", current, wanted });
  }
  const { input, classes: count, json, groups, plan: mode, batch } = own.read(values);
  if (groups && mode) {
    const current = "it is there beside --groups", wanted = "one of --plan and --groups";
    throw new ConfigError({ act: "use", thing: "--plan", current, wanted });
  }
  const { preset, weights: from } = parseConfigFlags(values).model;
  const { graph, weights } = await loadModel(
    { model: positionals[0], preset, weights: from },
    {
      files: denoFiles,
      task: {
        ...parseInput(input),
        classes: Array.from({ length: count }, (_, i) => `${i}`),
      },
    },
  );
  if (groups) {
    const coupling = coupleChannels(graph);
    if (json) printJson(groupsAsJson(graph, coupling));
    else print(formatGroups(coupling));
    return 0;
  }
  if (mode) {
    const plan = makePlan(graph, mode, batch);
    if (json) printJson(planAsJson(plan));
    else print(describePlan(plan).trimEnd());
    return 0;
  }
  const removed = weights ? countRemoved(graph, weights.masks) : 0;
  const model = summarizeModel(graph);
  if (json) printJson({ ...model, removed });
  else print(formatSummary(model, removed));
  return 0;
}

/** The plan of a step on images that lie on the device. */
function makePlan(graph: Graph, mode: PassMode, batch: number): Plan {
  const images = { augmentation: "none" } as const, choose = defaultChooser("storage");
  const update = mode === "train" ? { optimizer: sgd(), averages: true } : {};
  return lowerPlan(graph, { mode, batch, images, choose, ...update });
}

function planAsJson({ tensors, outputs, dispatchesUpTo, ...plan }: Plan): unknown {
  const [all, kept, until] = [tensors, outputs, dispatchesUpTo].map((map) =>
    Object.fromEntries<unknown>(map)
  );
  return { ...plan, tensors: all, outputs: kept, dispatchesUpTo: until };
}

function groupsAsJson({ name }: Graph, { groups, sets }: Coupling): unknown {
  return {
    name,
    groups,
    sets: sets.map(({ groups, layers }) => ({ groups, layers: Object.fromEntries(layers) })),
  };
}

/** A table of the layers, and a line of sums. */
function formatSummary(model: ModelSummary, removed: number): string {
  const number = (value: number) => value === 0 ? "" : value.toLocaleString("en");
  const rows = model.layers.map((
    { name, kind, inputs, takesPrevious, outputText, parameters, multiplyAdds },
  ) => [
    name,
    kind,
    takesPrevious ? "" : inputs.join(", "),
    outputText,
    number(parameters),
    number(multiplyAdds),
  ]);
  const total = ["total", "", "", "", number(model.parameters), number(model.multiplyAdds)];
  const head = ["layer", "kind", "takes", "output", "parameters", "multiply-adds"];
  const table = formatTable(head, [...rows, total], {
    align: ["left", "left", "left", "left", "right", "right"],
  });
  const counts = `${model.prunable.toLocaleString("en")} weights that pruning may remove`;
  const others = `${removed.toLocaleString("en")} of them removed, ${
    model.statistics.toLocaleString("en")
  } running statistics`;
  return `${escapeLine(model.name)}: images of ${
    model.input.join(" x ")
  }\n\n${table}\n\n${counts}, ${others}`;
}

if (import.meta.main) await runCommand(main);
