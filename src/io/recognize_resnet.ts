/**
 * Residual networks of basic blocks, recognised by the names and shapes of their parameters.
 *
 * @module
 */
import type { ResnetForm } from "../model/presets/resnet.ts";

/** The shape of every parameter of a file, by name. */
export type ParameterShapes = ReadonlyMap<string, readonly number[]>;

const blockPattern = /^layer(\d+)\.(\d+)\.conv1\.weight$/;
const projectionPattern = /^layer\d+\.\d+\.(downsample|shortcut)\.0\.weight$/;

/** True if the names are those of a residual network. */
export function namesResnet(shapes: ParameterShapes): boolean {
  return shapes.has("conv1.weight") && [...shapes.keys()].some((name) => blockPattern.test(name));
}

/**
 * The form of a residual network, of any depth and width: shortcuts are projections if there are tensors of
 * projections, and padded (option A) otherwise. Undefined if the stem is not the 3 x 3 one for small images, or if
 * there is not exactly one linear layer. Tensors outside the form are left to the reader of the parameters.
 */
export function recognizeResnet(shapes: ParameterShapes): ResnetForm | undefined {
  const stem = shapes.get("conv1.weight") ?? [];
  const heads = [...shapes].filter(([name, shape]) => shape.length === 2 && name.endsWith(".weight"));
  if (stem.length !== 4 || stem[2] !== 3 || stem[3] !== 3 || heads.length !== 1) return undefined;
  const stages: { channels: number; blocks: number }[] = [];
  // Counting up to the first gap keeps a stray index from making a network of millions of blocks.
  for (let stage = 1; shapes.has(`layer${stage}.0.conv1.weight`); stage++) {
    let blocks = 0;
    while (shapes.has(`layer${stage}.${blocks}.conv1.weight`)) blocks++;
    stages.push({ channels: shapes.get(`layer${stage}.0.conv1.weight`)![0] ?? 0, blocks });
  }
  const projection = [...shapes.keys()].map((name) => projectionPattern.exec(name)?.[1])
    .find((found) => found !== undefined);
  const depth = 2 + 2 * stages.reduce((sum, { blocks }) => sum + blocks, 0);
  return {
    name: projection === undefined ? `resnet${depth}` : `resnet${depth}-cifar`,
    stem: stem[0],
    stages,
    ...(projection === undefined ? { shortcut: "pad" } : { shortcut: "projection", projection }),
    head: heads[0][0].slice(0, -".weight".length),
  };
}
