/**
 * Recognises the architecture of a file of PyTorch's names and shapes, for known families.
 *
 * @module
 */
import { FormatError } from "../errors.ts";
import { type Graph, parseGraph } from "../model/graph.ts";
import { residualNetwork } from "../model/presets/resnet.ts";
import { listSome, parameterTensors } from "./parameters.ts";
import { type ImageSize, recognizeFeatures, recognizePlain } from "./recognize_chain.ts";
import { namesResnet, type ParameterShapes, recognizeResnet } from "./recognize_resnet.ts";
import type { StoredTensor } from "./safetensors.ts";

/** Mean and deviation of each input channel, of bytes divided by 255. */
export interface Normalization {
  /** Subtracted from each channel. */
  readonly mean: readonly number[];
  /** The divisor of each channel, above 0. */
  readonly std: readonly number[];
}

/** ImageNet's, by which the public ResNets were trained, those on CIFAR-10 with padded shortcuts among them. */
const imagenetNormalization: Normalization = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };

/** The advice for unknown architectures. */
const orGiven = "the architecture given as a preset or a graph";

const families =
  "a CIFAR ResNet of basic blocks, features.N with classifier, or conv1, conv2, ... with fc1, fc2, ...";

/**
 * Recognises ResNets of basic blocks with the stem for small images, any depth and width; networks of `features.N` and
 * `classifier`; and `conv1`, `conv2`, ..., `fc1`, `fc2`, ....
 *
 * @param size Height and width of the images, which only the last two families need.
 * @param name The file's name, for messages.
 * @throws {FormatError} If the names or shapes are those of no known family.
 * @throws {ConfigError} If a size in the file is none that a model can have.
 */
export function recognizeArchitecture(
  tensors: ReadonlyMap<string, StoredTensor>,
  { size, name }: { readonly size: ImageSize; readonly name: string },
): Graph {
  // Only the two, since a caller's object may have more.
  const { height, width } = size;
  const shapes = listShapes(tensors);
  if (namesResnet(shapes)) {
    const form = recognizeResnet(shapes);
    if (form === undefined) {
      const current = `a ResNet whose conv1.weight has shape (${shapes.get("conv1.weight")!.join(", ")})`;
      return refuse(name, current, `a stem of 3 x 3 and one linear layer, or ${orGiven}`);
    }
    const channels = shapes.get("conv1.weight")![1], classes = shapes.get(`${form.head}.weight`)![0];
    return residualNetwork(form, { channels, height, width, classes });
  }
  const features = shapes.get("features.0.weight");
  const layers = features ? recognizeFeatures(shapes, size) : recognizePlain(shapes, size);
  if (layers === undefined) {
    const current = `tensors ${listSome([...shapes.keys()])} for images of ${size.height} x ${size.width}`;
    return refuse(name, current, `${families}, or ${orGiven}`);
  }
  const channels = (features ?? shapes.get("conv1.weight")!)[1];
  return parseGraph({ name: features ? "vgg" : "cnn", input: { channels, height, width }, layers }, name);
}

/**
 * The normalisation of images for a family, if the file does not have one: ImageNet's for ResNets of three channels;
 * unknown for others.
 */
export function familyNormalization(shapes: ParameterShapes): Normalization | undefined {
  return namesResnet(shapes) && shapes.get("conv1.weight")![1] === 3 ? imagenetNormalization : undefined;
}

/** The shape of every tensor that may be a parameter. */
export function listShapes(tensors: ReadonlyMap<string, StoredTensor>): ParameterShapes {
  return new Map([...parameterTensors(tensors)].map(([key, { shape }]) => [key, shape]));
}

function refuse(thing: string, current: string, wanted: string): never {
  throw new FormatError({ act: "recognise the architecture of", thing, current, wanted });
}
