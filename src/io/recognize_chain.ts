/**
 * Chains of convolutions and linear layers, recognised by the names and shapes of their parameters: VGG's
 * `features.N` and `classifier`, and `conv1`, `conv2`, ..., `fc1`, `fc2`, ...
 *
 * @module
 */
import type { ParameterShapes } from "./recognize_resnet.ts";

/** A layer as in a model file; missing fields take their defaults. */
export type ChainLayer = { readonly kind: string; readonly name: string } & Readonly<Record<string, unknown>>;

/** Height and width of images, in pixels. */
export interface ImageSize {
  readonly height: number;
  readonly width: number;
}

/** A convolution of a chain: its name, its weight (O, I, K, K), and that of the batch norm behind it. */
interface ChainConvolution {
  readonly name: string;
  readonly weight: readonly number[];
  readonly hasBias: boolean;
  readonly norm: string | undefined;
  /** Whether a max pooling 2 x 2 follows the ReLU. */
  readonly pools: boolean;
}

const pool = { kind: "maxpool2d", kernel: 2, stride: 2 } as const;

/**
 * The layers of a network with names `features.N` and `classifier` or `classifier.N`. Convolutions keep the size of
 * their input. The numbers reveal the layers without parameters: a ReLU follows a convolution or its batch norm, and
 * a max pooling if two numbers are free. The size of the first linear layer decides whether the last convolution is
 * pooled. Undefined for other names or sizes.
 */
export function recognizeFeatures(
  shapes: ParameterShapes,
  size: ImageSize,
): readonly ChainLayer[] | undefined {
  const indices = parseNumbers(shapes, /^features\.(\d+)\.weight$/);
  const isConvolution = (index: number) => shapes.get(`features.${index}.weight`)!.length === 4;
  const convolutions = indices.filter(isConvolution);
  if (convolutions.length === 0 || convolutions[0] !== 0) return undefined;
  const chain: ChainConvolution[] = [];
  for (const [i, index] of convolutions.entries()) {
    const hasNorm = shapes.has(`features.${index + 1}.running_mean`);
    const next = convolutions[i + 1] ?? Infinity, free = next - index - (hasNorm ? 2 : 1);
    if (free < 1 || (free > 2 && next !== Infinity)) return undefined;
    const norm = hasNorm ? `features.${index + 1}` : undefined;
    chain.push(describeConvolution(shapes, { name: `features.${index}`, norm, pools: free === 2 }));
  }
  const heads = shapes.has("classifier.weight")
    ? ["classifier"]
    : parseNumbers(shapes, /^classifier\.(\d+)\.weight$/).map((index) => `classifier.${index}`);
  const last = chain[chain.length - 1];
  const endings = [true, false].map((pools) => [...chain.slice(0, -1), { ...last, pools }]);
  return joinFitting(
    shapes,
    heads,
    endings.map((convolutions) => layConvolutions(convolutions, size, samePadding)),
  );
}

/**
 * The layers of a network with names `conv1`, `conv2`, ... (and batch norms `bn1`, ..., if there are any) and `fc1`,
 * `fc2`, ..., as in the seed network and LeNet-5: ReLU and max pooling 2 x 2 behind every convolution. Paddings are
 * those that give the first linear layer its size: everywhere half the window, nowhere, or at the first convolution
 * only. Undefined if names or sizes are others.
 */
export function recognizePlain(shapes: ParameterShapes, size: ImageSize): readonly ChainLayer[] | undefined {
  const numbers = parseNumbers(shapes, /^conv(\d+)\.weight$/);
  if (numbers.length === 0 || numbers.some((number, i) => number !== i + 1)) return undefined;
  const chain = numbers.map((number) => {
    const norm = shapes.has(`bn${number}.running_mean`) ? `bn${number}` : undefined;
    return describeConvolution(shapes, { name: `conv${number}`, norm, pools: true });
  });
  const heads = parseNumbers(shapes, /^fc(\d+)\.weight$/).map((number) => `fc${number}`);
  const paddings: Padding[] = [samePadding, () => 0, (kernel, i) => i === 0 ? samePadding(kernel, i) : 0];
  return joinFitting(shapes, heads, paddings.map((padding) => layConvolutions(chain, size, padding)));
}

/** The padding of a convolution by its window's side and its index in the chain. */
type Padding = (kernel: number, index: number) => number;

const samePadding: Padding = (kernel) => Math.floor((kernel - 1) / 2);

/** Layers up to the last feature map, and the features that it has. */
interface LaidConvolutions {
  readonly layers: readonly ChainLayer[];
  readonly features: number;
}

function layConvolutions(
  chain: readonly ChainConvolution[],
  { height, width }: ImageSize,
  paddingOf: Padding,
): LaidConvolutions {
  const layers: ChainLayer[] = [];
  let sides = [height, width];
  for (const [i, { name, weight: [outChannels, , kernel], hasBias, norm, pools }] of chain.entries()) {
    const padding = paddingOf(kernel, i);
    layers.push({ kind: "conv2d", name, outChannels, kernel, padding, bias: hasBias });
    if (norm !== undefined) layers.push({ kind: "batchnorm2d", name: norm });
    layers.push({ kind: "relu", name: `${name}.relu` });
    if (pools) layers.push({ ...pool, name: `${name}.pool` });
    sides = sides.map((side) => {
      const convolved = side + 2 * padding - kernel + 1;
      return Math.max(0, pools ? Math.floor(convolved / 2) : convolved);
    });
  }
  return { layers, features: chain[chain.length - 1].weight[0] * sides[0] * sides[1] };
}

/**
 * The layers of the only candidate whose feature map has the size that the first linear layer takes, with the linear
 * layers and ReLUs between them; undefined if none has, or several that differ.
 */
function joinFitting(
  shapes: ParameterShapes,
  heads: readonly string[],
  candidates: readonly LaidConvolutions[],
): readonly ChainLayer[] | undefined {
  const weights = heads.map((head) => shapes.get(`${head}.weight`)!);
  if (weights.length === 0 || weights.some(({ length }) => length !== 2)) return undefined;
  const fitting = candidates.filter(({ features }) => features === weights[0][1]);
  const distinct = new Set(fitting.map(({ layers }) => JSON.stringify(layers)));
  if (distinct.size !== 1) return undefined;
  const linears = heads.flatMap((name, i): readonly ChainLayer[] => {
    const linear = {
      kind: "linear",
      name,
      outFeatures: weights[i][0],
      bias: shapes.has(`${name}.bias`),
    };
    return i === heads.length - 1 ? [linear] : [linear, { kind: "relu", name: `${name}.relu` }];
  });
  return [...fitting[0].layers, { kind: "flatten", name: "flatten" }, ...linears];
}

function describeConvolution(
  shapes: ParameterShapes,
  { name, norm, pools }: Pick<ChainConvolution, "name" | "norm" | "pools">,
): ChainConvolution {
  return { name, weight: shapes.get(`${name}.weight`)!, hasBias: shapes.has(`${name}.bias`), norm, pools };
}

/** The numbers in the names that match a pattern, ascending; those that are written in another way name no layer. */
function parseNumbers(shapes: ParameterShapes, pattern: RegExp): readonly number[] {
  return [...shapes.keys()].flatMap((name) => {
    const text = pattern.exec(name)?.[1], number = Number(text);
    return text === `${number}` ? [number] : [];
  }).sort((a, b) => a - b);
}
