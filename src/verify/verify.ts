/**
 * Checks the kernels on a device against a file of reference values.
 *
 * @module
 */
import { ConfigError } from "../errors.ts";
import type { Gpu } from "../gpu/device.ts";
import type { ProductChooser } from "../kernels/product.ts";
import { checkConv2d, checkLinear } from "./convolution_cases.ts";
import { type Check, type CheckProgress, Goldens } from "./goldens.ts";
import { checkBatchnorm2d, checkCrossEntropy, checkPool2d } from "./layer_cases.ts";
import { checkOutputs, hasOutputCase } from "./output_cases.ts";
import { checkResnet, hasResnetCase, type ModelSources } from "./resnet_cases.ts";
import { checkTraining } from "./training_cases.ts";

export type { Check, CheckProgress } from "./goldens.ts";
export type { ModelSources } from "./resnet_cases.ts";

/** Operations that a file may have cases of, named KIND.NUMBER. */
const kinds = ["conv2d", "linear", "maxpool2d", "avgpool2d", "batchnorm2d", "cross_entropy"] as const;

/**
 * Checks everything in a file of reference values that this version knows: cases of operations, training with the
 * confidence chain and criteria, a trained network with global magnitude pruning, and the output of a network. The formats
 * are described in docs/formats.md.
 *
 * @param onCheck Called with each comparison as it is made.
 * @param onProgress Hears how far training and evaluation of a network are, before each step and after the last.
 * @param sources Where the network and the images of a file of the last kind are found.
 * @returns All comparisons; none where the file has nothing to check.
 * @throws {FormatError} Where the file is damaged or a case lacks a tensor.
 * @throws {FileError} Where the network or the images are not found.
 */
export async function verifyGoldens(
  gpu: Gpu,
  { bytes, name }: { readonly bytes: Uint8Array; readonly name: string },
  { onCheck = () => {}, onProgress = () => {}, choose = gpu.choose, sources }: {
    readonly onCheck?: (check: Check) => void;
    readonly onProgress?: CheckProgress;
    readonly sources?: ModelSources;
    readonly choose?: ProductChooser;
  } = {},
): Promise<readonly Check[]> {
  const goldens = new Goldens(bytes, name);
  const checks: Check[] = [];
  const add = (more: readonly Check[]) => {
    for (const check of more) onCheck(check);
    checks.push(...more);
  };
  for (const caseName of listCases(goldens)) {
    const bench = { gpu, choose };
    const kind = kinds.find((known) => caseName.startsWith(`${known}.`))!;
    switch (kind) {
      case "conv2d":
        add(await checkConv2d(bench, goldens, caseName));
        break;
      case "linear":
        add(await checkLinear(bench, goldens, caseName));
        break;
      case "batchnorm2d":
        add(await checkBatchnorm2d(gpu, goldens, caseName));
        break;
      case "cross_entropy":
        add(await checkCrossEntropy(gpu, goldens, caseName));
        break;
      default:
        add(await checkPool2d(gpu, goldens, { name: caseName, kind }));
    }
  }
  if (goldens.names.some((tensor) => tensor.startsWith("init."))) {
    add(await checkTraining({ gpu, choose, onProgress }, goldens));
  }
  const ofNetworks = [
    { has: hasResnetCase, check: checkResnet },
    { has: hasOutputCase, check: checkOutputs },
  ];
  for (const { has, check } of ofNetworks) {
    if (!has(goldens)) continue;
    if (sources === undefined) {
      const current = "it is about a network that lies in another file";
      throw new ConfigError({ act: "verify", thing: name, current, wanted: "the option sources" });
    }
    add(await check({ gpu, choose, sources, onProgress }, goldens));
  }
  return checks;
}

/** Names of the cases in a file, such as `conv2d.0`, in their order. */
function listCases(goldens: Goldens): readonly string[] {
  const cases = new Set<string>();
  for (const tensor of goldens.names) {
    const found = tensor.match(/^(\w+\.[^.]+)\.[^.]+$/)?.[1];
    if (found && kinds.some((kind) => found.startsWith(`${kind}.`))) cases.add(found);
  }
  return [...cases];
}
