/** Files made to go wrong (shared/reports), each refused by name where it is read. */
import { assertRejects, assertThrows } from "@std/assert";
import { loadModel } from "../../src/api/load_model.ts";
import { loadDataset } from "../../src/data/locate.ts";
import { FormatError, ShapeError } from "../../src/errors.ts";
import { denoFiles } from "../../src/deno/files.ts";
import { decodePretrained } from "../../src/io/pretrained.ts";
import { resolveGraph } from "../../src/model/graph.ts";
import { gunzip } from "../../src/data/gunzip.ts";
import { sharedPath } from "../helpers/shared.ts";

const reports = sharedPath("reports"), options = { ignore: reports === undefined };
const task = { channels: 3, height: 32, width: 32, classes: [..."0123456789"] };
const load = (model: string, weights?: string) =>
  loadModel(
    { model: `${reports}/${model}`, weights: weights && `${reports}/${weights}` },
    { files: denoFiles, task },
  );

Deno.test(
  "loadModel() reads good.safetensors, and refuses its damaged copies by tensor, index and value",
  options,
  async () => {
    await load("good.safetensors");
    const wrong = [
      ["nan-weight.safetensors", 'nan-weight.safetensors, conv1.weight": NaN at its index [0, 0, 1, 0]'],
      [
        "mask-all-removed.safetensors",
        'conv1.weight": 0.3499999940395355 at its index [0, 0, 0, 2], expected 0 there',
      ],
      ["mean-1e300.safetensors", 'winnow.input, mean": [1e+300,0,0], expected 3 numbers'],
    ];
    for (const [name, part] of wrong) await assertRejects(() => load(name), FormatError, part);
    const net = "nan-swallowed/net.json";
    await load(net, "nan-swallowed/clean.safetensors");
    const filter = 'nan-filter.safetensors, conv1.weight": NaN at its index [0, 0, 0, 0]';
    await assertRejects(() => load(net, "nan-swallowed/nan-filter.safetensors"), FormatError, filter);
    const mean = 'nan-mean.safetensors, bn1.running_mean": NaN at its index [0]';
    await assertRejects(() => load(net, "nan-swallowed/nan-mean.safetensors"), FormatError, mean);
  },
);

Deno.test("sizes of the reports are refused before anything is allocated", options, async () => {
  const { graph } = await load("graph-wide-2e6.json");
  assertThrows(() => resolveGraph(graph), ShapeError, "layer a");
  const wrappers = await Deno.readFile(`${reports}/wrappers-12000.safetensors.gz`);
  const file = await gunzip(wrappers, { name: "wrappers", maxBytes: 2 ** 24 });
  const decode = () => decodePretrained(file, { name: "w", size: task });
  assertThrows(decode, FormatError, "tensors conv1.weight for images");
  const read = (folder: string) =>
    loadDataset({ files: denoFiles, folder: `${reports}/${folder}`, allowDownload: false, note: () => {} });
  await assertRejects(
    () => read("idx-2000000-channels"),
    FormatError,
    "is 2000000 at byte 8, expected at most 64",
  );
});
